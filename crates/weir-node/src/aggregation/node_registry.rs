//! The nodes behind an aggregation: who they are, by hashes of their secrets, and how they were last.

use crate::sync::files;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;
use weir_protocol::node_api::{HEARTBEAT_SECONDS, Heartbeat, Identity, Register};

/// Most nodes: what a control plane takes in one heartbeat.
pub const MAX_REPLICAS: usize = 1_000;
/// Seconds after which a node that was not heard of is forgotten, as a control plane forgets it.
const EXPIRES_AFTER: u64 = 24 * 60 * 60;
/// Age up to which a heartbeat is passed on: one and a half intervals. Older ones would tell of a node that is gone.
const HEARTBEAT_TTL: Duration = Duration::from_secs(HEARTBEAT_SECONDS + HEARTBEAT_SECONDS / 2);
/// Longest name, version, capability, and error of a node that is passed on.
const MAX_TEXT: usize = 200;
/// Most capabilities of a node that are kept.
const MAX_CAPABILITIES: usize = 100;
/// Lengths of a secret that is taken over from another aggregation.
const SECRETS: std::ops::RangeInclusive<usize> = 32..=128;
/// Largest file: the entries of [`MAX_REPLICAS`] with texts of the longest form.
const MAX_FILE: u64 = 4 << 20;

/// Who a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredNode {
    /// Its id.
    pub node_id: String,
    /// SHA-256 of its secret, which is random: no salt and no stretching is needed.
    secret: Vec<u8>,
    /// Its group.
    pub group: String,
    /// Its name.
    pub name: String,
    /// When it was last heard of, in seconds since 1970; on the disk about as of the last registration of any.
    seen: u64,
}

/// What is nodes of a node while this process runs.
#[derive(Debug)]
struct NodeEntry {
    replica: RegisteredNode,
    beat: Option<(Heartbeat, Instant)>,
}

/// The nodes.
#[derive(Debug)]
pub struct NodeRegistry {
    path: PathBuf,
    nodes: Mutex<HashMap<String, NodeEntry>>,
}

/// Why a node is not taken.
#[derive(Debug)]
pub enum RegistrationError {
    /// There are [`MAX_REPLICAS`] already.
    Full,
    /// It cannot be kept, or no randomness is to be had.
    Io(io::Error),
}

impl NodeRegistry {
    /// Those in `path`, where it is there.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let kept: Vec<RegisteredNode> = match files::read(&path, MAX_FILE)? {
            None => Vec::new(),
            Some(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::error!(path = %path.display(), %error, "not readable: nodes have to register anew");
                Vec::new()
            }),
        };
        let nodes = kept.into_iter().map(|replica| (replica.node_id.clone(), NodeEntry { replica, beat: None }));
        Ok(Self { path, nodes: Mutex::new(nodes.collect()) })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, NodeEntry>> {
        // Nothing that can panic runs under the lock.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Groups that nodes are in.
    pub fn groups(&self) -> BTreeSet<String> {
        self.lock().values().map(|nodes| nodes.replica.group.clone()).collect()
    }

    /// The node with this identity.
    pub fn verify(&self, node_id: &str, secret: &str) -> Option<RegisteredNode> {
        let mut nodes = self.lock();
        let node = nodes.get_mut(node_id)?;
        let same: bool = hash(secret).ct_eq(&node.replica.secret).into();
        same.then(|| {
            node.replica.seen = now();
            node.replica.clone()
        })
    }

    /// Takes a node whose token is good, and keeps it on the disk before it is told so: under the identity that it has,
    /// where nobody else here has its id, else under a new one. Blocks.
    pub fn register(&self, request: &Register) -> Result<Identity, RegistrationError> {
        let mut nodes = self.lock();
        nodes.retain(|_, nodes| nodes.replica.seen + EXPIRES_AFTER > now());
        let keeps = |given: &&Identity| match nodes.get(&given.node_id) {
            Some(node) => hash(&given.secret).ct_eq(&node.replica.secret).into(),
            None => Uuid::parse_str(&given.node_id).is_ok() && SECRETS.contains(&given.secret.len()),
        };
        let identity = match request.identity.as_ref().filter(keeps) {
            Some(given) => given.clone(),
            None => new_identity().map_err(RegistrationError::Io)?,
        };
        if nodes.len() >= MAX_REPLICAS && !nodes.contains_key(&identity.node_id) {
            return Err(RegistrationError::Full);
        }
        let replica = RegisteredNode {
            node_id: identity.node_id.clone(),
            secret: hash(&identity.secret),
            group: request.group.clone(),
            name: short(&request.name),
            seen: now(),
        };
        nodes.insert(identity.node_id.clone(), NodeEntry { replica, beat: None });
        self.write(&nodes).map_err(RegistrationError::Io)?;
        Ok(identity)
    }

    /// Writes when nodes were last heard of. Blocks.
    pub fn save(&self) -> io::Result<()> {
        self.write(&self.lock())
    }

    fn write(&self, nodes: &HashMap<String, NodeEntry>) -> io::Result<()> {
        let all: Vec<&RegisteredNode> = nodes.values().map(|nodes| &nodes.replica).collect();
        files::replace(&self.path, &serde_json::to_vec(&all).map_err(io::Error::other)?)
    }

    /// Notes how a node is. True where the control plane should hear of it now.
    pub fn record_heartbeat(&self, node_id: &str, mut beat: Heartbeat) -> bool {
        beat.replicas.clear();
        beat.version = short(&beat.version);
        beat.capabilities = beat.capabilities.iter().take(MAX_CAPABILITIES).map(|text| short(text)).collect();
        beat.policy_error = beat.policy_error.map(|text| short(&text));
        let mut nodes = self.lock();
        let Some(node) = nodes.get_mut(node_id) else { return false };
        beat.name.clone_from(&node.replica.name);
        let policy = |beat: &Heartbeat| (beat.policy_serial, beat.policy_error.clone());
        let news = node.beat.as_ref().is_none_or(|(last, _)| policy(last) != policy(&beat));
        node.beat = Some((beat, Instant::now()));
        news
    }

    /// Heartbeats of the nodes of `group` that were heard of of late.
    pub fn heartbeats(&self, group: &str) -> Vec<(String, Heartbeat)> {
        let nodes = self.lock();
        let here = nodes.values().filter(|nodes| nodes.replica.group == group);
        let recent = here.filter_map(|nodes| {
            let (beat, at) = nodes.beat.as_ref()?;
            (at.elapsed() < HEARTBEAT_TTL).then(|| (nodes.replica.node_id.clone(), beat.clone()))
        });
        recent.collect()
    }
}

/// A new identity.
fn new_identity() -> io::Result<Identity> {
    let mut bytes = [0u8; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no randomness from the system"))?;
    Ok(Identity { node_id: Uuid::now_v7().to_string(), secret: crate::sync::hex(&bytes) })
}

fn hash(secret: &str) -> Vec<u8> {
    digest(&SHA256, secret.as_bytes()).as_ref().to_vec()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}
