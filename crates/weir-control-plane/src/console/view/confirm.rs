//! The page that asks to confirm a change that weakens protection or blocks everywhere.

use super::shell::Shell;
use super::text::Text;
use super::ui;
use askama::Template;

/// The page.
#[derive(Debug, Template)]
#[template(path = "confirm.html")]
pub struct ConfirmPage {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// What would change: whether it weakens protection, and in words.
    pub changes: Vec<(bool, Text)>,
    /// What it would have done to the hits of the last day, where that is known.
    pub effect: Option<Text>,
    /// Whether it would have let any of them through.
    pub let_through: bool,
    /// What to type.
    pub word: Text,
    /// Whether the word was wrong, or the policy changed meanwhile.
    pub stale: bool,
    /// Hash of the difference.
    pub confirm: String,
    /// Where to go without changing anything.
    pub back: &'static str,
    /// Whether the form is sent as `multipart/form-data`.
    pub multipart: bool,
    /// Fields of the form that is sent again.
    pub fields: Vec<(String, String)>,
    /// Where it is sent to.
    pub path: String,
}
