//! Logins under way: between sending a browser to the provider and its coming back, perhaps to another replica.

use crate::auth::secret;
use crate::error::Result;
use crate::meta::{Pool, text};
use weir_runtime::clock::Clock;

/// A login may take this long, in milliseconds.
const LIFE_MS: i64 = 10 * 60 * 1000;
/// Logins under way; the oldest are forgotten beyond, since anybody can begin one.
const MAX_PENDING: i64 = 10_000;

/// A login under way.
#[derive(Clone, Debug)]
pub struct Pending {
    /// What the ID token must carry.
    pub nonce: String,
    /// PKCE verifier.
    pub verifier: String,
    /// Where to go afterwards.
    pub next: String,
}

/// All of them.
#[derive(Clone, Debug)]
pub struct Logins {
    pool: Pool,
    clock: Clock,
}

impl Logins {
    /// Those in `pool`.
    pub fn new(pool: Pool, clock: Clock) -> Self {
        Self { pool, clock }
    }

    /// Keeps `pending` under `state`.
    pub async fn keep(&self, state: &str, pending: &Pending) -> Result<()> {
        let now = self.clock.millis();
        sqlx::query(
            "DELETE FROM oidc_logins WHERE created < $1 OR state IN \
             (SELECT state FROM oidc_logins ORDER BY created DESC LIMIT 1000 OFFSET $2)",
        )
        .bind(now - LIFE_MS)
        .bind(MAX_PENDING)
        .execute(self.pool.write())
        .await?;
        sqlx::query("INSERT INTO oidc_logins (state, nonce, verifier, next_path, created) VALUES ($1, $2, $3, $4, $5)")
            .bind(secret::hash(state))
            .bind(&pending.nonce)
            .bind(&pending.verifier)
            .bind(&pending.next)
            .bind(now)
            .execute(self.pool.write())
            .await?;
        Ok(())
    }

    /// Takes the login of `state`: a second call finds nothing.
    pub async fn take(&self, state: &str) -> Result<Option<Pending>> {
        let taken = sqlx::query(
            "DELETE FROM oidc_logins WHERE state = $1 AND created >= $2 RETURNING nonce, verifier, next_path",
        );
        let taken = taken.bind(secret::hash(state)).bind(self.clock.millis() - LIFE_MS);
        let Some(row) = taken.fetch_optional(self.pool.write()).await? else { return Ok(None) };
        Ok(Some(Pending {
            nonce: text(&row, "nonce")?,
            verifier: text(&row, "verifier")?,
            next: text(&row, "next_path")?,
        }))
    }
}
