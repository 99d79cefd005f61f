//! `weir aggregation`: stands for the control plane towards nodes, over the same calls ([`weir_protocol::node_api`]).
//!
//! # Who may speak
//! A node registers here with a deploy token. The token is shown to the control plane, which says whether it is good; while
//! the control plane is away, a token that it accepted within the last week still counts ([`tokens`]). The identity is
//! given out here, and known here: only hashes of secrets are kept ([`node_registry`]). The control plane hears of the node by
//! the heartbeats that are passed on. A node that comes with an identity of another aggregation keeps it, so that several
//! aggregations can stand behind one address.
//!
//! # What passes through
//! Records are on this disk before a batch is acknowledged ([`intake`]), and are shipped from there with their ids as they
//! are: the control plane stores each once. Counts go the same way. Policies and the files that they name come by one
//! connection for each group, verified, and are given on as they were signed ([`group`]): nodes verify them again.
//! Heartbeats are bundled.
//!
//! Everything goes on while the control plane is away; what waits for it is on disk.

mod group;
mod groups;
mod intake;
mod metrics;
mod node_registry;
mod problem;
mod routes;
mod server;
mod tokens;

pub use metrics::AggregationMetrics;
pub use server::{Aggregation, AggregationParts, OpenError};

use crate::sync;
use std::path::PathBuf;
use std::time::Duration;

/// Settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where spools, identities and policies are kept.
    pub directory: PathBuf,
    /// The control plane, and the group of the aggregation itself. Its directory is not used.
    pub upstream: sync::Config,
    /// Bytes of records that wait for the control plane.
    pub spool_size: u64,
    /// Longest time from writing a record to forcing it to the disk, where nobody waits for that.
    pub fsync_interval: Duration,
}

#[cfg(test)]
mod tests;
