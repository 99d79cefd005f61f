//! Whether the store can write, as its last writes showed.
//!
//! A write that fails because the disk is full, broken or read-only is noted. From then on a probe writes a little now and
//! then, until that works again; while all is well it writes a few bytes, so that an idle control plane notices too.

use super::migrate::Engine;
use super::{Database, StoreError};
use sqlx::AssertSqlSafe;
use std::sync::{Mutex, PoisonError};

/// Bytes of a probe while all is well.
const SMALL: usize = 16;
/// Bytes of a probe after a failure, on SQLite: more than is left over in the pages of a full disk.
const LARGE: usize = 256 << 10;
/// Row of the probe: no batch has such an id.
const ROW: &str = "probe ";

/// Why the store cannot write, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFault {
    /// Milliseconds since 1970.
    pub since: i64,
    /// What the engine says.
    pub why: String,
}

/// The state.
#[derive(Debug, Default)]
pub(super) struct WriteHealth(Mutex<Option<StoreFault>>);

impl Database {
    /// Why nothing can be written at present; none where it can.
    pub fn fault(&self) -> Option<StoreFault> {
        self.health().0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes an error of a write, if it is one that says that nothing can be written.
    pub fn note_failure(&self, error: &StoreError) {
        if error.cannot_write() {
            self.note_fault(error.to_string());
        }
    }

    /// Notes that nothing can be written.
    pub fn note_fault(&self, why: String) {
        let mut fault = self.health().0.lock().unwrap_or_else(PoisonError::into_inner);
        if fault.is_none() {
            tracing::error!(why, "the store cannot write: hits stay in the spools of the nodes until it can");
            *fault = Some(StoreFault { since: super::ids::now(), why });
        }
    }

    /// Writes a little, to see whether it works.
    pub async fn probe(&self) {
        let size = match (self.fault(), self.engine()) {
            (Some(_), Engine::Sqlite) => LARGE,
            _ => SMALL,
        };
        match self.try_write(size).await {
            Ok(()) => {
                let fault = self.health().0.lock().unwrap_or_else(PoisonError::into_inner).take();
                if fault.is_some() {
                    tracing::info!("the store can write again");
                }
            }
            // It is the server that is away, not its disk that is full.
            Err(error) if error.is_transient() && self.unreachable().is_some() => {}
            Err(error) => self.note_fault(error.to_string()),
        }
    }

    async fn try_write(&self, size: usize) -> Result<(), StoreError> {
        let row = format!("{ROW}{}", "x".repeat(size));
        let pool = self.control().write();
        let insert = sqlx::query("INSERT INTO traffic_batches (id, received) VALUES ($1, 0) ON CONFLICT DO NOTHING");
        let written = insert.bind(&row).execute(pool).await;
        let delete = AssertSqlSafe(format!("DELETE FROM traffic_batches WHERE id LIKE '{ROW}%'"));
        let removed = sqlx::query(delete).execute(pool).await;
        written?;
        removed?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::ingest;
    use super::*;
    use sqlx::Row;

    async fn database(directory: &tempfile::TempDir) -> Database {
        Database::open(&format!("sqlite:{}", directory.path().display())).await.unwrap()
    }

    #[tokio::test]
    async fn a_connection_whose_transaction_the_engine_ended_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let database = database(&directory).await;
        for _ in 0..3 {
            let mut connection = database.control().write().acquire().await.unwrap();
            let mut transaction = ingest::begin(Engine::Sqlite, &mut connection).await.unwrap();
            // As SQLite does by itself where the disk is full: the rollback that follows fails.
            sqlx::raw_sql("ROLLBACK").execute(&mut *transaction).await.unwrap();
            drop(transaction);
            drop(connection);
            database.try_write(SMALL).await.unwrap();
        }
        let mut connection = database.control().write().acquire().await.unwrap();
        ingest::begin(Engine::Sqlite, &mut connection).await.unwrap().commit().await.unwrap();
    }

    #[tokio::test]
    async fn a_full_store_is_noted_until_it_can_write_again() {
        let directory = tempfile::tempdir().unwrap();
        let database = database(&directory).await;
        let pool = database.control().write();
        database.probe().await;
        assert_eq!(database.fault(), None);
        let limit = async |pages: i64| {
            let pages = AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
            sqlx::query(pages).fetch_one(pool).await.unwrap();
        };
        let pages: i64 = sqlx::query("PRAGMA page_count").fetch_one(pool).await.unwrap().get(0);
        limit(pages + 4).await;
        let full = database.try_write(LARGE).await.unwrap_err();
        assert!(full.cannot_write() && !full.is_transient(), "{full:?}");
        database.note_failure(&StoreError::Input("a mistake of the caller".into()));
        assert_eq!(database.fault(), None);
        database.note_failure(&full);
        let fault = database.fault().unwrap();
        assert!(fault.why.contains("full"), "{fault:?}");
        database.probe().await;
        assert_eq!(database.fault(), Some(fault), "a small write would fit still, but no hits would");
        limit(1 << 20).await;
        database.probe().await;
        assert_eq!(database.fault(), None);
        let left = sqlx::query("SELECT COUNT(*) FROM traffic_batches").fetch_one(pool).await.unwrap();
        assert_eq!(left.get::<i64, _>(0), 0, "the probe leaves nothing");
    }
}
