//! Counts of hits over time, and by type, source, target and country.
//!
//! Each new hit is added to counts by hour, so that a dashboard over months reads thousands of rows and not millions.
//! A filter that these counts cannot answer reads the hits themselves.

use super::clause::{self, Scope};
use super::day_summaries::{HOURS, STORED};
use super::hour_summaries::{self, Entry, Subject, Summed};
use super::ids::{self, HOUR};
use super::incoming::{Incoming, text};
use super::partition::Partition;
use super::sql::{Columns, Rows, Sql, Value};
use super::value_sums::ValueSums;
use super::{Count, Database, Dimension, Filter, RuleCount, Series, Slot, StoreError};
use sqlx::AnyConnection;
use std::collections::{BTreeMap, HashMap};
use weir_core::model::AttackType;

/// Most slots of a series: as many as a wide screen has columns.
pub const MAX_SLOTS: i64 = 2_000;
/// Shortest slot of a series, in milliseconds.
pub const SHORTEST_STEP: i64 = 1_000;
/// Most values of a list of tops.
pub const MAX_TOP: usize = 100;

/// Longest name of a rule, in bytes.
const MAX_RULE: usize = 128;

const COUNTS: Rows = Rows::new(
    "INSERT INTO hit_counts (kind, hour, value, hits, blocked) VALUES ",
    5,
    " ON CONFLICT (kind, hour, value) DO UPDATE SET hits = hit_counts.hits + excluded.hits, \
     blocked = hit_counts.blocked + excluded.blocked",
);

/// Kind of the counts of all hits.
pub(super) const ALL: i64 = 0;

impl Dimension {
    pub(super) const fn kind(self) -> i64 {
        match self {
            Dimension::AttackType => 1,
            Dimension::Source => 2,
            Dimension::Target => 3,
            Dimension::Country => 4,
            Dimension::Rule => 5,
        }
    }
}

/// What a batch adds to the counts.
#[derive(Default)]
pub(super) struct Tally(BTreeMap<(i64, i64, String), (u64, u64)>);

impl Tally {
    pub fn add(&mut self, hit: &Incoming) {
        let hour = hit.time / HOUR;
        let (hits, blocked) = (hit.weight(), if hit.blocked() { hit.weight() } else { 0 });
        let mut count = |kind: i64, value: String| {
            let entry = self.0.entry((kind, hour, value)).or_default();
            entry.0 += hits;
            entry.1 += blocked;
        };
        count(ALL, String::new());
        for attack in &hit.hit.attacks {
            count(Dimension::AttackType.kind(), attack.code().to_owned());
        }
        count(Dimension::Source.kind(), hit.ip_text());
        count(Dimension::Target.kind(), hit.host.clone());
        count(Dimension::Country.kind(), hit.country());
        for rule in hit.rules().collect::<std::collections::BTreeSet<_>>() {
            count(Dimension::Rule.kind(), text(&rule, MAX_RULE));
        }
        let day = (STORED, hour.div_euclid(HOURS) * HOURS, String::new());
        self.0.entry(day).or_default().0 += hits;
    }

    pub async fn write(self, on: &mut AnyConnection) -> Result<(), StoreError> {
        let rows = self.0.into_iter().map(|((kind, hour, value), (hits, blocked))| -> Vec<Value> {
            vec![kind.into(), hour.into(), value.into(), hits.into(), blocked.into()]
        });
        COUNTS.write(on, rows.collect()).await?;
        Ok(())
    }
}

