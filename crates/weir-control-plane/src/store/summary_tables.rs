//! What summaries of hours and of days have in common: their entries as stored, and how they are written and deleted.

use super::StoreError;
use super::hour_summaries::Entry;
use super::ingest::begin;
use super::migrate::Engine;
use super::partition::Partition;
use super::sql::{Rows, Sql, Value};
use sqlx::AnyConnection;
use std::fmt::Display;

/// Lock under which one replica writes and the others wait.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7306947)";

/// The tables of the summaries of one length: their lists, and what is known to be summed up. Each row has the first hour of
/// its summary.
pub(super) struct SummaryTables {
    /// Writes lists: hour, subject, its value, kind, entries.
    pub lists: Rows,
    /// Notes that an hour or a day is summed up.
    pub summarized: Rows,
    /// Deletes the lists of an hour.
    pub delete_lists: &'static str,
    /// Delete what is before an hour, from either table.
    pub delete_before: [&'static str; 2],
}

impl SummaryTables {
    /// Writes the summary that begins with `hour` in place of the one that there was.
    pub async fn replace(
        &self,
        partition: &Partition,
        hour: i64,
        lists: Vec<Vec<Value>>,
        summarized: Vec<Value>,
    ) -> Result<(), StoreError> {
        let mut connection = partition.pools.write().acquire().await?;
        let mut on = begin(partition.engine, &mut connection).await?;
        if partition.engine == Engine::Postgres {
            Sql::new(LOCK).run(&mut *on).await?;
        }
        let mut sql = Sql::new(self.delete_lists);
        sql.bind(hour);
        sql.run(&mut *on).await?;
        self.lists.write(&mut on, lists).await?;
        self.summarized.write(&mut on, vec![summarized]).await?;
        on.commit().await?;
        Ok(())
    }

    /// Deletes the summaries that begin before `hour`.
    pub async fn forget(&self, on: &mut AnyConnection, hour: i64) -> Result<(), StoreError> {
        for text in self.delete_before {
            let mut sql = Sql::new(text);
            sql.bind(hour);
            sql.run(&mut *on).await?;
        }
        Ok(())
    }
}

/// Entries as they are stored.
pub(super) fn entries_text(entries: &[Entry]) -> Result<String, StoreError> {
    serde_json::to_string(entries).map_err(|error| StoreError::Value(format!("JSON: {error}")))
}

/// Entries that are stored for `period`, such as `hour 7`.
pub(super) fn read_entries(period: impl Display, text: &str) -> Result<Vec<Entry>, StoreError> {
    serde_json::from_str(text).map_err(|error| unreadable(period, error))
}

/// The error for a summary of `period` that cannot be read.
pub(super) fn unreadable(period: impl Display, why: impl Display) -> StoreError {
    StoreError::Value(format!("the summary of {period} cannot be read: {why}"))
}
