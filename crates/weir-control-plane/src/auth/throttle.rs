//! Login throttling, by address and by account, in bounded memory.
//!
//! Failures fill a bucket that empties with time; a full bucket refuses before anything is hashed. Three buckets are
//! asked: that of the address, that of address and account, and that of the account. The last one is not asked where the
//! account logged in from this address before, so that guessing does not lock the owner out.
//!
//! Logins by OpenID Connect have no account before the provider has answered, and each step of them calls the provider:
//! they have a bucket of their own for each address, so that neither way locks people out of the other.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

/// Failures that fill the bucket of an address, and the milliseconds in which one drains: 20, then one a minute.
const ADDRESS: Bucket = Bucket { room: 20, drain_ms: 60_000 };
/// Of an account at an address: 5, then one every two minutes.
const PAIR: Bucket = Bucket { room: 5, drain_ms: 120_000 };
/// Of an account from anywhere: 50, then one every 30 s.
const ACCOUNT: Bucket = Bucket { room: 50, drain_ms: 30_000 };
/// Of logins by OpenID Connect from an address that did not end in a session: 60, then one every ten seconds. Many people may
/// share an address, and each login takes two steps, which both are given back when it succeeds.
const PROVIDER: Bucket = Bucket { room: 60, drain_ms: 10_000 };
/// Steps of a login by OpenID Connect.
const STEPS: i64 = 2;
/// Buckets kept. Past it those closest to empty go first.
const MAX_BUCKETS: usize = 20_000;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    room: i64,
    drain_ms: i64,
}

/// Failures of all logins.
#[derive(Debug, Default)]
pub struct Throttle {
    /// By key: the time at which the bucket will be empty, in milliseconds.
    empty_at: Mutex<HashMap<(u8, u64), i64>>,
    hasher: std::hash::RandomState,
}

impl Throttle {
    /// Whether a login may be tried at `now`; otherwise the seconds after which it may.
    pub fn check(&self, address: IpAddr, login: &str, known_address: bool, now: i64) -> Result<(), u64> {
        let map = self.empty_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut wait = 0;
        for (key, bucket) in self.keys(address, login) {
            if known_address && key.0 == 2 {
                continue;
            }
            let level = map.get(&key).map_or(0, |&empty| (empty - now).max(0));
            wait = wait.max(level - (bucket.room - 1) * bucket.drain_ms);
        }
        if wait > 0 { Err(wait.unsigned_abs().div_ceil(1000)) } else { Ok(()) }
    }

    /// Notes an attempt before it is judged: many at once are not free. A success takes it back by [`Self::forgive`].
    pub fn note(&self, address: IpAddr, login: &str, now: i64) {
        let mut map = self.empty_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (key, bucket) in self.keys(address, login) {
            let empty = map.entry(key).or_insert(now);
            *empty = (*empty).max(now) + bucket.drain_ms;
        }
        if map.len() > MAX_BUCKETS {
            shrink(&mut map, now);
        }
    }

    /// Empties the bucket of an account at an address after a login, and takes one attempt from the others.
    pub fn forgive(&self, address: IpAddr, login: &str) {
        let mut map = self.empty_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (key, bucket) in self.keys(address, login) {
            if key.0 == 1 {
                map.remove(&key);
            } else if let Some(empty) = map.get_mut(&key) {
                *empty -= bucket.drain_ms;
            }
        }
    }

    /// Takes one step of a login by OpenID Connect at `now`; otherwise answers the seconds after which it may be taken.
    pub fn step(&self, address: IpAddr, now: i64) -> Result<(), u64> {
        let mut map = self.empty_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let empty = map.entry(self.provider_key(address)).or_insert(now);
        let wait = (*empty - now).max(0) - (PROVIDER.room - 1) * PROVIDER.drain_ms;
        if wait > 0 {
            return Err(wait.unsigned_abs().div_ceil(1000));
        }
        *empty = (*empty).max(now) + PROVIDER.drain_ms;
        if map.len() > MAX_BUCKETS {
            shrink(&mut map, now);
        }
        Ok(())
    }

    /// Gives back the steps of a login by OpenID Connect that succeeded.
    pub fn give_back(&self, address: IpAddr) {
        let mut map = self.empty_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(empty) = map.get_mut(&self.provider_key(address)) {
            *empty -= STEPS * PROVIDER.drain_ms;
        }
    }

