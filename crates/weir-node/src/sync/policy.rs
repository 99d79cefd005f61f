//! Synchronises a node with its control plane.

use super::blobs::BlobCache;
use super::endpoint::SetupError;
use super::heartbeat::{self, HeartbeatSource};
use super::link::Link;
use super::metrics::SyncMetrics;
use super::public_key::PublicKey;
use super::pull::{Apply, Puller};
use super::state::NodeState;
use super::status::PolicyStatus;
use super::verify::{self, VerifiedPolicy};
use super::{Config, files};
use bytes::Bytes;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weir_protocol::node_api::MAX_POLICY_BYTES;

/// Identity, policy and status of a node.
#[derive(Debug)]
pub struct PolicySync {
    link: Arc<Link>,
    status: Arc<PolicyStatus>,
    cache: BlobCache,
    file: PathBuf,
    nudged: Arc<Notify>,
}

impl PolicySync {
    /// Reads the state of an earlier run. Does not call the server yet.
    pub fn open(config: Config, metrics: SyncMetrics) -> Result<Self, SetupError> {
        let directory = config.directory.clone();
        let failed = |error| SetupError::Directory(directory.clone(), error);
        files::create_dir(&directory).map_err(failed)?;
        let state = NodeState::open(&directory, config.policy_key).map_err(failed)?;
        let cache = BlobCache::open(directory.join("blobs")).map_err(failed)?;
        let file = directory.join("policy.json");
        let link = Arc::new(Link::new(config, Arc::new(state), metrics)?);
        Ok(Self { link, status: Arc::default(), cache, file, nudged: Arc::default() })
    }

    /// The last good policy, verified again with the pinned key. It does not expire. `None` if it does not verify or its
    /// serial is lower than the last accepted one.
    pub fn last_good(&self) -> Option<Arc<VerifiedPolicy>> {
        let read = files::read(&self.file, 2 * MAX_POLICY_BYTES as u64);
        let text = read.inspect_err(|error| tracing::error!(%error, "the last good policy cannot be read")).ok()??;
        let (state, group) = (self.link.state(), self.link.group());
        // Its own serial may be accepted again, but not an older one.
        let before = state.serial(group).saturating_sub(1);
        let trust = state.trust().map(verify::from_root);
        match verify::verify_for_group(Bytes::from(text), trust, group, before) {
            Ok(verified) => Some(Arc::new(verified)),
            Err(error) => {
                tracing::error!(%error, file = %self.file.display(), "the last good policy is not valid");
                None
            }
        }
    }

    /// Records that the last good policy is in force again.
    pub fn resume(&self, verified: &VerifiedPolicy) {
        let serial = verified.payload.serial;
        self.status.accept(serial);
        self.link.metrics().serial.set(i64::try_from(serial).unwrap_or(i64::MAX));
        // If the process ended between the two writes, this file is behind.
        let group = self.link.group();
        if self.link.state().serial(group) < serial
            && let Err(error) = self.link.state().accepted(group, serial, verified.key)
        {
            tracing::error!(%error, "the serial of the last good policy could not be stored");
        }
    }

    /// The connection to the server.
    pub fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// The key that signs policies, if known.
    pub fn key(&self) -> Option<PublicKey> {
        self.link.state().trust().map(|trust| trust.reached)
    }

    /// What to notify for the next heartbeat to be sent soon.
    pub fn nudger(&self) -> Arc<Notify> {
        Arc::clone(&self.nudged)
    }

    /// Sends the next heartbeat soon.
    pub fn nudge(&self) {
        self.nudged.notify_one();
    }

    /// Which policy is in force.
    pub fn status(&self) -> &Arc<PolicyStatus> {
        &self.status
    }

    /// Files that policies name.
    pub fn cache(&self) -> &BlobCache {
        &self.cache
    }

    /// Path of the last good policy.
    pub fn file(&self) -> &PathBuf {
        &self.file
    }

    /// Pulls policies and sends heartbeats until `stop`.
    pub fn start<A: Apply>(
        &self,
        apply: Arc<A>,
        heartbeat: HeartbeatSource,
        stop: CancellationToken,
    ) -> [JoinHandle<()>; 2] {
        let (link, status) = (Arc::clone(&self.link), Arc::clone(&self.status));
        let puller = Puller { link, status, cache: self.cache.clone(), file: self.file.clone(), apply };
        let pull = tokio::spawn(puller.run(stop.clone()));
        let (link, status) = (Arc::clone(&self.link), Arc::clone(&self.status));
        [pull, tokio::spawn(heartbeat::run(link, status, heartbeat, Arc::clone(&self.nudged), stop))]
    }

    /// Waits until the first call to the control plane has succeeded or failed, but no longer than `limit`.
    pub async fn asked(&self, limit: Duration) {
        let mut asked = self.status.watch_asked();
        if tokio::time::timeout(limit, asked.wait_for(|asked| *asked)).await.is_err() {
            tracing::warn!("no response from the control plane yet; the node starts without it");
        }
    }
}
