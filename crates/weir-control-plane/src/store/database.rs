//! The store as a whole.

use super::daily_partitions::KnownDays;
use super::health::WriteHealth;
use super::migrate::{self, Engine};
use super::partition::Partitions;
use super::reachability::{Reachability, Unreachable};
use super::{DatabaseUrl, Pools, StoreError, ids};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// Name of the SQLite file that holds everything but hits.
const CONTROL_FILE: &str = "control.db";

/// Days for which hits are kept until [`Database::set_retention`] says otherwise: the most that can be set.
const MAX_RETENTION_DAYS: u32 = 3_650;

/// How far the clock may run ahead of the time that has passed since the start before it is ignored: what is too
/// old is deleted, and a clock that jumps by a year must not delete it all.
const MAX_JUMP: i64 = ids::DAY;

/// The store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    control: Pools,
    partitions: Partitions,
    known_days: KnownDays,
    health: WriteHealth,
    reachability: Reachability,
    retention_days: AtomicU32,
    behaviour_days: AtomicU32,
    session_days: AtomicU32,
    /// When it was opened, by both clocks.
    opened: (Instant, i64),
}

impl Database {
    /// Opens the store at `url` (see [`DatabaseUrl::parse`]), and makes or upgrades its tables.
    pub async fn open(url: &str) -> Result<Database, StoreError> {
        let (control, partitions, server) = match DatabaseUrl::parse(url)? {
            DatabaseUrl::Sqlite(directory) => {
                let control = Pools::sqlite(&directory.join(CONTROL_FILE)).await?;
                migrate::run(&control, Engine::Sqlite, "control", migrate::CONTROL).await?;
                let partitions = Partitions::sqlite(directory);
                partitions.refuse_newer().await?;
                (control, partitions, None)
            }
            DatabaseUrl::Postgres(url) => {
                let control = Pools::postgres(&url).await?;
                migrate::run(&control, Engine::Postgres, "control", migrate::CONTROL).await?;
                (control.clone(), Partitions::postgres(control).await?, Some(url))
            }
        };
        let [retention_days, behaviour_days, session_days] = [(); 3].map(|()| AtomicU32::new(MAX_RETENTION_DAYS));
        let opened = (Instant::now(), ids::now());
        Ok(Database {
            inner: Arc::new(Inner {
                control,
                partitions,
                known_days: KnownDays::default(),
                health: WriteHealth::default(),
                reachability: Reachability::new(server),
                retention_days,
                behaviour_days,
                session_days,
                opened,
            }),
        })
    }

    /// Days for which hits are kept; older ones are refused from now on, and deleted by the next round of retention.
    pub fn set_retention(&self, days: u32) {
        self.inner.retention_days.store(days.clamp(1, MAX_RETENTION_DAYS), Ordering::Relaxed);
    }

    /// Days for which counts of abuse rules are kept.
    pub fn set_behaviour_retention(&self, days: u32) {
        self.inner.behaviour_days.store(days.clamp(1, MAX_RETENTION_DAYS), Ordering::Relaxed);
    }

    /// Days for which requests of sessions are kept.
    pub fn set_session_retention(&self, days: u32) {
        self.inner.session_days.store(days.clamp(1, MAX_RETENTION_DAYS), Ordering::Relaxed);
    }

    /// First millisecond that is kept: a whole number of days ago. A clock that has jumped ahead is believed after a start.
    pub(super) fn kept_from(&self) -> i64 {
        self.days_ago(&self.inner.retention_days)
    }

    /// First millisecond for which counts of abuse rules are kept.
    pub(super) fn behaviour_from(&self) -> i64 {
        self.days_ago(&self.inner.behaviour_days)
    }

    /// First millisecond for which requests of sessions are kept.
    pub(super) fn sessions_from(&self) -> i64 {
        self.days_ago(&self.inner.session_days)
    }

    fn days_ago(&self, days: &AtomicU32) -> i64 {
        let (opened, then) = self.inner.opened;
        let passed = i64::try_from(opened.elapsed().as_millis()).unwrap_or(i64::MAX);
        let now = believed(ids::now(), then.saturating_add(passed));
        let days = i64::from(days.load(Ordering::Relaxed));
        (now.div_euclid(ids::DAY) - days).max(0) * ids::DAY
    }

    pub(super) fn partitions(&self) -> &Partitions {
        &self.inner.partitions
    }

    pub(super) fn engine(&self) -> Engine {
        match self.inner.partitions {
            Partitions::Sqlite(_) => Engine::Sqlite,
            Partitions::Postgres(_) => Engine::Postgres,
        }
    }

    pub(super) fn health(&self) -> &WriteHealth {
        &self.inner.health
    }

    pub(super) fn known_days(&self) -> &KnownDays {
        &self.inner.known_days
    }

    /// The tables that are not about hits: users, sessions, tokens, nodes, rules, lists, settings, audit and more.
    pub fn control(&self) -> &Pools {
        &self.inner.control
    }

    /// Why the database server does not answer; none while it does, as far as [`Self::watch_server`] knows.
    pub fn unreachable(&self) -> Option<Unreachable> {
        self.inner.reachability.unreachable()
    }

    /// A call failed for a reason that may be the server: it is asked at once.
    pub fn doubt_server(&self) {
        self.inner.reachability.doubt();
    }

    /// Returns as soon as the database server does not answer.
    pub async fn server_lost(&self) {
        self.inner.reachability.lost().await;
    }

    /// Notes that the server answered, or why not, as if it had been asked.
    #[cfg(test)]
    pub(crate) fn note_server(&self, answered: Result<(), String>) {
        self.inner.reachability.note(answered);
    }

    /// Asks the database server every second whether it answers. Never returns.
    pub async fn watch_server(&self) {
        self.inner.reachability.watch().await;
    }

    /// Waits until every connection is closed.
    pub async fn close(&self) {
        self.inner.partitions.close().await;
        self.inner.control.close().await;
    }
}

/// The time by the clock, unless it is too far ahead of the time `expected`.
fn believed(clock: i64, expected: i64) -> i64 {
    clock.min(expected.saturating_add(MAX_JUMP))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::Row;

    #[test]
    fn a_clock_that_jumps_ahead_is_not_believed() {
        let year = 365 * ids::DAY;
        assert_eq!(believed(year + 1, year), year + 1);
        assert_eq!(believed(3 * year, year), year + MAX_JUMP);
        assert_eq!(believed(0, year), 0, "one that goes back deletes nothing");
    }

    #[tokio::test]
    async fn it_opens_twice_keeps_its_tables_and_readers_cannot_write() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/new place", directory.path().display());
        for _ in 0..2 {
            let database = Database::open(&url).await.unwrap();
            let insert = "INSERT INTO traffic_batches (id, received) VALUES ('x', 1) ON CONFLICT DO NOTHING";
            sqlx::query(insert).execute(database.control().write()).await.unwrap();
            assert!(sqlx::query(insert).execute(database.control().read()).await.is_err());
            let count = sqlx::query("SELECT COUNT(*) FROM traffic_batches").fetch_one(database.control().read()).await;
            assert_eq!(count.unwrap().get::<i64, _>(0), 1);
            database.close().await;
        }
    }
}
