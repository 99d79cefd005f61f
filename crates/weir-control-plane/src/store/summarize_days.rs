//! Adding up: whole days whose hours are summed up, newest first.
//!
//! A day is read at one moment, with the number of hits stored for it, so that hits which come in meanwhile make it void. Of
//! each day as many hosts and applications are kept as of an hour, those that have hits in most hours; one that is left out of
//! an hour, because others had more hits, is left out of the day, and read by hour.

use super::counts::ALL;
use super::day_summaries::{HOURS, STORED};
use super::hour_summaries::{APPLICATIONS, Entry, HOSTS, MAX_ENTRIES, MAX_SUBJECTS};
use super::ids;
use super::ingest::retry;
use super::partition::Partition;
use super::sql::{Columns, Rows, Sql, Value};
use super::summarize_hours::{LISTS, LONGEST_PAUSE, List, reader};
use super::summary_tables::{SummaryTables, entries_text, read_entries};
use super::value_sums::ValueSums;
use super::{DAY, Database, Dimension, StoreError};
use sqlx::{AnyConnection, Connection};
use std::time::Instant;

/// Where summaries of days are kept.
pub(super) static TABLES: SummaryTables = SummaryTables {
    lists: Rows::new("INSERT INTO day_summaries (hour, subject, value, kind, entries) VALUES ", 5, ""),
    summarized: Rows::new(
        "INSERT INTO summarized_days (hour, stored, hits, more_hosts, more_applications) VALUES ",
        5,
        " ON CONFLICT (hour) DO UPDATE SET stored = excluded.stored, hits = excluded.hits, \
         more_hosts = excluded.more_hosts, more_applications = excluded.more_applications",
    ),
    delete_lists: "DELETE FROM day_summaries WHERE hour = ",
    delete_before: ["DELETE FROM day_summaries WHERE hour < ", "DELETE FROM summarized_days WHERE hour < "],
};

/// A day as read.
#[derive(Default)]
struct Summary {
    day: i64,
    /// Hits that were stored for it, as counted by this build, and all of its hits.
    stored: i64,
    hits: i64,
    /// Hours in which hosts, or applications, were left out.
    more_hosts: i64,
    more_applications: i64,
    /// Subject, its value, the kind of the entries, and these as JSON.
    lists: Vec<(i64, String, i64, String)>,
}

impl Database {
    /// Adds up the days before today whose hits have changed since they were added up, newest first, and returns how many.
    /// Days of which an hour is not summed up yet wait for it. A day that fails does not keep others from being added up; the
    /// first error is returned in the end.
    pub async fn summarize_days(&self) -> Result<u64, StoreError> {
        let (today, mut done, mut failed) = (ids::now().div_euclid(DAY), 0, None);
        let kept = (self.kept_from() + DAY - 1).div_euclid(DAY);
        for month in self.partitions().between(None, None)? {
            let Some(partition) = self.partitions().existing(month).await? else { continue };
            for day in due(&partition, (kept, today)).await.map_err(|e| partition.named(e))? {
                let begun = Instant::now();
                match summarize(&partition, day).await {
                    Ok(summarized) => done += u64::from(summarized),
                    Err(error) => failed = failed.or(Some(partition.named(error))),
                }
                tokio::time::sleep(begun.elapsed().min(LONGEST_PAUSE)).await;
            }
        }
        failed.map_or(Ok(done), Err)
    }
}

/// Days of `[from, to)` that are to be added up, newest first.
async fn due(partition: &Partition, (from, to): (i64, i64)) -> Result<Vec<i64>, StoreError> {
    let mut sql = Sql::new("SELECT c.day FROM (SELECT hour / ");
    sql.bind(HOURS).push(" AS day, SUM(hits) AS hits FROM hit_counts WHERE kind = ").bind(ALL);
    sql.push(" AND value = '' AND hour >= ").bind(from * HOURS).push(" AND hour < ").bind(to * HOURS);
    sql.push(" GROUP BY 1) c LEFT JOIN summarized_days d ON d.hour = c.day * ").bind(HOURS);
    sql.push(" LEFT JOIN hit_counts n ON n.kind = ").bind(STORED);
    sql.push(" AND n.value = '' AND n.hour = c.day * ").bind(HOURS);
    sql.push(" WHERE COALESCE(d.hits, -1) <> c.hits OR d.stored <> COALESCE(n.hits, 0) ORDER BY c.day DESC");
    sql.all(partition.pools.read()).await?.iter().map(|row| Columns::of(row).int()).collect()
}

/// Whether the day could be added up.
async fn summarize(partition: &Partition, day: i64) -> Result<bool, StoreError> {
    let Some(summary) = read(partition, day).await? else { return Ok(false) };
    retry(|| write(partition, &summary)).await?;
    Ok(true)
}

/// Reads a day as it was at one moment; none if an hour is not summed up.
async fn read(partition: &Partition, day: i64) -> Result<Option<Summary>, StoreError> {
    let (pool, how) = reader(partition);
    let mut connection = pool.acquire().await?;
    let mut on = connection.begin_with(how).await?;
    let Some(mut summary) = summed_hours(&mut on, day).await? else { return Ok(None) };
    for subject in [ALL, HOSTS, APPLICATIONS] {
        let mut values = subjects(&mut on, &summary, subject).await?;
        let more = i64::from(values.len() > MAX_SUBJECTS);
        match subject {
            HOSTS => summary.more_hosts += more,
            APPLICATIONS => summary.more_applications += more,
            _ => {}
        }
        values.truncate(MAX_SUBJECTS);
        for value in values {
            for list in LISTS.iter().filter(|list| list.subject == subject) {
                let entries = joined(list.kind, of_hours(&mut on, day, list, &value).await?);
                summary.lists.push((subject, value.clone(), list.kind, entries_text(&entries)?));
            }
        }
    }
    on.commit().await?;
    Ok(Some(summary))
}