/// How a filter can be answered from counts by hour.
fn counted(filter: &Filter, from: i64, to: i64) -> Option<(i64, String)> {
    let hours = from % HOUR == 0 && to % HOUR == 0;
    let bare = |mut filter: Filter| {
        (filter.from, filter.to) = (None, None);
        filter == Filter::default()
    };
    if !hours {
        return None;
    }
    if bare(filter.clone()) {
        return Some((ALL, String::new()));
    }
    let one = |dimension: Dimension, value: Option<String>, rest: Filter| {
        value.filter(|_| bare(rest)).map(|value| (dimension.kind(), value))
    };
    let mut rest = filter.clone();
    let types = only(&std::mem::take(&mut rest.attack_types)).map(|attack| attack.code().to_owned());
    if types.is_some() {
        return one(Dimension::AttackType, types, rest);
    }
    let mut rest = filter.clone();
    let host = only(&std::mem::take(&mut rest.hosts)).filter(|host| !host.contains(['*', '?']));
    if host.is_some() {
        return one(Dimension::Target, host.map(|host| host.to_ascii_lowercase()), rest);
    }
    let mut rest = filter.clone();
    let source = only(&std::mem::take(&mut rest.ips)).filter(|net| net.prefix_len() == net.max_prefix_len());
    one(Dimension::Source, source.map(|net| net.addr().to_string()), rest)
}

/// The value, where there is only one.
fn only<T: Clone>(terms: &super::Terms<T>) -> Option<T> {
    match (&terms.any[..], &terms.none[..]) {
        ([one], []) => Some(one.clone()),
        _ => None,
    }
}

impl Database {
    /// Hits that fit `filter` in slots of `step` milliseconds over `[from, to)`, for which the filter's own bounds are
    /// not looked at. Steps of whole hours on whole hours are answered at once.
    pub async fn series(&self, filter: &Filter, from: i64, to: i64, step: i64) -> Result<Series, StoreError> {
        let slots = slots(from, to, step)?;
        let filter = self.bounded(&Filter { from: Some(from), to: Some(to), ..filter.clone() });
        clause::check(&filter)?;
        let hours = step % HOUR == 0 && from % HOUR == 0;
        let counted = counted(&filter, from, to).filter(|_| hours);
        let subject = Subject::of(&filter).filter(|subject| hours && subject.has(ALL));
        let mut sums: HashMap<i64, (u64, u64)> = HashMap::new();
        let mut add = |slot: i64, hits: u64, blocked: u64| {
            let sum = sums.entry(slot).or_default();
            *sum = (sum.0 + hits, sum.1 + blocked);
        };
        for month in self.partitions().between(Some(from), Some(to))? {
            let Some(partition) = self.partitions().existing(month).await? else { continue };
            let named = |error| partition.named(error);
            let mut statements = Vec::new();
            match (&counted, &subject) {
                (Some((kind, value)), _) => statements.push(counted_series(*kind, value, from, to, step)),
                (None, Some(subject)) => {
                    let summed = hour_summaries::read(&partition, subject, ALL, (from, to)).await.map_err(named)?;
                    for (hour, entries) in summed.hours {
                        entries
                            .into_iter()
                            .for_each(|(_, hits, blocked)| add((hour * HOUR - from) / step, hits, blocked));
                    }
                    for stretch in summed.rest {
                        statements.push(scanned_series(&between(&filter, stretch), from, step)?);
                    }
                }
                (None, None) => statements.push(scanned_series(&filter, from, step)?),
            }
            for sql in statements {
                for row in sql.all(partition.pools.read()).await.map_err(named)? {
                    let mut c = Columns::of(&row);
                    add(c.int()?, c.count()?, c.count()?);
                }
            }
        }
        let slot = |n: i64| {
            let (hits, blocked) = sums.get(&n).copied().unwrap_or_default();
            Slot { time: from + n * step, hits, blocked }
        };
        Ok(Series { step, slots: (0..slots).map(slot).collect() })
    }

    /// [`Database::series`] of each attack type that occurs, without any other filter. Whole hours.
    pub async fn series_by_type(&self, from: i64, to: i64, step: i64) -> Result<Vec<(AttackType, Series)>, StoreError> {
        let (from, to) = (from.div_euclid(HOUR) * HOUR, (to + HOUR - 1).div_euclid(HOUR) * HOUR);
        let step = (step.max(1) + HOUR - 1) / HOUR * HOUR;
        let mut out = Vec::new();
        for count in self
            .top(Dimension::AttackType, &Filter { from: Some(from), to: Some(to), ..Filter::default() }, MAX_TOP)
            .await?
        {
            if let Some(attack) = AttackType::from_code(&count.value) {
                let filter = Filter { attack_types: super::Terms::only(attack), ..Filter::default() };
                out.push((attack, self.series(&filter, from, to, step).await?));
            }
        }
        Ok(out)
    }

