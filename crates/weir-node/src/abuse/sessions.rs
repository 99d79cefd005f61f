//! What the upstream has vouched for, in bounded memory: sessions that it issued or accepted, sessions that logged in to an
//! account, consumers of credentials.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Entries of one generation; two are kept.
const GENERATION: usize = 100_000;

/// The latest entries, at least [`GENERATION`] of them.
#[derive(Debug)]
struct Recent<K, V> {
    new: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { new: HashMap::new(), old: HashMap::new() }
    }
}

impl<K: Hash + Eq, V: Copy> Recent<K, V> {
    fn insert(&mut self, key: K, value: V) {
        if self.new.len() >= GENERATION {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(key, value);
    }

    /// The value of `key`, which stays among the latest.
    fn get(&mut self, key: K) -> Option<V> {
        if let Some(value) = self.new.get(&key) {
            return Some(*value);
        }
        let value = *self.old.get(&key)?;
        self.insert(key, value);
        Some(value)
    }
}

#[derive(Debug, Default)]
struct Known {
    established: Recent<u64, ()>,
    logged_in: Recent<(u64, u128), ()>,
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

    pub fn is_established(&self, session: u64) -> bool {
        session != 0 && self.with(|known| known.established.get(session).is_some())
    }

    /// An attempt under the key of a rule succeeded in this session.
    pub fn log_in(&self, session: u64, key: u128) {
        self.with(|known| known.logged_in.insert((session, key), ()));
    }

    pub fn is_logged_in(&self, session: u64, key: u128) -> bool {
        session != 0 && self.with(|known| known.logged_in.get((session, key)).is_some())
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
            assert!(!n.is_multiple_of(1_000) || sessions.is_established(1));
        }
        assert!(sessions.is_established(1) && !sessions.is_established(2));
        assert!(sessions.with(|known| known.established.new.len() + known.established.old.len()) <= 2 * GENERATION);
        assert!(!sessions.is_established(0));
    }
}
