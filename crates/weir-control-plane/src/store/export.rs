//! Exports: attacks or hits that fit a filter, a piece at a time, so that no export is ever whole in memory.

use super::{Attack, Database, Filter, HitRow, Page, StoreError, page::Cursor};

/// Rows read at once.
const PORTION: u32 = 200;
/// Most rows of one export: as many as a spreadsheet opens.
pub const MAX_EXPORT: u64 = 1_000_000;

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportKind {
    /// Attacks.
    Attacks,
    /// Hits; as NDJSON with all that is known of each.
    Hits,
}

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// RFC 4180, with a line of names.
    Csv,
    /// A JSON object a line.
    NdJson,
}

/// An export under way.
#[derive(Debug)]
pub struct Export {
    database: Database,
    kind: ExportKind,
    format: ExportFormat,
    filter: Filter,
    after: Option<Cursor>,
    begun: bool,
    done: bool,
    rows: u64,
}

impl Database {
    /// Begins an export, newest first, of [`MAX_EXPORT`] rows at most.
    pub fn export(&self, kind: ExportKind, format: ExportFormat, filter: Filter) -> Export {
        Export { database: self.clone(), kind, format, filter, after: None, begun: false, done: false, rows: 0 }
    }
}

impl Export {
    /// The next piece; none at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        if self.done {
            return Ok(None);
        }
        let mut out = Output::new(self.format);
        if !self.begun && self.format == ExportFormat::Csv {
            out.record(match self.kind {
                ExportKind::Attacks => ATTACK_COLUMNS,
                ExportKind::Hits => HIT_COLUMNS,
            })?;
        }
        self.begun = true;
        let page = Page { after: self.after.take(), limit: PORTION };
        let next = match self.kind {
            ExportKind::Attacks => {
                let listing = self.database.attacks(&self.filter, &page).await?;
                self.rows += listing.rows.len() as u64;
                listing.rows.iter().try_for_each(|attack| out.attack(attack))?;
                listing.next
            }
            ExportKind::Hits => {
                let listing = self.database.hits(&self.filter, &page).await?;
                self.rows += listing.rows.len() as u64;
                if self.format == ExportFormat::NdJson {
                    let records = self.database.records(&listing.rows).await?;
                    records.iter().try_for_each(|record| out.json(&record.hit))?;
                } else {
                    listing.rows.iter().try_for_each(|hit| out.hit(hit))?;
                }
                listing.next
            }
        };
        self.done = next.is_none() || self.rows >= MAX_EXPORT;
        self.after = next;
        out.finish().map(Some)
    }
}

const ATTACK_COLUMNS: &[&str] = &[
    "id",
    "attack_type",
    "point",
    "host",
    "first_time",
    "last_time",
    "hits",
    "blocked",
    "folded",
    "sources",
    "status",
    "mark",
    "mark_author",
    "at_least",
];
const HIT_COLUMNS: &[&str] = &[
    "id",
    "time",
    "request_id",
    "attack_types",
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
    "size",
    "folded",
];

/// A piece in the making.
struct Output {
    format: ExportFormat,
    lines: Vec<u8>,
    csv: csv::Writer<Vec<u8>>,
}

impl Output {
    fn new(format: ExportFormat) -> Output {
        let csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        Output { format, lines: Vec::new(), csv }
    }

    fn record<T: AsRef<str>>(&mut self, cells: &[T]) -> Result<(), StoreError> {
        let cells = cells.iter().map(|cell| harmless(cell.as_ref()));
        self.csv.write_record(cells).map_err(|error| StoreError::Value(format!("CSV: {error}")))
    }

    fn json(&mut self, value: &impl serde::Serialize) -> Result<(), StoreError> {
        serde_json::to_writer(&mut self.lines, value).map_err(|error| StoreError::Value(format!("JSON: {error}")))?;
        self.lines.push(b'\n');
        Ok(())
    }

    fn attack(&mut self, attack: &Attack) -> Result<(), StoreError> {
        if self.format == ExportFormat::NdJson {
            return self.json(attack);
        }
        let (mark, author) = attack.mark.as_ref().map_or(("", ""), |m| (m.mark.code(), m.author.as_str()));
        self.record(&[
            attack.id.clone(),
            attack.attack_type.code().into(),
            attack.point.to_string(),
            attack.host.clone(),
            time(attack.first_time),
            time(attack.last_time),
            attack.hits.to_string(),
            attack.blocked.to_string(),
            attack.folded.to_string(),
            attack.sources.to_string(),
            attack.status.code().into(),
            mark.into(),
            author.into(),
            attack.at_least.to_string(),
        ])
    }

    fn hit(&mut self, hit: &HitRow) -> Result<(), StoreError> {
        let types: Vec<&str> = hit.attack_types.iter().map(|attack| attack.code()).collect();
        self.record(&[
            hit.id.clone(),
            time(hit.time),
            hit.request_id.clone(),
            types.join(" "),
            hit.ip.clone(),
            hit.country.clone(),
            hit.method.clone(),
            hit.host.clone(),
            hit.path.clone(),
            hit.status_code.to_string(),
            hit.application.to_string(),
            hit.node.clone(),
            hit.mode.clone(),
            hit.action.clone(),
            hit.size.to_string(),
            hit.folded.to_string(),
        ])
    }

    fn finish(self) -> Result<Vec<u8>, StoreError> {
        match self.format {
            ExportFormat::NdJson => Ok(self.lines),
            ExportFormat::Csv => self.csv.into_inner().map_err(|error| StoreError::Value(format!("CSV: {error}"))),
        }
    }
}

/// A cell that no spreadsheet takes for a formula: attackers write these cells.
fn harmless(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<i64>().is_err();
    if formula { format!("'{cell}") } else { cell.to_owned() }
}

/// ISO 8601, UTC.
fn time(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis).map_or_else(|_| millis.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_never_formulas() {
        for (cell, safe) in [("=1+1", "'=1+1"), ("@x", "'@x"), ("-1", "-1"), ("-1+cmd", "'-1+cmd"), ("a=b", "a=b")] {
            assert_eq!(harmless(cell), safe);
        }
    }
}
