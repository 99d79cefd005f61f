//! One group of nodes: its identity at the control plane, and its policy.

use super::abuse::GroupAbuse;
use crate::sync::{Apply, ApplyError, BlobCache, PolicyRejection, PolicySync, VerifiedPolicy};
use std::sync::Arc;
use tokio::sync::watch;

/// A group.
pub struct Group {
    /// Synchronisation with the control plane.
    pub sync: PolicySync,
    /// Counters and automatic entries of its nodes.
    pub abuse: Arc<GroupAbuse>,
    /// The policy for its nodes.
    policy: watch::Sender<Option<Arc<VerifiedPolicy>>>,
}

impl Group {
    /// Creates the group with its last good policy.
    pub fn new(sync: PolicySync, abuse: GroupAbuse) -> Self {
        let last = sync.last_good();
        if let Some(verified) = &last {
            sync.resume(verified);
        }
        Self { sync, abuse: Arc::new(abuse), policy: watch::Sender::new(last) }
    }

    /// Watches the policy.
    pub fn watch(&self) -> watch::Receiver<Option<Arc<VerifiedPolicy>>> {
        self.policy.subscribe()
    }

    /// Whether the policy names the file with this hash.
    pub fn names(&self, sha256: &str) -> bool {
        self.policy.borrow().as_ref().is_some_and(|verified| {
            let payload = &verified.payload;
            payload.rule_packs.iter().chain(&payload.databases).any(|blob| blob.sha256 == sha256)
        })
    }
}

impl Apply for Group {
    /// Passes the policy on; nodes check whether they can use it.
    async fn apply(&self, policy: Arc<VerifiedPolicy>, _: BlobCache) -> Result<(), ApplyError> {
        self.policy.send_replace(Some(policy));
        Ok(())
    }

    fn check_capabilities(&self, _: &VerifiedPolicy) -> Result<(), PolicyRejection> {
        Ok(())
    }
}
