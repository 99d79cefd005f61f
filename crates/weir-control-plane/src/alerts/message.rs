//! What a message says. Hosts and addresses come from requests: they are shown on one line, without control characters.

use super::alert::Alert;
use crate::console::view::ui::href;
use crate::listing;
use crate::store::HitRow;
use std::collections::BTreeMap;
use weir_core::model::bytes::printable;

/// Values shown of each kind.
const TOP: usize = 5;
/// Longest value, in bytes.
const MAX_VALUE: usize = 120;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What makes a repetition recognisable: letters, digits and `-`. All tries of a report have the same.
    pub id: String,
    /// One line.
    pub subject: String,
    /// Some lines.
    pub text: String,
}

/// What a message reports about the hits of a window.
pub struct Counted<'c> {
    /// From when, in milliseconds since 1970.
    pub from: i64,
    /// Until when.
    pub to: i64,
    /// How many.
    pub hits: u64,
    /// Of them, blocked.
    pub blocked: u64,
    /// The newest.
    pub newest: &'c [HitRow],
}

/// The message about `counted`; `public_url` leads to the Console.
pub fn about(alert: &Alert, counted: &Counted<'_>, public_url: Option<&str>) -> Message {
    let plural = if counted.hits == 1 { "" } else { "s" };
    let (name, span) = (line(&alert.about.name), span(counted.to - counted.from));
    let kind = if alert.about.digest { "digest" } else { "alert" };
    let mut text = format!("{} hit{plural} in {span}, {} of them blocked.\n", counted.hits, counted.blocked);
    if !alert.about.query.is_empty() {
        text.push_str(&format!("Search: {}\n", line(&alert.about.query)));
    }
    let newest = counted.newest;
    let all = [
        (
            "Attack types",
            tops(newest.iter().flat_map(|hit| hit.attack_types.iter().map(|attack| attack.name().to_owned()))),
        ),
        ("Hosts", tops(newest.iter().map(|hit| hit.host.clone()))),
        ("Sources", tops(newest.iter().map(|hit| hit.ip.clone()))),
    ];
    if !newest.is_empty() {
        let least = if counted.hits > newest.len() as u64 {
            format!(" (of the newest {})", newest.len())
        } else {
            String::new()
        };
        text.push('\n');
        for (label, values) in all.iter().filter(|(_, values)| !values.is_empty()) {
            text.push_str(&format!("{label}{least}: {values}\n"));
        }
    }
    if let Some(url) = public_url {
        text.push_str(&format!("\n{url}{}\n", href("/attacks", &[("q", &alert.about.query)])));
    }
    let id = crate::auth::secret::id();
    Message { id, subject: format!("weir {kind}: {} hit{plural}: {name}", counted.hits), text }
}

/// The message of a test.
pub fn test(alert: &Alert) -> Message {
    let name = line(&alert.about.name);
    let id = crate::auth::secret::id();
    Message { id, subject: format!("weir test: {name}"), text: format!("This is a test of the alert \"{name}\".\n") }
}

/// A value of a request, or a name, on one line.
pub(super) fn line(text: &str) -> String {
    printable(text.as_bytes(), MAX_VALUE)
}

/// The most frequent values with their counts.
fn tops(values: impl Iterator<Item = String>) -> String {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for value in values.filter(|value| !value.is_empty()) {
        *counts.entry(value).or_default() += 1;
    }
    let mut all: Vec<(String, u64)> = counts.into_iter().collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    listing::first(all.iter().map(|(value, count)| format!("{} ({count})", line(value))), TOP)
}

fn span(millis: i64) -> String {
    let minutes = (millis + 59_999) / 60_000;
    match minutes {
        1 => "1 minute".into(),
        60 => "1 hour".into(),
        1440 => "1 day".into(),
        minutes if minutes % 1440 == 0 => format!("{} days", minutes / 1440),
        minutes if minutes % 60 == 0 => format!("{} hours", minutes / 60),
        minutes => format!("{minutes} minutes"),
    }
}

/// Text for a chat, whose markup begins with these characters.
pub fn chat(message: &Message) -> String {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("*{}*\n{}", escaped(&message.subject), escaped(&message.text))
}
