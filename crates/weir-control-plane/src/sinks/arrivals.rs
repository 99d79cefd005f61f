//! Hits in the order in which they came in.

use super::feed::{Answer, Batch, Feed};
use crate::store::{Database, Pools, StoreError, StoredHit};
use sqlx::{Connection, Row};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use weir_runtime::clock::Clock;

/// How long a row waits for its hit, in milliseconds: a batch that failed is sent again within this, or never.
const GRACE_MS: i64 = 120_000;
/// On PostgreSQL numbers must become visible in order: one batch at a time is noted.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7306944)";
/// Rows that are kept for a receiver that is away; the oldest go beyond, and are then to be had by export only.
const MAX_ROWS: i64 = 5_000_000;

/// The order of arrival, kept while any sink wants hits.
#[derive(Clone, Debug)]
pub struct Arrivals {
    pools: Pools,
    clock: Clock,
    wanted: Arc<AtomicBool>,
}

impl Arrivals {
    /// Those in the control database.
    pub fn new(pools: Pools, clock: Clock) -> Self {
        Self { pools, clock, wanted: Arc::default() }
    }

    /// Says whether any sink wants hits; without, nothing is written.
    pub fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    /// Notes hits that are about to be stored. Hits that were noted keep their place.
    pub async fn note(&self, hits: impl Iterator<Item = &str> + Send) -> Result<(), StoreError> {
        if !self.wanted.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut connection = self.pools.write().acquire().await?;
        let postgres = connection.backend_name() == "PostgreSQL";
        let mut transaction = connection.begin().await?;
        if postgres {
            sqlx::query(LOCK).execute(&mut *transaction).await?;
        }
        let now = self.clock.millis();
        for hit in hits {
            let insert = sqlx::query("INSERT INTO arrivals (hit, noted) VALUES ($1, $2) ON CONFLICT DO NOTHING");
            insert.bind(hit).bind(now).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Forgets what every sink has, up to `up_to`. Answers how much beyond was forgotten, too.
    pub async fn forget(&self, up_to: i64) -> Result<u64, StoreError> {
        self.keep(up_to, MAX_ROWS).await
    }

    /// Forgets what is up to `up_to`, and of the rest all but `most`; answers how much of the rest.
    async fn keep(&self, up_to: i64, most: i64) -> Result<u64, StoreError> {
        let newest = self.newest().await?;
        self.delete(up_to, newest).await?;
        self.delete(newest - most, newest).await
    }

    /// Deletes rows up to `last`. The newest stays: its number tells where a new sink begins.
    async fn delete(&self, last: i64, newest: i64) -> Result<u64, StoreError> {
        let delete = sqlx::query("DELETE FROM arrivals WHERE seq <= $1 AND seq < $2").bind(last).bind(newest);
        Ok(delete.execute(self.pools.write()).await?.rows_affected())
    }

    async fn newest(&self) -> Result<i64, StoreError> {
        let row =
            sqlx::query("SELECT CAST(COALESCE(MAX(seq), 0) AS BIGINT) FROM arrivals").fetch_one(self.pools.read());
        Ok(row.await?.try_get(0)?)
    }
}

/// Hits as a feed.
pub struct HitFeed {
    arrivals: Arrivals,
    store: Database,
}

impl HitFeed {
    /// The hits of `store` in order of `arrivals`.
    pub fn new(arrivals: Arrivals, store: Database) -> Self {
        Self { arrivals, store }
    }

    async fn read(&self, place: i64, limit: u32) -> Result<Batch, StoreError> {
        let rows = sqlx::query("SELECT seq, hit, noted FROM arrivals WHERE seq > $1 ORDER BY seq LIMIT $2")
            .bind(place)
            .bind(i64::from(limit))
            .fetch_all(self.arrivals.pools.read())
            .await?;
        let mut batch = Batch { records: Vec::new(), next: place.to_string() };
        for row in rows {
            let (seq, id, noted): (i64, String, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            match self.store.hit(&id).await? {
                Some(hit) => batch.records.push(record(&hit)?),
                // Its batch may still be under way.
                None if self.arrivals.clock.millis() - noted < GRACE_MS => break,
                None => {}
            }
            batch.next = seq.to_string();
        }
        Ok(batch)
    }
}

/// A hit as it is delivered: everything but the request's bytes.
fn record(stored: &StoredHit) -> Result<serde_json::Value, StoreError> {
    let mut value = serde_json::to_value(&stored.hit).map_err(|error| StoreError::Value(error.to_string()))?;
    if let Some(request) = value.get_mut("request").and_then(serde_json::Value::as_object_mut) {
        request.remove("raw");
    }
    value["attack_ids"] = stored.attacks.iter().map(|attack| attack.id.clone()).collect();
    Ok(value)
}

impl Feed for HitFeed {
    fn after<'a>(&'a self, place: &'a str, limit: u32) -> Answer<'a, Batch> {
        Box::pin(async move {
            let wrong = |_| StoreError::Value(format!("`{place}` is no place in the order of arrival"));
            self.read(place.parse().map_err(wrong)?, limit).await
        })
    }

    fn end(&self) -> Answer<'_, String> {
        Box::pin(async move { Ok(self.arrivals.newest().await?.to_string()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_forgotten_before_every_sink_has_it_is_counted() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(&format!("sqlite:{}", directory.path().display())).await.unwrap();
        let arrivals = Arrivals::new(database.control().clone(), Clock::System);
        arrivals.want(true);
        arrivals.note(["a", "b", "c", "d", "e", "f"].into_iter()).await.unwrap();
        assert_eq!(arrivals.keep(2, 3).await.unwrap(), 1, "two were delivered, three are left");
        assert_eq!(arrivals.keep(2, 3).await.unwrap(), 0);
        assert_eq!(arrivals.forget(i64::MAX).await.unwrap(), 0, "none is waiting");
        assert_eq!(arrivals.newest().await.unwrap(), 6);
    }
}
