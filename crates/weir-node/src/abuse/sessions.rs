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

/// Accounts of one session that are kept, and sessions of one account.
const MAX_ACCOUNTS: usize = 16;
const MAX_SESSIONS: usize = 16;

#[derive(Debug, Default)]
struct Known {
    established: Recent<u64, ()>,
    logged_in: Recent<u64, LoggedIn>,
    /// Sessions that logged in to the account with this counter, the latest last.
    accounts: Recent<u128, SmallVec<[u64; 1]>>,
    consumers: Recent<u64, Consumer>,
}

impl Known {
    fn log_out(&mut self, session: u64, key: u128) {
        if let Some(mut accounts) = self.logged_in.get(session)
            && accounts.contains(&key)
        {
            accounts.retain(|account| *account != key);
            self.logged_in.insert(session, accounts);
        }
    }
}

/// A consumer, hashed under each of the secrets.
pub(super) type Consumer = SmallVec<[u64; 2]>;

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

    /// An attempt under the key of a rule succeeded in this session. If many sessions did that, the earliest counts no more.
    pub fn log_in(&self, session: u64, key: u128) {
        self.with(|known| {
            let mut accounts = known.logged_in.get(session).unwrap_or_default();
            if accounts.contains(&key) {
                return;
            }
            if accounts.len() == MAX_ACCOUNTS {
                accounts.remove(0);
            }
            accounts.push(key);
            known.logged_in.insert(session, accounts);
            let mut sessions = known.accounts.get(key).unwrap_or_default();
            sessions.retain(|other| *other != session);
            if sessions.len() == MAX_SESSIONS {
                let earliest = sessions.remove(0);
                known.log_out(earliest, key);
            }
            sessions.push(session);
            known.accounts.insert(key, sessions);
        });
    }

    /// An attempt under the key of a rule failed in this session.
    pub fn log_out(&self, session: u64, key: u128) {
        self.with(|known| known.log_out(session, key));
    }

    /// The gateway named this consumer for a credential.
    pub fn identify(&self, credential: u64, consumer: Consumer) {
        self.with(|known| known.consumers.insert(credential, consumer));
    }

    /// The consumer of a credential, hashed under secret number `secret`.
    pub fn consumer(&self, credential: u64, secret: usize) -> Option<u64> {
        if credential == 0 {
            return None;
        }
        self.with(|known| known.consumers.get(credential)).and_then(|hashes| hashes.get(secret).copied())
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

    #[test]
    fn the_latest_sessions_of_an_account_are_kept_until_one_fails() {
        let sessions = Sessions::default();
        (1..=20).for_each(|session| sessions.log_in(session, 7));
        let kept = |session| !sessions.known(session).1.is_empty();
        assert_eq!((1..=20).filter(|&session| kept(session)).collect::<Vec<_>>(), (5..=20).collect::<Vec<_>>());
        sessions.log_out(9, 7);
        assert!(!kept(9) && kept(10));
        sessions.log_in(9, 7);
        assert!(kept(9) && kept(5), "it is one of them already");
    }

    #[test]
    fn consumers_are_known_under_each_secret() {
        let sessions = Sessions::default();
        sessions.identify(1, SmallVec::from_slice(&[5, 6]));
        assert_eq!([0, 1, 2].map(|secret| sessions.consumer(1, secret)), [Some(5), Some(6), None]);
        assert_eq!(sessions.consumer(0, 0), None);
    }
}
