//! The list of attacks.

use super::parts::{AttackKind, Choice, Mark, Pager, Status};
use super::shell::Shell;
use super::text::Text;
use super::time::Moment;
use super::ui;
use askama::Template;

/// An attack in a list.
#[derive(Clone, Debug)]
pub struct AttackRow {
    /// Id, checked to be one.
    pub id: String,
    /// Type.
    pub kind: AttackKind,
    /// Host.
    pub host: Text,
    /// Method of the last hit.
    pub method: Text,
    /// Path of the last hit.
    pub path: Text,
    /// Where in the message, in words.
    pub words: Text,
    /// Where in the message, as rules take it.
    pub point: Text,
    /// What matched in the last hit; empty where nothing did.
    pub matched: Text,
    /// Findings of the last hit besides that.
    pub more_findings: usize,
    /// Address of the last hit.
    pub ip: Text,
    /// The page of that address; empty where it is unknown.
    pub source: String,
    /// The page of the host; empty where there is none.
    pub target: String,
    /// Its country.
    pub country: Text,
    /// Distinct sources.
    pub sources: u64,
    /// Hits, written.
    pub hits: String,
    /// Blocked, written.
    pub blocked: String,
    /// What became of them.
    pub status: Status,
    /// Mark set by a user.
    pub mark: Mark,
    /// Who set the mark.
    pub marked_by: Text,
    /// First hit.
    pub first: Moment,
    /// Last hit.
    pub last: Moment,
}

impl AttackRow {
    /// Sources besides the last one.
    pub fn others(&self) -> u64 {
        self.sources.saturating_sub(1)
    }
}

/// A term of the search, and the search without it.
#[derive(Clone, Debug)]
pub struct Chip {
    /// The term.
    pub term: Text,
    /// The list without it.
    pub without: String,
}

/// A search that the viewer saved.
#[derive(Clone, Debug)]
pub struct SavedSearch {
    /// Id, checked to be one.
    pub id: String,
    /// Name.
    pub name: Text,
    /// The list with it.
    pub href: String,
    /// Whether it is the one shown.
    pub current: bool,
}

/// The part of a period that was searched.
#[derive(Clone, Debug)]
pub struct Searched {
    /// Since when hits were looked at.
    pub since: Moment,
    /// The search of what was before.
    pub before: String,
}

/// What the live update replaces: rows and pager.
#[derive(Debug, Default, Template)]
#[template(path = "part/attack_rows.html")]
pub struct AttackRows {
    /// Rows, newest first.
    pub rows: Vec<AttackRow>,
    /// Links to other pages.
    pub pager: Pager,
    /// Whether marks can be set.
    pub can_write: bool,
    /// Where not all hits of the period were looked at.
    pub searched: Option<Searched>,
}

// A template of its own, escaped.
impl askama::filters::HtmlSafe for AttackRows {}

/// The page.
#[derive(Debug, Template)]
#[template(path = "attacks.html")]
pub struct Attacks {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// The search as written.
    pub query: String,
    /// What is wrong with it.
    pub wrong: Option<Text>,
    /// Its terms.
    pub chips: Vec<Chip>,
    /// Time ranges.
    pub ranges: Vec<Choice>,
    /// Code of the selected time range.
    pub range: String,
    /// Statuses to choose from.
    pub statuses: Vec<Choice>,
    /// Types to choose from, and the search with each.
    pub kinds: Vec<(AttackKind, String)>,
    /// The list.
    pub list: AttackRows,
    /// Address of the live update; none on later pages.
    pub live: Option<String>,
    /// Addresses of the exports.
    pub export: [(&'static str, String); 2],
    /// Since when free text is looked for, where that is later than the time range begins.
    pub text_since: Option<Moment>,
    /// Searches that the viewer saved.
    pub saved: Vec<SavedSearch>,
    /// Whether the viewer can save this one.
    pub can_save: bool,
    /// What was wrong with a search that was to be saved.
    pub save_wrong: Option<Text>,
    /// Whether any attack was ever stored.
    pub ever: bool,
    /// The command line that makes a first attack.
    pub try_it: String,
}

/// Attributes of the search: name, what it wants, an example.
pub const SYNTAX: &[(&str, &str, &str)] = &[
    ("type", "attack type code; the type: prefix is optional", "sqli"),
    ("ip", "address or network; 10+ means at least 10 sources", "ip:203.0.113.0/24"),
    ("country", "ISO country code", "country:NL"),
    ("d", "host; * and ? are wildcards", "d:*.example.com"),
    ("u", "path; * and ? are wildcards", "u:/api/*"),
    ("p", "parser or parameter name", "p:json_doc"),
    ("method", "HTTP method", "method:POST"),
    ("status", "blocked, partially_blocked, monitoring", "status:blocked"),
    ("mark", "tp, fp, none", "mark:none"),
    ("statuscode", "response status code or range", "statuscode:500-599"),
    ("app", "application ID", "app:3"),
    ("node_uuid", "node ID", "node_uuid:0197\u{2026}"),
    ("rule", "signature name or rule ID", "rule:4"),
    ("request_id", "request ID", "request_id:4711"),
    (
        "text",
        "text anywhere in the request or in what matched; the text: prefix is optional in quotes",
        "\"union select\"",
    ),
];

impl Attacks {
    /// Attributes of the search.
    pub fn syntax(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        SYNTAX
    }
}
