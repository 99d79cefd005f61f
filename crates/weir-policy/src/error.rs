//! Mistakes in settings or in a policy document.

use std::fmt;

/// A mistake, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// The document's name as given by the caller; empty where the mistake is in the settings.
    pub file: String,
    /// Line, from 1; 0 where unknown.
    pub line: usize,
    /// Column, from 1; 0 where unknown.
    pub column: usize,
    /// The key, e.g. `route_config.routes[2].host` or `rules[0].point`; empty where unknown.
    pub at: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl PolicyError {
    /// A mistake in the settings at `at`.
    pub fn setting(at: impl Into<String>, message: impl Into<String>) -> Self {
        Self { file: String::new(), line: 0, column: 0, at: at.into(), message: message.into() }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        }
        if !self.at.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for PolicyError {}
