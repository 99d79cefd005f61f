//! Hits that passed, by group, with the newest ones of each hour to speak for the others.
//!
//! All of it comes from the counts of groups by hour ([`group_hours`](super::group_hours)): the work follows the number of
//! groups and hours and not that of hits.

use super::group_hours::{self, ALL, KEPT, NONE};
use super::hour_summaries::Subject;
use super::ids::{self, HOUR};
use super::partition::Partition;
use super::sql::{Columns, Sql};
use super::{Database, Filter, StoreError};
use std::collections::HashMap;

/// Most groups, those with most hits.
const MAX_GROUPS: u64 = 500;
/// Hours of a group whose hits speak for all of its hours, the newest ones.
const MAX_HOURS: usize = 24;
/// Most ids of hits in all, about: as many as anyone waits for.
const MAX_SAMPLES: usize = 20_000;
/// Groups asked for at once: SQLite takes 500 parts of a compound statement at most.
const PORTION: usize = 100;

/// Hits of a group that passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassedGroup {
    /// Its key, as [`Replay::groups`](super::Replay::groups) names it.
    pub key: String,
    /// Hits, those that sampling folded included. Of a filter they are those of groups that have such hits.
    pub hits: u64,
    /// Ids of some of them, newest first.
    pub samples: Vec<String>,
}

/// Hits that passed since a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassedHits {
    /// Groups with most hits, most first.
    pub groups: Vec<PassedGroup>,
    /// Whether there are more groups.
    pub more: bool,
    /// Hours whose hits an older build stored and that are still to be counted; their hits can be missing.
    pub uncounted_hours: usize,
}

impl Database {
    /// Hits that passed since the hour of `from` and fit `filter`, which may name a host or an application, or nothing.
    /// Any other filter is an error.
    pub async fn passed_groups(&self, filter: &Filter, from: i64) -> Result<PassedHits, StoreError> {
        super::clause::check(filter)?;
        let from = from.max(0).div_euclid(HOUR);
        let subject = Subject::of(filter);
        let subject = subject.ok_or_else(|| StoreError::Input("ask for one host, or for one application".into()))?;
        let (mut out, mut groups) = (PassedHits::default(), HashMap::<String, PassedGroup>::new());
        for month in self.partitions().between(Some(from * HOUR), None)? {
            let Some(partition) = self.partitions().existing(month).await? else { continue };
            let named = |error| partition.named(error);
            out.uncounted_hours += group_hours::due(&partition, (from, i64::MAX)).await.map_err(named)?.len();
            let sums = sums(&partition, &subject, from).await.map_err(named)?;
            out.more |= sums.len() as u64 > MAX_GROUPS;
            let samples = samples(&partition, sums.iter().map(|(key, _)| key.clone()).collect(), from).await;
            for (key, hits) in sums {
                let group = groups.entry(key.clone()).or_default();
                (group.key, group.hits) = (key, group.hits + hits);
            }
            for (key, ids) in samples.map_err(named)? {
                groups.entry(key).or_default().samples.extend(ids);
            }
        }
        out.groups = groups.into_values().collect();
        out.groups.sort_by(|a, b| b.hits.cmp(&a.hits).then_with(|| a.key.cmp(&b.key)));
        out.more |= out.groups.len() as u64 > MAX_GROUPS;
        out.groups.truncate(MAX_GROUPS as usize);
        Ok(out)
    }
}

/// Groups with most hits that passed, and how many.
async fn sums(partition: &Partition, subject: &Subject, from: i64) -> Result<Vec<(String, u64)>, StoreError> {
    let mut sql = Sql::new("SELECT grp, CAST(SUM(hits - blocked) AS BIGINT) AS n FROM group_hours WHERE hour >= ");
    sql.bind(from).push(" AND hits > blocked AND grp <> ").bind(ALL);
    let of_attacks = |sql: &mut Sql| {
        sql.push(" AND (grp = ").bind(NONE);
        sql.push(" OR grp IN (SELECT a.grp FROM attacks a WHERE a.last_time >= ").bind(from * HOUR);
        sql.push(" AND a.id >= ").bind(ids::bound(ids::Month::of(from * HOUR).start()));
    };
    match subject {
        Subject::All => {}
        Subject::Host(host) => {
            of_attacks(&mut sql);
            sql.push(" AND a.host = ").bind(host.as_str()).push("))");
        }
        Subject::Application(id) => {
            of_attacks(&mut sql);
            sql.push(" AND (a.facets LIKE ").bind(format!("% a={id} %"));
            sql.push(" OR a.facets LIKE ").bind(format!("% {} %", super::facets::ANY)).push(")))");
        }
    }
    sql.push(" GROUP BY grp ORDER BY n DESC, grp LIMIT ").bind(MAX_GROUPS + 1);
    let rows = sql.all(partition.pools.read()).await?;
    let read = |row| {
        let mut c = Columns::of(row);
        Ok((c.text()?, c.count()?))
    };
    rows.iter().map(read).collect()
}

/// Newest hits that passed of each group, newest first.
async fn samples(
    partition: &Partition,
    groups: Vec<String>,
    from: i64,
) -> Result<HashMap<String, Vec<String>>, StoreError> {
    let mut out: HashMap<String, Vec<String>> = HashMap::new();
    let hours = (MAX_SAMPLES / (KEPT * groups.len().max(1))).clamp(1, MAX_HOURS);
    for portion in groups.chunks(PORTION) {
        let mut sql = Sql::new("SELECT grp, hour, passed FROM (");
        // Of each group so many rows in the order of the key: a window over all of them would read every hour of the period.
        for (n, group) in portion.iter().enumerate() {
            sql.push(if n == 0 { "SELECT * FROM (" } else { " UNION ALL SELECT * FROM (" });
            sql.push("SELECT grp, hour, passed FROM group_hours WHERE grp = ").bind(group.as_str());
            sql.push(" AND hour >= ")
                .bind(from)
                .push(" AND hits > blocked ORDER BY hour DESC LIMIT ")
                .bind(hours as u64);
            sql.push(") AS newest");
        }
        sql.push(") AS hours ORDER BY hour DESC");
        for row in sql.all(partition.pools.read()).await? {
            let mut c = Columns::of(&row);
            let (group, _, ids) = (c.text()?, c.int()?, c.text()?);
            out.entry(group).or_default().extend(ids.split_whitespace().rev().map(str::to_owned));
        }
    }
    Ok(out)
}
