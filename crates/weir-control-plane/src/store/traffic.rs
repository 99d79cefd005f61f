//! Traffic: counts that nodes send every half minute, kept by minute for two days and by hour for as long as hits.

use super::ids::{self, DAY, MINUTE};
use super::incoming::{MAX_AHEAD, text};
use super::ingest::{begin, retry};
use super::migrate::Engine;
use super::sql::{Columns, Rows, Sql, Value};
use super::{Database, StoreError, rule_histograms, session_requests};
use serde::Serialize;
use sqlx::AnyConnection;
use std::collections::{BTreeMap, HashMap};
use weir_protocol::node_api::{LATENCY_BOUNDS_US, MAX_RULE_MINUTES, MAX_SESSION_BATCH, Statistics, StatisticsRow};

/// For how long minutes are kept: what a view of the last day needs.
const MINUTES_KEPT: i64 = 2 * DAY;
/// For how long a batch may be late, and so for how long its id is kept: longer than a spool lasts.
const BATCHES_KEPT: i64 = 30 * DAY;
/// Most rows of a batch: applications and hosts past a sender's own limit are one row.
const MAX_ROWS: usize = 5_000;
/// Longest host.
const MAX_HOST: usize = 256;
/// Most slots of a series.
const MAX_SLOTS: i64 = super::MAX_SLOTS;
/// Classes of latency.
const CLASSES: usize = LATENCY_BOUNDS_US.len() + 1;

macro_rules! sum {
    ($table:literal, $column:literal) => {
        concat!($column, " = ", $table, ".", $column, " + excluded.", $column)
    };
}

macro_rules! upsert {
    ($table:literal) => {
        Rows::new(
            concat!(
                "INSERT INTO ",
                $table,
                " (slot, node, application, host, requests, attacks, blocked, bypassed, bytes, ",
                "latency_0, latency_1, latency_2, latency_3, latency_4, latency_5, latency_6, latency_7, latency_8, ",
                "latency_9, latency_10) VALUES "
            ),
            20,
            concat!(
                " ON CONFLICT (slot, node, application, host) DO UPDATE SET ",
                sum!($table, "requests"),
                ", ",
                sum!($table, "attacks"),
                ", ",
                sum!($table, "blocked"),
                ", ",
                sum!($table, "bypassed"),
                ", ",
                sum!($table, "bytes"),
                ", ",
                sum!($table, "latency_0"),
                ", ",
                sum!($table, "latency_1"),
                ", ",
                sum!($table, "latency_2"),
                ", ",
                sum!($table, "latency_3"),
                ", ",
                sum!($table, "latency_4"),
                ", ",
                sum!($table, "latency_5"),
                ", ",
                sum!($table, "latency_6"),
                ", ",
                sum!($table, "latency_7"),
                ", ",
                sum!($table, "latency_8"),
                ", ",
                sum!($table, "latency_9"),
                ", ",
                sum!($table, "latency_10")
            ),
        )
    };
}

const BY_MINUTE: Rows = upsert!("traffic_minutes");
const BY_HOUR: Rows = upsert!("traffic_hours");
const SUMS: &str = "CAST(SUM(requests) AS BIGINT) AS n, CAST(SUM(attacks) AS BIGINT), CAST(SUM(blocked) AS BIGINT), \
    CAST(SUM(bypassed) AS BIGINT), CAST(SUM(bytes) AS BIGINT), CAST(SUM(latency_0) AS BIGINT), \
    CAST(SUM(latency_1) AS BIGINT), CAST(SUM(latency_2) AS BIGINT), CAST(SUM(latency_3) AS BIGINT), \
    CAST(SUM(latency_4) AS BIGINT), CAST(SUM(latency_5) AS BIGINT), CAST(SUM(latency_6) AS BIGINT), \
    CAST(SUM(latency_7) AS BIGINT), CAST(SUM(latency_8) AS BIGINT), CAST(SUM(latency_9) AS BIGINT), \
    CAST(SUM(latency_10) AS BIGINT)";

/// Sums of traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TrafficTotal {
    /// Requests judged.
    pub requests: u64,
    /// Requests in which an attack was found.
    pub attacks: u64,
    /// Requests blocked.
    pub blocked: u64,
    /// Requests passed without inspection.
    pub bypassed: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Requests by time of inspection, classes of [`LATENCY_BOUNDS_US`].
    pub latency: Vec<u64>,
}

/// Traffic of one slot of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TrafficSlot {
    /// Its first millisecond since 1970.
    pub time: i64,
    /// Its traffic.
    pub total: TrafficTotal,
}

