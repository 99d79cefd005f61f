//! Hits of whole hours, summed up in the background: the most frequent values of all hits, of each host and of each
//! application.
//!
//! Counts by hour as `hit_counts` has them would need a row for each source of each host of each hour, written with each
//! hit. Here an hour costs a few statements once it is over, and a row for each host and application.
//!
//! A summary holds for as long as `hit_counts`, which is written with each hit, has the same number of hits for that hour
//! as when it was made. Hits that come late therefore need no note of their own: the hour is summed up again, and until
//! then, as for hours of a database that has no summaries yet, queries read its hits. No answer depends on the progress of
//! the background work, only the time that it takes.

use super::counts::ALL;
use super::day_summaries;
use super::ids::HOUR;
use super::partition::Partition;
use super::sql::{Columns, Sql};
use super::summarize_hours::LISTS;
use super::summary_tables::read_entries;
use super::{DAY, Dimension, Filter, StoreError};

/// Most values of a list: an address that is below the thousandth place in an hour is not counted there.
pub(super) const MAX_ENTRIES: u64 = 1_000;
/// Most hosts and applications of an hour, those with most hits.
pub(super) const MAX_SUBJECTS: usize = 100;

/// A value with its hits, and how many of these were blocked.
pub(super) type Entry = (String, u64, u64);

/// Which hits a summary is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    All,
    Host(String),
    Application(i64),
}

impl Subject {
    /// The subject that has exactly the hits of `filter`, times aside.
    pub fn of(filter: &Filter) -> Option<Subject> {
        let mut rest = Filter { from: None, to: None, ..filter.clone() };
        let (hosts, applications) = (std::mem::take(&mut rest.hosts), std::mem::take(&mut rest.applications));
        if rest != Filter::default() {
            return None;
        }
        match (hosts.any.as_slice(), applications.any.as_slice()) {
            _ if !(hosts.none.is_empty() && applications.none.is_empty()) => None,
            ([], []) => Some(Subject::All),
            ([host], []) if !host.contains(['*', '?']) => Some(Subject::Host(host.to_ascii_lowercase())),
            ([], [application]) => Some(Subject::Application(*application)),
            _ => None,
        }
    }

    /// Whether its summaries have values of this kind.
    pub fn has(&self, kind: i64) -> bool {
        LISTS.iter().any(|list| list.subject == self.code() && list.kind == kind)
    }

    pub(super) const fn code(&self) -> i64 {
        match self {
            Subject::All => ALL,
            Subject::Host(_) => HOSTS,
            Subject::Application(_) => APPLICATIONS,
        }
    }

    pub(super) fn value(&self) -> String {
        match self {
            Subject::All => String::new(),
            Subject::Host(host) => host.clone(),
            Subject::Application(id) => id.to_string(),
        }
    }
}

/// Subjects as stored.
pub(super) const HOSTS: i64 = Dimension::Target.kind();
pub(super) const APPLICATIONS: i64 = 6;

/// What summaries know of a stretch of time.
#[derive(Debug, Default)]
pub(super) struct Summed {
    /// Hours since 1970 with their values; those of a whole day can stand with its first hour.
    pub hours: Vec<(i64, Vec<Entry>)>,
    /// What no summary knows, from and to in milliseconds since 1970, oldest first.
    pub rest: Vec<(i64, i64)>,
}

impl Summed {
    /// Adds a stretch that no summary knows, after the others.
    fn leave(&mut self, from: i64, to: i64) {
        match self.rest.last_mut() {
            _ if from >= to => {}
            Some(last) if last.1 == from => last.1 = to,
            _ => self.rest.push((from, to)),
        }
    }
}

/// The values of `kind` that the hits of `subject` have from the millisecond `from` until `to`.
pub(super) async fn read(
    partition: &Partition,
    subject: &Subject,
    kind: i64,
    (from, to): (i64, i64),
) -> Result<Summed, StoreError> {
    let (mut summed, mut read) = (Summed::default(), from);
    for (day, hours) in day_summaries::read(partition, subject, kind, (from, to)).await? {
        read_hours(partition, subject, kind, (read, day * DAY), &mut summed).await?;
        summed.hours.extend(hours);
        read = (day + 1) * DAY;
    }
    read_hours(partition, subject, kind, (read, to), &mut summed).await?;
    Ok(summed)
}

