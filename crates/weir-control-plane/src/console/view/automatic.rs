//! Sources that their behaviour brought on a list.

use super::dashboard::AlarmLine;
use super::shell::Shell;
use super::text::Text;
use super::time::Moment;
use super::ui;
use askama::Template;

/// An entry.
#[derive(Clone, Debug)]
pub struct AutomaticRow {
    /// The source.
    pub source: Text,
    /// The list.
    pub list: &'static str,
    /// Why.
    pub reason: Text,
    /// The rule, and where it is.
    pub rule: u64,
    /// When it was listed.
    pub at: Moment,
    /// When it expires.
    pub expires: Moment,
    /// Node group.
    pub group: Text,
    /// Key of the rule's counter.
    pub key: String,
    /// Why it does not act; empty while it does.
    pub inert: &'static str,
    /// Attacks of the source.
    pub attacks: String,
}

/// A key to which a rule does not apply.
#[derive(Clone, Debug)]
pub struct ExceptionRow {
    /// The source; empty if it is not known.
    pub source: Text,
    /// Key of the rule's counter.
    pub key: String,
    /// The rule.
    pub rule: u64,
    /// Since when.
    pub at: Moment,
    /// When it ends.
    pub until: Moment,
    /// Node group.
    pub group: Text,
    /// Why it no longer acts; empty while it does.
    pub inert: &'static str,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "automatic.html")]
pub struct Automatic {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// Why entries may be missing.
    pub alarms: Vec<AlarmLine>,
    /// Entries, newest first.
    pub rows: Vec<AutomaticRow>,
    /// Whether older entries are not shown.
    pub cut: bool,
    /// Exceptions, newest first.
    pub exceptions: Vec<ExceptionRow>,
}
