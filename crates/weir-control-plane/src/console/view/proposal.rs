//! From a hit to a rule: an exception or a virtual patch, shown as what it will become and what it would change.

use super::form::{Control, Field};
use super::parts::AttackKind;
use super::shell::{Shell, Tone};
use super::text::Text;
use super::time::Moment;
use super::ui;
use askama::Template;

/// What is proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proposed {
    /// Findings at a place no longer count.
    Exception,
    /// Attacks at a place are blocked in every mode.
    Patch,
}

/// A stored hit whose verdict would change.
#[derive(Clone, Debug)]
pub struct Changed {
    /// Id of the hit.
    pub id: String,
    /// When.
    pub time: Moment,
    /// Types.
    pub kinds: Vec<AttackKind>,
    /// Method, host, path.
    pub line: Text,
    /// Address.
    pub ip: Text,
    /// What matched.
    pub matched: Text,
}

/// What a rule would have changed.
#[derive(Clone, Debug)]
pub struct Preview {
    /// What becomes of the hit itself.
    pub this: (Tone, Text),
    /// Stored hits looked at again.
    pub replayed: String,
    /// From when on.
    pub since: Moment,
    /// Whether there were more than were looked at.
    pub cut: bool,
    /// Hits with another verdict, the hit itself apart; at most a page of them.
    pub changed: Vec<Changed>,
    /// All of them, written.
    pub changed_count: String,
    /// Whether it is just one.
    pub single: bool,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "proposal.html")]
pub struct Proposal {
    /// Around it.
    pub shell: Shell,
    /// What is proposed.
    pub what: Proposed,
    /// Id of the hit.
    pub hit: String,
    /// Its request in a line.
    pub line: Text,
    /// What the rule is about: value, label, meaning, whether chosen.
    pub subjects: Vec<(String, Text, Text, bool)>,
    /// Where it holds: value (steps kept), point, whether chosen.
    pub points: Vec<(String, Text, bool)>,
    /// Where it holds: name, label, the value that it would be bound to, whether bound.
    pub bounds: Vec<(&'static str, &'static str, Text, bool)>,
    /// Expiry and comment.
    pub fields: Vec<Field>,
    /// Mistakes that belong to no field.
    pub mistakes: Vec<Text>,
    /// What the exception will let pass, and what it will not.
    pub effect: Option<[Text; 2]>,
    /// The rule.
    pub rule: Text,
    /// What it would change.
    pub preview: Option<Preview>,
}

impl Proposal {
    /// Where its forms go.
    pub fn action(&self) -> String {
        let last = if self.what == Proposed::Exception { "exception" } else { "patch" };
        format!("/hits/{}/{last}", self.hit)
    }
}
