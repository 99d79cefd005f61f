//! IP lists: search, add, remove, import and export.

use super::json::{Json, JsonItems, Path, Query, changed, items, page};
use crate::app::App;
use crate::auth::Caller;
use crate::body::WholeBody;
use crate::download::{CSV, download};
use crate::error::{Error, Mistake, Result};
use crate::policy::edit::{MAX_BULK, ip_range};
use crate::policy::{IpEntry, NewIpEntry, is_for};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use weir_policy::List;

/// Largest import, in bytes: 100,000 lines of a long reason each.
pub const IMPORT_LIMIT: usize = 16 << 20;
/// Mistakes of an import told at once.
const MAX_MISTAKES: usize = 100;

/// Reads the code of a list. Unlike in a policy, there are no other names for it.
fn list_by_code<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<List>, D::Error> {
    const CODES: &[&str] = &[List::Allow.code(), List::Deny.code(), List::Gray.code()];
    let code = String::deserialize(deserializer)?;
    let list = List::ALL.iter().find(|list| list.code() == code).copied();
    list.map(Some).ok_or_else(|| serde::de::Error::unknown_variant(&code, CODES))
}

/// Whether the end of a listed value has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryState {
    /// It has not.
    Active,
    /// It has.
    Expired,
}

/// Which values.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    after: u64,
    limit: Option<u32>,
    #[serde(deserialize_with = "list_by_code")]
    list: Option<List>,
    rule_type: Option<String>,
    group: Option<String>,
    application: Option<i64>,
    /// Text in the value or the reason.
    search: Option<String>,
    state: Option<EntryState>,
    /// Of an export: `csv` (default) or `json`.
    form: Option<String>,
}

impl Wanted {
    fn fits(&self, entry: &IpEntry, now: u64) -> bool {
        let is = |wanted: &Option<String>, have: &str| wanted.as_ref().is_none_or(|wanted| wanted == have);
        let found = |text: &String| {
            let text = text.to_lowercase();
            entry.value.to_lowercase().contains(&text) || entry.reason.to_lowercase().contains(&text)
        };
        let expired = entry.expired_at.is_some_and(|end| end <= now);
        self.list.is_none_or(|list| list.code() == entry.list)
            && is(&self.rule_type, &entry.rule_type)
            && self.group.as_ref().is_none_or(|group| is_for(&entry.groups, group))
            && self.application.is_none_or(|id| entry.applications.is_empty() || entry.applications.contains(&id))
            && self.search.as_ref().is_none_or(found)
            && self.state.is_none_or(|state| (state == EntryState::Expired) == expired)
    }
}

/// `GET /api/v1/ip-lists`
pub async fn list(State(app): State<App>, Query(wanted): Query<Wanted>) -> axum::Json<Value> {
    let (head, now) = (app.policy.head(), app.clock.seconds());
    let fit = head.state.ip_lists.iter().filter(|entry| wanted.fits(entry, now));
    axum::Json(page(fit, wanted.after, wanted.limit, |entry| entry.id))
}

/// `POST /api/v1/ip-lists`
pub async fn add(State(app): State<App>, caller: Caller, JsonItems(new): JsonItems<NewIpEntry>) -> Result<Response> {
    Ok((StatusCode::CREATED, changed(app.add_ips(&caller, new).await?)).into_response())
}

/// `DELETE /api/v1/ip-lists/{id}`
pub async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<u64>) -> Result<axum::Json<Value>> {
    app.remove_ips(&caller, &[id].into()).await.map(changed)
}

/// Ids.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ids {
    ids: std::collections::BTreeSet<u64>,
}

/// `POST /api/v1/ip-lists/remove`
pub async fn remove_many(State(app): State<App>, caller: Caller, Json(ids): Json<Ids>) -> Result<axum::Json<Value>> {
    app.remove_ips(&caller, &ids.ids).await.map(|change| {
        let (removed, serial) = (change.value.len(), change.serial);
        axum::Json(serde_json::json!({"serial": serial, "notices": change.notices, "removed": removed}))
    })
}

/// What an import of plain lines says of all of them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Import {
    #[serde(deserialize_with = "list_by_code")]
    list: Option<List>,
    rule_type: Option<String>,
    group: Option<String>,
    expired_at: Option<u64>,
    reason: Option<String>,
}

/// `POST /api/v1/ip-lists/import`: CSV as exported, JSON as of `POST /api/v1/ip-lists`, or plain lines of values.
pub async fn import(
    State(app): State<App>,
    caller: Caller,
    Query(said): Query<Import>,
    headers: HeaderMap,
    WholeBody(body): WholeBody,
) -> Result<axum::Json<Value>> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let new = match kind.as_str() {
        "text/csv" => of_csv(&body)?,
        "text/plain" => of_lines(&body, &said)?,
        "application/json" => items(&body)?,
        _ => return Err(Error::invalid("", "expected a body of type text/csv, text/plain or application/json")),
    };
    app.add_ips(&caller, new).await.map(changed)
}

/// A line of CSV: lists within are separated by spaces.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    list: String,
    #[serde(default = "ip_range")]
    rule_type: String,
    value: String,
    #[serde(default)]
    applications: String,
    #[serde(default)]
    groups: String,
    #[serde(default)]
    expired_at: Option<u64>,
    #[serde(default)]
    reason: String,
}

