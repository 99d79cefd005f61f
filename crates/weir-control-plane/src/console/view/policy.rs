//! Versions of the policy: what changed, and back.

use super::shell::Shell;
use super::text::Text;
use super::time::Moment;
use super::ui;
use askama::Template;

/// A version.
#[derive(Clone, Debug)]
pub struct VersionRow {
    /// Serial.
    pub serial: u64,
    /// Number for people.
    pub number: u64,
    /// When it was published.
    pub at: Moment,
    /// Name of the author.
    pub author: Text,
    /// What was changed.
    pub note: Text,
    /// Nodes on which it is in force.
    pub nodes: usize,
    /// Whether it is the newest.
    pub current: bool,
}

/// The list of versions.
#[derive(Debug, Template)]
#[template(path = "policy.html")]
pub struct Versions {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// Versions, newest first.
    pub rows: Vec<VersionRow>,
}

/// How a line differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// In both.
    Same,
    /// New.
    Added,
    /// Gone.
    Removed,
    /// Left out: lines that are the same.
    Gap,
}

impl Change {
    /// Class and sign.
    pub const fn class(self) -> &'static str {
        match self {
            Change::Same => "same",
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Gap => "gap",
        }
    }

    /// Sign before the line.
    pub const fn sign(self) -> &'static str {
        match self {
            Change::Added => "+",
            Change::Removed => "\u{2212}",
            _ => " ",
        }
    }
}

/// A line of the comparison.
#[derive(Clone, Debug)]
pub struct DiffLine {
    /// How it differs.
    pub change: Change,
    /// The line.
    pub text: Text,
}

/// One version against another.
#[derive(Debug, Template)]
#[template(path = "version.html")]
pub struct VersionPage {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// The version.
    pub version: VersionRow,
    /// What it is compared with.
    pub against: u64,
    /// Versions that it can be compared with: serial and number.
    pub others: Vec<(u64, u64)>,
    /// What changed, in sentences.
    pub summary: Vec<Text>,
    /// Whether it shows what a rollback to it would change.
    pub back: bool,
    /// Lines; empty where both are the same.
    pub lines: Vec<DiffLine>,
    /// Whether lines were left out for their number.
    pub cut: bool,
    /// The newest serial.
    pub newest: u64,
}
