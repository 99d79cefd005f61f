//! Settings: mode, applications, retention, webhooks.

use super::form::{Control, Field};
use super::shell::{Shell, Tone};
use super::text::Text;
use super::time::Moment;
use super::ui;
use askama::Template;

/// A filtration mode to choose.
#[derive(Clone, Copy, Debug)]
pub struct ModeChoice {
    /// As in policies; empty to leave it to the nodes.
    pub code: &'static str,
    /// For people.
    pub label: &'static str,
    /// What it does.
    pub about: &'static str,
}

/// The modes.
pub const MODES: &[ModeChoice] = &[
    ModeChoice {
        code: "default",
        label: "As each node is configured",
        about: "The Console leaves the mode to the nodes.",
    },
    ModeChoice { code: "off", label: "Off", about: "Nothing is inspected, nothing is blocked, lists do not count." },
    ModeChoice {
        code: "monitoring",
        label: "Monitoring",
        about: "Attacks are told and pass. Virtual patches and the denylist block.",
    },
    ModeChoice {
        code: "safe_blocking",
        label: "Safe blocking",
        about: "Attacks from graylisted sources are blocked, others pass.",
    },
    ModeChoice { code: "block", label: "Blocking", about: "Attacks are blocked." },
];

/// An application.
#[derive(Clone, Debug)]
pub struct ApplicationRow {
    /// Id, as nodes tell it.
    pub id: i64,
    /// Name.
    pub name: Text,
    /// Notes.
    pub comment: Text,
    /// Its attacks.
    pub attacks: String,
}

/// A webhook.
#[derive(Clone, Debug)]
pub struct WebhookRow {
    /// Id.
    pub id: String,
    /// Name.
    pub name: Text,
    /// Address.
    pub url: Text,
    /// What it is told, in words.
    pub events: Text,
    /// How it is.
    pub state: (Tone, Text),
    /// Whether it is switched on.
    pub active: bool,
    /// Last delivery.
    pub last: Option<Moment>,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "settings.html")]
pub struct Settings {
    /// Around it.
    pub shell: Shell,
    /// Code of the present mode.
    pub mode: String,
    /// Rules that differ from it.
    pub mode_rules: usize,
    /// Applications.
    pub applications: Vec<ApplicationRow>,
    /// Fields of the form that adds one.
    pub application_fields: Vec<Field>,
    /// Days for which hits are kept.
    pub retention: Field,
    /// What the store holds, in words.
    pub stored: Text,
    /// Webhooks; none where this build has none.
    pub webhooks: Option<Vec<WebhookRow>>,
    /// Fields of the form that adds one.
    pub webhook_fields: Vec<Field>,
    /// Mistakes that belong to no field.
    pub mistakes: Vec<Text>,
}

impl Settings {
    /// The modes.
    pub fn modes(&self) -> &'static [ModeChoice] {
        MODES
    }
}
