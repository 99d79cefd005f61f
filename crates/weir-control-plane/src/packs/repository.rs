//! Packs, databases and their content in the store.

use super::{Kind, Version};
use crate::error::{Error, Result};
use crate::meta::{Pool, is_duplicate, number, text};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use std::collections::HashSet;

/// Bytes of one piece of content: a row that engines, backups and memory hold with ease.
pub const CHUNK: usize = 256 << 10;

const COLUMNS: &str = "name, version, sha256, octets, items, about, note, author, created";

fn read(row: &AnyRow) -> Result<Version> {
    let count = |column: &str| u64::try_from(number(row, column)?).map_err(Error::internal);
    Ok(Version {
        name: text(row, "name")?,
        version: count("version")?,
        sha256: text(row, "sha256")?,
        bytes: count("octets")?,
        items: count("items")?,
        about: text(row, "about")?,
        note: text(row, "note")?,
        author: text(row, "author")?,
        created: number(row, "created")?,
    })
}

fn signed(n: u64) -> Result<i64> {
    i64::try_from(n).map_err(Error::internal)
}

/// Every version of a kind, by name, newest first.
pub async fn list(pool: &Pool, kind: Kind) -> Result<Vec<Version>> {
    let sql = format!("SELECT {COLUMNS} FROM pack_versions WHERE kind = $1 ORDER BY name, version DESC");
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(kind.code()).fetch_all(pool.read()).await?;
    rows.iter().map(read).collect()
}

/// One version.
pub async fn get(pool: &Pool, kind: Kind, name: &str, version: u64) -> Result<Option<Version>> {
    let sql = format!("SELECT {COLUMNS} FROM pack_versions WHERE kind = $1 AND name = $2 AND version = $3");
    let Ok(version) = signed(version) else { return Ok(None) };
    let row = sqlx::query(AssertSqlSafe(sql)).bind(kind.code()).bind(name).bind(version);
    row.fetch_optional(pool.read()).await?.as_ref().map(read).transpose()
}

/// Length of the content with this hash, where some version has it.
pub async fn length(pool: &Pool, sha256: &str) -> Result<Option<u64>> {
    let row = sqlx::query("SELECT octets FROM pack_versions WHERE sha256 = $1 LIMIT 1").bind(sha256);
    let row = row.fetch_optional(pool.read()).await?;
    row.map(|row| u64::try_from(number(&row, "octets")?).map_err(Error::internal)).transpose()
}

/// Piece `at` of the content with this hash.
pub async fn chunk(pool: &Pool, sha256: &str, at: u64) -> Result<Option<Vec<u8>>> {
    let row = sqlx::query("SELECT content FROM blob_chunks WHERE sha256 = $1 AND number = $2");
    let row = row.bind(sha256).bind(signed(at)?).fetch_optional(pool.read()).await?;
    Ok(row.map(|row| row.try_get("content")).transpose()?)
}

/// The content with this hash, whole.
pub async fn content(pool: &Pool, sha256: &str, bytes: u64) -> Result<Vec<u8>> {
    let mut content = Vec::with_capacity(usize::try_from(bytes).map_err(Error::internal)?);
    while (content.len() as u64) < bytes {
        let at = (content.len() / CHUNK) as u64;
        let piece = chunk(pool, sha256, at).await?.filter(|piece| !piece.is_empty());
        content.extend(piece.ok_or_else(|| Error::internal(format!("content {sha256} is not whole")))?);
    }
    Ok(content)
}

/// Stores a version with its content on a connection, under the number after `last`; and removes `old` ones.
pub async fn store(on: &mut AnyConnection, kind: Kind, new: &Version, content: &[u8], old: &[Version]) -> Result<()> {
    for (at, piece) in content.chunks(CHUNK).enumerate() {
        let insert = "INSERT INTO blob_chunks (sha256, number, content) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let insert = sqlx::query(insert).bind(&new.sha256).bind(signed(at as u64)?).bind(piece.to_vec());
        insert.execute(&mut *on).await?;
    }
    let insert = sqlx::query(
        "INSERT INTO pack_versions (kind, name, version, sha256, octets, items, about, note, author, created) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    );
    let insert = insert.bind(kind.code()).bind(&new.name).bind(signed(new.version)?).bind(&new.sha256);
    let insert = insert.bind(signed(new.bytes)?).bind(signed(new.items)?).bind(&new.about).bind(&new.note);
    match insert.bind(&new.author).bind(new.created).execute(&mut *on).await {
        Err(error) if is_duplicate(&error) => {
            return Err(Error::Conflict("another version was stored at the same moment; try again".into()));
        }
        done => done?,
    };
    remove(on, kind, old).await
}

/// Removes versions on a connection, and content that no version has.
pub async fn remove(on: &mut AnyConnection, kind: Kind, old: &[Version]) -> Result<()> {
    let mut seen = HashSet::new();
    for one in old {
        let gone = sqlx::query("DELETE FROM pack_versions WHERE kind = $1 AND name = $2 AND version = $3");
        gone.bind(kind.code()).bind(&one.name).bind(signed(one.version)?).execute(&mut *on).await?;
    }
    for one in old.iter().filter(|one| seen.insert(&one.sha256)) {
        let gone = "DELETE FROM blob_chunks WHERE sha256 = $1 \
                    AND NOT EXISTS (SELECT 1 FROM pack_versions WHERE sha256 = $1)";
        sqlx::query(gone).bind(&one.sha256).execute(&mut *on).await?;
    }
    Ok(())
}
