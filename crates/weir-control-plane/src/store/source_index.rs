//! The index of sources on days of PostgreSQL that are older than the index: made in the background, one day after the
//! other, while hits come in. Until all have it, the index that it replaces stays.

use super::partition::Partitions;
use super::sql::{Columns, Name, Sql};
use super::{Database, StoreError};
use sqlx::{AnyConnection, AssertSqlSafe};

/// Lock under which one replica makes indexes; the others leave it to that one.
const TRY_LOCK: &str = "SELECT CAST(pg_try_advisory_lock(7306948) AS INT)";
const UNLOCK: &str = "SELECT pg_advisory_unlock(7306948)";

/// Days that have no such index, newest first.
const MISSING: &str = "SELECT CAST(c.relname AS TEXT) FROM pg_catalog.pg_inherits i \
    JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid JOIN pg_catalog.pg_class p ON p.oid = i.inhparent \
    WHERE p.relname = 'hit_groups' AND p.relnamespace = CAST(current_schema() AS regnamespace) \
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_inherits attached \
    JOIN pg_catalog.pg_index x ON x.indexrelid = attached.inhrelid \
    JOIN pg_catalog.pg_class whole ON whole.oid = attached.inhparent \
    WHERE whole.relname = 'hit_groups_source' AND x.indrelid = c.oid) ORDER BY c.relname DESC";

/// Whether the index that it replaces is still there.
const REPLACED: &str = "SELECT 1 FROM pg_catalog.pg_class WHERE relname = 'hit_groups_ip' \
    AND relnamespace = CAST(current_schema() AS regnamespace)";
const DROP_REPLACED: &str = "DROP INDEX IF EXISTS hit_groups_ip";

impl Database {
    /// Makes the index of sources on days that lack it, and returns on how many; then drops the one that it replaces. Several
    /// replicas may call it at once; on SQLite there is nothing to do.
    pub async fn index_sources(&self) -> Result<u64, StoreError> {
        let Partitions::Postgres(only) = self.partitions() else { return Ok(0) };
        let mut connection = only.pools.write().acquire().await?;
        let none_missing = Sql::new(MISSING).all(&mut *connection).await?.is_empty();
        if none_missing && Sql::new(REPLACED).optional(&mut *connection).await?.is_none() {
            return Ok(0);
        }
        let row = Sql::new(TRY_LOCK).optional(&mut *connection).await?;
        if row.map(|row| Columns::of(&row).int()).transpose()? != Some(1) {
            return Ok(0);
        }
        let done = all(&mut connection).await;
        Sql::new(UNLOCK).run(&mut *connection).await?;
        done
    }
}

async fn all(on: &mut AnyConnection) -> Result<u64, StoreError> {
    let mut done = 0;
    for row in Sql::new(MISSING).all(&mut *on).await? {
        let day = Name::new(&Columns::of(&row).text()?)?;
        let day = day.as_str();
        // What an attempt left that was ended is not valid and goes first. Each is a statement of its own: none of them
        // may be part of a transaction.
        for statement in [
            format!("DROP INDEX IF EXISTS {day}_source"),
            format!("CREATE INDEX CONCURRENTLY {day}_source ON {day} (ip_key, grp, hit, blocked, folded)"),
            format!("ALTER INDEX hit_groups_source ATTACH PARTITION {day}_source"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *on).await?;
        }
        done += 1;
    }
    // A day that came in meanwhile has the new one from the start.
    sqlx::raw_sql(DROP_REPLACED).execute(on).await?;
    Ok(done)
}