    /// The values of `dimension` with most hits that fit `filter`, most first.
    pub async fn top(&self, dimension: Dimension, filter: &Filter, limit: usize) -> Result<Vec<Count>, StoreError> {
        clause::check(filter)?;
        let filter = &self.bounded(filter);
        let mut sums = ValueSums::default();
        for month in self.partitions().between(filter.from, filter.to)? {
            let Some(partition) = self.partitions().existing(month).await? else { continue };
            let named = |error| partition.named(error);
            let plan = plan(&partition, dimension, filter).await.map_err(named)?;
            plan.entries.into_iter().for_each(|(value, hits, blocked)| sums.add(value, hits, blocked));
            for sql in plan.statements {
                for row in sql.all(partition.pools.read()).await.map_err(named)? {
                    let mut c = Columns::of(&row);
                    let (value, hits, blocked) = (c.text()?, c.count()?, c.count()?);
                    if plan.lists {
                        value.split_whitespace().for_each(|value| sums.add(value.to_owned(), hits, blocked));
                    } else {
                        sums.add(value, hits, blocked);
                    }
                }
            }
        }
        Ok(sums.top(limit.min(MAX_TOP)))
    }
}

impl Database {
    /// Hits of each signature, by name, and of each rule, by id, from the hour of `from` on.
    pub async fn rule_counts(&self, from: i64) -> Result<HashMap<String, RuleCount>, StoreError> {
        let mut out: HashMap<String, RuleCount> = HashMap::new();
        for month in self.partitions().between(Some(from), None)? {
            let Some(partition) = self.partitions().existing(month).await? else { continue };
            let mut sql = Sql::new(
                "SELECT value, CAST(SUM(hits) AS BIGINT), CAST(SUM(blocked) AS BIGINT), MAX(hour) FROM hit_counts WHERE kind = ",
            );
            sql.bind(Dimension::Rule.kind()).push(" AND hour >= ").bind(from.div_euclid(HOUR)).push(" GROUP BY value");
            for row in sql.all(partition.pools.read()).await.map_err(|e| partition.named(e))? {
                let mut c = Columns::of(&row);
                let (value, hits, blocked, hour) = (c.text()?, c.count()?, c.count()?, c.int()?);
                let sum = out.entry(value).or_default();
                sum.hits += hits;
                sum.blocked += blocked;
                sum.last_hour = sum.last_hour.max(hour.saturating_mul(HOUR));
            }
        }
        Ok(out)
    }
}

/// What answers a list of tops.
#[derive(Default)]
struct Plan {
    entries: Vec<Entry>,
    statements: Vec<Sql>,
    /// Whether rows have a list of values: hits do, counts have one.
    lists: bool,
}

/// Summaries of hours as far as they know, then counts by hour, then the hits themselves.
async fn plan(partition: &Partition, dimension: Dimension, filter: &Filter) -> Result<Plan, StoreError> {
    let (from, to) = (filter.from.unwrap_or(0).max(0), filter.to.unwrap_or(ids::MAX_TIME));
    let mut plan = Plan::default();
    let subject = Subject::of(filter);
    let all = subject == Some(Subject::All);
    // Counts of all hits answer from the start of the first hour to the end of the last one.
    let (from, to) = match all {
        true => (from.div_euclid(HOUR) * HOUR, to.saturating_add(HOUR - 1).div_euclid(HOUR) * HOUR),
        false => (from, to),
    };
    let summed = match subject.filter(|subject| subject.has(dimension.kind())) {
        Some(subject) => hour_summaries::read(partition, &subject, dimension.kind(), (from, to)).await?,
        None => Summed { hours: Vec::new(), rest: vec![(from, to)] },
    };
    plan.lists = !all && matches!(dimension, Dimension::AttackType | Dimension::Rule);
    plan.entries = summed.hours.into_iter().flat_map(|(_, entries)| entries).collect();
    for stretch in summed.rest {
        plan.statements.push(match all {
            true => counted_top(dimension, stretch.0, stretch.1),
            false => scanned_top(dimension, &between(filter, stretch))?,
        });
    }
    Ok(plan)
}

