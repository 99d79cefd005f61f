//! Backups: copies of SQLite's files, and a dump as text that either engine restores, so that it also moves a store from
//! one to the other.
//!
//! A dump is NDJSON: a head; for each table an object with its name and columns, then an array a row; at the end an
//! object with the number of rows, without which it is cut short. Each database is read in one transaction: PostgreSQL's
//! dump is one moment of the whole, SQLite's one of each file.

mod catalog;
mod restore;

use super::migrate::{self, Engine};
use super::partition::Partitions;
use super::sql::{Name, Sql, Value};
use super::{Database, Pools, StoreError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use catalog::Table;
use serde::{Deserialize, Serialize};
use sqlx::any::{AnyRow, AnyTypeInfoKind};
use sqlx::{AnyConnection, Connection, Row, ValueRef};
use std::path::Path;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Version of the dump.
const VERSION: u32 = 1;
/// Rows read at once.
const PORTION: u64 = 500;
/// Rows of whole records read at once: one may have megabytes.
const DOC_PORTION: u64 = 50;
/// Tables of such rows: whole records, and pieces of files.
const LARGE_ROWS: &[&str] = &["hit_docs", "blob_chunks"];

/// What a dump or a restore went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dumped {
    /// Tables, those of each month counted on their own.
    pub tables: u64,
    /// Rows.
    pub rows: u64,
}

/// A line of a dump that is not a row.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Line {
    Head { weir_dump: u32, migrations: Vec<String> },
    Table { table: String, columns: Vec<String> },
    End { rows: u64 },
}

impl Database {
    /// Copies SQLite's files into `directory`, which must not hold files of these names, while everything goes on. Each
    /// copy is one moment of its file. Answers how many there are.
    pub async fn copy_files(&self, directory: &Path) -> Result<u64, StoreError> {
        let Partitions::Sqlite(months) = self.partitions() else {
            let text = "the store is on PostgreSQL: use `pg_dump`, or a dump of weir";
            return Err(StoreError::Input(text.into()));
        };
        let mut count = 1;
        copy(self.control(), &directory.join("control.db")).await?;
        for month in months.on_disk()? {
            let partition = self.partitions().of(month).await?;
            let name = months.path(month);
            let to = directory.join(name.file_name().unwrap_or_default());
            copy(&partition.pools, &to).await.map_err(|e| partition.named(e))?;
            count += 1;
        }
        Ok(count)
    }

    /// Writes a dump of everything.
    pub async fn dump(&self, out: &mut (impl AsyncWrite + Unpin + Send)) -> Result<Dumped, StoreError> {
        let migrations = migrate::names();
        line(out, &Line::Head { weir_dump: VERSION, migrations }).await?;
        let mut done = Dumped::default();
        dump_database(self.control(), self.engine(), out, &mut done).await?;
        if let Partitions::Sqlite(months) = self.partitions() {
            let mut months = months.on_disk()?;
            months.sort();
            for month in months {
                let partition = self.partitions().of(month).await?;
                dump_database(&partition.pools, Engine::Sqlite, out, &mut done)
                    .await
                    .map_err(|e| partition.named(e))?;
            }
        }
        line(out, &Line::End { rows: done.rows }).await?;
        out.flush().await.map_err(write_error)?;
        Ok(done)
    }
}

async fn copy(pools: &Pools, to: &Path) -> Result<(), StoreError> {
    if to.exists() {
        let error = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(StoreError::File(to.to_owned(), error));
    }
    let Some(path) = to.to_str() else {
        return Err(StoreError::Input("the directory's name is no UTF-8: choose another one".into()));
    };
    // Readers may not write, so the writer does it; it delays only other writers.
    let mut sql = Sql::new("VACUUM INTO ");
    sql.bind(path);
    sql.run(pools.write()).await?;
    Ok(())
}

async fn dump_database(
    pools: &Pools,
    engine: Engine,
    out: &mut (impl AsyncWrite + Unpin + Send),
    done: &mut Dumped,
) -> Result<(), StoreError> {
    let mut connection = pools.read().acquire().await?;
    let mut transaction = match engine {
        Engine::Sqlite => connection.begin().await?,
        Engine::Postgres => connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?,
    };
    for table in catalog::tables(&mut transaction, engine).await? {
        let names = table.columns.iter().map(|column| column.as_str().to_owned()).collect();
        line(out, &Line::Table { table: table.name.as_str().to_owned(), columns: names }).await?;
        done.tables += 1;
        done.rows += dump_table(&mut transaction, &table, out).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Goes through a table by its primary key, in portions.
async fn dump_table(
    on: &mut AnyConnection,
    table: &Table,
    out: &mut (impl AsyncWrite + Unpin + Send),
) -> Result<u64, StoreError> {
    let portion = if LARGE_ROWS.contains(&table.name.as_str()) { DOC_PORTION } else { PORTION };
    let (mut rows, mut after): (u64, Option<Vec<Value>>) = (0, None);
    loop {
        let mut sql = Sql::new("SELECT ");
        sql.names(&table.columns).push(" FROM ").name(&table.name);
        if let Some(after) = after.take() {
            sql.push(" WHERE (").names(&table.key).push(") > (").list(after).push(")");
        }
        sql.push(" ORDER BY ").names(&table.key).push(" LIMIT ").bind(portion);
        let read = sql.all(&mut *on).await?;
        for row in &read {
            let values = (0..table.columns.len()).map(|n| to_json(row, n)).collect::<Result<Vec<_>, _>>()?;
            line(out, &values).await?;
        }
        rows += read.len() as u64;
        match read.last() {
            Some(last) if read.len() as u64 == portion => after = Some(key_of(last, table)?),
            _ => return Ok(rows),
        }
    }
}

fn key_of(row: &AnyRow, table: &Table) -> Result<Vec<Value>, StoreError> {
    let place = |name: &Name| table.columns.iter().position(|column| column == name).unwrap_or_default();
    table.key.iter().map(|name| restore::from_json(&to_json(row, place(name))?)).collect()
}

/// Column `n` as JSON; bytes as `{"base64": ...}`.
fn to_json(row: &AnyRow, n: usize) -> Result<serde_json::Value, StoreError> {
    let raw = row.try_get_raw(n)?;
    if raw.is_null() {
        return Ok(serde_json::Value::Null);
    }
    let kind = raw.type_info().kind();
    Ok(match kind {
        AnyTypeInfoKind::Null => serde_json::Value::Null,
        AnyTypeInfoKind::Bool => row.try_get::<bool, _>(n)?.into(),
        AnyTypeInfoKind::SmallInt | AnyTypeInfoKind::Integer | AnyTypeInfoKind::BigInt => {
            row.try_get::<i64, _>(n)?.into()
        }
        AnyTypeInfoKind::Real | AnyTypeInfoKind::Double => row.try_get::<f64, _>(n)?.into(),
        AnyTypeInfoKind::Text => row.try_get::<String, _>(n)?.into(),
        AnyTypeInfoKind::Blob => serde_json::json!({ "base64": STANDARD.encode(row.try_get::<Vec<u8>, _>(n)?) }),
    })
}

async fn line(out: &mut (impl AsyncWrite + Unpin + Send), value: &impl Serialize) -> Result<(), StoreError> {
    let mut text = serde_json::to_vec(value).map_err(|error| StoreError::Value(format!("JSON: {error}")))?;
    text.push(b'\n');
    out.write_all(&text).await.map_err(write_error)
}

fn write_error(error: std::io::Error) -> StoreError {
    StoreError::File("the dump".into(), error)
}
