//! API tokens: shown once.

use super::form::{Control, Field};
use super::nodes::NodeCommand;
use super::shell::Shell;
use super::text::Text;
use super::time::Moment;
use super::ui;
use askama::Template;

/// A token.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// Id.
    pub id: String,
    /// Name.
    pub name: Text,
    /// How it begins.
    pub prefix: Text,
    /// What it is for.
    pub usage: &'static str,
    /// Role; empty for deployment.
    pub role: &'static str,
    /// Author.
    pub author: Text,
    /// When it was made.
    pub since: Moment,
    /// When it ends.
    pub expires: Option<Moment>,
    /// Whether it has expired or was revoked.
    pub ended: bool,
    /// When it was last used.
    pub used: Option<Moment>,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "tokens.html")]
pub struct Tokens {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// Tokens, newest first.
    pub rows: Vec<TokenRow>,
    /// Fields of the form.
    pub fields: Vec<Field>,
    /// Errors that belong to no field.
    pub mistakes: Vec<Text>,
    /// A token just made.
    pub fresh: Option<String>,
    /// How a node is started with it, where it is for that.
    pub commands: Vec<NodeCommand>,
}
