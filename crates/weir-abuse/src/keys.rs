//! Keys of counters: keyed hashes of what they count by, so that none can be crafted to collide and none can be read back.

use ring::hmac;
use siphasher::sip::SipHasher24;
use siphasher::sip128::{Hasher128 as _, SipHasher24 as SipHasher128};
use std::hash::Hasher as _;

/// Separates this use of the group's secret from any other.
const PURPOSE: &[u8] = b"weir abuse keys v1";

/// Makes keys under a secret of the group. Replicas with the same secret make the same keys.
#[derive(Clone)]
pub struct Keys {
    hash: [u8; 16],
    names: hmac::Key,
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
        Self { hash, names: hmac::Key::new(hmac::HMAC_SHA256, &base.as_ref()[16..]) }
    }

    /// The key of `parts` under `rule`. Their lengths are part of it.
    pub fn key(&self, rule: u64, parts: &[&[u8]]) -> u128 {
        let mut hasher = SipHasher128::new_with_key(&self.hash);
        hasher.write_u64(rule);
        for part in parts {
            hasher.write_u64(part.len() as u64);
            hasher.write(part);
        }
        hasher.finish128().as_u128()
    }

    /// The hash of one value.
    pub fn value(&self, value: &[u8]) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.hash);
        hasher.write(value);
        hasher.finish()
    }

    /// The name of a key outside the node: an HMAC of it, in hex.
    pub fn name(&self, key: u128) -> String {
        let tag = hmac::sign(&self.names, &key.to_be_bytes());
        tag.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
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
        assert_eq!(a.name(key).len(), 32);
        assert_ne!(a.value(b"1"), b.value(b"1"));
    }
}
