//! Whether PostgreSQL answers.
//!
//! A call that needs a connection of a pool waits for seconds while the server is away. A connection of its own therefore
//! asks it every second, and at once when a call has failed: while it does not answer, calls are refused without waiting,
//! and as soon as it answers again they are served. SQLite is always there.

use super::StoreError;
use super::ids;
use sqlx::{AnyConnection, Connection, Executor};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Between two questions.
const INTERVAL: Duration = Duration::from_secs(1);
/// Longest wait for an answer, and for a new connection.
const PATIENCE: Duration = Duration::from_secs(1);
/// Tries without an answer after which it is away: a connection that the server closed says nothing yet.
const TRIES: u32 = 3;

/// Why the server does not answer, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// Milliseconds since 1970.
    pub since: i64,
    /// What the last attempt said.
    pub why: String,
}

/// The state, and the connection that asks.
#[derive(Debug)]
pub(super) struct Reachability {
    /// The server; none for SQLite.
    url: Option<String>,
    away: watch::Sender<Option<Unreachable>>,
    doubt: Notify,
}

impl Reachability {
    /// Of the server at `url`, which has just answered; none for SQLite.
    pub fn new(url: Option<String>) -> Self {
        Self { url, away: watch::Sender::default(), doubt: Notify::new() }
    }

    /// Why it does not answer; none while it does.
    pub fn unreachable(&self) -> Option<Unreachable> {
        self.away.borrow().clone()
    }

    /// A call failed for a reason that may be the server: asks it at once.
    pub fn doubt(&self) {
        self.doubt.notify_one();
    }

    /// Returns as soon as the server does not answer.
    pub async fn lost(&self) {
        // The sender lives as long as this does, so there is no other end.
        let _ = self.away.subscribe().wait_for(Option::is_some).await;
    }

    /// Asks the server until the caller drops this.
    pub async fn watch(&self) {
        let Some(url) = &self.url else { return std::future::pending().await };
        let mut connection = None;
        loop {
            let mut answered = Err(String::new());
            for _ in 0..TRIES {
                answered = ask(url, &mut connection).await;
                if answered.is_ok() {
                    break;
                }
            }
            self.note(answered);
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = self.doubt.notified() => {}
            }
        }
    }

    /// Notes what the server said.
    pub fn note(&self, answered: Result<(), String>) {
        self.away.send_modify(|away| match answered {
            Ok(()) => {
                if let Some(was) = away.take() {
                    let seconds = ids::now().saturating_sub(was.since) / 1_000;
                    tracing::info!(seconds, "PostgreSQL answers again");
                }
            }
            Err(why) => {
                if away.is_none() {
                    tracing::error!(why, "PostgreSQL does not answer: calls are refused until it does");
                }
                let since = away.as_ref().map_or_else(ids::now, |was| was.since);
                *away = Some(Unreachable { since, why });
            }
        });
    }
}

/// Asks over `connection`, or a new one, which stays there if the server answered.
async fn ask(url: &str, connection: &mut Option<AnyConnection>) -> Result<(), String> {
    let asked = async {
        let mut open = match connection.take() {
            Some(open) => open,
            None => AnyConnection::connect(url).await?,
        };
        open.execute("SELECT 1").await?;
        *connection = Some(open);
        Ok::<_, sqlx::Error>(())
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answered) => answered.map_err(|error| StoreError::from(error).to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}
