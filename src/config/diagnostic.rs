//! Diagnostics of a configuration, and how they are shown: to people in the style of rustc, to programs as JSON.

use super::tree::Mark;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but probably does not mean what was meant.
    Warning,
    /// Worth knowing.
    Note,
}

/// Where a value came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: a default.
    #[default]
    Default,
    /// The file.
    File(Mark),
    /// This environment variable.
    Environment(String),
    /// This command-line flag.
    Flag(String),
}

/// One mistake or remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// What, in one line.
    pub message: String,
    /// Dotted path of the key, e.g. `connector.address`; empty for the whole.
    pub key: String,
    /// Where.
    pub origin: Origin,
    /// What to do about it.
    pub help: Option<String>,
    /// Whether the line in the file may hold a secret: it is then not shown.
    pub secret: bool,
}

/// All diagnostics of a configuration.
#[derive(Clone, Default)]
pub struct Report {
    /// Name of the file, as given.
    pub file: Option<String>,
    /// Its text.
    pub source: String,
    /// In order of the file, then environment and flags.
    pub diagnostics: Vec<Diagnostic>,
    /// Diagnostics that were dropped because of [`MAX_DIAGNOSTICS`].
    pub dropped: usize,
    /// Where each value came from, by path.
    pub places: BTreeMap<String, Origin>,
}

/// Without the text of the file, which may hold keys.
impl std::fmt::Debug for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Report");
        shown.field("file", &self.file).field("diagnostics", &self.diagnostics).finish_non_exhaustive()
    }
}

/// Most diagnostics that are kept: more would not help.
pub const MAX_DIAGNOSTICS: usize = 200;
/// Longest part of a line shown, in characters.
const MAX_LINE: usize = 160;

