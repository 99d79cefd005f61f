//! Exports of attacks and hits, as CSV or as one JSON array, a page at a time.

use super::ip_lists::quoted;
use super::stream::{self, Pieces};
use crate::app::App;
use crate::download::{CSV, download};
use crate::error::{Error, Result};
use crate::store::{Attack, Filter, HitRow, Listing, MAX_PAGE, Page, StoreError};
use axum::response::Response;
use std::collections::HashSet;

/// Most rows of an export.
const MAX_ROWS: usize = 1_000_000;

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Attacks.
    Attacks,
    /// Hits.
    Hits,
}

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Comma-separated values with a head line.
    Csv,
    /// A JSON array.
    Json,
}

impl Form {
    /// The form called `name`; CSV without.
    pub fn read(name: Option<&str>) -> Result<Self> {
        match name.unwrap_or("csv") {
            "csv" => Ok(Form::Csv),
            "json" => Ok(Form::Json),
            _ => Err(Error::invalid("form", "expected csv or json")),
        }
    }
}

/// A row in both forms.
trait Row: serde::Serialize + Send + Sync + 'static {
    const HEAD: &'static [&'static str];
    fn cells(&self) -> Vec<String>;
    /// What tells rows apart that lists may name twice; none where none is.
    fn known_by(&self) -> Option<&str>;
    fn list(app: &App, filter: &Filter, page: &Page) -> impl Future<Output = Result<Listing<Self>, StoreError>> + Send
    where
        Self: Sized;
}

impl Row for Attack {
    const HEAD: &'static [&'static str] = &[
        "id",
        "type",
        "host",
        "point",
        "first_time",
        "last_time",
        "hits",
        "blocked",
        "folded",
        "sources",
        "status",
        "mark",
        "ip",
        "country",
        "method",
        "path",
        "at_least",
    ];

    async fn list(app: &App, filter: &Filter, page: &Page) -> Result<Listing<Self>, StoreError> {
        app.store.attacks(filter, page).await
    }

    fn known_by(&self) -> Option<&str> {
        Some(&self.id)
    }

    fn cells(&self) -> Vec<String> {
        let last = self.last_hit.clone().unwrap_or_default();
        vec![
            self.id.clone(),
            self.attack_type.code().to_owned(),
            self.host.clone(),
            self.point.to_string(),
            time(self.first_time),
            time(self.last_time),
            self.hits.to_string(),
            self.blocked.to_string(),
            self.folded.to_string(),
            self.sources.to_string(),
            self.status.code().to_owned(),
            self.mark.as_ref().map(|mark| mark.mark.code().to_owned()).unwrap_or_default(),
            last.ip,
            last.country,
            last.method,
            last.path,
            self.at_least.to_string(),
        ]
    }
}

impl Row for HitRow {
    const HEAD: &'static [&'static str] = &[
        "id",
        "time",
        "request_id",
        "ip",
        "country",
        "method",
        "host",
        "path",
        "status_code",
        "application",
        "node",
        "mode",
        "action",
        "types",
        "size",
        "folded",
    ];

    async fn list(app: &App, filter: &Filter, page: &Page) -> Result<Listing<Self>, StoreError> {
        app.store.hits(filter, page).await
    }

    fn known_by(&self) -> Option<&str> {
        None
    }

    fn cells(&self) -> Vec<String> {
        let types: Vec<&str> = self.attack_types.iter().map(|attack| attack.code()).collect();
        vec![
            self.id.clone(),
            time(self.time),
            self.request_id.clone(),
            self.ip.clone(),
            self.country.clone(),
            self.method.clone(),
            self.host.clone(),
            self.path.clone(),
            self.status_code.to_string(),
            self.application.to_string(),
            self.node.clone(),
            self.mode.clone(),
            self.action.clone(),
            types.join(" "),
            self.size.to_string(),
            self.folded.to_string(),
        ]
    }
}

/// RFC 3339, UTC.
fn time(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis).map_or_else(|_| millis.to_string(), |at| at.to_string())
}

/// The answer that streams what fits `filter`, newest first.
pub fn answer(app: App, what: What, form: Form, filter: Filter) -> Response {
    let (pieces, body) = stream::body();
    let (name, kind) = match (what, form) {
        (What::Attacks, Form::Csv) => ("attacks.csv", CSV),
        (What::Attacks, Form::Json) => ("attacks.json", "application/json"),
        (What::Hits, Form::Csv) => ("hits.csv", CSV),
        (What::Hits, Form::Json) => ("hits.json", "application/json"),
    };
    tokio::spawn(async move {
        let done = match what {
            What::Attacks => run::<Attack>(&app, &filter, &pieces, form).await,
            What::Hits => run::<HitRow>(&app, &filter, &pieces, form).await,
        };
        if let Err(error) = done {
            tracing::error!(%error, "an export broke off");
            pieces.break_off().await;
        }
    });
    download(kind, name, body)
}

async fn run<R: Row>(app: &App, filter: &Filter, pieces: &Pieces, form: Form) -> Result<()> {
    let (mut after, mut count) = (None, 0);
    let (mut filter, mut known) = (filter.clone(), HashSet::new());
    let head = if form == Form::Csv { csv(std::iter::once(R::HEAD))? } else { b"[".to_vec() };
    if !pieces.send(head).await {
        return Ok(());
    }
    while count < MAX_ROWS {
        let mut listing = R::list(app, &filter, &Page { after, limit: MAX_PAGE }).await?;
        listing.rows.retain(|row| row.known_by().is_none_or(|id| known.insert(id.to_owned())));
        let piece = match form {
            Form::Csv => {
                csv(listing.rows.iter().map(|row| row.cells().iter().map(|cell| quoted(cell)).collect::<Vec<_>>()))?
            }
            Form::Json => json(&listing.rows, count == 0)?,
        };
        count += listing.rows.len();
        if !piece.is_empty() && !pieces.send(piece).await {
            return Ok(());
        }
        after = match (listing.next, listing.searched_since) {
            (Some(next), _) => Some(next),
            // A search for attacks ended early: it goes on in the hits before, where it may find the same ones again.
            (None, Some(since)) => {
                filter.to = Some(since);
                None
            }
            (None, None) => break,
        };
    }
    if form == Form::Json {
        pieces.send("\n]\n").await;
    }
    Ok(())
}

fn csv<T: AsRef<[u8]>>(rows: impl Iterator<Item = impl IntoIterator<Item = T>>) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).map_err(Error::internal)?;
    }
    writer.into_inner().map_err(Error::internal)
}

fn json<R: serde::Serialize>(rows: &[R], first: bool) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        out.extend_from_slice(if first && number == 0 { b"\n" } else { b",\n" });
        serde_json::to_writer(&mut out, row).map_err(Error::internal)?;
    }
    Ok(out)
}
