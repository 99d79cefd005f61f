//! Reads a dump into a store that holds no hits yet. The control tables are replaced as a whole, in one transaction, that
//! ends with the dump: after an error they are as before, and what hits were read is to be thrown away with the store.

use super::super::ids::{self, HOUR, Month};
use super::super::ingest::begin;
use super::super::migrate::{self, Engine};
use super::super::partition::Partitions;
use super::super::sql::{Name, Sql, Value};
use super::super::{Database, StoreError, daily_partitions};
use super::catalog::{self, Table};
use super::{Dumped, Line, VERSION};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sqlx::AnyConnection;
use std::collections::BTreeMap;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Longest line: the largest record, quoted once more.
const MAX_LINE: u64 = 16 << 20;
/// Rows and bytes written at once.
const MAX_ROWS: usize = 100;
const MAX_BYTES: usize = 8 << 20;

/// Tables of hits, and what tells the time of a row: a column with an id, or with an hour.
const HIT_TABLES: &[(&str, &str)] = &[
    ("hits", "id"),
    ("hit_docs", "id"),
    ("hit_groups", "hit"),
    ("attacks", "id"),
    ("attack_aliases", "id"),
    ("hit_aliases", "id"),
    ("pending_updates", "hit"),
    ("hit_counts", "hour"),
    ("hour_summaries", "hour"),
    ("summarized_hours", "hour"),
    ("day_summaries", "hour"),
    ("summarized_days", "hour"),
    ("group_hours", "hour"),
];

/// Rows of one table on their way.
#[derive(Default)]
struct Pending {
    table: Option<(Name, Vec<Name>)>,
    rows: Vec<Vec<Value>>,
    bytes: usize,
}

impl Database {
    /// Reads a dump. The store must be new: without a hit.
    pub async fn restore(&self, input: &mut (impl AsyncBufRead + Unpin + Send)) -> Result<Dumped, StoreError> {
        self.must_be_new().await?;
        let mut connection = self.control().write().acquire().await?;
        let mut control = begin(self.engine(), &mut connection).await?;
        let tables = catalog::tables(&mut control, self.engine()).await?;
        for table in tables.iter().rev().filter(|table| hit_table(&table.name).is_none()) {
            let mut sql = Sql::new("DELETE FROM ");
            sql.name(&table.name);
            sql.run(&mut *control).await?;
        }
        let done = self.read_lines(input, &mut control, &tables).await?;
        if self.engine() == Engine::Postgres {
            catalog::advance_identities(&mut control).await?;
        }
        control.commit().await?;
        Ok(done)
    }

    async fn must_be_new(&self) -> Result<(), StoreError> {
        let used = match self.partitions() {
            Partitions::Sqlite(months) => !months.on_disk()?.is_empty(),
            Partitions::Postgres(only) => {
                Sql::new("SELECT id FROM hits LIMIT 1").optional(only.pools.read()).await?.is_some()
            }
        };
        let text = "the store holds hits already: restore into a new one";
        if used { Err(StoreError::Input(text.into())) } else { Ok(()) }
    }

    async fn read_lines(
        &self,
        input: &mut (impl AsyncBufRead + Unpin + Send),
        control: &mut AnyConnection,
        tables: &[Table],
    ) -> Result<Dumped, StoreError> {
        let mut done = Dumped::default();
        let mut pending = Pending::default();
        let mut number = 0u64;
        while let Some(text) = next_line(input, number + 1).await? {
            number += 1;
            let wrong = |what: &str| StoreError::Dump(format!("line {number}: {what}"));
            if text.first() == Some(&b'[') {
                let values: Vec<serde_json::Value> =
                    serde_json::from_slice(&text).map_err(|error| wrong(&error.to_string()))?;
                let columns = pending.table.as_ref().map_or(0, |(_, columns)| columns.len());
                if columns == 0 || values.len() != columns {
                    return Err(wrong("a row without its table"));
                }
                pending.rows.push(values.iter().map(from_json).collect::<Result<_, _>>()?);
                pending.bytes += text.len();
                done.rows += 1;
                if pending.rows.len() >= MAX_ROWS || pending.bytes >= MAX_BYTES {
                    self.write(&mut pending, control).await?;
                }
                continue;
            }
            self.write(&mut pending, control).await?;
            match serde_json::from_slice(&text).map_err(|_| wrong("not of a backup of weir"))? {
                Line::Head { weir_dump, migrations } if number == 1 => head(weir_dump, &migrations)?,
                Line::Table { table, columns } if number > 1 => {
                    pending.table = Some(known(&table, &columns, tables, self.engine()).map_err(|what| wrong(&what))?);
                    done.tables += 1;
                }
                Line::End { rows } if rows == done.rows => return Ok(done),
                _ => return Err(wrong("out of place")),
            }
        }
        let empty = "it is empty: `weir backup` wrote nothing into it";
        let short = format!("it is cut short after line {number}: take one that is whole");
        Err(StoreError::Dump(if number == 0 { empty.to_owned() } else { short }))
    }