/// A day without its lists; none if an hour of it is not summed up.
async fn summed_hours(on: &mut AnyConnection, day: i64) -> Result<Option<Summary>, StoreError> {
    let mut sql =
        Sql::new("SELECT c.hits, COALESCE(d.hits, -1), COALESCE(d.more_hosts, 0), COALESCE(d.more_applications, 0) ");
    sql.push("FROM hit_counts c LEFT JOIN summarized_hours d ON d.hour = c.hour WHERE c.kind = ").bind(ALL);
    sql.push(" AND c.value = '' AND c.hour >= ").bind(day * HOURS).push(" AND c.hour < ").bind((day + 1) * HOURS);
    let mut summary = Summary { day, ..Summary::default() };
    for row in sql.all(&mut *on).await? {
        let mut c = Columns::of(&row);
        let (hits, summed) = (c.int()?, c.int()?);
        if hits != summed {
            return Ok(None);
        }
        summary.hits += hits;
        summary.more_hosts += c.int()?;
        summary.more_applications += c.int()?;
    }
    let mut sql = Sql::new("SELECT hits FROM hit_counts WHERE kind = ");
    sql.bind(STORED).push(" AND value = '' AND hour = ").bind(day * HOURS);
    if let Some(row) = sql.optional(on).await? {
        summary.stored = Columns::of(&row).int()?;
    }
    Ok(Some(summary))
}

/// Hosts or applications with hits in most hours, one more than are kept: those that are in each hour that left out others.
async fn subjects(on: &mut AnyConnection, day: &Summary, subject: i64) -> Result<Vec<String>, StoreError> {
    let (left_out, hours) = match subject {
        HOSTS => ("d.more_hosts", day.more_hosts),
        APPLICATIONS => ("d.more_applications", day.more_applications),
        _ => ("0", 0),
    };
    let mut sql =
        Sql::new("SELECT s.value, COUNT(*) AS n FROM hour_summaries s JOIN summarized_hours d ON d.hour = s.hour ");
    sql.push("WHERE s.subject = ").bind(subject).push(" AND s.kind = ").bind(Dimension::Source.kind());
    of_day(&mut sql, day.day);
    sql.push(" GROUP BY s.value HAVING SUM(").push(left_out).push(") = ").bind(hours);
    sql.push(" ORDER BY n DESC, s.value LIMIT ").bind(MAX_SUBJECTS as u64 + 1);
    sql.all(on).await?.iter().map(|row| Columns::of(row).text()).collect()
}

fn of_day(sql: &mut Sql, day: i64) {
    sql.push(" AND s.hour >= ").bind(day * HOURS).push(" AND s.hour < ").bind((day + 1) * HOURS);
}

/// A list of each hour of a day.
async fn of_hours(
    on: &mut AnyConnection,
    day: i64,
    list: &List,
    value: &str,
) -> Result<Vec<(i64, Vec<Entry>)>, StoreError> {
    let mut sql = Sql::new("SELECT s.hour, s.entries FROM hour_summaries s WHERE s.subject = ");
    sql.bind(list.subject).push(" AND s.value = ").bind(value).push(" AND s.kind = ").bind(list.kind);
    of_day(&mut sql, day);
    sql.push(" ORDER BY s.hour");
    let read = |row| {
        let mut c = Columns::of(row);
        let (hour, entries) = (c.int()?, c.text()?);
        Ok((hour, read_entries(format_args!("hour {hour}"), &entries)?))
    };
    sql.all(on).await?.iter().map(read).collect()
}

/// The entries of a day: of all hits one for each hour, otherwise the most frequent values.
fn joined(kind: i64, hours: Vec<(i64, Vec<Entry>)>) -> Vec<Entry> {
    let mut sums = ValueSums::default();
    for (hour, entries) in hours {
        for (value, hits, blocked) in entries {
            sums.add(if kind == ALL { hour.to_string() } else { value }, hits, blocked);
        }
    }
    let mut ranked = sums.ranked();
    ranked.truncate(MAX_ENTRIES as usize);
    ranked
}

async fn write(partition: &Partition, summary: &Summary) -> Result<(), StoreError> {
    let hour = summary.day * HOURS;
    let rows = summary.lists.iter().map(|(subject, value, kind, entries)| -> Vec<Value> {
        vec![hour.into(), (*subject).into(), value.clone().into(), (*kind).into(), entries.clone().into()]
    });
    let (more_hosts, more_applications) = (i64::from(summary.more_hosts > 0), i64::from(summary.more_applications > 0));
    let row = [hour, summary.stored, summary.hits, more_hosts, more_applications];
    TABLES.replace(partition, hour, rows.collect(), row.map(Value::from).to_vec()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_each_value_once_and_of_all_hits_each_hour() {
        let one = |value: &str, hits, blocked| (value.to_owned(), hits, blocked);
        let hours = vec![(49, vec![one("a", 3, 1), one("b", 2, 0)]), (50, vec![one("b", 2, 2)])];
        assert_eq!(joined(Dimension::Source.kind(), hours), [one("b", 4, 2), one("a", 3, 1)]);
        let hours = vec![(49, vec![one("", 3, 1)]), (50, vec![one("", 2, 2)])];
        assert_eq!(joined(ALL, hours), [one("49", 3, 1), one("50", 2, 2)]);
    }
}
