//! The nodes registered with an aggregation: their identities, by hashes of their secrets, and their last heartbeats.

use crate::sync::files;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;
use weir_protocol::node_api::{Gap, Heartbeat, Identity, MAX_GAPS, Register};
use weir_runtime::clock::now_seconds;
use weir_runtime::hex;

/// Largest number of nodes: as many as a control plane accepts in one heartbeat.
pub const MAX_REPLICAS: usize = 1_000;
/// Seconds after which a node without calls is removed, as by a control plane.
const EXPIRES_AFTER: u64 = 24 * 60 * 60;
/// Longest name, version, capability and error of a node that is passed on.
const MAX_TEXT: usize = 200;
/// Largest number of capabilities of a node that are stored.
const MAX_CAPABILITIES: usize = 100;
/// Lengths of a secret that is accepted from another aggregation.
const SECRETS: std::ops::RangeInclusive<usize> = 32..=128;
/// Largest file: the entries of [`MAX_REPLICAS`] with texts of the longest form.
const MAX_FILE: u64 = 4 << 20;

/// A registered node.
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
    /// Time of its last call, in seconds since 1970; on disk, as of the last registration of any node.
    seen: u64,
}

/// A registered node and its last heartbeat.
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

/// Why a node cannot be registered.
#[derive(Debug)]
pub enum RegistrationError {
    /// There are [`MAX_REPLICAS`] already.
    Full,
    /// It cannot be stored, or the system has no randomness.
    Io(io::Error),
}

impl NodeRegistry {
    /// Reads the nodes in `path`, if it exists.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let kept: Vec<RegisteredNode> = match files::read(&path, MAX_FILE)? {
            None => Vec::new(),
            Some(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::error!(path = %path.display(), %error, "cannot read the registered nodes; they have to register again");
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

    /// Groups of the nodes.
    pub fn groups(&self) -> BTreeSet<String> {
        self.lock().values().map(|nodes| nodes.replica.group.clone()).collect()
    }

    /// Authenticates a node.
    pub fn verify(&self, node_id: &str, secret: &str) -> Option<RegisteredNode> {
        let mut nodes = self.lock();
        let node = nodes.get_mut(node_id)?;
        let same: bool = hash(secret).ct_eq(&node.replica.secret).into();
        same.then(|| {
            node.replica.seen = now_seconds();
            node.replica.clone()
        })
    }

    /// Registers an authenticated node; persists before returning. The node keeps its identity, unless another node has the
    /// same id; then it gets a new one. Blocks.
    pub fn register(&self, request: &Register) -> Result<Identity, RegistrationError> {
        let mut nodes = self.lock();
        nodes.retain(|_, nodes| nodes.replica.seen + EXPIRES_AFTER > now_seconds());
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
            seen: now_seconds(),
        };
        nodes.insert(identity.node_id.clone(), NodeEntry { replica, beat: None });
        self.write(&nodes).map_err(RegistrationError::Io)?;
        Ok(identity)
    }

    /// Writes the nodes with the times of their last calls. Blocks.
    pub fn save(&self) -> io::Result<()> {
        self.write(&self.lock())
    }

    fn write(&self, nodes: &HashMap<String, NodeEntry>) -> io::Result<()> {
        let all: Vec<&RegisteredNode> = nodes.values().map(|nodes| &nodes.replica).collect();
        files::replace(&self.path, &serde_json::to_vec(&all).map_err(io::Error::other)?)
    }

    /// Records a heartbeat. Returns true if it should be reported to the control plane immediately.
    pub fn record_heartbeat(&self, node_id: &str, mut beat: Heartbeat) -> bool {
        beat.replicas.clear();
        beat.version = short(&beat.version);
        beat.capabilities = beat.capabilities.iter().take(MAX_CAPABILITIES).map(|text| short(text)).collect();
        beat.policy_error = beat.policy_error.map(|text| short(&text));
        beat.gaps.truncate(MAX_GAPS);
        for gap in &mut beat.gaps {
            (gap.route, gap.leg, gap.reason) = (short(&gap.route), short(&gap.leg), short(&gap.reason));
        }
        beat.behaviour.limit(short);
        let mut nodes = self.lock();
        let Some(node) = nodes.get_mut(node_id) else { return false };
        beat.name.clone_from(&node.replica.name);
        let policy = |beat: &Heartbeat| (beat.policy_serial, beat.policy_error.clone());
        let news = node.beat.as_ref().is_none_or(|(last, _)| policy(last) != policy(&beat) || has_new_gap(last, &beat));
        node.beat = Some((beat, Instant::now()));
        news
    }