    async fn write(&self, pending: &mut Pending, control: &mut AnyConnection) -> Result<(), StoreError> {
        let rows = std::mem::take(&mut pending.rows);
        pending.bytes = 0;
        let Some((table, columns)) = pending.table.as_ref().filter(|_| !rows.is_empty()) else { return Ok(()) };
        let Some(time) = hit_table(table) else { return insert(control, table, columns, rows).await };
        let place = columns.iter().position(|column| column.as_str() == time);
        let mut months: BTreeMap<Month, Vec<Vec<Value>>> = BTreeMap::new();
        let mut times = Vec::new();
        for row in rows {
            let time = match place.and_then(|n| row.get(n)) {
                Some(Value::Text(id)) => ids::read(id).map(|(_, time)| time),
                Some(Value::Int(hour)) => hour.checked_mul(HOUR),
                _ => None,
            };
            let time = time.ok_or_else(|| StoreError::Dump(format!("a row of {} without a time", table.as_str())))?;
            times.push(time);
            months.entry(Month::of(time)).or_default().push(row);
        }
        for (month, rows) in months {
            let partition = self.partitions().of(month).await?;
            if partition.engine == Engine::Postgres {
                daily_partitions::ensure(&partition, self.known_days(), times.iter().copied()).await?;
            }
            let mut connection = partition.pools.write().acquire().await?;
            let mut transaction = begin(partition.engine, &mut connection).await?;
            insert(&mut transaction, table, columns, rows).await.map_err(|e| partition.named(e))?;
            transaction.commit().await?;
        }
        Ok(())
    }
}

/// The line with this number; none at the end.
async fn next_line(input: &mut (impl AsyncBufRead + Unpin + Send), number: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let mut line = Vec::new();
    let read = input.take(MAX_LINE).read_until(b'\n', &mut line).await;
    read.map_err(|error| StoreError::Dump(error.to_string()))?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(StoreError::Dump(format!("it is cut short within line {number}, or that line is too long"))),
    }
}

fn head(version: u32, migrations: &[String]) -> Result<(), StoreError> {
    let known = migrate::names();
    if version == VERSION && migrations.iter().all(|name| known.contains(name)) {
        return Ok(());
    }
    Err(StoreError::Dump("it is of a newer version of weir: restore it with that one".into()))
}

/// The table and its columns, if this build has them. On SQLite the tables of hits are in other files than `tables`.
fn known(table: &str, columns: &[String], tables: &[Table], engine: Engine) -> Result<(Name, Vec<Name>), String> {
    let name = Name::new(table).map_err(|error| error.to_string())?;
    let names = columns.iter().map(|c| Name::new(c)).collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
    let found = tables.iter().find(|t| t.name == name);
    let elsewhere = engine == Engine::Sqlite && hit_table(&name).is_some();
    let has = found.is_some_and(|t| names.iter().all(|column| t.columns.contains(column)));
    if (has || elsewhere) && !names.is_empty() {
        Ok((name, names))
    } else {
        Err(format!("no table `{table}` like this"))
    }
}

fn hit_table(name: &Name) -> Option<&'static str> {
    HIT_TABLES.iter().find(|(table, _)| *table == name.as_str()).map(|(_, time)| *time)
}

async fn insert(
    on: &mut AnyConnection,
    table: &Name,
    columns: &[Name],
    rows: Vec<Vec<Value>>,
) -> Result<(), StoreError> {
    let mut sql = Sql::new("INSERT INTO ");
    sql.name(table).push(" (").names(columns).push(") VALUES ");
    for (n, row) in rows.into_iter().enumerate() {
        sql.push(if n == 0 { "(" } else { ", (" }).list(row).push(")");
    }
    sql.run(on).await?;
    Ok(())
}

/// What `to_json` made.
pub(super) fn from_json(value: &serde_json::Value) -> Result<Value, StoreError> {
    let wrong = || StoreError::Dump("a value that no column holds".into());
    Ok(match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(yes) => Value::Bool(*yes),
        serde_json::Value::Number(n) => match n.as_i64() {
            Some(n) => Value::Int(n),
            None => Value::Float(n.as_f64().ok_or_else(wrong)?.to_bits()),
        },
        serde_json::Value::String(text) => Value::Text(text.clone()),
        serde_json::Value::Object(object) => {
            let text = object.get("base64").and_then(|v| v.as_str()).ok_or_else(wrong)?;
            Value::Blob(STANDARD.decode(text).map_err(|_| wrong())?)
        }
        serde_json::Value::Array(_) => return Err(wrong()),
    })
}
