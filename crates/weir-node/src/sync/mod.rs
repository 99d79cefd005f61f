//! Synchronisation with a control plane: registration, heartbeats, and policies, of which the last good one is stored.
//!
//! [`PolicySync::open`] reads the state that an earlier run left in its directory: the identity, the pinned key and the
//! last good policy, which is verified again. [`PolicySync::start`] runs two loops: the long poll for policies and the
//! heartbeats. Both, and the upload of records, call through one [`Link`], which registers the node if necessary.
//!
//! Files in its directory: `node.json` (0600: identity, pinned key, serials), `policy.json` (the last good policy as it was
//! signed), `blobs/` (the files that it names, by hash). Each is replaced atomically by a rename.

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
pub use public_key::{KeyError, PublicKey};
pub use pull::{Apply, ApplyError};
pub use remote_policy::{Databases, RemotePolicy, RulePack};
pub use status::{PolicyState, PolicyStatus};
pub use verify::{PolicyRejection, VerifiedPolicy};
pub use weir_runtime::backoff::Backoff;

use std::path::PathBuf;
use weir_protocol::code::NodeRole;

/// Settings with which a node joins a control plane.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address of the control plane or aggregation.
    pub endpoint: Endpoint,
    /// Token for registration; without one, only a node that is already registered can call.
    pub token: Option<Token>,
    /// Group that it joins.
    pub group: String,
    /// Display name.
    pub name: String,
    /// Role of the node.
    pub role: NodeRole,
    /// The key that signs policies, if it is not pinned at registration.
    pub policy_key: Option<PublicKey>,
    /// Directory of identity, key and last good policy.
    pub directory: PathBuf,
}

#[cfg(test)]
mod tests;
