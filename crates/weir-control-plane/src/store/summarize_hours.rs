//! Summing up: whole hours that have new hits, newest first.

use super::counts::ALL;
use super::hour_summaries::{APPLICATIONS, Entry, HOSTS, MAX_ENTRIES, MAX_SUBJECTS};
use super::ids::{self, HOUR};
use super::ingest::retry;
use super::migrate::Engine;
use super::partition::Partition;
use super::sql::{Columns, Rows, Sql, Value};
use super::summary_tables::{SummaryTables, entries_text};
use super::value_sums::ValueSums;
use super::{Database, Dimension, StoreError};
use sqlx::{AnyConnection, AnyPool, Connection};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Longest pause after an hour; otherwise it is as long as the hour took, so that half of a connection's time is left.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Where summaries of hours are kept.
pub(super) static TABLES: SummaryTables = SummaryTables {
    lists: Rows::new("INSERT INTO hour_summaries (hour, subject, value, kind, entries) VALUES ", 5, ""),
    summarized: Rows::new(
        "INSERT INTO summarized_hours (hour, hits, more_hosts, more_applications) VALUES ",
        4,
        " ON CONFLICT (hour) DO UPDATE SET hits = excluded.hits, more_hosts = excluded.more_hosts, \
         more_applications = excluded.more_applications",
    ),
    delete_lists: "DELETE FROM hour_summaries WHERE hour = ",
    delete_before: ["DELETE FROM hour_summaries WHERE hour < ", "DELETE FROM summarized_hours WHERE hour < "],
};

/// A list of values that is kept for each subject of a kind.
pub(super) struct List {
    pub subject: i64,
    pub kind: i64,
    /// Columns, as text.
    of_subject: &'static str,
    of_value: &'static str,
}

const fn list(subject: i64, of_subject: &'static str, kind: i64, of_value: &'static str) -> List {
    List { subject, kind, of_subject, of_value }
}

const APPLICATION: &str = "CAST(h.application AS TEXT)";

/// Every list of an hour.
pub(super) const LISTS: &[List] = &[
    list(ALL, "''", Dimension::Source.kind(), "h.ip"),
    list(ALL, "''", Dimension::Target.kind(), "h.host"),
    list(HOSTS, "h.host", Dimension::AttackType.kind(), "h.attack_types"),
    list(HOSTS, "h.host", Dimension::Source.kind(), "h.ip"),
    list(APPLICATIONS, APPLICATION, ALL, "''"),
    list(APPLICATIONS, APPLICATION, Dimension::AttackType.kind(), "h.attack_types"),
    list(APPLICATIONS, APPLICATION, Dimension::Source.kind(), "h.ip"),
    list(APPLICATIONS, APPLICATION, Dimension::Target.kind(), "h.host"),
];

/// An hour as read.
#[derive(Default)]
struct Summary {
    hour: i64,
    /// Hits by `hit_counts`.
    hits: u64,
    more_hosts: bool,
    more_applications: bool,
    /// By subject, its value and the kind of the entries.
    lists: BTreeMap<(i64, String, i64), Vec<Entry>>,
}

impl Database {
    /// Sums up the hours before this one whose hits have changed since they were summed up, newest first, and returns
    /// how many. An hour that fails does not keep others from being summed up; the first error is returned in the end.
    pub async fn summarize_hours(&self) -> Result<u64, StoreError> {
        let (now, mut done, mut failed) = (ids::now().div_euclid(HOUR), 0, None);
        for month in self.partitions().between(None, None)? {
            let Some(partition) = self.partitions().existing(month).await? else { continue };
            for hour in due(&partition, now).await.map_err(|e| partition.named(e))? {
                let begun = Instant::now();
                match summarize(&partition, hour).await {
                    Ok(()) => done += 1,
                    Err(error) => failed = failed.or(Some(partition.named(error))),
                }
                tokio::time::sleep(begun.elapsed().min(LONGEST_PAUSE)).await;
            }
        }
        failed.map_or(Ok(done), Err)
    }
}

/// Hours before `now` that are to be summed up, newest first.
async fn due(partition: &Partition, now: i64) -> Result<Vec<i64>, StoreError> {
    let mut sql = Sql::new("SELECT c.hour FROM hit_counts c LEFT JOIN summarized_hours d ON d.hour = c.hour");
    sql.push(" WHERE c.kind = ").bind(ALL).push(" AND c.value = '' AND c.hour < ").bind(now);
    sql.push(" AND COALESCE(d.hits, -1) <> c.hits ORDER BY c.hour DESC");
    sql.all(partition.pools.read()).await?.iter().map(|row| Columns::of(row).int()).collect()
}

async fn summarize(partition: &Partition, hour: i64) -> Result<(), StoreError> {
    let summary = read(partition, hour).await?;
    retry(|| write(partition, &summary)).await
}

