//! Versions of the policy in the database.

use super::state::PolicyState;
use crate::audit::Record;
use crate::error::{Error, Result};
use crate::meta::{Pool, is_duplicate, number, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sqlx::Connection;

/// Versions kept, as promised.
pub const KEPT: i64 = 20;
/// Compression: fast, since a change waits for it.
const LEVEL: i32 = 3;
/// Largest state, in bytes of JSON: the bounds on its parts stay below.
const MAX_STATE: usize = 256 << 20;

/// The number for people of the version with `serial`; the serial itself where the version is not kept any more.
pub fn number_of(versions: &[Version], serial: u64) -> u64 {
    versions.iter().find(|version| version.serial == serial).map_or(serial, |version| version.number)
}

/// A version without what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Version {
    /// Its serial.
    pub serial: u64,
    /// Its number for people, from 1.
    pub number: u64,
    /// Milliseconds since 1970.
    pub published_at: i64,
    /// Who published it.
    pub author: String,
    /// What was changed, in words.
    pub note: String,
}

/// A version to be stored.
#[derive(Debug)]
pub struct NewVersion<'v> {
    /// The version that it was made from; 0 for the first.
    pub parent: u64,
    /// Version.
    pub version: Version,
    /// What it holds.
    pub state: &'v PolicyState,
    /// What the audit log says of it, and the address from which it was made.
    pub audit: Option<(&'v Record, &'v str)>,
}

/// Text of a state: zstd in base64.
fn encode(state: &PolicyState) -> Result<String> {
    let json = serde_json::to_vec(state).map_err(Error::internal)?;
    Ok(STANDARD.encode(zstd::bulk::compress(&json, LEVEL).map_err(Error::internal)?))
}

fn decode(text: &str) -> Result<PolicyState> {
    let packed = STANDARD.decode(text).map_err(Error::internal)?;
    let size = zstd::zstd_safe::get_frame_content_size(&packed).ok().flatten().unwrap_or(0);
    let size = usize::try_from(size).ok().filter(|size| *size <= MAX_STATE);
    let size = size.ok_or_else(|| Error::internal("a stored policy is larger than any can be"))?;
    let json = zstd::bulk::decompress(&packed, size).map_err(Error::internal)?;
    serde_json::from_slice(&json).map_err(Error::internal)
}

fn serial(row: &sqlx::any::AnyRow, column: &str) -> Result<u64> {
    u64::try_from(number(row, column)?).map_err(Error::internal)
}

fn read(row: &sqlx::any::AnyRow) -> Result<Version> {
    Ok(Version {
        serial: serial(row, "serial")?,
        number: serial(row, "number")?,
        published_at: number(row, "published_at")?,
        author: text(row, "author")?,
        note: text(row, "note")?,
    })
}

/// Serials as the database has them.
fn signed(serial: u64) -> Result<i64> {
    i64::try_from(serial).map_err(Error::internal)
}

/// The newest serial; 0 for none.
pub async fn newest(pool: &Pool) -> Result<u64> {
    let row =
        sqlx::query("SELECT COALESCE(MAX(serial), 0) AS serial FROM policy_versions").fetch_one(pool.read()).await?;
    serial(&row, "serial")
}

/// Versions, newest first.
pub async fn list(pool: &Pool) -> Result<Vec<Version>> {
    let rows = sqlx::query(
        "SELECT serial, number, published_at, author, note FROM policy_versions ORDER BY serial DESC LIMIT $1",
    );
    rows.bind(KEPT).fetch_all(pool.read()).await?.iter().map(read).collect()
}

/// A version and what it holds.
pub async fn load(pool: &Pool, at: u64) -> Result<Option<(Version, PolicyState)>> {
    let row =
        sqlx::query("SELECT serial, number, published_at, author, note, state FROM policy_versions WHERE serial = $1");
    let Some(row) = row.bind(signed(at)?).fetch_optional(pool.read()).await? else { return Ok(None) };
    let packed = text(&row, "state")?;
    let state = tokio::task::spawn_blocking(move || decode(&packed)).await.map_err(Error::internal)??;
    Ok(Some((read(&row)?, state)))
}

/// Stores a version and its line of the audit log, both or neither; false where another one was made from the same parent
/// meanwhile.
pub async fn store(pool: &Pool, new: NewVersion<'_>) -> Result<bool> {
    let state = encode(new.state)?;
    let mut connection = pool.write().acquire().await?;
    let mut transaction = connection.begin().await?;
    let insert = sqlx::query(
        "INSERT INTO policy_versions (serial, parent, published_at, author, note, state, number) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    );
    let insert = insert.bind(signed(new.version.serial)?).bind(signed(new.parent)?).bind(new.version.published_at);
    match insert
        .bind(&new.version.author)
        .bind(&new.version.note)
        .bind(state)
        .bind(signed(new.version.number)?)
        .execute(&mut *transaction)
        .await
    {
        Ok(_) => {}
        Err(error) if is_duplicate(&error) => {
            transaction.rollback().await?;
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    }
    let old = sqlx::query(
        "DELETE FROM policy_versions WHERE serial NOT IN (SELECT serial FROM policy_versions ORDER BY serial DESC LIMIT $1)",
    );
    old.bind(KEPT).execute(&mut *transaction).await?;
    if let Some((record, address)) = new.audit {
        record.store(&mut transaction, new.version.published_at, &new.version.author, address).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

/// Stores the newest version once more, under a serial that `now` (seconds since 1970) makes higher than any before: nodes
/// that had policies since a backup was taken follow what is restored from it. Answers the serial; none without a version.
pub async fn republish(pool: &Pool, now: u64, millis: i64, note: &str) -> Result<Option<u64>> {
    let base = newest(pool).await?;
    let Some((old, state)) = load(pool, base).await? else { return Ok(None) };
    let serial = now.max(base + 1);
    let version =
        Version { serial, number: old.number + 1, published_at: millis, author: "weir".into(), note: note.into() };
    if store(pool, NewVersion { parent: base, version, state: &state, audit: None }).await? {
        return Ok(Some(serial));
    }
    Err(Error::Conflict("a control plane uses this store already: stop it while a backup is restored".into()))
}
