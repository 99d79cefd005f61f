//! Rules of the policy: the list, the form, the test box.

use super::dashboard::AlarmLine;
use super::form::{Control, Field};
use super::parts::{AttackKind, Choice, HitCount};
use super::shell::{Shell, Tone};
use super::text::Text;
use super::time::Moment;
use super::ui;
use askama::Template;

/// A rule in the list.
#[derive(Clone, Debug)]
pub struct RuleRow {
    /// Id.
    pub id: u64,
    /// Type, for people.
    pub kind: &'static str,
    /// Icon of the type.
    pub icon: &'static str,
    /// What it says, in words.
    pub says: Text,
    /// Where it holds, in words.
    pub scope: Text,
    /// Point; empty for none.
    pub point: Text,
    /// Title or comment.
    pub comment: Text,
    /// Whether it is switched on.
    pub enabled: bool,
    /// When it ends.
    pub expires: Option<Moment>,
    /// Whether it has expired.
    pub ended: bool,
    /// Why it does not act everywhere; empty if it does.
    pub alarm: Text,
    /// Author.
    pub author: Text,
    /// Since when it is as it is.
    pub changed: Moment,
    /// Hits of the last 30 days; none for rules that have none, such as exceptions.
    pub hits: Option<HitCount>,
}

/// The list.
#[derive(Debug, Template)]
#[template(path = "rules.html")]
pub struct Rules {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// What was searched for.
    pub query: String,
    /// Types there are.
    pub kinds: Vec<(Choice, usize)>,
    /// Rules, newest first.
    pub rows: Vec<RuleRow>,
    /// All there are.
    pub total: usize,
}

/// A type of rule to choose from.
#[derive(Clone, Copy, Debug)]
pub struct RuleTypeInfo {
    /// Type, as in policies.
    pub code: &'static str,
    /// For people.
    pub label: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Icon.
    pub icon: &'static str,
}

/// The choice of a type.
#[derive(Debug, Template)]
#[template(path = "rule_types.html")]
pub struct RuleTypes {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// Groups of types.
    pub groups: Vec<(&'static str, Vec<RuleTypeInfo>)>,
}

/// A condition as filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConditionRow {
    /// `equal`, `iequal`, `regex`, `absent`.
    pub how: String,
    /// AttackKind of the point: `header`, `query`, `path`...
    pub point: String,
    /// Its name or number.
    pub name: String,
    /// The value.
    pub value: String,
}

/// What the test box says of a request.
#[derive(Clone, Debug)]
pub struct TestResult {
    /// Verdict without the rule.
    pub before: (Tone, &'static str),
    /// Verdict with it.
    pub after: (Tone, &'static str),
    /// In a sentence.
    pub says: &'static str,
    /// Findings with the rule, then those that only occur without it.
    pub findings: Vec<TestFinding>,
}

/// A finding in a tested request.
#[derive(Clone, Debug)]
pub struct TestFinding {
    /// Attack type.
    pub kind: AttackKind,
    /// Name of the signature or detector.
    pub rule: Text,
    /// Location.
    pub point: Text,
    /// What matched.
    pub matched: Text,
    /// Whether it still counts with the rule.
    pub counts: bool,
}

/// What keys of a rule that counts have reached.
#[derive(Clone, Debug)]
pub struct RuleHistoryText {
    /// In words.
    pub says: Text,
    /// Since when.
    pub since: Option<Moment>,
    /// The proposed threshold, if there is one.
    pub proposed: Option<u32>,
}

/// What live validation shows: mistakes, the rule as written, the test.
#[derive(Debug, Template)]
#[template(path = "part/rule_check.html")]
pub struct RuleCheck {
    /// Mistakes: field and what is wrong.
    pub mistakes: Vec<(Text, Text)>,
    /// What is accepted, and has no or another effect than it says.
    pub notices: Vec<Text>,
    /// What has to be confirmed before the rule is saved.
    pub dangers: Vec<Text>,
    /// Whether the form was not filled in yet; then no errors are shown.
    pub untouched: bool,
    /// The rule.
    pub rule: Text,
    /// The rule in a sentence.
    pub says: Text,
    /// The test, where there is a request.
    pub test: Option<TestResult>,
    /// What is wrong with the test.
    pub test_wrong: Option<Text>,
    /// What keys of a rule that counts have reached.
    pub history: Option<RuleHistoryText>,
}

// A template of its own, escaped.
impl askama::filters::HtmlSafe for RuleCheck {}

/// The form.
#[derive(Debug, Template)]
#[template(path = "rule_form.html")]
pub struct RuleForm {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// Id of a rule that is there already.
    pub id: Option<u64>,
    /// Type.
    pub kind: RuleTypeInfo,
    /// Host, path, method.
    pub scope: Vec<Field>,
    /// Further conditions.
    pub conditions: Vec<ConditionRow>,
    /// Kinds of points of conditions: value and label.
    pub condition_points: &'static [(&'static str, &'static str)],
    /// The point, where the type has one.
    pub point: Option<Field>,
    /// Parameters of the type.
    pub fields: Vec<Field>,
    /// Title, comment, expiry, whether it is switched on.
    pub general: Vec<Field>,
    /// The request of the test box.
    pub test_request: String,
    /// Why the rule does not act everywhere.
    pub alarms: Vec<AlarmLine>,
    /// Mistakes, rule, test.
    pub check: RuleCheck,
    /// Whether it is switched on.
    pub enabled: bool,
    /// When it expired, if it did.
    pub ended: Option<Moment>,
    /// Where it came from: id of a hit.
    pub from_hit: Option<String>,
}

/// How conditions compare: value and label.
pub const HOW: &[(&str, &str)] =
    &[("equal", "equals"), ("iequal", "equals (ignore case)"), ("regex", "matches regex"), ("absent", "is absent")];

impl RuleForm {
    /// How conditions compare.
    pub fn how(&self) -> &'static [(&'static str, &'static str)] {
        HOW
    }

    /// Whether blocked clients see what the rule says.
    pub fn has_preview(&self) -> bool {
        self.kind.code == "block_reply"
    }

    /// Where it is sent to.
    pub fn action(&self) -> String {
        match self.id {
            Some(id) => format!("/rules/{id}"),
            None => format!("/rules/new/{}", self.kind.code),
        }
    }
}
