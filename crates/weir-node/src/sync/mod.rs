//! The node's side of the control plane: registers, says how it is, pulls policy, keeps the last good one.
//!
//! [`PolicySync::open`] reads what an earlier run left under its directory: the identity, the pinned key and the last good
//! policy, which is verified again. [`PolicySync::start`] keeps two loops going from then on: the long poll for policy and the
//! heartbeat. Both, and whoever ships events, speak through one [`Link`], which registers where the control plane does
//! not know the node.
//!
//! Under its directory: `node.json` (0600; identity, pinned key, serials), `policy.json` (the last good policy as it was
//! signed), `blobs/` (the files that it names, by hash). Each is replaced as a whole by a rename.

mod blobs;
mod call_error;
pub mod client;
mod endpoint;
mod file_body;
pub(crate) mod files;
mod heartbeat;
mod link;
mod metrics;
mod policy;
mod public_key;
mod pull;
mod remote_policy;
mod state;
mod status;
mod upload;
mod verify;

pub use blobs::BlobCache;
pub use call_error::CallError;
pub use endpoint::{Endpoint, SetupError};
pub use file_body::FileBody;
pub use heartbeat::HeartbeatSource;
pub use link::{Link, Token};
pub use metrics::SyncMetrics;
pub use policy::PolicySync;
pub(crate) use public_key::hex;
pub use public_key::{KeyError, PublicKey};
pub use pull::{Apply, ApplyError};
pub use remote_policy::{Databases, RemotePolicy, RulePack};
pub use status::{PolicyState, PolicyStatus};
pub use verify::{PolicyRejection, VerifiedPolicy};
pub use weir_runtime::backoff::Backoff;

use std::path::PathBuf;

/// What a node must know to join a control plane.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the control plane, or an aggregation, is.
    pub endpoint: Endpoint,
    /// With what the node registers; without one only a node that is known already can speak.
    pub token: Option<Token>,
    /// Group that it joins.
    pub group: String,
    /// Name for people.
    pub name: String,
    /// `processing` or `aggregation`.
    pub role: &'static str,
    /// The key that signs policies, where it is not to be pinned at registration.
    pub policy_key: Option<PublicKey>,
    /// Where identity, key and last good policy are kept.
    pub directory: PathBuf,
}

#[cfg(test)]
mod tests;
