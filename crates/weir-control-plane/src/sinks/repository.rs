//! Sinks in the store.

use super::feed::{FeedName, Feeds};
use super::sink::{NewSink, Sink, SinkError};
use crate::store::{Pools, StoreError};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use std::collections::BTreeMap;

/// Most sinks there may be: each is a worker's turn.
const MAX_SINKS: usize = 50;
/// Longest error kept.
const MAX_ERROR: usize = 500;

const COLUMNS: &str =
    "id, name, target, secret, feeds, enabled, created, failures, due, last_error, last_success, delivered, cursors";

/// A sink with what only its delivery needs.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// The sink.
    pub sink: Sink,
    /// Key of signatures; empty for none.
    pub secret: String,
    /// How far it is delivered.
    pub cursors: BTreeMap<FeedName, String>,
}

/// Sinks in the store.
#[derive(Clone)]
pub struct Repository {
    pools: Pools,
}

impl Repository {
    /// Those in the control database.
    pub fn new(pools: Pools) -> Self {
        Self { pools }
    }

    /// Every sink, by name.
    pub async fn list(&self) -> Result<Vec<Sink>, SinkError> {
        Ok(self.all().await?.into_iter().map(|held| held.sink).collect())
    }

    pub(super) async fn all(&self) -> Result<Vec<Held>, SinkError> {
        let sql = format!("SELECT {COLUMNS} FROM sinks ORDER BY name, id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(self.pools.read()).await?;
        rows.iter().map(held).collect()
    }

    /// The sink `id`.
    pub async fn get(&self, id: &str) -> Result<Sink, SinkError> {
        Ok(self.held(id).await?.sink)
    }

    pub(super) async fn held(&self, id: &str) -> Result<Held, SinkError> {
        held_on(&mut *self.pools.read().acquire().await?, id).await
    }

    /// Makes a sink on a connection, which begins with what comes from now on.
    pub async fn create(
        &self,
        on: &mut AnyConnection,
        new: &NewSink,
        feeds: &Feeds,
        now: i64,
    ) -> Result<Sink, SinkError> {
        check(new)?;
        if self.all().await?.len() >= MAX_SINKS {
            return Err(SinkError::Input("name", format!("there are {MAX_SINKS} sinks already: remove one first")));
        }
        let mut cursors = BTreeMap::new();
        for &name in FeedName::ALL {
            cursors.insert(name, feeds.get(name).end().await?);
        }
        let id = uuid::Uuid::now_v7().to_string();
        let sql = "INSERT INTO sinks (id, name, target, secret, feeds, enabled, created, cursors) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        sqlx::query(sql)
            .bind(&id)
            .bind(new.name.trim())
            .bind(text(&new.target)?)
            .bind(new.secret.as_deref().unwrap_or_default())
            .bind(text(&new.feeds)?)
            .bind(i64::from(new.enabled))
            .bind(now)
            .bind(text(&cursors)?)
            .execute(&mut *on)
            .await?;
        Ok(held_on(on, &id).await?.sink)
    }

    /// Changes a sink on a connection; it goes on where it was. A secret that is not given stays.
    pub async fn update(&self, on: &mut AnyConnection, id: &str, new: &NewSink) -> Result<Sink, SinkError> {
        check(new)?;
        let sql = "UPDATE sinks SET name = $2, target = $3, feeds = $4, enabled = $5, due = 0, failures = 0, last_error = '' \
                   WHERE id = $1";
        let changed = sqlx::query(sql)
            .bind(id)
            .bind(new.name.trim())
            .bind(text(&new.target)?)
            .bind(text(&new.feeds)?)
            .bind(i64::from(new.enabled))
            .execute(&mut *on)
            .await?;
        if changed.rows_affected() == 0 {
            return Err(SinkError::Unknown);
        }
        if let Some(secret) = &new.secret {
            let sql = "UPDATE sinks SET secret = $2 WHERE id = $1";
            sqlx::query(sql).bind(id).bind(secret).execute(&mut *on).await?;
        }
        Ok(held_on(on, id).await?.sink)
    }

    /// Removes a sink on a connection.
    pub async fn remove(&self, on: &mut AnyConnection, id: &str) -> Result<(), SinkError> {
        let gone = sqlx::query("DELETE FROM sinks WHERE id = $1").bind(id).execute(on).await?;
        if gone.rows_affected() == 0 { Err(SinkError::Unknown) } else { Ok(()) }
    }

    /// Whether `holder` may deliver to `id` until `until`.
    pub(super) async fn lease(&self, id: &str, holder: &str, now: i64, until: i64) -> Result<bool, SinkError> {
        let sql = "UPDATE sinks SET lease_holder = $2, lease_until = $4 \
                   WHERE id = $1 AND (lease_holder = $2 OR lease_until < $3)";
        let taken = sqlx::query(sql).bind(id).bind(holder).bind(now).bind(until).execute(self.pools.write()).await?;
        Ok(taken.rows_affected() > 0)
    }

    /// A delivery went well.
    pub(super) async fn delivered(
        &self,
        id: &str,
        cursors: &BTreeMap<FeedName, String>,
        records: usize,
        now: i64,
    ) -> Result<(), SinkError> {
        let sql = "UPDATE sinks SET cursors = $2, delivered = delivered + $3, failures = 0, due = 0, last_error = '', \
                   last_success = $4 WHERE id = $1";
        let records = i64::try_from(records).unwrap_or(i64::MAX);
        sqlx::query(sql).bind(id).bind(text(cursors)?).bind(records).bind(now).execute(self.pools.write()).await?;
        Ok(())
    }

    /// A delivery failed: it is tried again at `due`.
    pub(super) async fn failed(&self, id: &str, error: &str, due: i64) -> Result<(), SinkError> {
        let sql = "UPDATE sinks SET failures = failures + 1, due = $2, last_error = $3 WHERE id = $1";
        let shown = weir_core::model::bytes::printable(error.as_bytes(), MAX_ERROR);
        sqlx::query(sql).bind(id).bind(due).bind(shown).execute(self.pools.write()).await?;
        Ok(())
    }
}

async fn held_on(on: &mut AnyConnection, id: &str) -> Result<Held, SinkError> {
    let sql = format!("SELECT {COLUMNS} FROM sinks WHERE id = $1");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(on).await?;
    held(&row.ok_or(SinkError::Unknown)?)
}

fn check(new: &NewSink) -> Result<(), SinkError> {
    match new.mistakes().into_iter().next() {
        Some((member, fix)) => Err(SinkError::Input(member, fix)),
        None => Ok(()),
    }
}

fn text<T: serde::Serialize>(value: &T) -> Result<String, SinkError> {
    serde_json::to_string(value).map_err(|error| StoreError::Value(error.to_string()).into())
}

fn parsed<T: serde::de::DeserializeOwned>(row: &AnyRow, column: &str) -> Result<T, SinkError> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|error| StoreError::Value(format!("sinks.{column}: {error}")).into())
}

fn held(row: &AnyRow) -> Result<Held, SinkError> {
    let secret: String = row.try_get("secret")?;
    let count = |column: &str| Ok::<_, SinkError>(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or_default());
    let sink = Sink {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        target: parsed(row, "target")?,
        signed: !secret.is_empty(),
        feeds: parsed(row, "feeds")?,
        enabled: row.try_get::<i64, _>("enabled")? != 0,
        created: row.try_get("created")?,
        failures: count("failures")?,
        due: row.try_get("due")?,
        last_error: row.try_get("last_error")?,
        last_success: row.try_get("last_success")?,
        delivered: count("delivered")?,
    };
    Ok(Held { sink, secret, cursors: parsed(row, "cursors")? })
}
