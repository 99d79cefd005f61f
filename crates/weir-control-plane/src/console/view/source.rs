//! A source address: what it sent, and what is listed about it.

use super::attacks::AttackRows;
use super::dashboard::{Figure, Ranked};
use super::form::{Control, Field};
use super::hit::Fact;
use super::parts::Choice;
use super::plot::stacked::Stacked;
use super::shell::{Shell, Tone};
use super::text::Text;
use super::time::Moment;
use super::ui;
use askama::Template;

/// An entry of an address list that holds for the address.
#[derive(Clone, Debug)]
pub struct SourceEntry {
    /// Id.
    pub id: u64,
    /// The list, in words, and what it means for protection.
    pub list: (Tone, &'static str),
    /// The value.
    pub value: Text,
    /// Whether it is this address and nothing else.
    pub own: bool,
    /// When it ends.
    pub expires: Option<Moment>,
    /// Whether it has ended.
    pub ended: bool,
    /// Why.
    pub reason: Text,
    /// Who added it.
    pub author: Text,
}

/// An automatic entry about the address.
#[derive(Clone, Debug)]
pub struct SourceAutomatic {
    /// The list, in words.
    pub list: (Tone, &'static str),
    /// Why.
    pub reason: Text,
    /// Rule that listed it.
    pub rule: u64,
    /// When it ends.
    pub expires: Moment,
    /// Node group.
    pub group: Text,
    /// Key, in hex.
    pub key: String,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "source.html")]
pub struct SourcePage {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// The address, checked to be one.
    pub ip: String,
    /// Time ranges.
    pub ranges: Vec<Choice>,
    /// Head row.
    pub figures: Vec<Figure>,
    /// Hits over time.
    pub plot: Stacked,
    /// Attack types.
    pub kinds: Vec<Ranked>,
    /// Hosts.
    pub targets: Vec<Ranked>,
    /// Paths.
    pub paths: Vec<Ranked>,
    /// User agents.
    pub agents: Vec<Ranked>,
    /// From how many hits paths and user agents are, written.
    pub sampled: String,
    /// Country, network, types.
    pub facts: Vec<Fact>,
    /// Entries that hold for it.
    pub entries: Vec<SourceEntry>,
    /// Automatic entries about it.
    pub automatic: Vec<SourceAutomatic>,
    /// Fields of the form that lists it.
    pub fields: Vec<Field>,
    /// Its newest attacks.
    pub attacks: AttackRows,
    /// The search for all of them.
    pub all: String,
}

impl SourcePage {
    /// The rankings with their headings and notes.
    pub fn rankings(&self) -> [(&'static str, &[Ranked]); 4] {
        [
            ("Attack types", &self.kinds),
            ("Targets", &self.targets),
            ("Paths", &self.paths),
            ("User agents", &self.agents),
        ]
    }
}