impl Report {
    /// Whether the configuration cannot be used.
    pub fn failed(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many diagnostics of this severity there are.
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|d| d.severity == severity).count()
    }

    /// Adds an error about the value of `key`, found after the configuration was read. It is shown where that value,
    /// or else what encloses it, came from.
    pub fn error(&mut self, key: &str, message: String) {
        let mut path = key;
        let origin = loop {
            if let Some(origin) = self.places.get(path) {
                break origin.clone();
            }
            match path.rfind(['.', '[']) {
                Some(at) => path = &path[..at],
                None => break Origin::Default,
            }
        };
        let (severity, key) = (Severity::Error, key.to_owned());
        self.diagnostics.push(Diagnostic { severity, message, key, origin, help: None, secret: false });
    }

    /// Sorts by place and bounds the number, errors first to be kept.
    pub fn settle(&mut self) {
        if self.diagnostics.len() > MAX_DIAGNOSTICS {
            self.dropped += self.diagnostics.len() - MAX_DIAGNOSTICS;
            self.diagnostics.sort_by_key(|d| d.severity);
            self.diagnostics.truncate(MAX_DIAGNOSTICS);
        }
        self.diagnostics.sort_by_key(|d| match &d.origin {
            Origin::File(mark) => (0, mark.line, mark.column),
            Origin::Environment(_) => (1, 0, 0),
            Origin::Flag(_) => (2, 0, 0),
            Origin::Default => (3, 0, 0),
        });
    }

    /// For people: each diagnostic with its line, then a sum.
    pub fn render(&self) -> String {
        let mut out = String::new();
        // Notes would only stand in the way of mistakes.
        let failed = self.failed();
        for diagnostic in self.diagnostics.iter().filter(|d| !failed || d.severity != Severity::Note) {
            self.render_one(&mut out, diagnostic);
        }
        if self.dropped > 0 {
            writeln!(out, "... and {} more", self.dropped).expect("String");
        }
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        let name = self.file.as_deref().unwrap_or("configuration");
        let plural = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
        let verdict = if errors > 0 { "cannot be used" } else { "is valid" };
        writeln!(out, "{name} {verdict}: {}, {}", plural(errors, "error"), plural(warnings, "warning"))
            .expect("String");
        out
    }

    fn render_one(&self, out: &mut String, d: &Diagnostic) {
        let severity = match d.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        writeln!(out, "{severity}: {}", clean(&d.message)).expect("String");
        match &d.origin {
            Origin::File(mark) if mark.line > 0 => self.render_line(out, *mark, d.secret),
            Origin::File(_) => writeln!(out, "  --> {}", self.name()).expect("String"),
            Origin::Environment(name) => writeln!(out, "  --> environment variable {}", clean(name)).expect("String"),
            Origin::Flag(name) => writeln!(out, "  --> flag {}", clean(name)).expect("String"),
            Origin::Default => {}
        }
        if let Some(help) = &d.help {
            writeln!(out, "   = help: {}", clean(help)).expect("String");
        }
        out.push('\n');
    }

    fn name(&self) -> &str {
        self.file.as_deref().unwrap_or("<text>")
    }

    fn render_line(&self, out: &mut String, mark: Mark, secret: bool) {
        let gutter = mark.line.to_string().len();
        writeln!(out, "{:gutter$}--> {}:{}:{}", "", self.name(), mark.line, mark.column).expect("String");
        let Some(line) = self.source.lines().nth(mark.line - 1) else { return };
        let secret = secret || may_hold_key(&self.source, mark.line);
        let shown = if secret { masked(line) } else { line.to_owned() };
        let length = if secret { 1 } else { mark.length };
        writeln!(out, "{}", marked_line(&shown, Mark { length, ..mark })).expect("String");
    }

    /// For programs: one object, diagnostics with their place.
    pub fn json(&self) -> String {
        let rows: Vec<Row<'_>> = self.diagnostics.iter().map(|d| self.row(d)).collect();
        let document = serde_json::json!({
            "valid": !self.failed(),
            "file": self.file,
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "dropped": self.dropped,
            "diagnostics": rows,
        });
        format!("{document:#}\n")
    }

    fn row<'d>(&self, d: &'d Diagnostic) -> Row<'d> {
        let (line, column, source) = match &d.origin {
            Origin::File(mark) => (mark.line, mark.column, "file"),
            Origin::Environment(_) => (0, 0, "environment"),
            Origin::Flag(_) => (0, 0, "flag"),
            Origin::Default => (0, 0, "default"),
        };
        let name = match &d.origin {
            Origin::Environment(name) | Origin::Flag(name) => Some(name.as_str()),
            _ => None,
        };
        let at = |n: usize| (n > 0).then_some(n);
        Row {
            severity: d.severity,
            message: &d.message,
            key: &d.key,
            source,
            name,
            line: at(line),
            column: at(column),
            help: d.help.as_deref(),
        }
    }
}

/// A line of `source` below a message about it, with a mark at `column`; empty where there is no such line.
pub fn excerpt(source: &str, line: usize, column: usize) -> String {
    let Some(text) = line.checked_sub(1).and_then(|at| source.lines().nth(at)) else { return String::new() };
    format!("\n{}", marked_line(text, Mark { line, column, length: 1 }))
}

/// A line with its number, and below it the place of `mark`.
fn marked_line(text: &str, mark: Mark) -> String {
    // What is masked is shorter than it was.
    let mark = Mark { column: mark.column.min(text.chars().count() + 1), ..mark };
    // A window around the place: lines of one-line JSON can be long.
    let from = mark.column.saturating_sub(MAX_LINE / 2);
    let window: String = text.chars().skip(from).take(MAX_LINE).collect();
    let (gutter, before) = (mark.line.to_string().len(), mark.column.saturating_sub(1).saturating_sub(from));
    let width = window.chars().count().saturating_sub(before);
    let carets = "^".repeat(mark.length.clamp(1, width.max(1)));
    let (line, window) = (mark.line, clean(&window));
    format!("{:gutter$} |\n{line} | {window}\n{:gutter$} | {:before$}{carets}", "", "", "")
}

