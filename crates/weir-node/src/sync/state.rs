//! Persistent state of a node: `node.json`.

use super::files;
use super::public_key::PublicKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use weir_protocol::node_api::Identity;

/// Largest `node.json`.
const MAX_STATE: u64 = 1 << 20;
/// Groups whose last serial is stored: a node rarely changes its group.
const MAX_GROUPS: usize = 16;
/// Version of the file.
const VERSION: u32 = 1;

/// Content of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct StoredState {
    version: u32,
    identity: Option<Identity>,
    /// The key trusted first: configured, or pinned at registration.
    root: Option<PublicKey>,
    /// The newest key reached by a chain of signatures; its predecessors are no longer trusted.
    reached: Option<PublicKey>,
    /// Last accepted serial by group.
    serials: BTreeMap<String, u64>,
}

/// The keys to trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedKeys {
    /// The key trusted first.
    pub root: PublicKey,
    /// The key from which the chain of a new policy must start.
    pub reached: PublicKey,
}

/// Persistent state of a node. Every change is written to disk before it is used; if that fails, it lasts until the
/// process ends, and the caller gets the error.
#[derive(Debug)]
pub struct NodeState {
    path: PathBuf,
    kept: Mutex<StoredState>,
}

impl NodeState {
    /// Reads `node.json` in `directory`. A configured key replaces a different pinned one and discards the serials
    /// accepted under it.
    pub fn open(directory: &Path, configured: Option<PublicKey>) -> io::Result<Self> {
        let path = directory.join("node.json");
        let mut kept = match files::read(&path, MAX_STATE)? {
            None => StoredState::default(),
            Some(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::error!(path = %path.display(), %error, "cannot read the state; the node registers and pins a key again");
                StoredState::default()
            }),
        };
        kept.version = VERSION;
        if configured.is_some() && configured != kept.root {
            (kept.root, kept.reached) = (configured, configured);
            kept.serials.clear();
        }
        Ok(Self { path, kept: Mutex::new(kept) })
    }

    fn lock(&self) -> MutexGuard<'_, StoredState> {
        // Nothing that can panic runs under the lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut StoredState)) -> io::Result<()> {
        let mut kept = self.lock();
        let mut next = kept.clone();
        change(&mut next);
        if next == *kept {
            return Ok(());
        }
        *kept = next;
        let text = serde_json::to_vec_pretty(&*kept).map_err(io::Error::other)?;
        files::replace(&self.path, &text)
    }

    /// Identity of the node.
    pub fn identity(&self) -> Option<Identity> {
        self.lock().identity.clone()
    }

    /// The trusted keys; `None` before the first registration.
    pub fn trust(&self) -> Option<TrustedKeys> {
        let kept = self.lock();
        let root = kept.root?;
        Some(TrustedKeys { root, reached: kept.reached.unwrap_or(root) })
    }

    /// Serial of the last policy accepted in `group`; 0 if there is none.
    pub fn serial(&self, group: &str) -> u64 {
        self.lock().serials.get(group).copied().unwrap_or(0)
    }

    /// Stores the result of a registration. Pins the key if none is pinned, and returns whether it did.
    pub fn registered(&self, identity: Identity, key: Option<PublicKey>) -> io::Result<bool> {
        let pins = key.is_some() && self.lock().root.is_none();
        self.change(|kept| {
            kept.identity = Some(identity);
            if pins {
                (kept.root, kept.reached) = (key, key);
            }
        })?;
        Ok(pins)
    }

    /// Records that a policy was accepted.
    pub fn accepted(&self, group: &str, serial: u64, key: PublicKey) -> io::Result<()> {
        self.change(|kept| {
            kept.reached = Some(key);
            kept.serials.insert(group.to_owned(), serial);
            while kept.serials.len() > MAX_GROUPS {
                let other = kept.serials.keys().find(|name| *name != group).cloned();
                other.and_then(|name| kept.serials.remove(&name));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn key(byte: u8) -> PublicKey {
        use base64::Engine as _;
        PublicKey::parse(&base64::engine::general_purpose::STANDARD.encode([byte; 32])).unwrap()
    }

    fn identity(id: &str) -> Identity {
        Identity { node_id: id.into(), secret: "s".into() }
    }

    #[test]
    fn what_is_kept_survives_and_is_the_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let state = NodeState::open(directory.path(), None).unwrap();
        assert!(state.identity().is_none() && state.trust().is_none());
        assert!(state.registered(identity("a"), Some(key(1))).unwrap());
        assert!(!state.registered(identity("b"), Some(key(2))).unwrap(), "the first key stays pinned");
        state.accepted("g", 7, key(3)).unwrap();
        let again = NodeState::open(directory.path(), None).unwrap();
        assert_eq!(again.identity(), Some(identity("b")));
        assert_eq!(again.trust(), Some(TrustedKeys { root: key(1), reached: key(3) }));
        assert_eq!((again.serial("g"), again.serial("other")), (7, 0));
        let mode = std::fs::metadata(directory.path().join("node.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_configured_key_takes_the_place_of_a_pinned_one() {
        let directory = tempfile::tempdir().unwrap();
        let state = NodeState::open(directory.path(), None).unwrap();
        state.registered(identity("a"), Some(key(1))).unwrap();
        state.accepted("g", 7, key(1)).unwrap();
        let same = NodeState::open(directory.path(), Some(key(1))).unwrap();
        assert_eq!(same.serial("g"), 7);
        let other = NodeState::open(directory.path(), Some(key(9))).unwrap();
        assert_eq!((other.trust(), other.serial("g")), (Some(TrustedKeys { root: key(9), reached: key(9) }), 0));
        assert_eq!(other.identity(), Some(identity("a")));
    }

    #[test]
    fn a_broken_file_is_as_none() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("node.json"), "{").unwrap();
        assert!(NodeState::open(directory.path(), None).unwrap().identity().is_none());
    }

    #[test]
    fn few_groups_are_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let state = NodeState::open(directory.path(), None).unwrap();
        (0..40).for_each(|n| state.accepted(&format!("g{n}"), n, key(1)).unwrap());
        assert_eq!(state.lock().serials.len(), MAX_GROUPS);
        assert_eq!(state.serial("g39"), 39);
    }
}
