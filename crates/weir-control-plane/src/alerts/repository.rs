//! Alerts in the store.

use super::alert::{Alert, Channel, Known, NewAlert};
use crate::error::{Error, Result};
use crate::meta::{number, text};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

/// Most alerts: each is counted regularly.
const MAX_ALERTS: usize = 50;
/// Longest error kept, in bytes.
const MAX_ERROR: usize = 500;

const COLUMNS: &str = "id, name, channel, query, hits, minutes, digest, enabled, created, since, due, last_sent, sent, failures, last_error, known_hits, known_blocked, report";

fn read(row: &AnyRow) -> Result<Alert> {
    let count = |column: &str| Ok::<_, Error>(u64::try_from(number(row, column)?).unwrap_or_default());
    let channel: Channel = serde_json::from_str(&text(row, "channel")?).map_err(Error::internal)?;
    let about = NewAlert {
        name: text(row, "name")?,
        channel,
        query: text(row, "query")?,
        hits: u32::try_from(number(row, "hits")?).map_err(Error::internal)?,
        minutes: u32::try_from(number(row, "minutes")?).map_err(Error::internal)?,
        digest: number(row, "digest")? != 0,
        report: match text(row, "report")?.as_str() {
            "" => None,
            json => Some(serde_json::from_str(json).map_err(Error::internal)?),
        },
        enabled: number(row, "enabled")? != 0,
    };
    let blocked = count("known_blocked")?;
    let known = u64::try_from(number(row, "known_hits")?).ok().map(|hits| Known { hits, blocked });
    Ok(Alert {
        id: text(row, "id")?,
        about,
        created: number(row, "created")?,
        since: number(row, "since")?,
        known,
        due: number(row, "due")?,
        last_sent: number(row, "last_sent")?,
        sent: count("sent")?,
        failures: count("failures")?,
        last_error: text(row, "last_error")?,
    })
}

/// All of them by name, as a connection sees them.
pub(super) async fn list(on: &mut AnyConnection) -> Result<Vec<Alert>> {
    let sql = format!("SELECT {COLUMNS} FROM alerts ORDER BY name, id");
    sqlx::query(AssertSqlSafe(sql)).fetch_all(on).await?.iter().map(read).collect()
}

/// One by id.
pub(super) async fn get(on: &mut AnyConnection, id: &str) -> Result<Alert> {
    let sql = format!("SELECT {COLUMNS} FROM alerts WHERE id = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id).fetch_optional(on).await?;
    read(&row.ok_or(Error::NotFound("alert"))?)
}

/// Makes an alert, which counts what comes from `now` on.
pub(super) async fn create(on: &mut AnyConnection, new: &NewAlert, now: i64) -> Result<Alert> {
    if list(on).await?.len() >= MAX_ALERTS {
        return Err(Error::Conflict(format!("there are {MAX_ALERTS} alerts already; remove one first")));
    }
    let id = crate::auth::secret::id();
    let insert = sqlx::query(
        "INSERT INTO alerts (id, name, channel, query, hits, minutes, digest, enabled, created, since, due, last_sent, sent, \
         failures, last_error, report) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, 0, 0, 0, '', $11)",
    );
    let insert = insert.bind(&id).bind(new.name.trim()).bind(channel(new)?).bind(new.query.trim());
    let insert = insert.bind(i64::from(new.hits)).bind(i64::from(new.minutes)).bind(i64::from(new.digest));
    let insert = insert.bind(i64::from(new.enabled)).bind(now).bind(first_look(new, now)).bind(report(new)?);
    insert.execute(&mut *on).await?;
    get(on, &id).await
}

/// Changes an alert, which begins to count anew.
pub(super) async fn update(on: &mut AnyConnection, id: &str, new: &NewAlert, now: i64) -> Result<Alert> {
    let update = sqlx::query(
        "UPDATE alerts SET name = $2, channel = $3, query = $4, hits = $5, minutes = $6, digest = $7, enabled = $8, since = $9, \
         due = $10, failures = 0, last_error = '', known_hits = -1, known_blocked = 0, \
         report = $11 WHERE id = $1",
    );
    let update = update.bind(id).bind(new.name.trim()).bind(channel(new)?).bind(new.query.trim());
    let update = update.bind(i64::from(new.hits)).bind(i64::from(new.minutes)).bind(i64::from(new.digest));
    let update = update.bind(i64::from(new.enabled)).bind(now).bind(first_look(new, now)).bind(report(new)?);
    update.execute(&mut *on).await?;
    get(on, id).await
}

/// Removes an alert.
pub(super) async fn remove(on: &mut AnyConnection, id: &str) -> Result<()> {
    sqlx::query("DELETE FROM alerts WHERE id = $1").bind(id).execute(on).await?;
    Ok(())
}

/// Takes the turn of an alert: of several replicas one gets it. It is looked at again at `next`.
pub(super) async fn take(on: &mut AnyConnection, alert: &Alert, next: i64) -> Result<bool> {
    let take = sqlx::query("UPDATE alerts SET due = $3 WHERE id = $1 AND due = $2 AND enabled = 1");
    Ok(take.bind(&alert.id).bind(alert.due).bind(next).execute(on).await?.rows_affected() > 0)
}

/// Up to where hits have been reported.
#[derive(Debug)]
pub(super) struct Reported {
    /// First millisecond that was not reported.
    pub since: i64,
    /// The next look.
    pub next: i64,
    /// Hits of the hour before `since`, as they are known now.
    pub known: Known,
}

/// Notes up to where hits have been reported, and the next look; `sent` if a message went out.
pub(super) async fn mark_reported(on: &mut AnyConnection, id: &str, until: &Reported, sent: Option<i64>) -> Result<()> {
    let update = sqlx::query(
        "UPDATE alerts SET since = $2, due = $3, last_sent = COALESCE($4, last_sent), sent = sent + $5, failures = 0, \
         last_error = '', known_hits = $6, known_blocked = $7 WHERE id = $1",
    );
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let update = update.bind(id).bind(until.since).bind(until.next).bind(sent).bind(i64::from(sent.is_some()));
    update.bind(signed(until.known.hits)).bind(signed(until.known.blocked)).execute(on).await?;
    Ok(())
}

/// Notes a failure.
pub(super) async fn failed(on: &mut AnyConnection, id: &str, error: &str, next: i64) -> Result<()> {
    let shown = weir_core::model::bytes::printable(error.as_bytes(), MAX_ERROR);
    let update = sqlx::query("UPDATE alerts SET failures = failures + 1, last_error = $2, due = $3 WHERE id = $1");
    update.bind(id).bind(shown).bind(next).execute(on).await?;
    Ok(())
}

fn channel(new: &NewAlert) -> Result<String> {
    serde_json::to_string(&new.channel).map_err(Error::internal)
}

fn report(new: &NewAlert) -> Result<String> {
    new.report.map_or(Ok(String::new()), |report| serde_json::to_string(&report).map_err(Error::internal))
}

/// A digest waits for the end of its first period, a report for its hour.
fn first_look(new: &NewAlert, now: i64) -> i64 {
    match new.report {
        Some(report) => report.next(now),
        None if new.digest => now + new.window(),
        None => now,
    }
}
