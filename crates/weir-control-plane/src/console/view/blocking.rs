//! What blocking would do.

use super::dashboard::{Figure, Ranked};
use super::parts::{AttackKind, Choice};
use super::shell::Shell;
use super::text::Text;
use super::time::Moment;
use super::ui;
use askama::Template;

/// Hits of one attack type at one place that would be blocked.
#[derive(Clone, Debug)]
pub struct BlockedRow {
    /// Attack type.
    pub kind: AttackKind,
    /// The place, in words.
    pub words: Text,
    /// Signature or detector.
    pub rule: Text,
    /// Host.
    pub host: Text,
    /// Method and path of the newest hit.
    pub request: Text,
    /// What matched in it.
    pub matched: Text,
    /// Hits, written.
    pub hits: String,
    /// Distinct sources.
    pub sources: usize,
    /// The newest hit, checked to be an id.
    pub hit: String,
    /// Its time.
    pub time: Moment,
    /// Whether an exception can be made from it.
    pub exceptable: bool,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "blocking.html")]
pub struct BlockingPage {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// The host or application that it is about; none for all.
    pub place: Option<Text>,
    /// The same as CSV.
    pub export: String,
    /// The same for all hosts.
    pub everything: String,
    /// Time ranges.
    pub ranges: Vec<Choice>,
    /// Whether the server was busy, so that nothing is known.
    pub busy: bool,
    /// Head row.
    pub figures: Vec<Figure>,
    /// How many hits were judged, written.
    pub judged: String,
    /// Whether the numbers of further hits are estimated from these.
    pub cut: bool,
    /// Hits for which no judged one speaks, written.
    pub unjudged: Option<String>,
    /// Hours that are still to be counted.
    pub uncounted_hours: usize,
    /// The same with more hits inspected, where hits were left out and more time is allowed.
    pub inspect_more: Option<String>,
    /// What would be blocked, most hits first.
    pub rows: Vec<BlockedRow>,
    /// Further groups.
    pub more: usize,
    /// Sources that would be blocked.
    pub sources: Vec<Ranked>,
    /// Hosts with hits that would be blocked; empty on the page of one.
    pub hosts: Vec<Ranked>,
}
