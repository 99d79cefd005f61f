//! One hit: the request with what was found marked in it, and how the node got to see it.

use super::parts::{AttackKind, Mark};
use super::shell::Shell;
use super::text::Text;
use super::time::Moment;
use super::ui;
use askama::Template;

/// A piece of text, marked or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The text.
    pub text: Text,
    /// Whether it is what was found.
    pub found: bool,
}

/// A step on the way from the message to the match.
#[derive(Clone, Debug)]
pub struct Step {
    /// What was done: `Body`, `JSON`, `member user`, `Base64`.
    pub label: Text,
    /// The value after it.
    pub value: Vec<Piece>,
    /// Bytes of the value.
    pub length: String,
}

/// A finding.
#[derive(Clone, Debug)]
pub struct FindingView {
    /// Type.
    pub kind: AttackKind,
    /// Name of the signature or detector.
    pub rule: Text,
    /// Its page; none where it is not known here.
    pub href: Option<String>,
    /// What it means.
    pub about: Text,
    /// How sure it is.
    pub confidence: &'static str,
    /// Whether it made the attack.
    pub decisive: bool,
    /// Where, in words.
    pub words: Text,
    /// Where, as rules take it.
    pub point: Text,
    /// What matched.
    pub matched: Text,
    /// Decoding steps.
    pub steps: Vec<Step>,
}

/// An attack that the hit belongs to.
#[derive(Clone, Debug)]
pub struct ParentAttack {
    /// Id of the attack.
    pub id: String,
    /// Type.
    pub kind: AttackKind,
    /// Its mark.
    pub mark: Mark,
    /// Who set the mark.
    pub marked_by: Text,
}

/// A fact about the hit.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Name.
    pub name: &'static str,
    /// Value.
    pub value: Text,
    /// Link of the value, if any.
    pub href: Option<String>,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "hit.html")]
pub struct HitPage {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// Id, checked to be one.
    pub id: String,
    /// Attack types.
    pub kinds: Vec<AttackKind>,
    /// When it was inspected.
    pub time: Moment,
    /// Whether it was blocked.
    pub blocked: bool,
    /// Whether it passed only because of its mode.
    pub would_block: bool,
    /// Why it was blocked or reported, in words.
    pub why: Text,
    /// Method and path.
    pub line: Text,
    /// Attacks that it belongs to.
    pub attacks: Vec<ParentAttack>,
    /// The request, with what was found marked.
    pub request: Vec<Piece>,
    /// What the message was.
    pub message: &'static str,
    /// Bytes of the body that are not shown.
    pub cut: Option<String>,
    /// Findings.
    pub findings: Vec<FindingView>,
    /// Whether the stored request still yields these findings.
    pub stale: bool,
    /// Whether the steps are left out because others are being worked out.
    pub busy: bool,
    /// Shown if there are no findings.
    pub no_findings: Text,
    /// Protocol anomalies: code, description, point.
    pub anomalies: Vec<(&'static str, &'static str, Text)>,
    /// Groups of facts.
    pub facts: Vec<(&'static str, Vec<Fact>)>,
    /// Where its source is put on a list.
    pub deny: Option<String>,
    /// Whether something can be excepted: findings, not lists or virtual patches.
    pub exceptable: bool,
    /// Link to the entry of the denylist that blocked its source.
    pub listed: Option<String>,
}
