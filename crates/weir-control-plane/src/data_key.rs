//! The key that encrypts secrets in the database. It is random, and stored encrypted under a key that is derived from the
//! key which signs policies: whoever has only the database, or a backup of it, cannot read the secrets. A rotation of the
//! policy key stores it once more, under the new one.

use super::error::{Error, Result};
use super::meta::{Pool, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

/// Bytes of a key.
const BYTES: usize = 32;
/// What a wrapped key is bound to.
const WRAPPED: &str = "weir data key v1";

/// A key that encrypts the data key, with the id of the policy key from which it is derived.
pub struct WrappingKey {
    /// Id of the policy key.
    pub key_id: String,
    /// The key.
    pub key: [u8; BYTES],
}

/// The key that encrypts secrets in the database.
#[derive(Clone)]
pub struct DataKey([u8; BYTES]);

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey")
    }
}

impl DataKey {
    /// The key of this database, made where there is none. None where it was encrypted under another policy key.
    pub async fn open(pool: &Pool, under: &WrappingKey) -> Result<Option<Self>> {
        if let Some(found) = Self::find(pool, under).await? {
            return Ok(Some(found));
        }
        if sqlx::query("SELECT key_id FROM data_keys LIMIT 1").fetch_optional(pool.read()).await?.is_some() {
            return Ok(None);
        }
        let mut key = [0; BYTES];
        fill(&mut key)?;
        Self(key).keep(pool, under).await?;
        // Another replica may have been first.
        Self::find(pool, under).await
    }

    /// Stores the key, known under `old`, under `new` too. Does nothing where it is not known.
    pub async fn carry_over(pool: &Pool, old: &WrappingKey, new: &WrappingKey) -> Result<()> {
        match Self::find(pool, old).await? {
            Some(key) => key.keep(pool, new).await,
            None => Ok(()),
        }
    }

    async fn find(pool: &Pool, under: &WrappingKey) -> Result<Option<Self>> {
        let row = sqlx::query("SELECT wrapped FROM data_keys WHERE key_id = $1").bind(&under.key_id);
        let Some(row) = row.fetch_optional(pool.read()).await? else { return Ok(None) };
        let opened = Self(under.key).open_text(WRAPPED, &text(&row, "wrapped")?);
        Ok(opened.and_then(|bytes| bytes.try_into().ok()).map(Self))
    }

    async fn keep(&self, pool: &Pool, under: &WrappingKey) -> Result<()> {
        let wrapped = Self(under.key).seal(WRAPPED, &self.0)?;
        let insert = sqlx::query("INSERT INTO data_keys (key_id, wrapped) VALUES ($1, $2) ON CONFLICT DO NOTHING");
        insert.bind(&under.key_id).bind(wrapped).execute(pool.write()).await?;
        Ok(())
    }

    /// `secret` encrypted (AES-256-GCM), bound to `context`: base64 of nonce and ciphertext.
    pub fn seal(&self, context: &str, secret: &[u8]) -> Result<String> {
        let mut nonce = [0; NONCE_LEN];
        fill(&mut nonce)?;
        let mut sealed = secret.to_vec();
        let done = self.cipher()?.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(context),
            &mut sealed,
        );
        done.map_err(|_| Error::internal("a secret could not be encrypted"))?;
        Ok(STANDARD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// What [`Self::seal`] encrypted with the same context; none where it was not this key, or the text was changed.
    pub fn open_text(&self, context: &str, sealed: &str) -> Option<Vec<u8>> {
        let bytes = STANDARD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN)?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.cipher().ok()?.open_in_place(nonce, Aad::from(context), &mut sealed).ok()?;
        Some(opened.to_vec())
    }

    /// A key for message authentication that is derived from this one for `purpose`.
    pub fn mac_key(&self, purpose: &str) -> hmac::Key {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), purpose.as_bytes());
        hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref())
    }

    fn cipher(&self) -> Result<LessSafeKey> {
        let key = UnboundKey::new(&AES_256_GCM, &self.0).map_err(|_| Error::internal("a key has the wrong length"))?;
        Ok(LessSafeKey::new(key))
    }
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    SystemRandom::new().fill(bytes).map_err(|_| Error::internal("no randomness from the system"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_context_alone() {
        let key = DataKey([7; BYTES]);
        let sealed = key.seal("user 1", b"secret").unwrap();
        assert_eq!(key.open_text("user 1", &sealed).as_deref(), Some(b"secret".as_slice()));
        assert_ne!(key.seal("user 1", b"secret").unwrap(), sealed, "another nonce");
        assert!(
            key.open_text("user 2", &sealed).is_none() && DataKey([8; BYTES]).open_text("user 1", &sealed).is_none()
        );
        for damaged in ["", "AAAA", "?", &sealed[..sealed.len() - 4]] {
            assert!(key.open_text("user 1", damaged).is_none());
        }
    }
}
