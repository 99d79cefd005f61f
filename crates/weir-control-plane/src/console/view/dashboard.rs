//! The dashboard: what happens, where it comes from, whether the nodes are well.

use super::parts::{AttackKind, Choice};
use super::plot::lines::Lines;
use super::plot::stacked::Stacked;
use super::shell::{Shell, Tone};
use super::text::Text;
use super::time::Moment;
use super::ui;
use askama::Template;

/// A figure of the head row.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What.
    pub label: &'static str,
    /// How much.
    pub value: String,
    /// Note below the value.
    pub note: String,
    /// Where it leads.
    pub href: Option<String>,
    /// Whether it needs attention.
    pub alarm: bool,
}

/// A row of a ranking.
#[derive(Clone, Debug)]
pub struct Ranked {
    /// What.
    pub label: Text,
    /// Note after the label.
    pub note: Text,
    /// Where it leads.
    pub href: String,
    /// Count, written.
    pub count: String,
    /// Share of the largest, 0 to 100: the length of its bar.
    pub bar: u8,
    /// Colour of the bar; without one, the accent colour.
    pub slot: Option<u8>,
}

/// A node, in a word.
#[derive(Clone, Debug)]
pub struct NodeLine {
    /// Name.
    pub name: Text,
    /// Whether it sends heartbeats.
    pub active: bool,
    /// Policy and queue of the node.
    pub note: String,
    /// Last heartbeat.
    pub seen: Moment,
}

/// An application against the period before.
#[derive(Clone, Debug)]
pub struct AppLine {
    /// Name.
    pub name: Text,
    /// Its page.
    pub href: String,
    /// Requests.
    pub requests: String,
    /// Requests against the period before.
    pub requests_change: String,
    /// Requests in which an attack was found.
    pub attacks: String,
    /// These against the period before.
    pub attacks_change: String,
    /// Requests blocked.
    pub blocked: String,
}

/// The mode in force for a host or a node group.
#[derive(Clone, Debug)]
pub struct ModeLine {
    /// For what.
    pub place: Text,
    /// The mode, in words.
    pub mode: &'static str,
    /// Whether attacks are blocked in it.
    pub tone: Tone,
}

/// Something that a security team must see at once.
#[derive(Clone, Debug)]
pub struct AlarmLine {
    /// What happens, in a sentence without its end.
    pub says: Text,
    /// How often, where it is counted.
    pub count: Option<String>,
    /// What to do about it; may be empty.
    pub advice: &'static str,
    /// Whether requests may pass uninspected.
    pub grave: bool,
    /// The rules that it is about, some of them.
    pub rules: Vec<u64>,
    /// When it was last so.
    pub at: Moment,
}

/// A rule that weakens protection.
#[derive(Clone, Debug)]
pub struct WeakRule {
    /// Id.
    pub id: u64,
    /// What it does and where, in words.
    pub says: Text,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "dashboard.html")]
pub struct Dashboard {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// Alarms, the gravest first.
    pub alarms: Vec<AlarmLine>,
    /// Time ranges to choose from.
    pub ranges: Vec<Choice>,
    /// The general filtration mode, in words.
    pub mode: &'static str,
    /// Hosts and node groups with a mode of their own.
    pub modes: Vec<ModeLine>,
    /// Rules in force that weaken protection.
    pub weak: Vec<WeakRule>,
    /// Further ones.
    pub more_weak: usize,
    /// Whether no node was ever registered.
    pub first_steps: bool,
    /// The command line that makes a first attack.
    pub try_it: String,
    /// Head row.
    pub figures: Vec<Figure>,
    /// Attacks over time by type.
    pub attacks: Stacked,
    /// Requests over time.
    pub traffic: Lines,
    /// Time of inspection.
    pub latency: Lines,
    /// By type.
    pub kinds: Vec<Ranked>,
    /// By source.
    pub sources: Vec<Ranked>,
    /// By target.
    pub targets: Vec<Ranked>,
    /// Applications with most requests; empty where there is none but the default one.
    pub applications: Vec<AppLine>,
    /// Nodes.
    pub nodes: Vec<NodeLine>,
}

impl Dashboard {
    /// The rankings with their headings.
    pub fn rankings(&self) -> [(&'static str, &[Ranked]); 3] {
        [("Top attack types", &self.kinds), ("Top sources", &self.sources), ("Top targets", &self.targets)]
    }
}

impl Ranked {
    /// A row for an attack type.
    pub fn kind(kind: AttackKind, hits: u64, largest: u64, range: &str) -> Self {
        Self {
            label: Text::new(kind.name),
            note: Text::new(kind.code),
            href: ui::href("/attacks", &[("q", kind.code), ("range", range)]),
            count: super::number::grouped(hits),
            bar: percent(hits, largest),
            slot: Some(kind.slot),
        }
    }
}

/// `part` of `whole` as a whole percentage, at least 1 for anything.
pub fn percent(part: u64, whole: u64) -> u8 {
    let share = u128::from(part) * 100 / u128::from(whole.max(1));
    (share.min(100) as u8).max(u8::from(part > 0))
}
