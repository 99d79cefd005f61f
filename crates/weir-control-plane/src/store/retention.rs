//! What is no longer kept: whole files and whole partitions go, so that nothing has to be vacuumed.
//!
//! SQLite drops a month once all of it is too old, PostgreSQL a day. Attacks that began before the first day kept are cut:
//! their counts become those of the hits that are left. Their number of sources stays.

use super::ids::{self, DAY, HOUR, Month};
use super::ingest::{begin, retry};
use super::migrate::Engine;
use super::partition::{Partition, Partitions};
use super::sql::{Columns, Sql};
use super::{
    AttackStatus, Database, StoreError, clock_skew, daily_partitions, group_hours, grouping, rule_histograms,
    session_requests, summarize_days, summarize_hours, traffic, updates,
};
use sqlx::{AnyConnection, Connection};

/// Days for which news wait for their hit.
const PENDING_DAYS: i64 = 2;

/// What a round of retention did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Month files deleted (SQLite).
    pub months: u64,
    /// Days dropped (PostgreSQL).
    pub days: u64,
    /// Attacks that lost their older hits (PostgreSQL).
    pub cut: u64,
}

impl Database {
    /// Deletes what is older than [`Database::set_retention`] says, and does other work that is due some times a day.
    /// Several replicas may do so at once.
    pub async fn retain(&self) -> Result<Retained, StoreError> {
        let from = self.kept_from();
        let mut done = Retained::default();
        match self.partitions() {
            Partitions::Sqlite(months) => {
                for month in months.on_disk()?.into_iter().filter(|month| month.end() <= from) {
                    months.delete(month).await?;
                    done.months += 1;
                }
                for month in months.on_disk()? {
                    let partition = self.partitions().of(month).await?;
                    sweep(&partition).await.map_err(|e| partition.named(e))?;
                }
            }
            Partitions::Postgres(only) => {
                done.days = retry(|| drop_days(only, from)).await?;
                self.known_days().forget();
                done.cut = retry(|| cut(only, from)).await?;
                sweep(only).await?;
            }
        }
        clock_skew::forget(self, from).await?;
        traffic::forget(self, from).await?;
        rule_histograms::forget(self, self.behaviour_from()).await?;
        session_requests::forget(self, self.sessions_from()).await?;
        Ok(done)
    }
}

async fn sweep(partition: &Partition) -> Result<(), StoreError> {
    let mut connection = partition.pools.write().acquire().await?;
    let mut transaction = begin(partition.engine, &mut connection).await?;
    updates::sweep(&mut transaction, ids::now() - PENDING_DAYS * DAY).await?;
    transaction.commit().await?;
    Ok(())
}

async fn drop_days(partition: &Partition, from: i64) -> Result<u64, StoreError> {
    let mut connection = partition.pools.write().acquire().await?;
    let mut transaction = connection.begin().await?;
    let days = daily_partitions::drop_before(&mut transaction, from).await?;
    for (sql, bound) in [
        ("DELETE FROM hit_aliases WHERE id < ", ids::bound(from)),
        ("DELETE FROM attack_aliases WHERE id < ", ids::bound(Month::of(from).start())),
    ] {
        let mut sql = Sql::new(sql);
        sql.bind(bound);
        sql.run(&mut *transaction).await?;
    }
    let mut sql = Sql::new("DELETE FROM hit_counts WHERE hour < ");
    sql.bind(from / HOUR);
    sql.run(&mut *transaction).await?;
    summarize_hours::TABLES.forget(&mut transaction, from / HOUR).await?;
    summarize_days::TABLES.forget(&mut transaction, from / HOUR).await?;
    group_hours::forget(&mut transaction, from / HOUR).await?;
    transaction.commit().await?;
    Ok(days)
}

/// Deletes attacks that ended before `from`, and cuts those that began before it.
async fn cut(partition: &Partition, from: i64) -> Result<u64, StoreError> {
    let mut connection = partition.pools.write().acquire().await?;
    let mut transaction = begin(partition.engine, &mut connection).await?;
    let mut sql = Sql::new("DELETE FROM attacks WHERE last_time < ");
    sql.bind(from);
    sql.run(&mut *transaction).await?;
    let mut sql = Sql::new("SELECT grp FROM attacks WHERE last_time >= ");
    sql.bind(from).push(" AND first_time < ").bind(from);
    let rows = sql.all(&mut *transaction).await?;
    let groups = rows.iter().map(|row| Columns::of(row).text()).collect::<Result<Vec<_>, _>>()?;
    grouping::lock(&mut transaction, Engine::Postgres, groups.iter().map(String::as_str)).await?;
    // Read again under the locks: hits may have come in between.
    let mut sql = Sql::new("SELECT id, grp, last_hit FROM attacks WHERE last_time >= ");
    sql.bind(from).push(" AND first_time < ").bind(from);
    let mut count = 0;
    for row in sql.all(&mut *transaction).await? {
        let mut c = Columns::of(&row);
        let (id, grp, last_hit) = (c.text()?, c.text()?, c.text()?);
        if groups.contains(&grp) {
            cut_one(&mut transaction, &id, &grp, &last_hit, from).await?;
            count += 1;
        }
    }
    transaction.commit().await?;
    Ok(count)
}

async fn cut_one(on: &mut AnyConnection, id: &str, grp: &str, last_hit: &str, from: i64) -> Result<(), StoreError> {
    let mut sql = Sql::new(
        "SELECT COUNT(*), CAST(COALESCE(SUM(blocked), 0) AS BIGINT), CAST(COALESCE(SUM(folded), 0) AS BIGINT), \
         COALESCE(MIN(hit), '') FROM hit_groups WHERE grp = ",
    );
    sql.bind(grp).push(" AND hit >= ").bind(ids::bound(from)).push(" AND hit <= ").bind(last_hit);
    let rows = sql.all(&mut *on).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let mut c = Columns::of(row);
    let (hits, blocked, folded, first) = (c.count()?, c.count()?, c.count()?, c.text()?);
    let Some((first_hit, first_time)) = ids::read(&first) else { return Ok(()) };
    let mut sql = Sql::new("UPDATE attacks SET hits = ");
    sql.bind(hits).push(", blocked = ").bind(blocked).push(", folded = ").bind(folded);
    sql.push(", status = ").bind(AttackStatus::of(hits, blocked).number());
    sql.push(", first_hit = ").bind(first_hit).push(", first_time = ").bind(first_time);
    sql.push(" WHERE id = ").bind(id);
    sql.run(on).await?;
    Ok(())
}
