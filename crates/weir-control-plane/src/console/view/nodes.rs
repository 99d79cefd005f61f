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
    /// Requests per second, written.
    pub load: String,
    /// Median time of inspection, written; empty where nothing was inspected.
    pub latency: String,
    /// Serial of the policy in force.
    pub serial: u64,
    /// Its number for people, where it is known, or else its serial.
    pub number: u64,
    /// When it was published.
    pub published: Option<Moment>,
    /// Whether the program is of another version than the control plane.
    pub other_version: bool,
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

/// A command that starts a node.
#[derive(Clone, Debug)]
pub struct NodeCommand {
    /// Code, as in ids.
    pub code: &'static str,
    /// Way of installation.
    pub label: &'static str,
    /// The command.
    pub text: String,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "nodes.html")]
pub struct Nodes {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// The newest policy.
    pub newest: u64,
    /// Groups whose nodes may not add up what rules on behaviour count.
    pub apart: Vec<Text>,
    /// Nodes, active ones first.
    pub rows: Vec<NodeRow>,
    /// A token just made.
    pub fresh: Option<String>,
    /// How a node is started with it.
    pub commands: Vec<NodeCommand>,
}
