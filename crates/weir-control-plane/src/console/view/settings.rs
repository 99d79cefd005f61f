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
        label: "Configured on each node",
        about: "Each node uses the mode from its local configuration.",
    },
    ModeChoice {
        code: "off",
        label: "Off",
        about: "Requests are neither inspected nor blocked. IP lists have no effect.",
    },
    ModeChoice {
        code: "monitoring",
        label: "Monitoring",
        about: "Attacks are reported but not blocked. Virtual patches and the denylist still block.",
    },
    ModeChoice {
        code: "safe_blocking",
        label: "Safe blocking",
        about: "Attacks from graylisted sources are blocked; all others are only reported.",
    },
    ModeChoice { code: "block", label: "Blocking", about: "All attacks are blocked." },
];

/// Label of the mode with this code; without a code, of the mode that leaves the choice to the nodes.
pub fn mode_label(mode: Option<&str>) -> &'static str {
    let code = mode.unwrap_or("default");
    MODES.iter().find(|mode| mode.code == code).map_or("unknown", |mode| mode.label)
}

/// An application.
#[derive(Clone, Debug)]
pub struct ApplicationRow {
    /// Id, as reported by nodes.
    pub id: i64,
    /// Name.
    pub name: Text,
    /// Notes.
    pub comment: Text,
    /// Its attacks.
    pub attacks: String,
}

/// A webhook or a syslog receiver.
#[derive(Clone, Debug)]
pub struct SinkRow {
    /// Id.
    pub id: String,
    /// Name.
    pub name: Text,
    /// Where it leads.
    pub to: Text,
    /// Events sent to it, in words.
    pub events: Text,
    /// Whether calls are signed.
    pub signed: bool,
    /// Records delivered.
    pub delivered: u64,
    /// Status.
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
    /// Page frame: navigation, user, notice.
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
    pub retention_days: u32,
    /// Days for which counts of abuse rules are kept.
    pub behaviour_days: u32,
    /// Days for which requests of sessions are kept.
    pub session_days: u32,
    /// Webhooks and syslog receivers, for those who may see them.
    pub sinks: Option<Vec<SinkRow>>,
    /// Fields of the forms that add one: a webhook, a syslog receiver.
    pub sink_fields: [Vec<Field>; 2],
    /// Which of the two is open.
    pub sink_open: (bool, bool),
    /// Errors that belong to no field.
    pub mistakes: Vec<Text>,
}

impl Settings {
    /// Forms that add receivers: kind, label, whether it is open, fields.
    pub fn adders(&self) -> [(&'static str, &'static str, bool, &[Field]); 2] {
        [
            ("webhook", "Add webhook", self.sink_open.0, &self.sink_fields[0]),
            ("syslog", "Add syslog receiver", self.sink_open.1, &self.sink_fields[1]),
        ]
    }

    /// The modes.
    pub fn modes(&self) -> &'static [ModeChoice] {
        MODES
    }
}
