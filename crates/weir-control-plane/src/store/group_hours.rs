//! Hits of each group by hour, with the minutes in which they came and the newest ones that passed.
//!
//! They are written in the transaction that stores the hits, so that the plot of an attack and the blocking preview read a
//! row for each hour and not each hit. Hours that an older build stored have no such rows, or too few: [`ALL`] then has
//! another number of hits than `hit_counts`, and the hour is counted in the background.

use super::counts;
use super::ids::{self, HOUR, MINUTE};
use super::incoming::Incoming;
use super::ingest::{begin, retry};
use super::migrate::Engine;
use super::partition::Partition;
use super::sql::{Columns, Rows, Sql, Value};
use super::{Database, StoreError};
use sqlx::AnyConnection;
use std::collections::{BTreeMap, BTreeSet};

/// The group that has each hit once.
pub(super) const ALL: &str = "*";
/// The group of hits that have none.
pub(super) const NONE: &str = "-";
/// Hits that passed whose ids are kept, of a group and an hour: as many are inspected again to speak for the others.
pub(super) const KEPT: usize = 8;
/// Hits read at once while an hour is counted.
const PORTION: usize = 5_000;

/// Those of groups are read and merged under the locks of the groups; `*` has none, so the engine adds it up.
const OF_GROUPS: Rows = Rows::new(
    "INSERT INTO group_hours (grp, hour, hits, blocked, minutes, passed) VALUES ",
    6,
    " ON CONFLICT (grp, hour) DO UPDATE SET hits = excluded.hits, blocked = excluded.blocked, \
     minutes = excluded.minutes, passed = excluded.passed",
);
const OF_ALL: Rows = Rows::new(
    "INSERT INTO group_hours (grp, hour, hits, blocked, minutes, passed) VALUES ",
    6,
    " ON CONFLICT (grp, hour) DO UPDATE SET hits = group_hours.hits + excluded.hits, \
     blocked = group_hours.blocked + excluded.blocked",
);

/// Hits of one group in one hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Hour {
    hits: u64,
    blocked: u64,
    /// Hits and blocked ones by minute of the hour.
    minutes: BTreeMap<i64, (u64, u64)>,
    /// The newest [`KEPT`] hits that passed.
    passed: BTreeSet<String>,
}

impl Hour {
    fn add(&mut self, minute: i64, hits: u64, blocked: u64) {
        self.hits += hits;
        self.blocked += blocked;
        let sum = self.minutes.entry(minute).or_default();
        *sum = (sum.0 + hits, sum.1 + blocked);
    }

    fn keep(&mut self, id: &str) {
        self.passed.insert(id.to_owned());
        while self.passed.len() > KEPT {
            self.passed.pop_first();
        }
    }

    fn merge(&mut self, minutes: &[(i64, u64, u64)], passed: &str) {
        minutes.iter().for_each(|&(minute, hits, blocked)| self.add(minute, hits, blocked));
        passed.split_whitespace().for_each(|id| self.keep(id));
    }

    fn row(self, group: String, hour: i64) -> Result<Vec<Value>, StoreError> {
        let all = group == ALL;
        let minutes: Vec<(i64, u64, u64)> = self.minutes.into_iter().map(|(m, (hits, b))| (m, hits, b)).collect();
        let minutes = match all {
            true => String::new(),
            false => serde_json::to_string(&minutes).map_err(|error| StoreError::Value(format!("JSON: {error}")))?,
        };
        let passed = if all { String::new() } else { self.passed.into_iter().collect::<Vec<_>>().join(" ") };
        Ok(vec![group.into(), hour.into(), self.hits.into(), self.blocked.into(), minutes.into(), passed.into()])
    }
}

/// Hits by group and hour.
#[derive(Debug, Default)]
struct GroupHours(BTreeMap<(String, i64), Hour>);

