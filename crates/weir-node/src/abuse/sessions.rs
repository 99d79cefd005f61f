//! What the upstream has vouched for, in bounded memory: sessions that it issued or accepted, sessions that logged in to an
//! account, consumers of credentials.

use smallvec::SmallVec;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash};
use std::sync::{Mutex, PoisonError};
use weir_abuse::KeyHasher;

/// Entries of one generation; two are kept.
const GENERATION: usize = 100_000;

/// The latest entries, at least [`GENERATION`] of them.
#[derive(Debug)]
struct Recent<K, V> {
    new: HashMap<K, V, BuildHasherDefault<KeyHasher>>,
    old: HashMap<K, V, BuildHasherDefault<KeyHasher>>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { new: HashMap::default(), old: HashMap::default() }
    }
}

impl<K: Hash + Eq + Copy, V: Clone> Recent<K, V> {
    fn insert(&mut self, key: K, value: V) {
        if self.new.len() >= GENERATION {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(key, value);
    }

    /// The value of `key`, which stays among the latest.
    fn get(&mut self, key: K) -> Option<V> {
        if let Some(value) = self.new.get(&key) {
            return Some(value.clone());
        }
        let value = self.old.remove(&key)?;
        self.insert(key, value.clone());
        Some(value)
    }
}

/// Counters of the accounts to which a session logged in, the latest last.
pub(super) type LoggedIn = SmallVec<[u128; 1]>;

/// Accounts of one session that are kept.
const MAX_ACCOUNTS: usize = 16;

#[derive(Debug, Default)]
struct Known {
    established: Recent<u64, ()>,
    logged_in: Recent<u64, LoggedIn>,
    consumers: Recent<u64, u64>,
}

/// What the upstream has vouched for.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<Known>);

impl Sessions {
    fn with<T>(&self, then: impl FnOnce(&mut Known) -> T) -> T {
        then(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The upstream issued or accepted this session.
    pub fn establish(&self, session: u64) {
        self.with(|known| known.established.insert(session, ()));
    }

    /// Whether the upstream issued or accepted a session, and the counters of the accounts to which it logged in.
    pub fn known(&self, session: u64) -> (bool, LoggedIn) {
        if session == 0 {
            return (false, LoggedIn::new());
        }
        self.with(|known| {
            let logged_in = known.logged_in.get(session).unwrap_or_default();
            (known.established.get(session).is_some(), logged_in)
        })
    }

    /// An attempt under the key of a rule succeeded in this session.
    pub fn log_in(&self, session: u64, key: u128) {
        self.with(|known| {
            let mut accounts = known.logged_in.get(session).unwrap_or_default();
            if !accounts.contains(&key) {
                if accounts.len() == MAX_ACCOUNTS {
                    accounts.remove(0);
                }
                accounts.push(key);
                known.logged_in.insert(session, accounts);
            }
        });
    }

    /// The gateway named this consumer for a credential.
    pub fn identify(&self, credential: u64, consumer: u64) {
        self.with(|known| known.consumers.insert(credential, consumer));
    }

    pub fn consumer(&self, credential: u64) -> Option<u64> {
        if credential == 0 { None } else { self.with(|known| known.consumers.get(credential)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let sessions = Sessions::default();
        sessions.establish(1);
        sessions.establish(2);
        for n in 10..500_000 {
            sessions.establish(n);
            assert!(!n.is_multiple_of(1_000) || sessions.known(1).0);
        }
        assert!(sessions.known(1).0 && !sessions.known(2).0);
        assert!(sessions.with(|known| known.established.new.len() + known.established.old.len()) <= 2 * GENERATION);
        assert!(!sessions.known(0).0);
    }

    #[test]
    fn the_latest_accounts_of_a_session_are_kept() {
        let sessions = Sessions::default();
        (0..20).for_each(|account| sessions.log_in(5, account));
        sessions.log_in(5, 19);
        assert_eq!(sessions.known(5).1.to_vec(), (4..20).collect::<Vec<u128>>());
        assert!(sessions.known(6).1.is_empty());
    }
}
