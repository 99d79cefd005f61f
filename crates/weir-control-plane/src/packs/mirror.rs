//! Mirrors: packs and databases fetched from a URL again and again. What comes must be signed by a key that an administrator
//! set; whatever fails leaves the last good version in use, and is shown.

use super::fetch::{self, FetchError, Fetched};
use super::{Kind, MAX_NAMES, check};
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Mistake, Result};
use crate::meta::{number, text};
use crate::policy::service::Author;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use weir_runtime::error_chain::with_causes;

/// How often it is looked whether one is due.
const TICK: Duration = Duration::from_secs(2);
/// After a failure it is tried again after this many seconds, or after the period where that is shorter.
const RETRY: i64 = 300;
/// Shortest and longest period, in seconds.
const PERIODS: std::ops::RangeInclusive<i64> = 60..=30 * 24 * 60 * 60;
/// Longest error kept, in bytes.
const MAX_ERROR: usize = 500;
/// Who brings what mirrors fetch.
const AUTHOR: &str = "mirror";

const COLUMNS: &str = "kind, name, url, public_key, period, etag, checked, succeeded, due, last_error";

/// Where versions of a pack or database are fetched from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mirror {
    /// Pack or database.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// URL of the content; that of the signature has `.sig` after its path.
    pub url: String,
    /// Ed25519 key that signs the content: base64 of its 32 bytes.
    pub public_key: String,
    /// Seconds between looks.
    pub period: i64,
    /// Last look, in milliseconds since 1970; 0 for none.
    pub checked: i64,
    /// Last look that went well.
    pub succeeded: i64,
    /// Next look.
    pub due: i64,
    /// Why the last look failed; empty if it went well.
    pub last_error: String,
    #[serde(skip)]
    etag: String,
}

/// A mirror as it is set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMirror {
    /// URL.
    pub url: String,
    /// Key.
    pub public_key: String,
    /// Seconds between looks; an hour without.
    #[serde(default = "hour")]
    pub period: i64,
}

/// Why a look at a mirror brought nothing.
#[derive(Debug, thiserror::Error)]
enum LookError {
    /// It could not be fetched, or is not signed by the key.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Signatures would go, which only a person can confirm.
    #[error("version {version} is stored and not in use: {changes}; put it in use yourself to confirm that")]
    Unconfirmed {
        /// The version.
        version: u64,
        /// What has to be confirmed.
        changes: String,
    },
    /// What was fetched could not be stored or put in use.
    #[error(transparent)]
    Use(#[from] Error),
}

fn hour() -> i64 {
    60 * 60
}

fn read(row: &AnyRow) -> Result<Mirror> {
    let kind = if text(row, "kind")? == Kind::RulePack.code() { Kind::RulePack } else { Kind::Database };
    Ok(Mirror {
        kind,
        name: text(row, "name")?,
        url: text(row, "url")?,
        public_key: text(row, "public_key")?,
        period: number(row, "period")?,
        checked: number(row, "checked")?,
        succeeded: number(row, "succeeded")?,
        due: number(row, "due")?,
        last_error: text(row, "last_error")?,
        etag: text(row, "etag")?,
    })
}

async fn list(on: &mut AnyConnection) -> Result<Vec<Mirror>> {
    let sql = format!("SELECT {COLUMNS} FROM mirrors ORDER BY kind, name");
    sqlx::query(AssertSqlSafe(sql)).fetch_all(on).await?.iter().map(read).collect()
}

impl App {
    /// Every mirror.
    pub async fn mirrors(&self) -> Result<Vec<Mirror>> {
        list(&mut *self.store.control().read().acquire().await?).await
    }

    /// The mirror of a pack or database.
    pub async fn mirror(&self, kind: Kind, name: &str) -> Result<Mirror> {
        let found = self.mirrors().await?.into_iter().find(|one| one.kind == kind && one.name == name);
        found.ok_or(Error::NotFound("mirror"))
    }

    /// Sets the mirror of a pack or database; it is looked at soon.
    pub async fn set_mirror(&self, caller: &Caller, kind: Kind, name: &str, new: &NewMirror) -> Result<Mirror> {
        let mut wrong = match check::named(kind, name, "") {
            Err(Error::Invalid(wrong)) => wrong,
            done => done.map(|()| Vec::new())?,
        };
        wrong.extend(fetch::url(&new.url).err().map(|why| Mistake::new("url", why.to_string())));
        wrong.extend(fetch::key(&new.public_key).err().map(|why| Mistake::new("public_key", why.to_string())));
        if !PERIODS.contains(&new.period) {
            let range = format!("{} to {} seconds are possible", PERIODS.start(), PERIODS.end());
            wrong.push(Mistake::new("period", range));
        }
        if !wrong.is_empty() {
            return Err(Error::Invalid(wrong));
        }
        let all = self.mirrors().await?;
        let before = all.iter().find(|one| one.kind == kind && one.name == name);
        if before.is_none() && all.len() >= MAX_NAMES {
            return Err(Error::Conflict(format!("there are {MAX_NAMES} mirrors already; remove one first")));
        }
        let set = sqlx::query(
            "INSERT INTO mirrors (kind, name, url, public_key, period) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (kind, name) DO UPDATE SET url = excluded.url, public_key = excluded.public_key, \
             period = excluded.period, etag = '', due = 0, last_error = ''",
        );
        let set = set.bind(kind.code()).bind(name).bind(new.url.trim()).bind(new.public_key.trim()).bind(new.period);
        let mut change = self.audit.begin().await?;
        set.execute(&mut *change.on()).await?;
        let found = list(change.on()).await?.into_iter().find(|one| one.kind == kind && one.name == name);
        let mirror = found.ok_or(Error::NotFound("mirror"))?;
        change.commit(caller, "mirror.set", &format!("{}/{name}", kind.code()), before, &mirror).await?;
        Ok(mirror)
    }

