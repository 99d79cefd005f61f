//! The key that signs policies: an Ed25519 key in a file of its own, and in the database the chain of public keys since the
//! first, each vouched for by the one before. Replicas share file and chain.

use crate::data_key::{DataKey, WrappingKey};
use crate::error::{Error, Result};
use crate::meta::{Pool, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use weir_protocol::node_api::{PolicyKey, SuccessorKey};

/// What precedes a document where it is signed.
const POLICY_CONTEXT: &[u8] = b"weir policy v1\n";
/// What precedes a key where it is signed.
const KEY_CONTEXT: &[u8] = b"weir policy key v1\n";
/// What is signed to derive the key of the database's secrets.
const DATA_CONTEXT: &[u8] = b"weir data key v1\n";
/// Largest key file read, in bytes.
const MAX_FILE: u64 = 16 << 10;

/// The key in use and its chain.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    key: PolicyKey,
    chain: Vec<SuccessorKey>,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.key.key_id)
    }
}

impl SigningKey {
    /// Loads the key of `path`, or makes it where there is none and no chain has begun.
    pub async fn open(path: &Path, pool: &Pool, now: i64) -> Result<Self> {
        let begun = !chain(pool).await?.is_empty();
        let (at, may_make) = (path.to_owned(), !begun);
        let pair =
            tokio::task::spawn_blocking(move || load_or_make(&at, may_make)).await.map_err(Error::internal)??;
        let key = public(&pair);
        if !begun {
            // Another replica with the same file may have begun it meanwhile; that is looked at below.
            insert(pool, 1, &key, "", "", now).await?;
        }
        let chain = chain(pool).await?;
        if chain.last().is_some_and(|last| last.key == key) {
            return Ok(Self { pair, key, chain: chain.into_iter().skip(1).collect() });
        }
        Self::finish_rotation(path, chain).await
    }

    /// A rotation that was cut short left the new key beside the old one.
    async fn finish_rotation(path: &Path, chain: Vec<SuccessorKey>) -> Result<Self> {
        let head = chain.last().map(|last| last.key.clone());
        let (next, at) = (beside(path), path.to_owned());
        let found = tokio::task::spawn_blocking(move || -> Result<Option<Ed25519KeyPair>> {
            if !next.exists() {
                return Ok(None);
            }
            let pair = load(&next)?;
            if Some(public(&pair)) != head {
                return Ok(None);
            }
            std::fs::rename(&next, &at).map_err(|error| file(&next, error))?;
            Ok(Some(pair))
        });
        let Some(pair) = found.await.map_err(Error::internal)?? else {
            let message = format!(
                "{} is not the key that signs policies now; bring back the file of key `{}`, which nodes trust",
                path.display(),
                chain.last().map_or("", |last| &last.key.key_id)
            );
            return Err(Error::Conflict(message));
        };
        let key = public(&pair);
        Ok(Self { pair, key, chain: chain.into_iter().skip(1).collect() })
    }

    /// Puts a new key in use, vouched for by this one.
    pub async fn rotate(&self, path: &Path, pool: &Pool, now: i64) -> Result<Self> {
        let (pkcs8, pair) = generate()?;
        let key = public(&pair);
        let signature = STANDARD.encode(self.pair.sign(&[KEY_CONTEXT, pair.public_key().as_ref()].concat()));
        let (next, text) = (beside(path), pem(&pkcs8));
        let (from, to) = (next.clone(), path.to_owned());
        let written = tokio::task::spawn_blocking(move || {
            // What an earlier rotation left was never in the chain, or `open` would have finished it.
            match std::fs::remove_file(&next) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file(&next, error)),
                _ => write_new(&next, &text),
            }
        });
        written.await.map_err(Error::internal)??;
        DataKey::carry_over(pool, &self.wrapping_key(), &wrapping_key(&pair)).await?;
        let number = self.chain.len() as i64 + 2;
        insert(pool, number, &key, &self.key.key_id, &signature, now).await?;
        let moved =
            tokio::task::spawn_blocking(move || std::fs::rename(&from, &to).map_err(|error| file(&from, error)));
        moved.await.map_err(Error::internal)??;
        let mut chain = self.chain.clone();
        chain.push(SuccessorKey { key: key.clone(), signed_by: self.key.key_id.clone(), signature });
        Ok(Self { pair, key, chain })
    }

    /// The public key.
    pub fn key(&self) -> &PolicyKey {
        &self.key
    }

    /// Keys after the first, each vouched for by the one before.
    pub fn chain(&self) -> &[SuccessorKey] {
        &self.chain
    }

    /// The key under which the key of the database's secrets is stored.
    pub fn wrapping_key(&self) -> WrappingKey {
        wrapping_key(&self.pair)
    }

    /// Signature of a document, base64.
    pub fn sign(&self, document: &str) -> String {
        STANDARD.encode(self.pair.sign(&[POLICY_CONTEXT, document.as_bytes()].concat()))
    }
}

