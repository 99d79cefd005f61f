//! Keys that sign policies: Ed25519, identified by the hash of the key, each signed by its predecessor.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use std::fmt;
use weir_protocol::node_api::{KEY_CONTEXT, MAX_CHAIN, PolicyKey, SuccessorKey};
use weir_runtime::hex;

/// Bytes of a key.
const KEY: usize = 32;
/// Bytes of its hash that form its id.
const ID: usize = 8;

/// A public key. Written as base64 of its 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; KEY]);

/// Why a key is not valid or not trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not the base64 of 32 bytes.
    #[error("not the base64 of the 32 bytes of an Ed25519 key")]
    Form,
    /// Its id does not match the key.
    #[error("a key does not match its id")]
    Name,
    /// The chain of successors is longer than [`MAX_CHAIN`].
    #[error("more than {MAX_CHAIN} successor keys")]
    TooLong,
    /// No chain of signatures leads from the trusted key to this one.
    #[error("no chain of signatures leads from the pinned key to key {0}")]
    NotReached(String),
}

impl PublicKey {
    /// The key in base64.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| KeyError::Form)?;
        bytes.try_into().map(Self).map_err(|_| KeyError::Form)
    }

    /// The key that `sent` describes.
    pub fn of(sent: &PolicyKey) -> Result<Self, KeyError> {
        let key = Self::parse(&sent.public_key)?;
        if key.id() == sent.key_id { Ok(key) } else { Err(KeyError::Name) }
    }

    /// Its id: the first 16 hex digits of its SHA-256.
    pub fn id(&self) -> String {
        hex::encode(&digest(&SHA256, &self.0).as_ref()[..ID])
    }

    /// Whether `signature` (base64) is a signature of this key over `context` and `message`.
    pub fn signed(&self, context: &[u8], message: &[u8], signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else { return false };
        let whole = [context, message].concat();
        UnparsedPublicKey::new(&ED25519, &self.0).verify(&whole, &signature).is_ok()
    }

    /// The key with this `id`, if a chain of successors leads from this key to it.
    pub fn reach(&self, chain: &[SuccessorKey], id: &str) -> Result<PublicKey, KeyError> {
        if chain.len() > MAX_CHAIN {
            return Err(KeyError::TooLong);
        }
        let mut known = vec![*self];
        for successor in chain {
            let Some(signer) = known.iter().find(|key| key.id() == successor.signed_by) else { continue };
            let key = PublicKey::of(&successor.key)?;
            if signer.signed(KEY_CONTEXT, &key.0, &successor.signature) {
                known.push(key);
            }
        }
        known.into_iter().find(|key| key.id() == id).ok_or_else(|| KeyError::NotReached(id.chars().take(16).collect()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}

impl TryFrom<String> for PublicKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        Self::parse(&text)
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> String {
        STANDARD.encode(key.0)
    }
}