/// Which traffic; the default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrafficFilter {
    /// Only of this node.
    pub node: Option<String>,
    /// Only of this application.
    pub application: Option<i64>,
    /// Only of this host.
    pub host: Option<String>,
}

/// By what traffic is summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficBy {
    /// Node.
    Node,
    /// Application; its id as text.
    Application,
    /// Host.
    Host,
}

impl Database {
    /// Adds the counts of a batch. False if it was added before.
    pub async fn record_statistics(&self, batch: &Statistics) -> Result<bool, StoreError> {
        let refuse = |text: &str| Err(StoreError::Input(text.to_owned()));
        let Some((id, sent)) = ids::read(&batch.id) else { return refuse("the id is no UUIDv7") };
        let now = ids::now();
        let time = i64::try_from(batch.from).unwrap_or(i64::MAX).saturating_mul(1000);
        if [sent, time].iter().any(|&t| t > now + MAX_AHEAD || t < now - BATCHES_KEPT) {
            return refuse("the time is more than a day ahead or a month ago: check the node's clock");
        }
        if batch.rows.len() > MAX_ROWS {
            return refuse("too many rows: fold hosts into `*`");
        }
        if batch.rules.len() > MAX_RULE_MINUTES {
            return refuse("too many histograms: divide them among reports");
        }
        if batch.sessions.iter().map(|trail| trail.requests.len()).sum::<usize>() > MAX_SESSION_BATCH {
            return refuse("too many requests of sessions: divide them among reports");
        }
        let is_hash = |session: &str| !session.is_empty() && session.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !batch.sessions.iter().all(|trail| is_hash(&trail.session)) {
            return refuse("a session is not a hash");
        }
        retry(|| add(self, &id, time, batch)).await
    }

    /// Traffic over `[from, to)` in slots of `step` milliseconds, whole minutes. Minutes are there for two days; before
    /// that, and for steps of an hour and more, hours answer.
    pub async fn traffic(
        &self,
        filter: &TrafficFilter,
        from: i64,
        to: i64,
        step: i64,
    ) -> Result<Vec<TrafficSlot>, StoreError> {
        if from < 0 || to <= from || step < MINUTE || (to - from) / step >= MAX_SLOTS {
            let text =
                "the range is empty or has too many slots: choose a step of a minute or more, or a shorter range";
            return Err(StoreError::Input(text.into()));
        }
        let (table, unit) = table(from, step);
        let mut sql = Sql::new("SELECT (slot * ");
        sql.bind(unit).push(" - ").bind(from).push(") / ").bind(step).push(" AS place, ").push(SUMS).push(table);
        conditions(&mut sql, filter, from, to, unit);
        sql.push(" GROUP BY place");
        let mut slots: HashMap<i64, TrafficTotal> = HashMap::new();
        for row in sql.all(self.control().read()).await? {
            let mut c = Columns::of(&row);
            slots.insert(c.int()?, total(&mut c)?);
        }
        let empty = || TrafficTotal { latency: vec![0; CLASSES], ..TrafficTotal::default() };
        let slot = |n| TrafficSlot { time: from + n * step, total: slots.remove(&n).unwrap_or_else(empty) };
        Ok((0..(to - from + step - 1) / step).map(slot).collect())
    }

    /// The `limit` nodes, applications or hosts with most requests over `[from, to)`, most first.
    pub async fn traffic_by(
        &self,
        by: TrafficBy,
        filter: &TrafficFilter,
        from: i64,
        to: i64,
        limit: usize,
    ) -> Result<Vec<(String, TrafficTotal)>, StoreError> {
        let (table, unit) = table(from, 0);
        let mut sql = Sql::new("SELECT ");
        sql.push(match by {
            TrafficBy::Node => "node",
            TrafficBy::Application => "CAST(application AS TEXT)",
            TrafficBy::Host => "host",
        });
        sql.push(" AS value, ").push(SUMS).push(table);
        conditions(&mut sql, filter, from, to, unit);
        sql.push(" GROUP BY value ORDER BY n DESC, value LIMIT ").bind(limit.min(super::MAX_TOP) as u64);
        let rows = sql.all(self.control().read()).await?;
        let read = |row| {
            let mut c = Columns::of(row);
            Ok((c.text()?, total(&mut c)?))
        };
        rows.iter().map(read).collect()
    }
}

/// The table that answers, and the milliseconds of its slots.
fn table(from: i64, step: i64) -> (&'static str, i64) {
    let recent = from >= ids::now() - MINUTES_KEPT;
    let hours = step > 0 && step % ids::HOUR == 0 && from % ids::HOUR == 0;
    if recent && !hours { (" FROM traffic_minutes", MINUTE) } else { (" FROM traffic_hours", ids::HOUR) }
}