/// [`read`] by hour.
async fn read_hours(
    partition: &Partition,
    subject: &Subject,
    kind: i64,
    (from, to): (i64, i64),
    summed: &mut Summed,
) -> Result<(), StoreError> {
    let (first, end) = ((from + HOUR - 1).div_euclid(HOUR), to.div_euclid(HOUR));
    if first >= end {
        summed.leave(from, to);
        return Ok(());
    }
    summed.leave(from, first * HOUR);
    for row in statement(subject, kind, first, end).all(partition.pools.read()).await? {
        let mut c = Columns::of(&row);
        let (hour, holds, cut, entries) = (c.int()?, c.int()? == 1, c.int()? == 1, c.text()?);
        // Without entries it has no such hits, or is not among those that are kept.
        if !holds || entries.is_empty() && cut {
            summed.leave(hour * HOUR, (hour + 1) * HOUR);
        } else if !entries.is_empty() {
            summed.hours.push((hour, read_entries(format_args!("hour {hour}"), &entries)?));
        }
    }
    summed.leave(end * HOUR, to);
    Ok(())
}

/// Hours that have hits: whether the summary holds, whether it left out subjects, and the entries, if any.
fn statement(subject: &Subject, kind: i64, first: i64, end: i64) -> Sql {
    let mut sql = Sql::new("SELECT c.hour, CASE WHEN d.hits = c.hits THEN 1 ELSE 0 END, ");
    sql.push(match subject {
        Subject::All => "0",
        Subject::Host(_) => "COALESCE(d.more_hosts, 0)",
        Subject::Application(_) => "COALESCE(d.more_applications, 0)",
    });
    sql.push(", COALESCE(s.entries, '') FROM hit_counts c LEFT JOIN summarized_hours d ON d.hour = c.hour");
    sql.push(" LEFT JOIN hour_summaries s ON s.hour = c.hour AND s.subject = ").bind(subject.code());
    sql.push(" AND s.value = ").bind(subject.value()).push(" AND s.kind = ").bind(kind);
    sql.push(" WHERE c.kind = ").bind(ALL).push(" AND c.value = '' AND c.hour >= ").bind(first);
    sql.push(" AND c.hour < ").bind(end).push(" ORDER BY c.hour");
    sql
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Terms;

    #[test]
    fn a_subject_has_exactly_the_hits_of_the_filter() {
        let all = Filter { from: Some(1), to: Some(2), ..Filter::default() };
        assert_eq!(Subject::of(&all), Some(Subject::All));
        let host = Filter { hosts: Terms::only("Shop.example".into()), ..all.clone() };
        assert_eq!(Subject::of(&host), Some(Subject::Host("shop.example".into())));
        let application = Filter { applications: Terms::only(7), ..all.clone() };
        assert_eq!(Subject::of(&application), Some(Subject::Application(7)));
        let both = Filter { applications: Terms::only(7), ..host.clone() };
        let pattern = Filter { hosts: Terms::only("*.example".into()), ..all.clone() };
        let two = Filter { applications: Terms { any: vec![1, 2], none: vec![] }, ..all.clone() };
        let not = Filter { hosts: Terms { any: vec![], none: vec!["a".into()] }, ..all.clone() };
        let more = Filter { methods: Terms::only("GET".into()), ..host };
        for filter in [both, pattern, two, not, more] {
            assert_eq!(Subject::of(&filter), None, "{filter:?}");
        }
    }

    #[test]
    fn stretches_that_touch_are_one() {
        let mut summed = Summed::default();
        for (from, to) in [(5, 5), (5, 10), (10, 20), (30, 40)] {
            summed.leave(from, to);
        }
        assert_eq!(summed.rest, [(5, 20), (30, 40)]);
    }
}
