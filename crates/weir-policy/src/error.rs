//! Mistakes in settings or in a policy document.

/// A mistake and its location.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", self.location())]
pub struct PolicyError {
    /// Name of the document as given by the caller; empty for a mistake in the settings.
    pub file: String,
    /// Line, from 1; 0 if unknown.
    pub line: usize,
    /// Column, from 1; 0 if unknown.
    pub column: usize,
    /// The key, e.g. `route_config.routes[2].host` or `rules[0].point`; empty if unknown.
    pub at: String,
    /// What is wrong and what is expected.
    pub message: String,
}

impl PolicyError {
    /// A mistake in the settings at `at`.
    pub fn setting(at: impl Into<String>, message: impl Into<String>) -> Self {
        Self { file: String::new(), line: 0, column: 0, at: at.into(), message: message.into() }
    }

    /// `file:line:column: key: `, as far as known.
    fn location(&self) -> String {
        let mut out = String::new();
        if !self.file.is_empty() {
            out = format!("{}:{}:{}: ", self.file, self.line, self.column);
        }
        if !self.at.is_empty() {
            out.push_str(&self.at);
            out.push_str(": ");
        }
        out
    }
}