fn conditions(sql: &mut Sql, filter: &TrafficFilter, from: i64, to: i64, unit: i64) {
    // A slot counts by its first moment, and the one in which the range begins as a whole.
    sql.push(" WHERE slot >= ").bind(from.div_euclid(unit)).push(" AND slot < ").bind((to + unit - 1).div_euclid(unit));
    if let Some(node) = &filter.node {
        sql.push(" AND node = ").bind(node.as_str());
    }
    if let Some(application) = filter.application {
        sql.push(" AND application = ").bind(application);
    }
    if let Some(host) = &filter.host {
        sql.push(" AND host = ").bind(host.to_ascii_lowercase());
    }
}

fn total(c: &mut Columns<'_>) -> Result<TrafficTotal, StoreError> {
    Ok(TrafficTotal {
        requests: c.count()?,
        attacks: c.count()?,
        blocked: c.count()?,
        bypassed: c.count()?,
        bytes: c.count()?,
        latency: (0..CLASSES).map(|_| c.count()).collect::<Result<_, _>>()?,
    })
}

async fn add(database: &Database, id: &str, time: i64, batch: &Statistics) -> Result<bool, StoreError> {
    let mut connection = database.control().write().acquire().await?;
    let mut transaction = begin(database.engine(), &mut connection).await?;
    let new =
        Rows::new("INSERT INTO traffic_batches (id, received) VALUES ", 2, " ON CONFLICT DO NOTHING RETURNING id")
            .write(&mut transaction, vec![vec![id.into(), ids::now().into()]])
            .await?;
    if new.is_empty() {
        return Ok(false);
    }
    lock(&mut transaction, database.engine()).await?;
    for (rows, unit) in [(&BY_MINUTE, MINUTE), (&BY_HOUR, ids::HOUR)] {
        rows.write(&mut transaction, rows_of(batch, time / unit)).await?;
    }
    rule_histograms::add(&mut transaction, &batch.rules, database.behaviour_from()).await?;
    session_requests::add(&mut transaction, batch, database.sessions_from()).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Batches of several replicas touch the same rows: one at a time.
async fn lock(on: &mut AnyConnection, engine: Engine) -> Result<(), StoreError> {
    if engine == Engine::Postgres {
        Sql::new("SELECT pg_advisory_xact_lock(7306946)").run(on).await?;
    }
    Ok(())
}

/// Rows for a slot, each application and host once.
fn rows_of(batch: &Statistics, slot: i64) -> Vec<Vec<Value>> {
    let mut sums: BTreeMap<(i64, String), StatisticsRow> = BTreeMap::new();
    for row in &batch.rows {
        let host = text(&row.host.to_ascii_lowercase(), MAX_HOST);
        let sum = sums.entry((row.application, host)).or_default();
        for (sum, n) in [
            (&mut sum.requests, row.requests),
            (&mut sum.attacks, row.attacks),
            (&mut sum.blocked, row.blocked),
            (&mut sum.bypassed, row.bypassed),
            (&mut sum.bytes, row.bytes),
        ] {
            *sum = sum.saturating_add(n).min(MAX_COUNT);
        }
        sum.latency.resize(CLASSES, 0);
        for (sum, n) in sum.latency.iter_mut().zip(&row.latency) {
            *sum = sum.saturating_add(*n).min(MAX_COUNT);
        }
    }
    let node = text(&batch.node, MAX_HOST);
    let row = |((application, host), sum): ((i64, String), StatisticsRow)| {
        let mut out: Vec<Value> = vec![slot.into(), node.clone().into(), application.into(), host.into()];
        out.extend([sum.requests, sum.attacks, sum.blocked, sum.bypassed, sum.bytes].map(Value::from));
        out.extend(sum.latency.into_iter().map(Value::from));
        out
    };
    sums.into_iter().map(row).collect()
}

/// Greatest count of one row: millions of such rows add up without overflow.
const MAX_COUNT: u64 = 1 << 40;

/// Forgets minutes and ids of batches that are old, and hours before `from`.
pub(super) async fn forget(database: &Database, from: i64) -> Result<(), StoreError> {
    let now = ids::now();
    for (sql, bound) in [
        ("DELETE FROM traffic_minutes WHERE slot < ", (now - MINUTES_KEPT) / MINUTE),
        ("DELETE FROM traffic_hours WHERE slot < ", from / ids::HOUR),
        ("DELETE FROM traffic_batches WHERE received < ", now - BATCHES_KEPT - MAX_AHEAD),
    ] {
        let mut sql = Sql::new(sql);
        sql.bind(bound);
        sql.run(database.control().write()).await?;
    }
    Ok(())
}