/// Values of CSV with a head line.
pub fn of_csv(body: &[u8]) -> Result<Vec<NewIpEntry>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(body);
    let head = reader.headers().map_err(|error| Error::invalid("line 1", error.to_string()))?;
    if !["list", "value"].iter().all(|column| head.iter().any(|name| name == *column)) {
        return Err(Error::invalid("line 1", "expected a head line that names the columns `list` and `value`"));
    }
    let (mut out, mut wrong) = (Vec::new(), Vec::new());
    for (number, line) in reader.deserialize::<Line>().enumerate() {
        if out.len() > MAX_BULK || wrong.len() >= MAX_MISTAKES {
            break;
        }
        match line.map_err(|error| error.to_string()).and_then(entry) {
            Ok(entry) => out.push(entry),
            // The head is line 1.
            Err(message) => wrong.push(Mistake::new(format!("line {}", number + 2), message)),
        }
    }
    if wrong.is_empty() { Ok(out) } else { Err(Error::Invalid(wrong)) }
}

fn entry(line: Line) -> std::result::Result<NewIpEntry, String> {
    let applications = line.applications.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>();
    Ok(NewIpEntry {
        list: line.list,
        rule_type: if line.rule_type.is_empty() { ip_range() } else { line.rule_type },
        value: unquoted(line.value),
        applications: applications.map_err(|_| "application ids are numbers, separated by spaces".to_owned())?,
        groups: line.groups.split_whitespace().map(str::to_owned).collect(),
        expired_at: line.expired_at,
        reason: unquoted(line.reason),
    })
}

/// Values one a line; `#` begins a comment.
pub fn of_lines(body: &[u8], said: &Import) -> Result<Vec<NewIpEntry>> {
    let text = std::str::from_utf8(body).map_err(|_| Error::invalid("", "the text is not UTF-8"))?;
    let Some(list) = said.list else {
        return Err(Error::invalid("list", "say which list: `?list=deny`"));
    };
    let values = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let entry = |value: &str| NewIpEntry {
        list: list.code().to_owned(),
        rule_type: said.rule_type.clone().unwrap_or_else(ip_range),
        value: value.to_owned(),
        applications: Vec::new(),
        groups: said.group.iter().cloned().collect(),
        expired_at: said.expired_at,
        reason: said.reason.clone().unwrap_or_default(),
    };
    Ok(values.filter(|value| !value.is_empty()).take(MAX_BULK + 1).map(entry).collect())
}

/// `GET /api/v1/ip-lists/export`
pub async fn export(State(app): State<App>, Query(wanted): Query<Wanted>) -> Result<Response> {
    let (head, now) = (app.policy.head(), app.clock.seconds());
    let fit: Vec<&IpEntry> = head.state.ip_lists.iter().filter(|entry| wanted.fits(entry, now)).collect();
    let (kind, name, body) = match wanted.form.as_deref().unwrap_or("csv") {
        "csv" => (CSV, "ip-lists.csv", to_csv(&fit)?),
        "json" => ("application/json", "ip-lists.json", serde_json::to_vec(&fit).map_err(Error::internal)?),
        _ => return Err(Error::invalid("form", "expected csv or json")),
    };
    Ok(download(kind, name, body))
}

/// CSV of entries, such as [`of_csv`] reads.
pub fn to_csv(entries: &[&IpEntry]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for entry in entries {
        let line = Line {
            list: entry.list.clone(),
            rule_type: entry.rule_type.clone(),
            value: quoted(&entry.value),
            applications: entry.applications.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            groups: entry.groups.join(" "),
            expired_at: entry.expired_at,
            reason: quoted(&entry.reason),
        };
        writer.serialize(line).map_err(Error::internal)?;
    }
    writer.into_inner().map_err(Error::internal)
}

/// Spreadsheets take cells that begin so for formulas (CWE-1236); an apostrophe before them keeps them text.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// `text` as no spreadsheet takes it for a formula.
pub fn quoted(text: &str) -> String {
    if text.starts_with(FORMULA) { format!("'{text}") } else { text.to_owned() }
}

fn unquoted(text: String) -> String {
    match text.strip_prefix('\'') {
        Some(rest) if rest.starts_with(FORMULA) => rest.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_goes_out_and_in_again() {
        let entry = IpEntry {
            id: 1,
            list: "deny".into(),
            rule_type: "ip_range".into(),
            value: "192.0.2.0/24".into(),
            applications: vec![1, -1],
            groups: vec!["edge".into()],
            expired_at: Some(7),
            reason: "=cmd|'/c calc'!A1, \"quoted\"".into(),
            created_by: "user:a".into(),
            created_at: 0,
        };
        let text = to_csv(&[&entry]).unwrap();
        assert!(String::from_utf8(text.clone()).unwrap().contains("\"'=cmd"));
        let read = of_csv(&text).unwrap().remove(0);
        assert_eq!((read.value, read.reason, read.groups), (entry.value, entry.reason, entry.groups));
        assert_eq!((read.applications, read.expired_at), (entry.applications, entry.expired_at));
    }

    #[test]
    fn mistakes_name_their_line() {
        for headless in [&b""[..], b"{}", b"deny,1.2.3.4\n", b"value\n1.2.3.4\n"] {
            let Err(Error::Invalid(wrong)) = of_csv(headless) else { panic!("{headless:?} has no head line") };
            assert_eq!(wrong[0].field, "line 1");
        }
        let Err(Error::Invalid(wrong)) = of_csv(b"list,value,applications\ndeny,1.2.3.4,\ndeny,1.2.3.5,x\n") else {
            panic!("it was taken");
        };
        assert_eq!(wrong[0].field, "line 3");
        let said = Import { list: Some(List::Deny), ..Import::default() };
        let read = of_lines(b"# bad\n192.0.2.1 # one\n\n10.0.0.0/8\n", &said).unwrap();
        assert_eq!(read.iter().map(|entry| entry.value.as_str()).collect::<Vec<_>>(), ["192.0.2.1", "10.0.0.0/8"]);
        assert!(of_lines(b"192.0.2.1", &Import::default()).is_err());
    }
}