impl GroupHours {
    fn add<'g>(&mut self, id: &str, time: i64, groups: impl Iterator<Item = &'g str>, blocked: bool, weight: u64) {
        let (hour, minute) = (time.div_euclid(HOUR), time.rem_euclid(HOUR) / MINUTE);
        let mut groups = groups.peekable();
        let none = groups.peek().is_none().then_some(NONE);
        for group in groups.chain(none).chain([ALL]) {
            let sums = self.0.entry((group.to_owned(), hour)).or_default();
            sums.add(minute, weight, if blocked { weight } else { 0 });
            if !blocked {
                sums.keep(id);
            }
        }
    }

    /// Adds what is stored of the same groups and hours.
    async fn merge_stored(&mut self, on: &mut AnyConnection) -> Result<(), StoreError> {
        let groups: BTreeSet<String> = self.0.keys().map(|(group, _)| group).filter(|g| *g != ALL).cloned().collect();
        let hours: BTreeSet<i64> = self.0.keys().map(|(_, hour)| *hour).collect();
        let groups: Vec<String> = groups.into_iter().collect();
        for portion in groups.chunks(256) {
            let mut sql = Sql::new("SELECT grp, hour, minutes, passed FROM group_hours WHERE grp IN (");
            sql.list(portion.iter().cloned()).push(") AND hour IN (").list(hours.iter().copied()).push(")");
            for row in sql.all(&mut *on).await? {
                let mut c = Columns::of(&row);
                let key = (c.text()?, c.int()?);
                let (minutes, passed) = (read_minutes(&c.text()?)?, c.text()?);
                if let Some(sums) = self.0.get_mut(&key) {
                    sums.merge(&minutes, &passed);
                }
            }
        }
        Ok(())
    }

    async fn write(self, on: &mut AnyConnection) -> Result<(), StoreError> {
        let (all, of_groups): (Vec<_>, Vec<_>) = self.0.into_iter().partition(|((group, _), _)| group == ALL);
        for (statement, sums) in [(OF_GROUPS, of_groups), (OF_ALL, all)] {
            let rows = sums.into_iter().map(|((group, hour), sums)| sums.row(group, hour));
            statement.write(on, rows.collect::<Result<_, _>>()?).await?;
        }
        Ok(())
    }
}

/// Minutes of an hour as stored: minute, hits, blocked.
pub(super) fn read_minutes(text: &str) -> Result<Vec<(i64, u64, u64)>, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Value(format!("minutes of an hour cannot be read: {error}")))
}

/// Adds `hits`, which are new. Their groups must be locked.
pub(super) async fn add(on: &mut AnyConnection, engine: Engine, hits: &[&Incoming]) -> Result<(), StoreError> {
    let mut sums = GroupHours::default();
    for hit in hits {
        let groups = hit.groups.iter().map(|group| group.key.as_str());
        sums.add(&hit.id, hit.time, groups, hit.blocked(), hit.weight());
    }
    if sums.0.keys().any(|(group, _)| group == NONE) {
        super::grouping::lock(on, engine, std::iter::once(NONE)).await?;
    }
    sums.merge_stored(on).await?;
    sums.write(on).await
}

/// Deletes hours before `hour`.
pub(super) async fn forget(on: &mut AnyConnection, hour: i64) -> Result<(), StoreError> {
    let mut sql = Sql::new("DELETE FROM group_hours WHERE hour < ");
    sql.bind(hour);
    sql.run(on).await?;
    Ok(())
}

impl Database {
    /// Counts the hours whose hits an older build stored, newest first, and returns how many. An hour that fails does not
    /// keep others from being counted; the first error is returned in the end.
    pub async fn count_group_hours(&self) -> Result<u64, StoreError> {
        let (mut done, mut failed) = (0, None);
        for month in self.partitions().between(None, None)? {
            let Some(partition) = self.partitions().existing(month).await? else { continue };
            for hour in due(&partition, (0, i64::MAX)).await.map_err(|e| partition.named(e))? {
                match retry(|| count(&partition, hour)).await {
                    Ok(()) => done += 1,
                    Err(error) => failed = failed.or(Some(partition.named(error))),
                }
            }
        }
        failed.map_or(Ok(done), Err)
    }
}

