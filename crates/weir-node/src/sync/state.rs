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

/// What is in memory.
#[derive(Debug)]
struct Kept {
    state: StoredState,
    /// The file is behind: the last write failed.
    behind: bool,
}

/// Persistent state of a node. Every change is written to disk before it is used; if that fails, the file stays as it was, the
/// caller gets the error, and the change lasts until the process ends or [`NodeState::store`] succeeds.
#[derive(Debug)]
pub struct NodeState {
    path: PathBuf,
    kept: Mutex<Kept>,
}

impl NodeState {
    /// Reads `node.json` in `directory`. A configured key replaces a different pinned one and discards the serials
    /// accepted under it.
    pub fn open(directory: &Path, configured: Option<PublicKey>) -> io::Result<Self> {
        let path = directory.join("node.json");
        let mut state = match files::read(&path, MAX_STATE)? {
            None => StoredState::default(),
            Some(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::error!(
                    path = %path.display(), %error,
                    "cannot read the state: the node registers and pins a key again; to keep its identity, stop it and restore the file"
                );
                StoredState::default()
            }),
        };
        state.version = VERSION;
        if configured.is_some() && configured != state.root {
            (state.root, state.reached) = (configured, configured);
            state.serials.clear();
        }
        Ok(Self { path, kept: Mutex::new(Kept { state, behind: false }) })
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing that can panic runs under the lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut StoredState)) -> io::Result<()> {
        let mut kept = self.lock();
        let mut next = kept.state.clone();
        change(&mut next);
        if next == kept.state && !kept.behind {
            return Ok(());
        }
        kept.state = next;
        self.write(&mut kept)
    }

    fn write(&self, kept: &mut Kept) -> io::Result<()> {
        kept.behind = true;
        let text = serde_json::to_vec_pretty(&kept.state).map_err(io::Error::other)?;
        files::replace(&self.path, &text)?;
        kept.behind = false;
        Ok(())
    }

    /// Whether the file is behind, because it could not be written.
    pub fn is_behind(&self) -> bool {
        self.lock().behind
    }

    /// Writes what could not be written before, if there is anything.
    pub fn store(&self) -> io::Result<()> {
        let mut kept = self.lock();
        if kept.behind { self.write(&mut kept) } else { Ok(()) }
    }

    /// Identity of the node.
    pub fn identity(&self) -> Option<Identity> {
        self.lock().state.identity.clone()
    }

    /// The trusted keys; `None` before the first registration.
    pub fn trust(&self) -> Option<TrustedKeys> {
        let state = &self.lock().state;
        let root = state.root?;
        Some(TrustedKeys { root, reached: state.reached.unwrap_or(root) })
    }

    /// Serial of the last policy accepted in `group`; 0 if there is none.
    pub fn serial(&self, group: &str) -> u64 {
        self.lock().state.serials.get(group).copied().unwrap_or(0)
    }

    /// Stores the result of a registration. Pins the key if none is pinned, and returns whether it did.
    pub fn registered(&self, identity: Identity, key: Option<PublicKey>) -> io::Result<bool> {
        let pins = key.is_some() && self.lock().state.root.is_none();
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
    fn a_write_that_fails_leaves_the_file_as_it_was_and_is_made_up_for() {
        let directory = tempfile::tempdir().unwrap();
        let state = NodeState::open(directory.path(), None).unwrap();
        state.registered(identity("a"), Some(key(1))).unwrap();
        // The temporary file cannot be made, as on a disk that is full or read-only.
        let obstacle = directory.path().join("node.new");
        std::fs::create_dir(&obstacle).unwrap();
        assert!(state.registered(identity("b"), Some(key(1))).is_err());
        assert!(state.is_behind() && state.store().is_err());
        assert!(state.registered(identity("b"), Some(key(1))).is_err(), "the same once more is not taken for stored");
        assert_eq!(state.identity(), Some(identity("b")), "the process goes on with it");
        let on_disk = || NodeState::open(directory.path(), None).unwrap().identity();
        assert_eq!(on_disk(), Some(identity("a")));
        std::fs::remove_dir(&obstacle).unwrap();
        state.store().unwrap();
        assert!(!state.is_behind());
        assert_eq!(on_disk(), Some(identity("b")));
    }

    #[test]
    fn few_groups_are_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let state = NodeState::open(directory.path(), None).unwrap();
        (0..40).for_each(|n| state.accepted(&format!("g{n}"), n, key(1)).unwrap());
        assert_eq!(state.lock().state.serials.len(), MAX_GROUPS);
        assert_eq!(state.serial("g39"), 39);
    }
}
