//! The audit log: who changed what, when, from where. Rows are only added, and hold no secrets: what is recorded is what the
//! API shows.

use super::auth::Caller;
use super::auth::secret;
use super::error::{Error, Result};
use super::meta::{Pool, number, text};
use serde::Serialize;
use serde_json::Value;
use sqlx::{Any, AnyConnection, Transaction};
use weir_runtime::clock::Clock;

/// Longest text of one side of a change, in bytes; of a longer one, only the length is recorded.
const MAX_SIDE: usize = 16 << 10;
/// Most rows of a page.
pub const MAX_PAGE: u32 = 200;

/// One change.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// UUIDv7.
    pub id: String,
    /// Milliseconds since 1970.
    pub at: i64,
    /// Who: `user:alice`, `token:ci`, `node:…`, `weir`.
    pub actor: String,
    /// From where; empty for the process itself.
    pub address: String,
    /// What was done, e.g. `rule.create`.
    pub action: String,
    /// To what, e.g. `rule/17`.
    pub object: String,
    /// How it was; null for what was made.
    pub before: Value,
    /// How it is; null for what was removed.
    pub after: Value,
}

/// A change that is yet to be recorded: in the transaction that makes it, or alone.
#[derive(Clone, Debug)]
pub struct Record {
    action: String,
    object: String,
    before: String,
    after: String,
}

impl Record {
    /// `action` done to `object`, how it was and how it is.
    pub fn new(
        action: impl Into<String>,
        object: impl Into<String>,
        before: impl Serialize,
        after: impl Serialize,
    ) -> Result<Self> {
        Ok(Self { action: action.into(), object: object.into(), before: side(before)?, after: side(after)? })
    }

    /// Stores it on a connection, as done at `at` by `actor` from `address`.
    pub async fn store(&self, on: &mut AnyConnection, at: i64, actor: &str, address: &str) -> Result<()> {
        let insert = sqlx::query(
            "INSERT INTO audit (id, at, actor, address, action, object, before_text, after_text) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        );
        let insert = insert.bind(secret::id()).bind(at).bind(actor).bind(address).bind(&self.action);
        insert.bind(&self.object).bind(&self.before).bind(&self.after).execute(on).await?;
        tracing::info!(actor, address, action = self.action, object = self.object, "audit");
        Ok(())
    }
}

/// A change under way, with its line of the log: both are stored, or neither. It holds a connection for writing, on SQLite
/// the only one: nothing else is to be written through another meanwhile.
pub struct Audited {
    on: Transaction<'static, Any>,
    at: i64,
}

impl Audited {
    /// Where the change is made.
    pub fn on(&mut self) -> &mut AnyConnection {
        &mut self.on
    }

    /// Records the change by `caller`, and stores both.
    pub async fn commit(
        self,
        caller: &Caller,
        action: &str,
        object: &str,
        before: impl Serialize,
        after: impl Serialize,
    ) -> Result<()> {
        let record = Record::new(action, object, before, after)?;
        self.commit_record(&caller.name(), &caller.address, &record).await
    }

    /// Records the change by `actor` from `address`, and stores both.
    pub async fn commit_record(mut self, actor: &str, address: &str, record: &Record) -> Result<()> {
        self.record(actor, address, record).await?;
        self.store().await
    }

    /// Records one part of the change, by `actor` from `address`.
    pub async fn record(&mut self, actor: &str, address: &str, record: &Record) -> Result<()> {
        record.store(&mut self.on, self.at, actor, address).await
    }

    /// Stores the change with what was recorded of it.
    pub async fn store(self) -> Result<()> {
        Ok(self.on.commit().await?)
    }
}

/// What of the log is asked for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Rows older than that of this id.
    pub before_id: Option<String>,
    /// By this actor only.
    pub actor: Option<String>,
    /// Actions that begin with this.
    pub action: Option<String>,
    /// Rows wanted.
    pub limit: u32,
}

/// The log.
#[derive(Clone, Debug)]
pub struct Audit {
    pool: Pool,
    clock: Clock,
}

impl Audit {
    /// The log in `pool`.
    pub fn new(pool: Pool, clock: Clock) -> Self {
        Self { pool, clock }
    }

    /// Begins a change that is stored together with its line.
    pub async fn begin(&self) -> Result<Audited> {
        Ok(Audited { on: self.pool.write().begin().await?, at: self.clock.millis() })
    }

    /// Records what changed nothing: an attempt that was refused.
    pub async fn refused(&self, actor: &str, address: &str, action: &str, object: &str) -> Result<()> {
        let record = Record::new(action, object, (), ())?;
        let mut connection = self.pool.write().acquire().await?;
        record.store(&mut connection, self.clock.millis(), actor, address).await
    }

    /// Rows, newest first.
    pub async fn list(&self, query: &Query) -> Result<Vec<Entry>> {
        // Ids are UUIDv7: they sort by time.
        let rows = sqlx::query(
            "SELECT id, at, actor, address, action, object, before_text, after_text FROM audit \
             WHERE ($1 = '' OR id < $1) AND ($2 = '' OR actor = $2) AND ($3 = '' OR substr(action, 1, length($3)) = $3) \
             ORDER BY id DESC LIMIT $4",
        );
        let rows = rows.bind(query.before_id.clone().unwrap_or_default());
        let rows = rows.bind(query.actor.clone().unwrap_or_default()).bind(query.action.clone().unwrap_or_default());
        let rows = rows.bind(i64::from(query.limit.clamp(1, MAX_PAGE))).fetch_all(self.pool.read()).await?;
        rows.iter()
            .map(|row| {
                Ok(Entry {
                    id: text(row, "id")?,
                    at: number(row, "at")?,
                    actor: text(row, "actor")?,
                    address: text(row, "address")?,
                    action: text(row, "action")?,
                    object: text(row, "object")?,
                    before: serde_json::from_str(&text(row, "before_text")?).map_err(Error::internal)?,
                    after: serde_json::from_str(&text(row, "after_text")?).map_err(Error::internal)?,
                })
            })
            .collect()
    }
}

fn side(value: impl Serialize) -> Result<String> {
    let text = serde_json::to_string(&value).map_err(Error::internal)?;
    if text.len() <= MAX_SIDE {
        return Ok(text);
    }
    Ok(serde_json::json!({"omitted": "too long for the log", "bytes": text.len()}).to_string())
}
