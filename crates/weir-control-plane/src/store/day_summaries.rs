//! Summaries of hours added up to days (UTC): a page over weeks reads a row for each day and not for each hour.
//!
//! Each batch that is stored adds to a number for each day that it has hits of ([`STORED`], in `hit_counts`). A summary of a
//! day holds for as long as this number is what it was when the summary was made, and is looked at in the same statement: a
//! late hit makes it void in the transaction that stores the hit. What no day knows is left to hours, and what no hour knows to
//! hits, so that no answer depends on how far the background work is.

use super::counts::ALL;
use super::hour_summaries::{Entry, Subject};
use super::ids::HOUR;
use super::partition::Partition;
use super::sql::{Columns, Sql};
use super::summary_tables::{read_entries, unreadable};
use super::{DAY, StoreError};

/// Kind of the numbers of hits that were stored for a day, in `hit_counts`, with the first hour of the day.
pub(super) const STORED: i64 = 7;
/// Hours of a day.
pub(super) const HOURS: i64 = DAY / HOUR;

/// A day that is known: days since 1970, and what is known of its hits, by hour or from its first hour on.
pub(super) type KnownDay = (i64, Vec<(i64, Vec<Entry>)>);

/// The whole days of `[from, to)`, in milliseconds, of which the values of `kind` that hits of `subject` have are known,
/// oldest first.
pub(super) async fn read(
    partition: &Partition,
    subject: &Subject,
    kind: i64,
    (from, to): (i64, i64),
) -> Result<Vec<KnownDay>, StoreError> {
    let (first, end) = ((from + DAY - 1).div_euclid(DAY), to.div_euclid(DAY));
    if first >= end {
        return Ok(Vec::new());
    }
    let mut known = Vec::new();
    for row in statement(subject, kind, first, end).all(partition.pools.read()).await? {
        let mut c = Columns::of(&row);
        let (day, cut, entries) = (c.int()?.div_euclid(HOURS), c.int()? == 1, c.text()?);
        // Without entries it has no such hits, or is not among those that are kept.
        match (entries.is_empty(), cut) {
            (true, true) => {}
            (true, false) => known.push((day, Vec::new())),
            (false, _) => known.push((day, hours(day, kind, &entries)?)),
        }
    }
    Ok(known)
}

/// Entries as stored, by hour where they are.
fn hours(day: i64, kind: i64, entries: &str) -> Result<Vec<(i64, Vec<Entry>)>, StoreError> {
    let entries = read_entries(format_args!("day {day}"), entries)?;
    if kind != ALL {
        return Ok(vec![(day * HOURS, entries)]);
    }
    let hour = |(hour, hits, blocked): Entry| {
        let hour: i64 = hour.parse().map_err(|error| unreadable(format_args!("day {day}"), error))?;
        Ok((hour, vec![(String::new(), hits, blocked)]))
    };
    entries.into_iter().map(hour).collect()
}

/// Days whose summary holds: whether it left out subjects, and the entries, if any.
fn statement(subject: &Subject, kind: i64, first: i64, end: i64) -> Sql {
    let mut sql = Sql::new("SELECT d.hour, ");
    sql.push(match subject {
        Subject::All => "0",
        Subject::Host(_) => "d.more_hosts",
        Subject::Application(_) => "d.more_applications",
    });
    sql.push(", COALESCE(s.entries, '') FROM summarized_days d LEFT JOIN day_summaries s ON s.hour = d.hour AND s.subject = ");
    sql.bind(subject.code()).push(" AND s.value = ").bind(subject.value()).push(" AND s.kind = ").bind(kind);
    sql.push(" LEFT JOIN hit_counts n ON n.hour = d.hour AND n.value = '' AND n.kind = ").bind(STORED);
    sql.push(" WHERE d.hour >= ").bind(first * HOURS).push(" AND d.hour < ").bind(end * HOURS);
    sql.push(" AND d.stored = COALESCE(n.hits, 0) ORDER BY d.hour");
    sql
}
