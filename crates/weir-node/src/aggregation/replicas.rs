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
const FORGOTTEN: u64 = 24 * 60 * 60;
/// Age up to which a heartbeat is passed on: one and a half intervals. Older ones would tell of a node that is gone.
const FRESH: Duration = Duration::from_secs(HEARTBEAT_SECONDS + HEARTBEAT_SECONDS / 2);
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
pub struct Replica {
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

/// What is known of a node while this process runs.
#[derive(Debug)]
struct Known {
    replica: Replica,
    beat: Option<(Heartbeat, Instant)>,
}

/// The nodes.
#[derive(Debug)]
pub struct Replicas {
    path: PathBuf,
    known: Mutex<HashMap<String, Known>>,
}

/// Why a node is not taken.
#[derive(Debug)]
pub enum NotTaken {
    /// There are [`MAX_REPLICAS`] already.
    Full,
    /// It cannot be kept, or no randomness is to be had.
    Io(io::Error),
}

impl Replicas {
    /// Those in `path`, where it is there.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let kept: Vec<Replica> = match files::read(&path, MAX_FILE)? {
            None => Vec::new(),
            Some(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::error!(path = %path.display(), %error, "not readable: nodes have to register anew");
                Vec::new()
            }),
        };
        let known = kept.into_iter().map(|replica| (replica.node_id.clone(), Known { replica, beat: None }));
        Ok(Self { path, known: Mutex::new(known.collect()) })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        // Nothing that can panic runs under the lock.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Groups that nodes are in.
    pub fn groups(&self) -> BTreeSet<String> {
        self.lock().values().map(|known| known.replica.group.clone()).collect()
    }

    /// The node with this identity.
    pub fn verify(&self, node_id: &str, secret: &str) -> Option<Replica> {
        let mut known = self.lock();
        let entry = known.get_mut(node_id)?;
        let same: bool = hash(secret).ct_eq(&entry.replica.secret).into();
        same.then(|| {
            entry.replica.seen = now();
            entry.replica.clone()
        })
    }

    /// Takes a node whose token is good, and keeps it on the disk before it is told so: under the identity that it has,
    /// where nobody else here has its id, else under a new one. Blocks.
    pub fn take(&self, asked: &Register) -> Result<Identity, NotTaken> {
        let mut known = self.lock();
        known.retain(|_, known| known.replica.seen + FORGOTTEN > now());
        let keeps = |given: &&Identity| match known.get(&given.node_id) {
            Some(entry) => hash(&given.secret).ct_eq(&entry.replica.secret).into(),
            None => Uuid::parse_str(&given.node_id).is_ok() && SECRETS.contains(&given.secret.len()),
        };
        let identity = match asked.identity.as_ref().filter(keeps) {
            Some(given) => given.clone(),
            None => fresh().map_err(NotTaken::Io)?,
        };
        if known.len() >= MAX_REPLICAS && !known.contains_key(&identity.node_id) {
            return Err(NotTaken::Full);
        }
        let replica = Replica {
            node_id: identity.node_id.clone(),
            secret: hash(&identity.secret),
            group: asked.group.clone(),
            name: short(&asked.name),
            seen: now(),
        };
        known.insert(identity.node_id.clone(), Known { replica, beat: None });
        self.write(&known).map_err(NotTaken::Io)?;
        Ok(identity)
    }

    /// Writes when nodes were last heard of. Blocks.
    pub fn keep(&self) -> io::Result<()> {
        self.write(&self.lock())
    }

    fn write(&self, known: &HashMap<String, Known>) -> io::Result<()> {
        let all: Vec<&Replica> = known.values().map(|known| &known.replica).collect();
        files::replace(&self.path, &serde_json::to_vec(&all).map_err(io::Error::other)?)
    }

    /// Notes how a node is. True where the control plane should hear of it now.
    pub fn beat(&self, node_id: &str, mut beat: Heartbeat) -> bool {
        beat.replicas.clear();
        beat.version = short(&beat.version);
        beat.capabilities = beat.capabilities.iter().take(MAX_CAPABILITIES).map(|text| short(text)).collect();
        beat.policy_error = beat.policy_error.map(|text| short(&text));
        let mut known = self.lock();
        let Some(entry) = known.get_mut(node_id) else { return false };
        beat.name.clone_from(&entry.replica.name);
        let policy = |beat: &Heartbeat| (beat.policy_serial, beat.policy_error.clone());
        let news = entry.beat.as_ref().is_none_or(|(last, _)| policy(last) != policy(&beat));
        entry.beat = Some((beat, Instant::now()));
        news
    }

    /// Heartbeats of the nodes of `group` that were heard of of late.
    pub fn beats(&self, group: &str) -> Vec<(String, Heartbeat)> {
        let known = self.lock();
        let here = known.values().filter(|known| known.replica.group == group);
        let fresh = here.filter_map(|known| {
            let (beat, at) = known.beat.as_ref()?;
            (at.elapsed() < FRESH).then(|| (known.replica.node_id.clone(), beat.clone()))
        });
        fresh.collect()
    }
}

/// A new identity.
fn fresh() -> io::Result<Identity> {
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