/// `filter` for a stretch of its time.
fn between(filter: &Filter, (from, to): (i64, i64)) -> Filter {
    Filter { from: Some(from), to: Some(to), ..filter.clone() }
}

pub(super) fn slots(from: i64, to: i64, step: i64) -> Result<i64, StoreError> {
    let wrong = |text: &str| Err(StoreError::Input(text.to_owned()));
    if from < 0 || to <= from || to > ids::MAX_TIME {
        return wrong("the range is empty or out of bounds: `from` must lie before `to`");
    }
    if step < SHORTEST_STEP || (to - from) / step >= MAX_SLOTS {
        return wrong("too many slots: choose a longer step or a shorter range");
    }
    Ok((to - from + step - 1) / step)
}

fn counted_series(kind: i64, value: &str, from: i64, to: i64, step: i64) -> Sql {
    let mut sql = Sql::new("SELECT (hour - ");
    sql.bind(from / HOUR).push(") / ").bind(step / HOUR);
    sql.push(" AS slot, CAST(SUM(hits) AS BIGINT), CAST(SUM(blocked) AS BIGINT) FROM hit_counts WHERE kind = ");
    sql.bind(kind).push(" AND hour >= ").bind(from / HOUR).push(" AND hour < ").bind(to / HOUR);
    sql.push(" AND value = ").bind(value).push(" GROUP BY slot");
    sql
}

fn scanned_series(filter: &Filter, from: i64, step: i64) -> Result<Sql, StoreError> {
    let mut sql = Sql::new("SELECT (h.time - ");
    sql.bind(from).push(") / ").bind(step).push(" AS slot, ");
    sql.push("CAST(SUM(1 + h.folded) AS BIGINT), CAST(SUM(h.blocked * (1 + h.folded)) AS BIGINT) FROM hits h WHERE ");
    clause::hits(&mut sql, filter, Scope::Hits)?;
    sql.push(" GROUP BY slot");
    Ok(sql)
}

/// The engine sorts and cuts what can be many; of a range of several months each gives its own first values, so that a
/// value that is nowhere among the first can be missing.
fn counted_top(dimension: Dimension, first: i64, last: i64) -> Sql {
    let mut sql = Sql::new(
        "SELECT value, CAST(SUM(hits) AS BIGINT) AS n, CAST(SUM(blocked) AS BIGINT) FROM hit_counts WHERE kind = ",
    );
    sql.bind(dimension.kind()).push(" AND hour >= ").bind(first / HOUR).push(" AND hour < ").bind(last / HOUR);
    sql.push(" GROUP BY value ORDER BY n DESC LIMIT 1000");
    sql
}

fn scanned_top(dimension: Dimension, filter: &Filter) -> Result<Sql, StoreError> {
    let mut sql = Sql::new("SELECT ");
    let column = match dimension {
        Dimension::AttackType => "h.attack_types",
        Dimension::Source => "h.ip",
        Dimension::Target => "h.host",
        Dimension::Country => "h.country",
        Dimension::Rule => "h.rules",
    };
    sql.push(column).push(" AS value, CAST(SUM(1 + h.folded) AS BIGINT) AS n, ");
    sql.push("CAST(SUM(h.blocked * (1 + h.folded)) AS BIGINT) FROM hits h WHERE ");
    clause::hits(&mut sql, filter, Scope::Hits)?;
    sql.push(" GROUP BY value ORDER BY n DESC LIMIT 1000");
    Ok(sql)
}
