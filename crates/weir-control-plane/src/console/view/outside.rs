//! Pages without a shell: login, errors.

use super::text::Text;
use super::ui;
use askama::Template;

/// The login.
#[derive(Debug, Default, Template)]
#[template(path = "login.html")]
pub struct Login {
    /// What is wrong.
    pub wrong: Option<Text>,
    /// Login as entered.
    pub login: String,
    /// Token that the form carries back.
    pub csrf: String,
    /// Where to go then.
    pub next: String,
    /// Whether an identity provider is there.
    pub provider: bool,
    /// Whether no user has logged in yet.
    pub first: bool,
    /// With what the login goes on, where the code of the second factor is still to come.
    pub ticket: Option<String>,
}

/// An error.
#[derive(Debug, Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    /// Status code.
    pub status: u16,
    /// What went wrong.
    pub title: &'static str,
    /// What to do about it.
    pub detail: Text,
    /// Whether it came during a login.
    pub login: bool,
}
