//! Sessions of people: a random secret in a cookie, its hash in the database, an end after idling and an end for good.

use super::secret;
use super::user::{User, Users};
use crate::error::Result;
use crate::meta::{Pool, number, text};
use ring::hmac;
use sqlx::AnyConnection;
use weir_runtime::clock::Clock;

/// A session that is not used ends after this, in milliseconds.
pub const IDLE_MS: i64 = 60 * 60 * 1000;
/// Every session ends after this: a working day.
pub const ABSOLUTE_MS: i64 = 12 * 60 * 60 * 1000;
/// The use of a session is noted at most this often, so that reading pages writes little.
const NOTE_MS: i64 = 60 * 1000;
/// Longest `User-Agent` kept.
const MAX_AGENT: usize = 200;
/// Sessions that a user may have; the oldest end when there are more.
const MAX_SESSIONS: i64 = 20;

/// A session in use.
#[derive(Clone, Debug)]
pub struct Session {
    /// Whose it is.
    pub user: User,
    /// What every form and every API call that changes something must send along.
    pub csrf: String,
    /// Hash by which it is known.
    pub hash: String,
}

/// All sessions.
#[derive(Clone, Debug)]
pub struct Sessions {
    pool: Pool,
    users: Users,
    clock: Clock,
}

impl Sessions {
    /// Sessions in `pool`.
    pub fn new(pool: Pool, users: Users, clock: Clock) -> Self {
        Self { pool, users, clock }
    }

    /// Begins a session of `user` on a connection; answers the cookie's value and the session.
    pub async fn begin(
        &self,
        on: &mut AnyConnection,
        user: &User,
        address: &str,
        agent: &str,
    ) -> Result<(String, Session)> {
        let secret = secret::random()?;
        let hash = secret::hash(&secret);
        let now = self.clock.millis();
        let agent: String = agent.chars().filter(|c| !c.is_control()).take(MAX_AGENT).collect();
        sqlx::query(
            "INSERT INTO sessions (hash, user_id, created_at, seen_at, address, agent) VALUES ($1, $2, $3, $3, $4, $5)",
        )
        .bind(&hash)
        .bind(&user.id)
        .bind(now)
        .bind(address)
        .bind(agent)
        .execute(&mut *on)
        .await?;
        sqlx::query(
            "DELETE FROM sessions WHERE user_id = $1 AND hash <> $3 AND hash NOT IN \
             (SELECT hash FROM sessions WHERE user_id = $1 ORDER BY created_at DESC, hash LIMIT $2)",
        )
        .bind(&user.id)
        .bind(MAX_SESSIONS)
        .bind(&hash)
        .execute(on)
        .await?;
        Ok((secret.clone(), Session { user: user.clone(), csrf: csrf(&secret), hash }))
    }

    /// The session of a cookie's value, while it lasts and its user is enabled.
    pub async fn find(&self, cookie: &str) -> Result<Option<Session>> {
        let hash = secret::hash(cookie);
        let row = sqlx::query("SELECT user_id, created_at, seen_at FROM sessions WHERE hash = $1");
        let Some(row) = row.bind(&hash).fetch_optional(self.pool.read()).await? else { return Ok(None) };
        let now = self.clock.millis();
        let (created, seen) = (number(&row, "created_at")?, number(&row, "seen_at")?);
        if now - created >= ABSOLUTE_MS || now - seen >= IDLE_MS {
            self.forget(&hash).await?;
            return Ok(None);
        }
        if now - seen >= NOTE_MS {
            let note = sqlx::query("UPDATE sessions SET seen_at = $2 WHERE hash = $1 AND seen_at < $2");
            let noted = note.bind(&hash).bind(now).execute(self.pool.write()).await;
            crate::meta::unless_full(noted)?;
        }
        let user = self.users.find(&text(&row, "user_id")?).await?.filter(|user| user.enabled);
        Ok(user.map(|user| Session { user, csrf: csrf(cookie), hash }))
    }

    /// Ends one session on a connection.
    pub async fn end(&self, on: &mut AnyConnection, hash: &str) -> Result<()> {
        sqlx::query("DELETE FROM sessions WHERE hash = $1").bind(hash).execute(on).await?;
        Ok(())
    }

    /// Removes a session whose time is over. Where that cannot be written it has ended all the same.
    async fn forget(&self, hash: &str) -> Result<()> {
        let gone = sqlx::query("DELETE FROM sessions WHERE hash = $1").bind(hash).execute(self.pool.write()).await;
        crate::meta::unless_full(gone)
    }

    /// Ends the sessions of a user, but for `except` (a hash): after a change of password, role or state.
    pub async fn end_all(&self, on: &mut AnyConnection, user: &str, except: Option<&str>) -> Result<()> {
        let end = sqlx::query("DELETE FROM sessions WHERE user_id = $1 AND hash <> $2");
        end.bind(user).bind(except.unwrap_or_default()).execute(on).await?;
        Ok(())
    }

    /// Removes what has ended.
    pub async fn sweep(&self) -> Result<()> {
        let now = self.clock.millis();
        let old = sqlx::query("DELETE FROM sessions WHERE created_at <= $1 OR seen_at <= $2");
        old.bind(now - ABSOLUTE_MS).bind(now - IDLE_MS).execute(self.pool.write()).await?;
        Ok(())
    }
}

/// The CSRF token of a session: derived from its secret, so it is bound to it and nowhere stored.
fn csrf(secret: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    weir_runtime::hex::encode(hmac::sign(&key, b"weir csrf v1").as_ref())
}
