//! Address lists.

use super::form::{Control, Field};
use super::parts::{Choice, Pager};
use super::shell::Shell;
use super::text::Text;
use super::time::Moment;
use super::ui;
use askama::Template;

/// A listed value.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Id.
    pub id: u64,
    /// The value.
    pub value: Text,
    /// What it is: `Address or network`, `Country`.
    pub kind: &'static str,
    /// For which applications.
    pub applications: Text,
    /// When it ends.
    pub expires: Option<Moment>,
    /// Whether it has expired.
    pub ended: bool,
    /// Why it cannot act; empty where it can.
    pub inert: &'static str,
    /// Why.
    pub reason: Text,
    /// Author.
    pub author: Text,
    /// Since when.
    pub since: Moment,
    /// Attacks of the value, where it is an address.
    pub attacks: Option<String>,
}

/// A list.
#[derive(Clone, Debug)]
pub struct ListTab {
    /// Code, as in forms.
    pub code: &'static str,
    /// Its tab.
    pub choice: Choice,
    /// How many values it has.
    pub count: String,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "lists.html")]
pub struct Lists {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// Deny, allow, gray.
    pub tabs: Vec<ListTab>,
    /// Code of the present list.
    pub list: &'static str,
    /// What being on it means.
    pub about: &'static str,
    /// What was searched for.
    pub query: String,
    /// Its values.
    pub rows: Vec<Listed>,
    /// Links to other pages.
    pub pager: Pager,
    /// Fields of the form that adds values.
    pub fields: Vec<Field>,
    /// Errors that belong to no field.
    pub mistakes: Vec<Text>,
    /// Whether the form is open.
    pub adding: bool,
    /// Address of the export.
    pub export: String,
}

impl Lists {
    /// Name of the present list in a sentence.
    pub fn name(&self) -> &'static str {
        match self.list {
            "allow" => "allowlist",
            "gray" => "graylist",
            _ => "denylist",
        }
    }
}
