//! Creating an exception or a virtual patch from a hit: the resulting rule and the stored hits that it would affect.

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

/// A signature or attack type that the rule can ignore or block.
#[derive(Clone, Debug)]
pub struct SubjectOption {
    /// Value in the form.
    pub value: String,
    /// Name of the signature or attack type.
    pub label: Text,
    /// What choosing it means.
    pub about: Text,
    /// Whether it is chosen.
    pub chosen: bool,
}

/// A location that the rule can apply to.
#[derive(Clone, Debug)]
pub struct PointOption {
    /// Value in the form: the number of steps kept.
    pub value: String,
    /// The location.
    pub point: Text,
    /// Whether it is chosen.
    pub chosen: bool,
}

/// A request attribute that the rule can be limited to.
#[derive(Clone, Debug)]
pub struct BoundOption {
    /// Name in the form.
    pub name: &'static str,
    /// Label.
    pub label: &'static str,
    /// The value in the hit.
    pub value: Text,
    /// Whether the rule is limited to it.
    pub bound: bool,
}

/// What an exception changes.
#[derive(Clone, Debug)]
pub struct ExceptionEffect {
    /// What is ignored.
    pub ignored: Text,
    /// What is still detected.
    pub detected: Text,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "proposal.html")]
pub struct Proposal {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// What is proposed.
    pub what: Proposed,
    /// Id of the hit.
    pub hit: String,
    /// Its request in a line.
    pub line: Text,
    /// What the rule can ignore or block.
    pub subjects: Vec<SubjectOption>,
    /// The locations that it can apply to, narrowest first.
    pub points: Vec<PointOption>,
    /// The request attributes that it can be limited to.
    pub bounds: Vec<BoundOption>,
    /// Expiry and comment.
    pub fields: Vec<Field>,
    /// Errors that belong to no field.
    pub mistakes: Vec<Text>,
    /// The rule in a sentence.
    pub sentence: Text,
    /// For exceptions: what is ignored and what is still detected.
    pub effect: Option<ExceptionEffect>,
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
