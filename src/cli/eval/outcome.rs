//! The verdict on one labelled request, and files of such verdicts.

use super::corpus::{BENIGN, Record};
use crate::cli::error::CliError;
use crate::cli::judge::Judgement;
use crate::cli::readers::ReadError;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write};
use std::path::Path;
use weir_core::model::bytes::printable;
use weir_core::model::{Confidence, Finding, PointPath, Tag};
use weir_policy::Action;

/// Longest target kept for a report, in bytes.
const MAX_TARGET: usize = 160;
/// Longest saved run that is read, in requests.
const MAX_RUN: usize = 10_000_000;

/// The verdict on one labelled request. Saved as one line of JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Name of the request in its source.
    pub id: String,
    /// Where the request is from.
    pub source: String,
    /// Its label.
    pub class: String,
    /// Its tier.
    pub tier: String,
    /// Where its payload is, by its label.
    pub place: String,
    /// The verdict.
    pub blocked: bool,
    /// What was found, and not left out by an exception.
    pub findings: Vec<Found>,
    /// Request line, for a report.
    #[serde(skip)]
    pub request: String,
    /// What was not inspected, and why.
    #[serde(skip)]
    pub gaps: Vec<String>,
    /// How long the inspection took, in microseconds.
    #[serde(skip)]
    pub micros: f64,
}

/// A finding of an [`Outcome`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    /// Attack type.
    pub attack: String,
    /// Signature or detector.
    pub rule: String,
    /// Whether it makes the value an attack.
    pub decisive: bool,
    /// Point of the value.
    pub point: String,
    /// Part of the message in which the point is.
    pub place: String,
    /// What a rule matched; not saved.
    #[serde(skip)]
    pub matched: String,
    /// How sure the rule is on its own.
    #[serde(skip)]
    pub confidence: &'static str,
}

impl Outcome {
    /// What `judgement` says about `record`.
    pub(super) fn new(record: Record, judgement: &Judgement<'_>) -> Self {
        let message = &judgement.message;
        let verdict = &judgement.verdict;
        let request = format!("{} {}", printable(message.method, 20), printable(message.target, MAX_TARGET));
        let gap = |gap: &weir_core::model::NotInspected| format!("{} {}", gap.reason.code(), gap.point);
        Self {
            blocked: verdict.action == Action::Block,
            findings: verdict.findings.iter().map(Found::new).collect(),
            request,
            gaps: judgement.inspection.not_inspected.iter().map(gap).collect(),
            micros: judgement.micros,
            id: record.id,
            source: record.source,
            class: record.class,
            tier: record.tier,
            place: record.place,
        }
    }

    /// Whether the label is that of an attack.
    pub fn is_attack(&self) -> bool {
        self.class != BENIGN
    }

    /// Whether the verdict is that of the label.
    pub fn is_right(&self) -> bool {
        self.blocked == self.is_attack()
    }

    /// Rules whose finding was decisive, each once.
    pub fn deciding_rules(&self) -> Vec<&str> {
        let mut rules: Vec<&str> = Vec::new();
        for finding in self.findings.iter().filter(|finding| finding.decisive) {
            if !rules.contains(&finding.rule.as_str()) {
                rules.push(&finding.rule);
            }
        }
        rules
    }

    /// Writes a line of tab-separated fields for each finding.
    pub fn write_findings(&self, out: &mut impl Write) -> io::Result<()> {
        for Found { attack, rule, decisive, point, matched, .. } in &self.findings {
            let weight = if *decisive { "decisive" } else { "weak" };
            let Self { id, class, source, .. } = self;
            writeln!(out, "{id}\t{class}\t{source}\t{attack}\t{weight}\t{rule}\t{point}\t{matched}")?;
        }
        Ok(())
    }
}

impl Found {
    fn new(finding: &Finding) -> Self {
        Self {
            attack: finding.attack.code().into(),
            rule: finding.rule.to_string(),
            decisive: finding.decisive,
            point: finding.point.to_string(),
            place: place(&finding.point).into(),
            matched: finding.matched.clone(),
            confidence: match finding.confidence {
                Confidence::Low => "low",
                Confidence::Medium => "medium",
                Confidence::High => "high",
            },
        }
    }
}

/// The part of a message in which a point is.
fn place(point: &PointPath) -> &'static str {
    let has = |tag: Tag| point.0.iter().any(|item| item.tag == tag);
    let name = matches!(
        point.0.last().map(|item| item.tag),
        Some(Tag::GetName | Tag::HeaderName | Tag::CookieName | Tag::FormUrlencodedName | Tag::MultipartName)
            | Some(Tag::HashName | Tag::XmlTagName | Tag::ArchiveName)
    );
    match point.0.first().map(|item| item.tag) {
        _ if name => "name",
        _ if has(Tag::ContentDisp) => "filename",
        _ if has(Tag::File) => "file",
        Some(Tag::Uri | Tag::Path | Tag::ActionName | Tag::ActionExt) => "path",
        Some(Tag::Get) => "query",
        Some(Tag::Header) if has(Tag::Cookie) => "cookie",
        Some(Tag::Cookie) => "cookie",
        Some(Tag::Header) => "header",
        Some(Tag::Post) => match point.0.get(1).map(|item| item.tag) {
            Some(Tag::FormUrlencoded) => "form",
            Some(Tag::Multipart) => "multipart",
            Some(Tag::JsonDoc) => "json",
            Some(Tag::Xml) => "xml",
            _ => "body",
        },
        _ => "other",
    }
}

/// Writes a run to `path`.
pub(super) fn save_run(path: &Path, outcomes: &[Outcome]) -> Result<(), CliError> {
    let mut out = BufWriter::new(File::create(path).map_err(CliError::file(path))?);
    for outcome in outcomes {
        let line = serde_json::to_string(outcome).map_err(|error| CliError::file(path)(error.into()))?;
        writeln!(out, "{line}").map_err(CliError::file(path))?;
    }
    out.flush().map_err(CliError::file(path))
}

/// Reads a run that `weir eval --save` wrote.
pub(crate) fn read_run(path: &Path) -> Result<Vec<Outcome>, CliError> {
    let lines = BufReader::new(File::open(path).map_err(CliError::file(path))?).lines();
    let mut outcomes = Vec::new();
    for (at, line) in lines.enumerate().take(MAX_RUN) {
        let line = line.map_err(CliError::file(path))?;
        let outcome = serde_json::from_str(&line).map_err(|error| {
            let message = format!("not a run that `weir eval --save` wrote: {error}");
            CliError::requests(path)(ReadError { line: at + 1, message })
        })?;
        outcomes.push(outcome);
    }
    Ok(outcomes)
}
