//! Secrets made by machines: random, shown once, kept as hashes.

use crate::error::{Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;
use weir_runtime::hex;

/// Bytes of randomness in a secret: 256 bits, so that a plain hash of it cannot be searched.
const BYTES: usize = 32;

/// A new secret: 43 characters of base64url.
pub fn random() -> Result<String> {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::internal("no randomness from the system"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// SHA-256 of `text`, in hex.
pub fn hash(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

/// Whether two texts are the same, in a time that tells nothing but their lengths.
pub fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// A new id that sorts by time: UUIDv7.
pub fn id() -> String {
    uuid::Uuid::now_v7().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_differ() {
        let (a, b) = (random().unwrap(), random().unwrap());
        assert_eq!((a.len(), a == b), (43, false));
        assert!(same(&a, &a.clone()) && !same(&a, &b) && !same(&a, ""));
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
