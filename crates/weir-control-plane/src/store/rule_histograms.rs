//! What keys of abuse rules reached, as nodes report it with their statistics.

use super::ids::{self, HOUR};
use super::incoming::MAX_AHEAD;
use super::sql::{Columns, Rows, Sql, Value};
use super::{Database, StoreError};
use sqlx::AnyConnection;
use std::collections::BTreeMap;
use weir_abuse::Histogram;
use weir_abuse::histogram::BUCKETS;
use weir_protocol::node_api::RuleMinute;

/// Minutes of an hour.
const MINUTES: u64 = 60;
/// Largest sum: what both engines hold, with room to add.
const MAX_SUM: u64 = 1 << 53;

const ROWS: Rows = Rows::new(
    "INSERT INTO rule_histograms (rule, measure, hour, bucket, sources) VALUES ",
    5,
    " ON CONFLICT (rule, measure, hour, bucket) DO UPDATE SET sources = rule_histograms.sources + excluded.sources",
);

/// What is kept about a rule since a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleHistory {
    /// Beginning of the first hour in which it counted, in milliseconds since 1970.
    pub since: Option<i64>,
    /// Minutes in which a key was counted, by its highest count.
    pub counts: Histogram,
}

impl Database {
    /// What keys of `rule` reached since `from` (milliseconds since 1970), in whole hours, by revisions of it whose
    /// [`weir_policy::AbuseRule::measure`] is `measure`.
    pub async fn rule_history(&self, rule: u64, measure: u64, from: i64) -> Result<RuleHistory, StoreError> {
        let mut sql =
            Sql::new("SELECT bucket, CAST(SUM(sources) AS BIGINT), MIN(hour) FROM rule_histograms WHERE rule = ");
        sql.bind(rule).push(" AND measure = ").bind(measure).push(" AND hour >= ").bind(from.div_euclid(HOUR));
        sql.push(" GROUP BY bucket");
        let mut history = RuleHistory::default();
        for row in sql.all(self.control().read()).await? {
            let mut c = Columns::of(&row);
            let (bucket, sources, hour) = (c.int()?, c.count()?, c.int()?);
            if let Ok(bucket) = u8::try_from(bucket) {
                history.counts.add(bucket, sources);
            }
            let begin = hour.saturating_mul(HOUR);
            history.since = Some(history.since.map_or(begin, |known| known.min(begin)));
        }
        Ok(history)
    }
}

/// Adds the minutes of a report. Minutes that are too old to be kept, or ahead of the clock, are left out.
pub(super) async fn add(on: &mut AnyConnection, minutes: &[RuleMinute], kept_from: i64) -> Result<(), StoreError> {
    let latest = ids::now() + MAX_AHEAD;
    let mut sums: BTreeMap<(u64, u64, i64, u8), u64> = BTreeMap::new();
    for one in minutes {
        let hour = i64::try_from(one.minute / MINUTES).unwrap_or(i64::MAX);
        let time = hour.saturating_mul(HOUR);
        if time < kept_from || time > latest {
            continue;
        }
        for &(bucket, sources) in one.counts.iter().filter(|(bucket, _)| usize::from(*bucket) < BUCKETS) {
            let sum = sums.entry((one.rule, one.measure, hour, bucket)).or_default();
            *sum = sum.saturating_add(sources).min(MAX_SUM);
        }
    }
    let row = |((rule, measure, hour, bucket), sources): ((u64, u64, i64, u8), u64)| -> Vec<Value> {
        vec![rule.into(), measure.into(), hour.into(), i64::from(bucket).into(), sources.into()]
    };
    ROWS.write(on, sums.into_iter().map(row).collect()).await.map(drop)
}

/// Deletes what is older than `from`.
pub(super) async fn forget(database: &Database, from: i64) -> Result<(), StoreError> {
    let mut sql = Sql::new("DELETE FROM rule_histograms WHERE hour < ");
    sql.bind(from.div_euclid(HOUR));
    sql.run(database.control().write()).await.map(drop)
}
