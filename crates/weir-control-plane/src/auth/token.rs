//! API tokens of programs and deploy tokens of nodes: random, shown once, kept as hashes.

use super::role::Role;
use super::secret;
use crate::error::{Error, Result};
use crate::meta::{Pool, number, optional, text};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use weir_runtime::clock::Clock;

/// The use of a token is noted at most this often, in milliseconds.
const NOTE_MS: i64 = 60 * 1000;
/// Longest name, in characters.
const MAX_NAME: usize = 100;
/// Most tokens.
const MAX_TOKENS: i64 = 10_000;
/// Longest life, in milliseconds: ten years.
const MAX_LIFE_MS: i64 = 10 * 366 * 86_400_000;
/// Shortest `control_plane.deploy_token`: what is given by hand must not be guessable, its hash is a fast one.
pub const MIN_DEPLOY_TOKEN: usize = 16;
/// Id of the token that `control_plane.deploy_token` gives.
const CONFIGURED: &str = "configured-deploy-token";

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Usage {
    /// Nodes register with it.
    NodeDeployment,
    /// Programs call the API with it.
    Api,
}

impl Usage {
    /// As in the API and in the database.
    pub const fn code(self) -> &'static str {
        match self {
            Usage::NodeDeployment => "node_deployment",
            Usage::Api => "api",
        }
    }

    /// The usage called `code`.
    pub fn from_code(code: &str) -> Option<Self> {
        [Usage::NodeDeployment, Usage::Api].into_iter().find(|usage| usage.code() == code)
    }
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    /// UUIDv7.
    pub id: String,
    /// For people.
    pub name: String,
    /// How it begins.
    pub prefix: String,
    /// What it is for.
    pub usage: Usage,
    /// What it may do; `deploy` for node deployment.
    pub role: Role,
    /// Whether it works.
    pub enabled: bool,
    /// Who made it.
    pub created_by: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970; none for never.
    pub expires_at: Option<i64>,
    /// Milliseconds since 1970, to the minute; none for never.
    pub used_at: Option<i64>,
}

/// What a new token is made of.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Name.
    pub name: String,
    /// Usage.
    pub usage: Usage,
    /// Role; that of a deployment token is `deploy`.
    pub role: Role,
    /// End, milliseconds since 1970.
    pub expires_at: Option<i64>,
}

/// All tokens.
#[derive(Clone, Debug)]
pub struct Tokens {
    pool: Pool,
    clock: Clock,
    /// Hash of the token that joins node and control plane in one process.
    in_process: Option<String>,
}

const COLUMNS: &str = "SELECT id, name, prefix, token_usage, role, enabled, created_by, created_at, expires_at, used_at \
                       FROM api_tokens";

fn read(row: &AnyRow) -> Result<Token> {
    let (usage, role) = (text(row, "token_usage")?, text(row, "role")?);
    let unknown = |what: &str| Error::internal(format!("unknown `{what}` in a token"));
    Ok(Token {
        id: text(row, "id")?,
        name: text(row, "name")?,
        prefix: text(row, "prefix")?,
        usage: Usage::from_code(&usage).ok_or_else(|| unknown(&usage))?,
        role: Role::from_code(&role).ok_or_else(|| unknown(&role))?,
        enabled: number(row, "enabled")? != 0,
        created_by: text(row, "created_by")?,
        created_at: number(row, "created_at")?,
        expires_at: optional(row, "expires_at")?,
        used_at: optional(row, "used_at")?,
    })
}

impl Tokens {
    /// Tokens in `pool`; `in_process` is one of usage node deployment that lives as long as the process.
    pub fn new(pool: Pool, clock: Clock, in_process: Option<&str>) -> Self {
        Self { pool, clock, in_process: in_process.map(secret::hash) }
    }

    /// All of them, newest first.
    pub async fn list(&self) -> Result<Vec<Token>> {
        let sql = format!("{COLUMNS} ORDER BY created_at DESC, id DESC LIMIT {MAX_TOKENS}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(self.pool.read()).await?.iter().map(read).collect()
    }

    /// One by id.
    pub async fn find(&self, id: &str) -> Result<Option<Token>> {
        let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE id = $1"));
        sqlx::query(sql).bind(id).fetch_optional(self.pool.read()).await?.as_ref().map(read).transpose()
    }

    /// Makes one on a connection; answers its text, which is shown once, and the token.
    pub async fn create(&self, on: &mut AnyConnection, new: NewToken, by: &str) -> Result<(String, Token)> {
        let now = self.clock.millis();
        let name = new.name.trim();
        if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
            return Err(Error::invalid("name", format!("1 to {MAX_NAME} characters on one line are required")));
        }
        if new.expires_at.is_some_and(|at| at <= now || at > now + MAX_LIFE_MS) {
            return Err(Error::invalid("expires_at", "expected a time in the future, at most ten years away"));
        }
        let (short, role) = match new.usage {
            Usage::NodeDeployment => ("node", Role::Deploy),
            Usage::Api => ("api", new.role),
        };
        const SHOWN: usize = 14;
        let text = format!("weir_{short}_{}", secret::random()?);
        let token = Token {
            id: secret::id(),
            name: name.to_owned(),
            prefix: text.chars().take(SHOWN).collect(),
            usage: new.usage,
            role,
            enabled: true,
            created_by: by.to_owned(),
            created_at: now,
            expires_at: new.expires_at,
            used_at: None,
        };
        insert(on, &token, &text).await?;
        Ok((text, token))
    }