    fn provider_key(&self, address: IpAddr) -> (u8, u64) {
        use std::hash::BuildHasher;
        (3, self.hasher.hash_one(network(address)))
    }

    fn keys(&self, address: IpAddr, login: &str) -> [((u8, u64), Bucket); 3] {
        use std::hash::BuildHasher;
        let network = network(address);
        let login = login.trim().to_lowercase();
        [
            ((0, self.hasher.hash_one(network)), ADDRESS),
            ((1, self.hasher.hash_one((network, &login))), PAIR),
            ((2, self.hasher.hash_one(&login)), ACCOUNT),
        ]
    }
}

/// What counts as one address: a host has a whole /64 of IPv6 to choose from.
fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => u128::from(v6) >> 64 << 64,
    }
}

/// Forgets empty buckets; where that is not enough, the half that is closest to empty.
fn shrink(map: &mut HashMap<(u8, u64), i64>, now: i64) {
    map.retain(|_, empty| *empty > now);
    if map.len() > MAX_BUCKETS / 2 {
        let mut times: Vec<i64> = map.values().copied().collect();
        let middle = times.len() / 2;
        let (_, &mut median, _) = times.select_nth_unstable(middle);
        map.retain(|_, empty| *empty > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn guessing_is_slowed_down_and_forgiven() {
        let throttle = Throttle::default();
        let (mallory, home) = (ip("203.0.113.9"), ip("198.51.100.1"));
        for _ in 0..5 {
            assert!(throttle.check(mallory, "alice", false, 0).is_ok());
            throttle.note(mallory, "alice", 0);
        }
        assert_eq!(throttle.check(mallory, "Alice ", false, 0), Err(120), "the same account");
        assert!(throttle.check(mallory, "bob", false, 0).is_ok(), "another account");
        assert!(throttle.check(home, "alice", false, 0).is_ok(), "another address");
        assert!(throttle.check(mallory, "alice", false, 120_000).is_ok(), "later");
        throttle.forgive(mallory, "alice");
        assert!(throttle.check(mallory, "alice", false, 0).is_ok());
    }

    #[test]
    fn an_address_is_slowed_down_over_many_accounts() {
        let throttle = Throttle::default();
        for n in 0..20 {
            let within = ip(&format!("2001:db8::{n:x}"));
            assert!(throttle.check(within, &format!("user{n}"), false, 0).is_ok());
            throttle.note(within, &format!("user{n}"), 0);
        }
        assert!(throttle.check(ip("2001:db8::ffff"), "another", false, 0).is_err());
        assert!(throttle.check(ip("2001:db8:0:1::1"), "another", false, 0).is_ok());
    }

    #[test]
    fn guesses_do_not_lock_a_user_out_at_a_known_address() {
        let throttle = Throttle::default();
        for n in 0..60u32 {
            throttle.note(IpAddr::V4(n.into()), "alice", 0);
        }
        let home = ip("198.51.100.1");
        assert!(throttle.check(home, "alice", false, 0).is_err());
        assert!(throttle.check(home, "alice", true, 0).is_ok());
    }

    #[test]
    fn steps_to_a_provider_are_bounded_by_address_and_given_back() {
        let throttle = Throttle::default();
        let (mallory, office) = (ip("203.0.113.9"), ip("198.51.100.1"));
        for _ in 0..60 {
            assert_eq!(throttle.step(mallory, 0), Ok(()));
        }
        assert_eq!(throttle.step(mallory, 0), Err(10));
        assert_eq!(throttle.step(mallory, 10_000), Ok(()), "later");
        assert!(throttle.check(mallory, "alice", false, 0).is_ok(), "a login by password is another matter");
        for _ in 0..200 {
            assert_eq!((throttle.step(office, 0), throttle.step(office, 0)), (Ok(()), Ok(())), "people who come in");
            throttle.give_back(office);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        for n in 0..(2 * MAX_BUCKETS as u32) {
            throttle.note(IpAddr::V4(n.into()), &n.to_string(), 0);
            assert_eq!(throttle.step(IpAddr::V4(n.into()), 0), Ok(()));
        }
        assert!(throttle.empty_at.lock().unwrap().len() <= MAX_BUCKETS + 3);
    }
}