/// Connections on which an hour or a day is read as it was at one moment, and how that begins. On PostgreSQL the pool for
/// changes has no limit of time for a statement, on SQLite it is the one that ingest needs.
pub(super) fn reader(partition: &Partition) -> (&AnyPool, &'static str) {
    match partition.engine {
        Engine::Sqlite => (partition.pools.read(), "BEGIN"),
        Engine::Postgres => (partition.pools.write(), "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
    }
}

/// Reads an hour as it was at one moment.
async fn read(partition: &Partition, hour: i64) -> Result<Summary, StoreError> {
    let (pool, how) = reader(partition);
    let mut connection = pool.acquire().await?;
    let mut on = connection.begin_with(how).await?;
    let mut hosts = values(&mut on, largest_hosts(hour)).await?;
    let mut applications = values(&mut on, largest_applications(hour)).await?;
    let mut summary = Summary {
        hour,
        hits: all_hits(&mut on, hour).await?,
        more_hosts: hosts.len() > MAX_SUBJECTS,
        more_applications: applications.len() > MAX_SUBJECTS,
        ..Summary::default()
    };
    hosts.truncate(MAX_SUBJECTS);
    applications.truncate(MAX_SUBJECTS);
    for list in LISTS {
        let chosen = match list.subject {
            HOSTS => &hosts[..],
            APPLICATIONS => &applications[..],
            _ => &[],
        };
        if list.subject == ALL || !chosen.is_empty() {
            read_list(&mut on, list, hour, chosen, &mut summary).await?;
        }
    }
    on.commit().await?;
    Ok(summary)
}

async fn all_hits(on: &mut AnyConnection, hour: i64) -> Result<u64, StoreError> {
    let mut sql = Sql::new("SELECT hits FROM hit_counts WHERE kind = ");
    sql.bind(ALL).push(" AND value = '' AND hour = ").bind(hour);
    let row = sql.optional(on).await?;
    Ok(row.map(|row| Columns::of(&row).count()).transpose()?.unwrap_or_default())
}

async fn values(on: &mut AnyConnection, sql: Sql) -> Result<Vec<String>, StoreError> {
    sql.all(on).await?.iter().map(|row| Columns::of(row).text()).collect()
}

fn largest_hosts(hour: i64) -> Sql {
    let mut sql = Sql::new("SELECT value FROM hit_counts WHERE kind = ");
    sql.bind(HOSTS).push(" AND hour = ").bind(hour);
    sql.push(" ORDER BY hits DESC, value LIMIT ").bind(MAX_SUBJECTS as u64 + 1);
    sql
}

fn largest_applications(hour: i64) -> Sql {
    let mut sql = Sql::new("SELECT CAST(h.application AS TEXT) FROM hits h WHERE ");
    of_hour(&mut sql, hour);
    sql.push(" GROUP BY h.application ORDER BY SUM(1 + h.folded) DESC, h.application LIMIT ");
    sql.bind(MAX_SUBJECTS as u64 + 1);
    sql
}

fn of_hour(sql: &mut Sql, hour: i64) {
    sql.push("h.id >= ").bind(ids::bound(hour * HOUR)).push(" AND h.id < ").bind(ids::bound((hour + 1) * HOUR));
}

/// The most frequent values of each subject. The engine sorts and cuts them, so that an hour with millions of sources
/// needs little memory here.
fn ranked(list: &List, hour: i64, chosen: &[String]) -> Sql {
    let mut sql = Sql::new("SELECT subject, value, n, b FROM (SELECT subject, value, n, b, ROW_NUMBER() OVER ");
    sql.push("(PARTITION BY subject ORDER BY n DESC, value) AS place FROM (SELECT ");
    sql.push(list.of_subject).push(" AS subject, ").push(list.of_value).push(" AS value, ");
    sql.push("CAST(SUM(1 + h.folded) AS BIGINT) AS n, CAST(SUM(h.blocked * (1 + h.folded)) AS BIGINT) AS b FROM hits h WHERE ");
    of_hour(&mut sql, hour);
    if list.subject != ALL {
        sql.push(" AND ").push(list.of_subject).push(" IN (").list(chosen.iter().cloned()).push(")");
    }
    sql.push(" GROUP BY 1, 2) AS sums) AS ranked WHERE place <= ").bind(MAX_ENTRIES);
    sql.push(" ORDER BY subject, n DESC, value");
    sql
}

async fn read_list(
    on: &mut AnyConnection,
    list: &List,
    hour: i64,
    chosen: &[String],
    summary: &mut Summary,
) -> Result<(), StoreError> {
    for row in ranked(list, hour, chosen).all(on).await? {
        let mut c = Columns::of(&row);
        let (subject, value, hits, blocked) = (c.text()?, c.text()?, c.count()?, c.count()?);
        let entries = summary.lists.entry((list.subject, subject, list.kind)).or_default();
        if list.kind == Dimension::AttackType.kind() {
            // A row has a list of types.
            entries.extend(value.split_whitespace().map(|one| (one.to_owned(), hits, blocked)));
        } else {
            entries.push((value, hits, blocked));
        }
    }
    if list.kind == Dimension::AttackType.kind() {
        for (_, entries) in summary.lists.iter_mut().filter(|((s, _, k), _)| (*s, *k) == (list.subject, list.kind)) {
            *entries = joined(std::mem::take(entries));
        }
    }
    Ok(())
}

/// Each value once, most hits first.
fn joined(entries: Vec<Entry>) -> Vec<Entry> {
    let mut sums = ValueSums::default();
    entries.into_iter().for_each(|(value, hits, blocked)| sums.add(value, hits, blocked));
    sums.ranked()
}

async fn write(partition: &Partition, summary: &Summary) -> Result<(), StoreError> {
    let hour = summary.hour;
    let rows = summary.lists.iter().map(|((subject, value, kind), entries)| -> Result<Vec<Value>, StoreError> {
        let text = entries_text(entries)?;
        Ok(vec![hour.into(), (*subject).into(), value.clone().into(), (*kind).into(), text.into()])
    });
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let (more_hosts, more_applications) = (i64::from(summary.more_hosts), i64::from(summary.more_applications));
    let row = vec![hour.into(), summary.hits.into(), more_hosts.into(), more_applications.into()];
    TABLES.replace(partition, hour, rows, row).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_several_lists_are_one_entry_each() {
        let entries = [("sqli", 5, 2), ("xss", 5, 2), ("sqli", 3, 3)].map(|(v, h, b)| (v.to_owned(), h, b));
        assert_eq!(joined(entries.into()), [("sqli".to_owned(), 8, 5), ("xss".to_owned(), 5, 2)]);
    }
}
