//! Nodes: how they are.

use super::shell::{Shell, Tone};
use super::text::Text;
use super::time::Moment;
use super::ui;
use askama::Template;

/// A node.
#[derive(Clone, Debug)]
pub struct NodeRow {
    /// Id, checked to be one.
    pub id: String,
    /// Name.
    pub name: Text,
    /// Group.
    pub group: Text,
    /// `processing`, `aggregation`.
    pub role: Text,
    /// Status.
    pub state: (Tone, &'static str),
    /// Whether it sends heartbeats.
    pub active: bool,
    /// Version of the program.
    pub version: Text,
    /// Policy in force.
    pub serial: u64,
    /// Whether that is the newest.
    pub current: bool,
    /// Why the newest is not in force.
    pub policy_error: Text,
    /// Records that wait in its spool, written.
    pub spooled: String,
    /// Records that it dropped.
    pub dropped: u64,
    /// Time since its start, written.
    pub uptime: String,
    /// Signatures in use.
    pub signatures: u64,
    /// Last heartbeat.
    pub seen: Moment,
    /// When it registered.
    pub since: Moment,
    /// Its attacks.
    pub attacks: String,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "nodes.html")]
pub struct Nodes {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// The newest policy.
    pub newest: u64,
    /// Nodes, active ones first.
    pub rows: Vec<NodeRow>,
    /// How a node is started.
    pub start: String,
}
