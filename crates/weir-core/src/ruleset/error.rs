//! Errors of rule files, each with its location.

use super::yaml_tree::Location;

/// An error in a rule file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct RuleError {
    /// File as named by the caller.
    pub file: String,
    /// Line, from 1; 0 where unknown.
    pub line: usize,
    /// Column, from 1; 0 where unknown.
    pub column: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Collects the errors of one file, so that an author sees all of them at once.
pub(super) struct FileErrors<'f> {
    /// File as named by the caller.
    pub file: &'f str,
    /// Errors in the order in which they were found.
    pub found: Vec<RuleError>,
}

impl<'f> FileErrors<'f> {
    /// No errors yet.
    pub fn new(file: &'f str) -> Self {
        Self { file, found: Vec::new() }
    }

    /// Adds an error.
    pub fn add(&mut self, location: Location, message: impl Into<String>) {
        let Location { line, column } = location;
        self.found.push(RuleError { file: self.file.to_string(), line, column, message: message.into() });
    }
}
