//! Alerts for people.

use super::form::{Control, Field};
use super::shell::{Shell, Tone};
use super::text::Text;
use super::time::Moment;
use super::ui;
use askama::Template;

/// An alert.
#[derive(Clone, Debug)]
pub struct AlertRow {
    /// Id.
    pub id: String,
    /// Name.
    pub name: Text,
    /// Kind of the channel.
    pub kind: &'static str,
    /// Where it leads.
    pub to: Text,
    /// When it is sent, in words.
    pub when: String,
    /// Which hits count.
    pub query: Text,
    /// The attacks that count.
    pub attacks: String,
    /// Status.
    pub state: (Tone, Text),
    /// Whether it is switched on.
    pub active: bool,
    /// Messages sent.
    pub sent: u64,
    /// The last one.
    pub last: Option<Moment>,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "alerts.html")]
pub struct Alerts {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// Alerts by name.
    pub rows: Vec<AlertRow>,
    /// Fields of the form.
    pub fields: Vec<Field>,
    /// Whether a mail server is configured.
    pub mail: bool,
    /// Whether the form that makes one is open.
    pub adding: bool,
    /// Errors that belong to no field.
    pub mistakes: Vec<Text>,
}