/// The id of the key that is in use by the chain.
pub async fn head(pool: &Pool) -> Result<Option<String>> {
    let row =
        sqlx::query("SELECT key_id FROM policy_keys ORDER BY number DESC LIMIT 1").fetch_optional(pool.read()).await?;
    row.as_ref().map(|row| text(row, "key_id")).transpose()
}

async fn chain(pool: &Pool) -> Result<Vec<SuccessorKey>> {
    let rows = sqlx::query("SELECT key_id, public_key, signed_by, signature FROM policy_keys ORDER BY number");
    let read = |row: &sqlx::any::AnyRow| {
        Ok(SuccessorKey {
            key: PolicyKey { key_id: text(row, "key_id")?, public_key: text(row, "public_key")? },
            signed_by: text(row, "signed_by")?,
            signature: text(row, "signature")?,
        })
    };
    rows.fetch_all(pool.read()).await?.iter().map(read).collect()
}

async fn insert(pool: &Pool, number: i64, key: &PolicyKey, signed_by: &str, signature: &str, now: i64) -> Result<()> {
    let insert = sqlx::query(
        "INSERT INTO policy_keys (number, key_id, public_key, signed_by, signature, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
    );
    let insert = insert.bind(number).bind(&key.key_id).bind(&key.public_key).bind(signed_by).bind(signature);
    let done = insert.bind(now).execute(pool.write()).await?;
    if number > 1 && done.rows_affected() == 0 {
        return Err(Error::Conflict("another replica put a new key in use at the same moment".into()));
    }
    Ok(())
}

/// Signatures of Ed25519 are deterministic, and no other context is a prefix of this one: whoever lacks the private key
/// cannot know it.
fn wrapping_key(pair: &Ed25519KeyPair) -> WrappingKey {
    let digest = ring::digest::digest(&ring::digest::SHA256, pair.sign(DATA_CONTEXT).as_ref());
    let mut key = [0; 32];
    key.copy_from_slice(digest.as_ref());
    WrappingKey { key_id: public(pair).key_id, key }
}

fn public(pair: &Ed25519KeyPair) -> PolicyKey {
    let bytes = pair.public_key().as_ref();
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    PolicyKey { key_id: weir_runtime::hex::encode(&digest.as_ref()[..8]), public_key: STANDARD.encode(bytes) }
}

fn generate() -> Result<(Vec<u8>, Ed25519KeyPair)> {
    let failed = |_| Error::internal("no Ed25519 key could be made");
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(failed)?;
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(Error::internal)?;
    Ok((pkcs8.as_ref().to_vec(), pair))
}

fn load_or_make(path: &Path, may_make: bool) -> Result<Ed25519KeyPair> {
    if path.exists() {
        return load(path);
    }
    if !may_make {
        let why = "there is no such file, but policies of this database were signed with a key before";
        let fix = "put that key there, or set control_plane.key_file to where it is";
        return Err(Error::Conflict(format!("{}: {why}; {fix}", path.display())));
    }
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|error| file(directory, error))?;
    }
    let (pkcs8, _) = generate()?;
    let mut own = beside(path).into_os_string();
    own.push(format!(".{}", std::process::id()));
    let own = PathBuf::from(own);
    write_new(&own, &pem(&pkcs8))?;
    // A link is made only where nothing is: of replicas that start at once, one wins, and all load its key.
    let linked = std::fs::hard_link(&own, path);
    std::fs::remove_file(&own).map_err(|error| file(&own, error))?;
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(file(path, error)),
        _ => load(path),
    }
}

fn load(path: &Path) -> Result<Ed25519KeyPair> {
    let meta = std::fs::metadata(path).map_err(|error| file(path, error))?;
    if meta.len() > MAX_FILE {
        return Err(Error::Conflict(format!("{}: too large for a key", path.display())));
    }
    if meta.permissions().mode() & 0o007 != 0 {
        tracing::warn!(path = %path.display(), "the signing key can be read by everybody; set its mode to 0600");
    }
    let bytes = std::fs::read(path).map_err(|error| file(path, error))?;
    let der = match PrivatePkcs8KeyDer::from_pem_slice(&bytes) {
        Ok(der) => der.secret_pkcs8_der().to_vec(),
        // No PEM: DER as it is.
        Err(_) => bytes,
    };
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der)
        .map_err(|_| Error::Conflict(format!("{}: no Ed25519 key in PKCS#8 (PEM or DER)", path.display())))
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(path);
    let written = made.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| file(path, error))
}

fn pem(pkcs8: &[u8]) -> String {
    const LINE: usize = 64;
    let text = STANDARD.encode(pkcs8);
    let lines: Vec<&str> = (0..text.len()).step_by(LINE).map(|at| &text[at..text.len().min(at + LINE)]).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

/// Where a new key waits until the chain knows it.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

fn file(path: &Path, error: std::io::Error) -> Error {
    Error::Conflict(format!("{}: {error}", path.display()))
}
