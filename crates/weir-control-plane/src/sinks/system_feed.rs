//! The audit log as a feed.

use super::feed::{Answer, Batch, Feed};
use crate::store::{Pools, StoreError};
use sqlx::Row;
use weir_runtime::clock::Clock;

/// Rows younger than this wait, in milliseconds: their ids sort by time, and a replica's clock or transaction may lag.
const SETTLE_MS: i64 = 2_000;

/// What people and nodes did.
pub struct SystemFeed {
    pools: Pools,
    clock: Clock,
}

impl SystemFeed {
    /// The audit log in the control database.
    pub fn new(pools: Pools, clock: Clock) -> Self {
        Self { pools, clock }
    }

    async fn read(&self, place: &str, limit: u32) -> Result<Batch, StoreError> {
        let rows = sqlx::query(
            "SELECT id, at, actor, address, action, object FROM audit WHERE id > $1 AND at <= $2 ORDER BY id LIMIT $3",
        );
        let rows = rows.bind(place).bind(self.clock.millis() - SETTLE_MS).bind(i64::from(limit));
        let mut batch = Batch { records: Vec::new(), next: place.to_owned() };
        for row in rows.fetch_all(self.pools.read()).await? {
            let text = |column: &str| row.try_get::<String, _>(column);
            batch.next = text("id")?;
            batch.records.push(serde_json::json!({
                "id": text("id")?, "time": row.try_get::<i64, _>("at")?, "actor": text("actor")?,
                "address": text("address")?, "action": text("action")?, "object": text("object")?,
            }));
        }
        Ok(batch)
    }
}

impl Feed for SystemFeed {
    fn after<'a>(&'a self, place: &'a str, limit: u32) -> Answer<'a, Batch> {
        Box::pin(self.read(place, limit))
    }

    fn end(&self) -> Answer<'_, String> {
        Box::pin(async move {
            let row = sqlx::query("SELECT COALESCE(MAX(id), '') FROM audit WHERE at <= $1");
            let row = row.bind(self.clock.millis() - SETTLE_MS).fetch_one(self.pools.read()).await?;
            Ok(row.try_get(0)?)
        })
    }
}
