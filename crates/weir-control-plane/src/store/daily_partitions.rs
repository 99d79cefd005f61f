//! PostgreSQL's partitions: a day of hits, a month of attacks. Made when the first hit comes, dropped whole.

use super::ids::{self, DAY, Month};
use super::partition::Partition;
use super::{StoreError, ids::bound};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use std::collections::{BTreeSet, HashSet};
use std::sync::Mutex;

/// Lock under which partitions are made and dropped.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7306945)";
/// Tables with a partition a day.
const DAILY: &[&str] = &["hits", "hit_docs", "hit_groups"];
/// Tables with a partition a month.
const MONTHLY: &[&str] = &["attacks"];

/// Partitions that are known to exist.
#[derive(Debug, Default)]
pub(super) struct KnownDays(Mutex<HashSet<i64>>);

impl KnownDays {
    fn missing(&self, days: impl Iterator<Item = i64>) -> BTreeSet<i64> {
        let known = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        days.filter(|day| !known.contains(day)).collect()
    }

    fn add(&self, days: &BTreeSet<i64>) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(days);
    }

    /// Asks the database again next time.
    pub fn forget(&self) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
    }
}

/// Makes the partitions in which hits with these times belong.
pub(super) async fn ensure(
    partition: &Partition,
    known: &KnownDays,
    times: impl Iterator<Item = i64>,
) -> Result<(), StoreError> {
    let missing = known.missing(times.map(|time| time.div_euclid(DAY)));
    if missing.is_empty() {
        return Ok(());
    }
    let mut connection = partition.pools.write().acquire().await?;
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(LOCK).execute(&mut *transaction).await?;
    for &day in &missing {
        let start = day * DAY;
        let month = Month::of(start);
        for &table in DAILY {
            make(&mut transaction, table, &ids::day_label(start), start, start + DAY).await?;
        }
        for &table in MONTHLY {
            make(&mut transaction, table, &month.label().replace('-', ""), month.start(), month.end()).await?;
        }
    }
    transaction.commit().await?;
    known.add(&missing);
    Ok(())
}

/// Attached, not created in place: that lets readers and writers of other days go on.
async fn make(on: &mut AnyConnection, table: &str, label: &str, from: i64, to: i64) -> Result<(), StoreError> {
    let name = format!("{table}_{label}");
    if exists(on, &name).await? {
        return Ok(());
    }
    let sql = format!(
        "CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS); \
         ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{}') TO ('{}')",
        bound(from),
        bound(to)
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *on).await?;
    Ok(())
}

async fn exists(on: &mut AnyConnection, name: &str) -> Result<bool, StoreError> {
    let found = sqlx::query("SELECT 1 FROM pg_catalog.pg_class WHERE relname = $1 AND relispartition")
        .bind(name.to_owned())
        .fetch_optional(on)
        .await?;
    Ok(found.is_some())
}

/// Drops the partitions that hold nothing of `from` and later. Answers how many days went.
pub(super) async fn drop_before(on: &mut AnyConnection, from: i64) -> Result<u64, StoreError> {
    sqlx::raw_sql(LOCK).execute(&mut *on).await?;
    let mut days = 0;
    let ends = [(DAILY, ids::day_label(from)), (MONTHLY, Month::of(from).label().replace('-', ""))];
    for (tables, first_kept) in ends {
        for &table in tables {
            for name in partitions(on, table).await? {
                let label = name.strip_prefix(table).and_then(|rest| rest.strip_prefix('_')).unwrap_or_default();
                let ours = label.len() == first_kept.len() && label.bytes().all(|b| b.is_ascii_digit());
                if ours && label < first_kept.as_str() {
                    sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE {table}_{label}"))).execute(&mut *on).await?;
                    days += u64::from(table == "hits");
                }
            }
        }
    }
    Ok(days)
}

async fn partitions(on: &mut AnyConnection, table: &str) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query(
        "SELECT CAST(c.relname AS TEXT) FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid \
         JOIN pg_catalog.pg_class p ON p.oid = i.inhparent WHERE p.relname = $1",
    )
    .bind(table.to_owned())
    .fetch_all(on)
    .await?;
    rows.iter().map(|row| super::sql::Columns::of(row).text()).collect()
}
