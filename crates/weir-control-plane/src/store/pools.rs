//! Connections: on SQLite one writer and a few readers a file, on PostgreSQL two pools on one server.

use super::StoreError;
use super::url::sqlite_file;
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool, Connection, Executor};
use std::path::Path;
use std::time::Duration;

/// Readers of a SQLite file: pages are served by few people at once.
const SQLITE_READERS: u32 = 4;
/// Connections of each pool on PostgreSQL: a hundred in all is the server's default, for several replicas.
const POSTGRES_CONNECTIONS: u32 = 8;
/// Longest wait for a connection; after that, the caller is asked to retry.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two attempts to reach a server that may be starting.
const RECONNECT: Duration = Duration::from_millis(500);
/// Idle readers are closed after this time, with their caches.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// For every SQLite connection. WAL: readers and the writer do not wait for each other. FULL: what was acknowledged
/// survives a loss of power. LIKE as in PostgreSQL. 16 MiB of cache; a WAL that grew is cut back to 64 MiB.
const SQLITE_SETUP: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA foreign_keys = ON; PRAGMA case_sensitive_like = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384; \
    PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864;";
/// Readers can do no harm.
const SQLITE_READER: &str = "PRAGMA query_only = ON;";
/// A page that takes longer is not waited for; small queries must not pay for compilation. A plan is made for the values of
/// each query: one for any values reads whole days for the last hour.
const POSTGRES_READER: &str = "SET default_transaction_read_only = on; SET statement_timeout = '30s'; SET jit = off; \
    SET plan_cache_mode = force_custom_plan;";
/// Locks are waited for as long as a batch may take. That a table is there already is no news.
const POSTGRES_WRITER: &str = "SET lock_timeout = '30s'; SET jit = off; SET client_min_messages = warning;";

/// Connections to one database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pools {
    read: AnyPool,
    write: AnyPool,
}

impl Pools {
    /// For queries. Writing fails.
    pub fn read(&self) -> &AnyPool {
        &self.read
    }

    /// For changes. On SQLite there is one such connection: hold it for as long as the change takes and no longer.
    pub fn write(&self) -> &AnyPool {
        &self.write
    }

    /// Waits until every connection is closed.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    /// Opens a SQLite file, made if it is not there, readable by its owner alone.
    pub(super) async fn sqlite(path: &Path) -> Result<Pools, StoreError> {
        sqlx::any::install_default_drivers();
        private_file(path).map_err(|error| StoreError::File(path.to_owned(), error))?;
        let name = path.display().to_string();
        let at = |error| StoreError::of(&name, error);
        let url = sqlite_file(path, "rw");
        check(&url).await.map_err(at)?;
        let write = options(1, SQLITE_SETUP, "").connect(&url).await.map_err(at)?;
        let read = options(SQLITE_READERS, SQLITE_SETUP, SQLITE_READER).connect_lazy(&url).map_err(at)?;
        Ok(Pools { read, write })
    }

    /// Connects to a PostgreSQL server.
    pub(super) async fn postgres(url: &str) -> Result<Pools, StoreError> {
        sqlx::any::install_default_drivers();
        reachable(url).await?;
        let write = options(POSTGRES_CONNECTIONS, POSTGRES_WRITER, "").connect(url).await?;
        let read = options(POSTGRES_CONNECTIONS, POSTGRES_READER, "").connect_lazy(url)?;
        Ok(Pools { read, write })
    }
}

fn options(connections: u32, first: &'static str, second: &'static str) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(IDLE_TIMEOUT)
        // SQLite ends a transaction by itself when the disk is full, and then fails the rollback: the connection still
        // counts a transaction that no longer exists, and cannot begin another. It is closed and a new one opened.
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        .after_connect(move |connection, _| {
            Box::pin(async move {
                setup(connection, first).await?;
                setup(connection, second).await
            })
        })
}

/// Waits until the server answers: it may be starting beside us. Says why if it does not.
async fn reachable(url: &str) -> Result<(), StoreError> {
    let deadline = tokio::time::Instant::now() + ACQUIRE_TIMEOUT;
    loop {
        match AnyConnection::connect(url).await {
            Ok(connection) => return Ok(connection.close().await?),
            Err(error) => {
                let error = StoreError::from(error);
                if !error.is_transient() || tokio::time::Instant::now() >= deadline {
                    return Err(error);
                }
                tracing::info!(%error, "waiting for PostgreSQL");
                tokio::time::sleep(RECONNECT).await;
            }
        }
    }
}

/// Opens the file once outside a pool, which would take a damaged file for one that is busy, and wait.
async fn check(url: &str) -> Result<(), sqlx::Error> {
    let mut connection = AnyConnection::connect(url).await?;
    setup(&mut connection, SQLITE_SETUP).await?;
    connection.close().await
}

async fn setup(connection: &mut AnyConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    if !sql.is_empty() {
        connection.execute(sqlx::raw_sql(sql)).await?;
    }
    Ok(())
}

/// SQLite gives its log and index the permissions of the file, so it is enough to make that one private.
fn private_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    Ok(())
}
