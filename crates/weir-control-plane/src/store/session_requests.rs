//! The last requests of sessions of interest, as nodes report them with their statistics.

use super::ids;
use super::incoming::{MAX_AHEAD, text};
use super::sql::{Columns, Rows, Sql, Value};
use super::{Database, StoreError};
use serde::Serialize;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use weir_protocol::node_api::{MAX_SESSION_REQUESTS, SessionTrail, Statistics};

/// Requests kept in all; the oldest go first.
const MAX_KEPT: u64 = 500_000;
/// Longest name of a session, in bytes.
const MAX_SESSION: usize = 64;
/// Longest other texts, in bytes.
const MAX_TEXT: usize = 400;
/// Most sessions of one answer.
const MAX_LISTED: u64 = 200;

const ROWS: Rows = Rows::new(
    "INSERT INTO session_requests (session, time, place, application, node, client, method, path, status, blocked, hit, \
     note) VALUES ",
    12,
    " ON CONFLICT DO NOTHING",
);

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionSummary {
    /// An HMAC of the session.
    pub session: String,
    /// Application; -1 for none.
    pub application: i64,
    /// A client's address.
    pub client: String,
    /// Requests kept.
    pub requests: u64,
    /// Of these, requests with a hit.
    pub hits: u64,
    /// Of these, requests that were blocked.
    pub blocked: u64,
    /// When the first of them was inspected, in milliseconds since 1970.
    pub first: i64,
    /// When the last of them was inspected, in milliseconds since 1970.
    pub last: i64,
}

/// A request of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionStep {
    /// When it was inspected, in milliseconds since 1970.
    pub time: i64,
    /// Application; -1 for none.
    pub application: i64,
    /// Id of the node.
    pub node: String,
    /// The client's address.
    pub client: String,
    /// Method.
    pub method: String,
    /// Path, masked, without query.
    pub path: String,
    /// Status of the response; 0 if it is not known.
    pub status: u64,
    /// Whether it was blocked.
    pub blocked: bool,
    /// Id of its hit; empty for none.
    pub hit: String,
    /// Attacks found, and counters above their limit, in words.
    pub note: String,
}

