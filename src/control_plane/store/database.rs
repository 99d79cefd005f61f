//! The store as a whole.

use super::migrate::{self, Engine};
use super::{DatabaseUrl, Pools, StoreError};
use std::sync::Arc;

/// Name of the SQLite file that holds everything but hits.
const CONTROL_FILE: &str = "control.db";

/// The store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    control: Pools,
}

impl Database {
    /// Opens the store at `url` (see [`DatabaseUrl::parse`]), and makes or upgrades its tables.
    pub async fn open(url: &str) -> Result<Database, StoreError> {
        let (control, engine) = match DatabaseUrl::parse(url)? {
            DatabaseUrl::Sqlite(directory) => (Pools::sqlite(&directory.join(CONTROL_FILE)).await?, Engine::Sqlite),
            DatabaseUrl::Postgres(url) => (Pools::postgres(&url).await?, Engine::Postgres),
        };
        migrate::run(&control, engine, "control", migrate::CONTROL).await?;
        Ok(Database { inner: Arc::new(Inner { control }) })
    }

    /// The tables that are not about hits: users, sessions, tokens, nodes, rules, lists, settings, audit and more.
    pub fn control(&self) -> &Pools {
        &self.inner.control
    }

    /// Waits until every connection is closed.
    pub async fn close(&self) {
        self.inner.control.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::Row;

    #[tokio::test]
    async fn it_opens_twice_keeps_its_tables_and_readers_cannot_write() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/new place", directory.path().display());
        for _ in 0..2 {
            let database = Database::open(&url).await.unwrap();
            let insert = "INSERT INTO traffic_batches (id, received) VALUES ('x', 1) ON CONFLICT DO NOTHING";
            sqlx::query(insert).execute(database.control().write()).await.unwrap();
            assert!(sqlx::query(insert).execute(database.control().read()).await.is_err());
            let count = sqlx::query("SELECT COUNT(*) FROM traffic_batches").fetch_one(database.control().read()).await;
            assert_eq!(count.unwrap().get::<i64, _>(0), 1);
            database.close().await;
        }
    }
}