/// A diagnostic as JSON.
#[derive(Serialize)]
struct Row<'d> {
    severity: Severity,
    message: &'d str,
    key: &'d str,
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'d str>,
    line: Option<usize>,
    column: Option<usize>,
    help: Option<&'d str>,
}

/// Whether a line may hold a connector's key, judged by the text alone: it is asked of files that do not parse too.
fn may_hold_key(source: &str, number: usize) -> bool {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut above = source.lines().take(number).collect::<Vec<_>>().into_iter().rev();
    let Some(line) = above.next() else { return false };
    let mut least = indent(line);
    let named = |line: &str| line.contains("auth") || line.contains("keys");
    named(line)
        || above.filter(|line| !line.trim().is_empty()).any(|line| {
            // A list may stand as far left as the key it belongs to.
            let encloses = indent(line) < least || (indent(line) == least && line.trim_end().ends_with(':'));
            least = least.min(indent(line));
            encloses && named(line)
        })
}

/// The line with everything after its first colon, or after a list dash, replaced.
fn masked(line: &str) -> String {
    let end = line.find(':').or_else(|| line.find('-')).map_or(0, |at| at + 1);
    format!("{} ****", &line[..end])
}

/// Text of a file as a terminal may show it.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c == '\t' { ' ' } else { c }).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: usize, column: usize, length: usize) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            message: "unknown key `bloking`".into(),
            key: "connector.bloking".into(),
            origin: Origin::File(Mark { line, column, length }),
            help: Some("did you mean `blocking`?".into()),
            secret: false,
        }
    }

    #[test]
    fn a_place_past_the_end_of_a_masked_line_shows_the_line() {
        let mark = Mark { line: 6, column: 400, length: 9 };
        assert_eq!(marked_line("  key: ****", mark), "  |\n6 |   key: ****\n  |            ^");
    }

    #[test]
    fn people_see_the_line_and_what_to_do() {
        let report = Report {
            file: Some("weir.yaml".into()),
            source: "connector:\n  bloking: true\n".into(),
            diagnostics: vec![at(2, 3, 7)],
            ..Report::default()
        };
        let expected = "error: unknown key `bloking`\n --> weir.yaml:2:3\n  |\n2 |   bloking: true\n  |   ^^^^^^^\n   = help: \
                        did you mean `blocking`?\n\nweir.yaml cannot be used: 1 error, 0 warnings\n";
        assert_eq!(report.render(), expected);
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["valid"], false);
        assert_eq!(json["diagnostics"][0]["line"], 2);
        assert_eq!(json["diagnostics"][0]["key"], "connector.bloking");
    }

    #[test]
    fn secrets_and_control_bytes_are_not_shown() {
        let mut secret = at(1, 7, 5);
        secret.secret = true;
        let source = "name: hunter2\x1b[31m\n".to_owned();
        let report = Report { source, diagnostics: vec![secret, at(1, 1, 4)], ..Report::default() };
        let shown = report.render();
        assert_eq!(shown.matches("hunter2").count(), 1);
        assert!(shown.contains("name: ****") && !shown.contains('\x1b'));
    }

    #[test]
    fn places_outside_the_text_do_no_harm() {
        let source = "x".repeat(10_000);
        let report =
            Report { source, diagnostics: vec![at(1, 9_999, 99), at(7, 1, 1), at(1, 20_000, 1)], ..Report::default() };
        assert!(report.render().len() < 2_000);
    }

    #[test]
    fn many_mistakes_are_cut_warnings_first() {
        let mut report = Report { diagnostics: vec![at(1, 1, 1); MAX_DIAGNOSTICS + 5], ..Report::default() };
        report.diagnostics[0].severity = Severity::Warning;
        report.settle();
        assert_eq!((report.diagnostics.len(), report.dropped), (MAX_DIAGNOSTICS, 5));
        assert_eq!(report.count(Severity::Warning), 0);
    }
}