    /// Recent heartbeats of the nodes of `group`, together small enough for one of the aggregation's own.
    pub fn heartbeats(&self, group: &str) -> Vec<(String, Heartbeat)> {
        let nodes = self.lock();
        let here = nodes.values().filter(|nodes| nodes.replica.group == group);
        let recent = here.filter_map(|nodes| {
            let (beat, at) = nodes.beat.as_ref()?;
            let age = at.elapsed();
            // Older ones are from nodes that are gone.
            let recent = age.as_millis() < u128::from(beat.interval()) * 1500;
            let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            recent.then(|| (nodes.replica.node_id.clone(), Heartbeat { age_ms, ..beat.clone() }))
        });
        let mut recent: Vec<(String, Heartbeat)> = recent.collect();
        drop(nodes);
        shorten(&mut recent);
        recent
    }
}

/// Bytes of the heartbeats of all nodes together: a control plane takes a mebibyte, in which that of the aggregation is, too.
const MAX_BYTES: usize = 900 << 10;

/// Leaves out the oldest gaps and rules without responses where all together are too large. During an incident every node may
/// have the most of them, and a heartbeat that is refused would make all nodes look gone.
fn shorten(beats: &mut [(String, Heartbeat)]) {
    let each = MAX_BYTES / beats.len().max(1);
    for (_, beat) in beats {
        let bytes = |beat: &Heartbeat| serde_json::to_vec(beat).map_or(0, |json| json.len());
        while bytes(beat) > each && !(beat.gaps.is_empty() && beat.behaviour.unanswered.is_empty()) {
            beat.gaps.truncate(beat.gaps.len() / 2);
            let unanswered = &mut beat.behaviour.unanswered;
            unanswered.truncate(unanswered.len() / 2);
        }
    }
}

/// Milliseconds after which a gap that goes on is news again.
const GAP_NEWS: u64 = 60_000;

fn has_new_gap(before: &Heartbeat, now: &Heartbeat) -> bool {
    let name = |gap: &Gap| (gap.route.clone(), gap.leg.clone(), gap.reason.clone());
    now.gaps.iter().any(|gap| {
        let known = before.gaps.iter().find(|old| name(old) == name(gap));
        known.is_none_or(|old| gap.last > old.last.saturating_add(GAP_NEWS))
    })
}

/// Generates an identity.
fn new_identity() -> io::Result<Identity> {
    let mut bytes = [0u8; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no randomness from the system"))?;
    Ok(Identity { node_id: Uuid::now_v7().to_string(), secret: hex::encode(&bytes) })
}

fn hash(secret: &str) -> Vec<u8> {
    digest(&SHA256, secret.as_bytes()).as_ref().to_vec()
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_protocol::code::NodeRole;
    use weir_protocol::node_api::{CAPABILITIES, Gap};

    fn gap(n: usize) -> Gap {
        let long = "x".repeat(300);
        Gap { route: format!("{n}{long}"), leg: long.clone(), reason: long, count: 1, last: 1_000 }
    }

    fn registry(directory: &std::path::Path, nodes: usize) -> (NodeRegistry, Vec<String>) {
        let registry = NodeRegistry::open(directory.join("nodes.json")).unwrap();
        let asked = Register {
            identity: None,
            group: "g".into(),
            name: "weir-processing-7d9c8b6f5-abcde".into(),
            role: NodeRole::Processing,
            version: "1".into(),
            capabilities: Vec::new(),
        };
        let ids = (0..nodes).map(|_| registry.register(&asked).unwrap().node_id).collect();
        (registry, ids)
    }

    #[test]
    fn heartbeats_of_many_nodes_in_an_incident_fit_into_one() {
        let directory = tempfile::tempdir().unwrap();
        let (registry, ids) = registry(directory.path(), 200);
        let beat = Heartbeat {
            capabilities: CAPABILITIES.iter().map(ToString::to_string).collect(),
            gaps: (0..MAX_GAPS).map(gap).collect(),
            ..Heartbeat::default()
        };
        for id in &ids {
            registry.record_heartbeat(id, beat.clone());
        }
        let beats = registry.heartbeats("g");
        assert_eq!(beats.len(), ids.len(), "no node is left out");
        assert!(beats.iter().all(|(_, beat)| beat.gaps[0].route.starts_with("0x")), "the latest gaps stay");
        assert!(serde_json::to_vec(&beats).unwrap().len() < 1 << 20);
    }

    #[test]
    fn the_heartbeat_of_one_node_says_all_within_its_bounds() {
        let directory = tempfile::tempdir().unwrap();
        let (registry, ids) = registry(directory.path(), 1);
        registry.record_heartbeat(&ids[0], Heartbeat { gaps: (0..60).map(gap).collect(), ..Heartbeat::default() });
        let (_, beat) = registry.heartbeats("g").remove(0);
        assert_eq!(beat.gaps.len(), MAX_GAPS);
        let longest = beat.gaps.iter().flat_map(|gap| [&gap.route, &gap.leg, &gap.reason]).map(String::len).max();
        assert_eq!(longest, Some(MAX_TEXT));
    }
}
