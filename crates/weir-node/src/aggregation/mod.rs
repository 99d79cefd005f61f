//! `weir aggregation`: offers the API of the control plane ([`weir_protocol::node_api`]) to the nodes of a site.
//!
//! # Authentication
//! A node registers with a deploy token. The aggregation validates the token with the control plane; while that is not
//! available, a token that was valid within the last week is accepted ([`tokens`]). The aggregation itself assigns the
//! identities and stores only hashes of their secrets ([`node_registry`]). The control plane learns about the nodes from
//! the heartbeats that are passed on. A node with an identity of another aggregation keeps it, so that several
//! aggregations can serve behind one address.
//!
//! # Data flow
//! Records are written to disk before a batch is acknowledged ([`intake`]), and are shipped from there with their ids
//! unchanged: the control plane stores each once. Statistics take the same way. Policies and their files are fetched over
//! one connection per group, verified, and passed on with their signatures ([`group`]); nodes verify them again.
//! Heartbeats are bundled. Counters of abuse rules are added up here, and automatic entries pass in both directions
//! ([`abuse`]).
//!
//! All of this works while the control plane is not available; pending data is on disk.

mod abuse;
mod group;
mod groups;
mod intake;
mod metrics;
mod node_registry;
mod problem;
mod routes;
mod server;
mod state;
mod tokens;

pub use metrics::AggregationMetrics;
pub use server::{Aggregation, AggregationParts, OpenError};

use crate::sync;
use std::path::PathBuf;
use std::time::Duration;

/// Settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of spools, identities and policies.
    pub directory: PathBuf,
    /// The control plane, and the group of the aggregation itself. Its directory is not used.
    pub upstream: sync::Config,
    /// Bytes for counters of abuse rules.
    pub abuse_memory: usize,
    /// Size of the spool for records.
    pub spool_size: u64,
    /// Longest time from writing a record to syncing it to disk, if no caller waits for that.
    pub fsync_interval: Duration,
}

#[cfg(test)]
mod tests;
