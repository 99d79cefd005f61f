//! The report, for people and for programs. Values are never shown: there are tokens among them.

use super::judge::{Fate, Finding};
use super::table::Chart;
use std::fmt::Write as _;

/// Headings in the order of what has to be read first.
const HEADINGS: [(Fate, &str); 5] = [
    (Fate::Unknown, "Not known or not possible here; left out"),
    (Fate::Changed, "Changes: please read"),
    (Fate::Added, "Added, so that things stay as they were"),
    (Fate::Ignored, "Without meaning here; left out"),
    (Fate::Carried, "Carries over"),
];

/// Lines for people.
pub fn human(file: &str, chart: Chart, findings: &[Finding]) -> String {
    let mut out = format!("{file}, read as values of {}\n", name(chart));
    for (fate, heading) in HEADINGS {
        let rows: Vec<&Finding> = findings.iter().filter(|finding| finding.fate == fate).collect();
        if rows.is_empty() {
            continue;
        }
        writeln!(out, "\n{heading}:").expect("String");
        for row in rows {
            let place = row.line.map_or_else(|| "-".to_owned(), |line| line.to_string());
            let value = row.insert.map(|value| format!(": {value}")).unwrap_or_default();
            writeln!(out, "  {place:>4}  {}{value}\n        {}", shown(&row.key), row.note).expect("String");
        }
    }
    out
}

/// One JSON object.
pub fn json(file: &str, chart: Chart, findings: &[Finding], by_hand: &[String]) -> String {
    let document = serde_json::json!({
        "file": file, "chart": name(chart), "findings": findings, "by_hand": by_hand,
    });
    format!("{document:#}\n")
}

/// The older chart's name.
pub fn name(chart: Chart) -> &'static str {
    match chart {
        Chart::Next => "wallarm-node-next",
        Chart::Native => "wallarm-node-native",
    }
}

/// A key as a terminal may show it.
fn shown(key: &str) -> String {
    key.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