impl Database {
    /// The sessions of which requests came last, at most 200; with `client` those of an address.
    pub async fn sessions(&self, client: Option<&str>) -> Result<Vec<SessionSummary>, StoreError> {
        let mut sql = Sql::new(
            "SELECT session, MAX(application), MAX(client), CAST(COUNT(*) AS BIGINT), \
             CAST(SUM(CASE WHEN hit <> '' THEN 1 ELSE 0 END) AS BIGINT), CAST(SUM(blocked) AS BIGINT), MIN(time), \
             MAX(time) AS latest FROM session_requests",
        );
        if let Some(client) = client {
            sql.push(" WHERE client = ").bind(text(client, MAX_TEXT));
        }
        sql.push(" GROUP BY session ORDER BY latest DESC, session LIMIT ").bind(MAX_LISTED);
        let rows = sql.all(self.control().read()).await?;
        let read = |row: &AnyRow| {
            let mut c = Columns::of(row);
            Ok(SessionSummary {
                session: c.text()?,
                application: c.int()?,
                client: c.text()?,
                requests: c.count()?,
                hits: c.count()?,
                blocked: c.count()?,
                first: c.int()?,
                last: c.int()?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// The requests of a session, in the order in which they came; none if it is not known.
    pub async fn session_requests(&self, session: &str) -> Result<Vec<SessionStep>, StoreError> {
        let mut sql = Sql::new(
            "SELECT time, application, node, client, method, path, status, blocked, hit, note FROM session_requests \
             WHERE session = ",
        );
        sql.bind(text(session, MAX_SESSION)).push(" ORDER BY time DESC, place DESC LIMIT ");
        sql.bind(MAX_SESSION_REQUESTS as u64);
        let rows = sql.all(self.control().read()).await?;
        let read = |row: &AnyRow| {
            let mut c = Columns::of(row);
            Ok(SessionStep {
                time: c.int()?,
                application: c.int()?,
                node: c.text()?,
                client: c.text()?,
                method: c.text()?,
                path: c.text()?,
                status: c.count()?,
                blocked: c.int()? != 0,
                hit: c.text()?,
                note: c.text()?,
            })
        };
        rows.iter().rev().map(read).collect()
    }
}

/// Adds the requests of a report, and deletes all but the last ones of their sessions. Requests that are too old to be kept,
/// or ahead of the clock, are left out.
pub(super) async fn add(on: &mut AnyConnection, batch: &Statistics, kept_from: i64) -> Result<(), StoreError> {
    let latest = ids::now() + MAX_AHEAD;
    let mut rows = Vec::new();
    for trail in &batch.sessions {
        for request in &trail.requests {
            let time = i64::try_from(request.time).unwrap_or(i64::MAX);
            if (kept_from..=latest).contains(&time) {
                let place = format!("{}.{:04}", batch.id, rows.len());
                let row: Vec<Value> = vec![
                    text(&trail.session, MAX_SESSION).into(),
                    time.into(),
                    place.into(),
                    trail.application.into(),
                    text(&batch.node, MAX_TEXT).into(),
                    text(&trail.client, MAX_TEXT).into(),
                    text(&request.method, MAX_TEXT).into(),
                    text(&request.path, MAX_TEXT).into(),
                    i64::from(request.status).into(),
                    i64::from(request.blocked).into(),
                    uuid::Uuid::parse_str(&request.hit).map(|id| id.to_string()).unwrap_or_default().into(),
                    text(&request.note, MAX_TEXT).into(),
                ];
                rows.push(row);
            }
        }
    }
    ROWS.write(&mut *on, rows).await?;
    for trail in &batch.sessions {
        trim(&mut *on, trail).await?;
    }
    Ok(())
}

/// Deletes all but the last requests of a session.
async fn trim(on: &mut AnyConnection, trail: &SessionTrail) -> Result<(), StoreError> {
    let session = text(&trail.session, MAX_SESSION);
    let mut sql = Sql::new("SELECT time FROM session_requests WHERE session = ");
    sql.bind(session.clone()).push(" ORDER BY time DESC LIMIT 1 OFFSET ").bind(MAX_SESSION_REQUESTS as u64);
    if let Some(row) = sql.optional(&mut *on).await? {
        let time = Columns::of(&row).int()?;
        let mut sql = Sql::new("DELETE FROM session_requests WHERE session = ");
        sql.bind(session).push(" AND time <= ").bind(time);
        sql.run(on).await?;
    }
    Ok(())
}

/// Deletes what is older than `from`, and the oldest of more than is kept.
pub(super) async fn forget(database: &Database, from: i64) -> Result<(), StoreError> {
    let mut sql = Sql::new("SELECT time FROM session_requests ORDER BY time DESC LIMIT 1 OFFSET ");
    sql.bind(MAX_KEPT);
    let oldest = match sql.optional(database.control().read()).await? {
        Some(row) => Columns::of(&row).int()?.saturating_add(1),
        None => from,
    };
    let mut sql = Sql::new("DELETE FROM session_requests WHERE time < ");
    sql.bind(from.max(oldest));
    sql.run(database.control().write()).await.map(drop)
}

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;
    use weir_protocol::node_api::{SessionRequest, SessionTrail, Statistics};

    fn batch(now: u64, session: &str, times: std::ops::Range<u64>) -> Statistics {
        let request = |time| SessionRequest {
            time,
            method: "GET".into(),
            path: format!("/{time}"),
            status: 200,
            blocked: time % 2 == 0,
            hit: if time % 2 == 0 { uuid::Uuid::nil().to_string() } else { String::new() },
            note: String::new(),
        };
        let requests = times.map(request).collect();
        let trail = SessionTrail { session: session.into(), application: 3, client: "198.51.100.7".into(), requests };
        let id = uuid::Uuid::now_v7().to_string();
        Statistics {
            id,
            node: "n".into(),
            from: now / 1_000,
            seconds: 1,
            sessions: vec![trail],
            ..Statistics::default()
        }
    }

    #[tokio::test]
    async fn the_last_requests_of_sessions_are_kept_in_order_for_some_days() {
        let test = Fixture::new().await;
        let store = &test.app.store;
        let now = super::ids::now().unsigned_abs();
        let one = batch(now, "a", now - 300..now - 100);
        store.record_statistics(&one).await.unwrap();
        store.record_statistics(&one).await.unwrap();
        store.record_statistics(&batch(now, "a", now - 100..now)).await.unwrap();
        store.record_statistics(&batch(now, "b", now - 2..now - 1)).await.unwrap();
        let sessions = store.sessions(None).await.unwrap();
        let [a, b] = &sessions[..] else { panic!("{sessions:?}") };
        assert_eq!((&*a.session, a.requests, a.hits, a.blocked, a.application), ("a", 200, 100, 100, 3));
        assert_eq!((&*b.session, b.requests), ("b", 1));
        let steps = store.session_requests("a").await.unwrap();
        let times: Vec<u64> = steps.iter().map(|step| step.time.unsigned_abs()).collect();
        assert_eq!(times, (now - 200..now).collect::<Vec<_>>());
        assert_eq!((&*steps[0].node, &*steps[0].client), ("n", "198.51.100.7"));
        assert_eq!(store.sessions(Some("203.0.113.1")).await.unwrap(), []);
        assert_eq!(store.session_requests("cc").await.unwrap(), []);
        // Older than the days for which they are kept.
        let day = 86_400_000;
        store.record_statistics(&batch(now, "dd", now - 9 * day..now - 9 * day + 1)).await.unwrap();
        assert_eq!(store.session_requests("dd").await.unwrap(), []);
        super::forget(store, i64::try_from(now).unwrap()).await.unwrap();
        assert_eq!(store.sessions(None).await.unwrap(), []);
    }

    #[tokio::test]
    async fn reports_are_bounded() {
        let test = Fixture::new().await;
        let now = super::ids::now().unsigned_abs();
        let store = &test.app.store;
        assert!(store.record_statistics(&batch(now, "a", now - 501..now)).await.is_err());
        assert!(store.record_statistics(&batch(now, "../x", now - 1..now)).await.is_err(), "no hash");
    }
}
