//! Keys of counters: keyed hashes of what they count by, so that none can be crafted to collide and none can be read back.

use ring::hmac;
use siphasher::sip::SipHasher24;
use siphasher::sip128::{Hasher128 as _, SipHasher24 as SipHasher128};
use std::hash::Hasher;
use std::sync::Arc;

/// Separates this use of the group's secret from any other.
const PURPOSE: &[u8] = b"weir abuse keys v1";
/// What is signed for the id of a secret; names are of keys, which are longer.
const ID: &[u8] = b"id";

/// An odd number without structure: what is multiplied by it stays different.
const FACTOR: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// Longest single part that is hashed in one piece, in bytes: most are shorter.
const SHORT: usize = 48;

/// Makes keys under a secret of the group. Replicas with the same secret make the same keys.
#[derive(Clone)]
pub struct Keys {
    hash: [u8; 16],
    names: hmac::Key,
    id: Arc<str>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(****)")
    }
}

impl Keys {
    /// Keys under `secret`.
    pub fn new(secret: &[u8]) -> Self {
        let base = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), PURPOSE);
        let mut hash = [0; 16];
        hash.copy_from_slice(&base.as_ref()[..16]);
        let names = hmac::Key::new(hmac::HMAC_SHA256, &base.as_ref()[16..]);
        let id = hex(&hmac::sign(&names, ID).as_ref()[..8]).into();
        Self { hash, names, id }
    }

    /// Identifies the secret that keys are made under: 16 hex digits, from which the secret cannot be derived.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key of `parts` for one purpose. Their lengths are part of it.
    pub fn key(&self, purpose: u64, parts: &[&[u8]]) -> u128 {
        let mut hasher = SipHasher128::new_with_key(&self.hash);
        if let [part] = parts
            && part.len() <= SHORT
        {
            // In one piece, which takes half the time; the key is the same.
            let mut bytes = [0; 16 + SHORT];
            bytes[..8].copy_from_slice(&purpose.to_le_bytes());
            bytes[8..16].copy_from_slice(&(part.len() as u64).to_le_bytes());
            bytes[16..16 + part.len()].copy_from_slice(part);
            return hasher.hash(&bytes[..16 + part.len()]).as_u128();
        }
        hasher.write_u64(purpose);
        for part in parts {
            hasher.write_u64(part.len() as u64);
            hasher.write(part);
        }
        hasher.finish128().as_u128()
    }

    /// The hash of one value.
    pub fn value(&self, value: &[u8]) -> u64 {
        SipHasher24::new_with_key(&self.hash).hash(value)
    }

    /// The subject with these parts, each the key of one value, in this order. That of one part is its key.
    ///
    /// Keys of values are secret and look random, so that no values can be found whose sums of products collide.
    #[inline]
    pub fn subject(parts: impl IntoIterator<Item = u128>) -> u128 {
        parts.into_iter().fold(0, Self::with_part)
    }

    /// The subject that has the parts of `subject`, 0 for none, and behind them another one.
    #[inline]
    pub fn with_part(subject: u128, part: u128) -> u128 {
        subject.wrapping_mul(FACTOR).wrapping_add(part)
    }

    /// The key of the counter of a rule for a subject: its upper half is that of the subject. Different rules have different
    /// keys for one subject.
    #[inline]
    pub fn counter(subject: u128, rule: u64) -> u128 {
        subject ^ u128::from(rule.wrapping_mul(FACTOR as u64))
    }

    /// The set of counters that has those of `set`, 0 for none, and behind them another one. `counter` identifies it and how it
    /// counts.
    #[inline]
    pub fn set_with(set: u64, counter: u64) -> u64 {
        (set.rotate_left(5) ^ counter).wrapping_mul(FACTOR as u64)
    }

    /// The name of a key outside the node: an HMAC of it, in hex.
    pub fn name(&self, key: u128) -> String {
        let tag = hmac::sign(&self.names, &key.to_be_bytes());
        hex(&tag.as_ref()[..16])
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hashes keys, which are hashes already, and small numbers that no client chooses.
#[derive(Debug, Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    #[inline]
    fn finish(&self) -> u64 {
        // Keys of a shard of the table have their lowest bits in common.
        self.0.rotate_right(u64::BITS / 2)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.0 = Keys::set_with(self.0, word);
    }

    #[inline]
    fn write_u128(&mut self, key: u128) {
        self.write_u64((key >> 64) as u64);
        self.write_u64(key as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_depend_on_secret_rule_and_the_borders_of_parts() {
        let (a, b) = (Keys::new(b"a"), Keys::new(b"b"));
        let key = a.key(1, &[b"x", b"y"]);
        assert_eq!(key, Keys::new(b"a").key(1, &[b"x", b"y"]));
        for other in [b.key(1, &[b"x", b"y"]), a.key(2, &[b"x", b"y"]), a.key(1, &[b"xy", b""]), a.key(1, &[b"xy"])] {
            assert_ne!(key, other);
        }
        assert_ne!(a.name(key), b.name(key));
        assert_eq!((a.id(), a.id().len()), (Keys::new(b"a").id(), 16));
        assert_ne!(a.id(), b.id());
        assert_eq!(a.name(key).len(), 32);
        assert_ne!(a.value(b"1"), b.value(b"1"));
    }

    #[test]
    fn keys_of_short_parts_are_those_of_the_streamed_hash() {
        let keys = Keys::new(b"a");
        for length in [0, 1, 7, 8, 17, SHORT - 1, SHORT, SHORT + 1, 200] {
            let part = vec![b'x'; length];
            let mut hasher = SipHasher128::new_with_key(&keys.hash);
            hasher.write_u64(1);
            hasher.write_u64(length as u64);
            hasher.write(&part);
            assert_eq!(keys.key(1, &[&part]), hasher.finish128().as_u128(), "{length}");
        }
    }

    #[test]
    fn subjects_depend_on_each_part_and_its_place_and_counters_on_the_rule() {
        let keys = Keys::new(b"a");
        let part = |value: &[u8]| keys.key(0, &[value]);
        let (x, y) = (part(b"x"), part(b"y"));
        let subjects = [vec![x], vec![y], vec![x, y], vec![y, x], vec![x, x], vec![x, y, x]].map(Keys::subject);
        for (number, subject) in subjects.iter().enumerate() {
            assert!(!subjects[..number].iter().any(|other| other >> 64 == subject >> 64), "{number}");
        }
        assert_eq!(subjects[0], x);
        let counters: std::collections::HashSet<u128> = (0..10_000).map(|rule| Keys::counter(x, rule)).collect();
        assert!(counters.len() == 10_000 && counters.iter().all(|counter| counter >> 64 == x >> 64));
    }
}
