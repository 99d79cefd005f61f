//! One group of nodes: its own identity upstream, its policy.

use crate::sync::{Apply, ApplyError, BlobCache, PolicyRejection, PolicySync, VerifiedPolicy};
use std::sync::Arc;
use tokio::sync::watch;

/// A group.
pub struct Group {
    /// The way upstream.
    pub sync: PolicySync,
    /// The policy that its nodes get.
    policy: watch::Sender<Option<Arc<VerifiedPolicy>>>,
}

impl Group {
    /// A group with the last good policy that it had.
    pub fn new(sync: PolicySync) -> Self {
        let last = sync.last_good();
        if let Some(verified) = &last {
            sync.resume(verified);
        }
        Self { sync, policy: watch::Sender::new(last) }
    }

    /// The policy, and changes of it.
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
    /// Nodes see for themselves whether they can use it.
    async fn apply(&self, policy: Arc<VerifiedPolicy>, _: BlobCache) -> Result<(), ApplyError> {
        self.policy.send_replace(Some(policy));
        Ok(())
    }

    fn check_capabilities(&self, _: &VerifiedPolicy) -> Result<(), PolicyRejection> {
        Ok(())
    }
}