    /// Takes over `control_plane.deploy_token`; the one of an earlier start ends, also where there is none any more.
    pub async fn configure(&self, token: Option<&str>) -> Result<()> {
        if token.is_some_and(|token| token.len() < MIN_DEPLOY_TOKEN) {
            let message = format!("at least {MIN_DEPLOY_TOKEN} characters are required, as for a password");
            return Err(Error::invalid("control_plane.deploy_token", message));
        }
        let other = sqlx::query("DELETE FROM api_tokens WHERE id = $1 AND hash <> $2");
        other.bind(CONFIGURED).bind(token.map(secret::hash).unwrap_or_default()).execute(self.pool.write()).await?;
        let Some(token) = token else { return Ok(()) };
        let configured = Token {
            id: CONFIGURED.into(),
            name: "control_plane.deploy_token".into(),
            created_by: "configuration".into(),
            created_at: self.clock.millis(),
            ..self.of_process()
        };
        match insert(&mut *self.pool.write().acquire().await?, &configured, token).await {
            // Another replica, or an earlier start, did it.
            Err(Error::Database(error)) if crate::meta::is_duplicate(&error) => Ok(()),
            done => done,
        }
    }

    /// The token with this text, if it is enabled and not over. Its use is noted.
    pub async fn verify(&self, token: &str, usage: Usage) -> Result<Option<Token>> {
        let hash = secret::hash(token);
        if usage == Usage::NodeDeployment && self.in_process.as_ref().is_some_and(|own| secret::same(own, &hash)) {
            return Ok(Some(self.of_process()));
        }
        let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE hash = $1 AND token_usage = $2 AND enabled = 1"));
        let row = sqlx::query(sql).bind(hash).bind(usage.code()).fetch_optional(self.pool.read()).await?;
        let now = self.clock.millis();
        let token = row.as_ref().map(read).transpose()?.filter(|token| token.expires_at.is_none_or(|end| now < end));
        if let Some(token) = token.as_ref().filter(|token| token.used_at.is_none_or(|at| now - at >= NOTE_MS)) {
            let note = sqlx::query("UPDATE api_tokens SET used_at = $2 WHERE id = $1");
            let noted = note.bind(&token.id).bind(now).execute(self.pool.write()).await;
            crate::meta::unless_full(noted)?;
        }
        Ok(token)
    }

    fn of_process(&self) -> Token {
        Token {
            id: "in-process".into(),
            name: "in-process".into(),
            prefix: String::new(),
            usage: Usage::NodeDeployment,
            role: Role::Deploy,
            enabled: true,
            created_by: "weir".into(),
            created_at: 0,
            expires_at: None,
            used_at: None,
        }
    }

    /// Switches one on or off, on a connection.
    pub async fn set_enabled(&self, on: &mut AnyConnection, id: &str, enabled: bool) -> Result<()> {
        let update = sqlx::query("UPDATE api_tokens SET enabled = $2 WHERE id = $1");
        affected(update.bind(id).bind(i64::from(enabled)).execute(on).await?.rows_affected())
    }

    /// Removes one, on a connection.
    pub async fn remove(&self, on: &mut AnyConnection, id: &str) -> Result<()> {
        let delete = sqlx::query("DELETE FROM api_tokens WHERE id = $1");
        affected(delete.bind(id).execute(on).await?.rows_affected())
    }
}

/// Another call may have removed it meanwhile.
fn affected(rows: u64) -> Result<()> {
    if rows == 0 { Err(Error::NotFound("token")) } else { Ok(()) }
}

async fn insert(on: &mut AnyConnection, token: &Token, text: &str) -> Result<()> {
    let insert = sqlx::query(
        "INSERT INTO api_tokens (id, name, prefix, hash, token_usage, role, enabled, created_by, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9)",
    );
    let insert = insert.bind(&token.id).bind(&token.name).bind(&token.prefix).bind(secret::hash(text));
    let insert = insert.bind(token.usage.code()).bind(token.role.code()).bind(&token.created_by);
    insert.bind(token.created_at).bind(token.expires_at).execute(on).await?;
    Ok(())
}