    /// Removes a mirror; what it brought stays.
    pub async fn remove_mirror(&self, caller: &Caller, kind: Kind, name: &str) -> Result<()> {
        let before = self.mirror(kind, name).await?;
        let gone = sqlx::query("DELETE FROM mirrors WHERE kind = $1 AND name = $2").bind(kind.code()).bind(name);
        let mut change = self.audit.begin().await?;
        gone.execute(change.on()).await?;
        change.commit(caller, "mirror.remove", &format!("{}/{name}", kind.code()), &before, ()).await
    }

    /// Looks at mirrors that are due, until `stop`.
    pub async fn follow_mirrors(&self, stop: CancellationToken) {
        let client = match fetch::client(&self.config.outgoing) {
            Ok(client) => client,
            Err(error) => return tracing::error!(%error, "nothing is mirrored"),
        };
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(TICK) => {}
            }
            let round = async {
                if let Err(error) = self.mirror_round(&client).await {
                    tracing::warn!(%error, "mirrors cannot be looked up; tried again soon");
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = round => {}
            }
        }
    }

    async fn mirror_round(&self, client: &reqwest::Client) -> Result<()> {
        let now = self.clock.millis();
        for mirror in self.mirrors().await?.into_iter().filter(|mirror| mirror.due <= now) {
            // Of several replicas one gets it. Should it end before the fetch does, the next look is the retry.
            let later = now + mirror.period.min(RETRY) * 1_000;
            let take = sqlx::query("UPDATE mirrors SET due = $4 WHERE kind = $1 AND name = $2 AND due = $3");
            let take = take.bind(mirror.kind.code()).bind(&mirror.name).bind(mirror.due).bind(later);
            if take.execute(self.store.control().write()).await?.rows_affected() == 0 {
                continue;
            }
            let done = self.look(client, &mirror).await;
            self.note_look(&mirror, done, later).await?;
        }
        Ok(())
    }

    /// Fetches, verifies, stores and puts in use. Answers the ETag of what is there now.
    async fn look(&self, client: &reqwest::Client, mirror: &Mirror) -> Result<String, LookError> {
        let Mirror { kind, name, .. } = mirror;
        self.config.outgoing.check_url(&mirror.url).map_err(FetchError::from)?;
        let fetched = fetch::fetch(client, &mirror.url, &mirror.public_key, &mirror.etag, kind.most()).await?;
        let Fetched::New { content, etag } = fetched else { return Ok(mirror.etag.clone()) };
        let note = format!("mirrored from {}", fetch::host(&mirror.url));
        let stored = self.store_pack(*kind, name, content, &note, &Author::process(AUTHOR)).await?;
        let (version, new) = stored;
        // What was put out of use by hand stays so until something new comes. After a failure it may have been stored already.
        if new || !mirror.last_error.is_empty() {
            let used = self.use_pack(*kind, name, version.version, &Author::process(AUTHOR), "mirror.fetch").await;
            used.map_err(|error| match error {
                Error::Unconfirmed(why) => LookError::Unconfirmed { version: version.version, changes: why.listed() },
                other => other.into(),
            })?;
        }
        Ok(etag)
    }

    async fn note_look(&self, mirror: &Mirror, done: Result<String, LookError>, retry: i64) -> Result<()> {
        let now = self.clock.millis();
        let (etag, error, due) = match done {
            Ok(etag) => (etag, String::new(), now + mirror.period * 1_000),
            Err(error) => {
                let error = with_causes(&error);
                tracing::warn!(name = mirror.name, error, "a mirror failed; the last good version stays");
                (mirror.etag.clone(), weir_core::model::bytes::printable(error.as_bytes(), MAX_ERROR), retry)
            }
        };
        let succeeded = if error.is_empty() { now } else { mirror.succeeded };
        // Where the mirror was set anew meanwhile, this look says nothing about it.
        let set = sqlx::query(
            "UPDATE mirrors SET etag = $3, checked = $4, succeeded = $5, due = $6, last_error = $7 \
             WHERE kind = $1 AND name = $2 AND url = $8 AND public_key = $9",
        );
        let set = set.bind(mirror.kind.code()).bind(&mirror.name).bind(etag).bind(now).bind(succeeded).bind(due);
        let set = set.bind(error).bind(&mirror.url).bind(&mirror.public_key);
        set.execute(self.store.control().write()).await?;
        Ok(())
    }
}