/// Hours of `[from, to)` that are still to be counted, newest first.
pub(super) async fn due(partition: &Partition, (from, to): (i64, i64)) -> Result<Vec<i64>, StoreError> {
    let mut sql = Sql::new("SELECT c.hour FROM hit_counts c LEFT JOIN group_hours g ON g.hour = c.hour AND g.grp = ");
    sql.bind(ALL).push(" WHERE c.kind = ").bind(counts::ALL).push(" AND c.value = '' AND c.hour >= ").bind(from);
    sql.push(" AND c.hour < ").bind(to).push(" AND COALESCE(g.hits, -1) <> c.hits ORDER BY c.hour DESC");
    sql.all(partition.pools.read()).await?.iter().map(|row| Columns::of(row).int()).collect()
}

/// Counts an hour anew from its hits, while nothing is added to any.
async fn count(partition: &Partition, hour: i64) -> Result<(), StoreError> {
    let mut connection = partition.pools.write().acquire().await?;
    let mut on = begin(partition.engine, &mut connection).await?;
    if partition.engine == Engine::Postgres {
        Sql::new("LOCK TABLE group_hours IN SHARE ROW EXCLUSIVE MODE").run(&mut *on).await?;
    }
    let mut sums = GroupHours::default();
    let mut from = ids::bound(hour * HOUR);
    loop {
        let mut sql = Sql::new("SELECT id, grps, blocked, folded FROM hits WHERE id > ");
        sql.bind(from.as_str()).push(" AND id < ").bind(ids::bound((hour + 1) * HOUR));
        sql.push(" ORDER BY id LIMIT ").bind(PORTION as u64);
        let rows = sql.all(&mut *on).await?;
        for row in &rows {
            let mut c = Columns::of(row);
            let (id, groups, blocked, folded) = (c.text()?, c.text()?, c.int()? != 0, c.count()?);
            sums.add(&id, ids::prefix_time(&id), groups.split_whitespace(), blocked, folded.saturating_add(1));
            from = id;
        }
        if rows.len() < PORTION {
            break;
        }
    }
    let mut sql = Sql::new("DELETE FROM group_hours WHERE hour = ");
    sql.bind(hour);
    sql.run(&mut *on).await?;
    sums.write(&mut on).await?;
    on.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_has_its_minutes_and_the_newest_hits_that_passed() {
        let mut sums = GroupHours::default();
        for n in 0..20i64 {
            sums.add(&format!("{n:02}"), HOUR + n * MINUTE, ["a", "b"].into_iter(), n % 2 == 1, 2);
        }
        sums.add("x", HOUR, std::iter::empty(), false, 1);
        let of = |group: &str| sums.0[&(group.to_owned(), 1)].clone();
        assert_eq!((of("a").hits, of("a").blocked), (40, 20));
        assert_eq!(of("a"), of("b"));
        assert_eq!((of(ALL).hits, of(NONE).hits), (41, 1));
        assert_eq!(of("a").minutes[&3], (2, 2));
        assert_eq!(
            of("a").passed.iter().map(String::as_str).collect::<Vec<_>>(),
            ["04", "06", "08", "10", "12", "14", "16", "18"]
        );
        // What is stored and read back is the same again.
        let stored = of("a").row("a".into(), 1).unwrap();
        let (Value::Text(minutes), Value::Text(passed)) = (&stored[4], &stored[5]) else { panic!("{stored:?}") };
        let mut read = Hour::default();
        read.merge(&read_minutes(minutes).unwrap(), passed);
        assert_eq!(read, of("a"));
        assert_eq!(of(ALL).row(ALL.into(), 1).unwrap()[4], Value::Text(String::new()));
        assert!(read_minutes("x").is_err());
    }
}
