//! Parameters of rules: as fields of forms, as values of rules, and in words.

use super::rule_types::find;
use super::view::form::{Control, Field};
use super::{abuse_types, reply_types};
use serde_json::{Value, json};
use weir_core::model::AttackType;
use weir_policy::profiles;

/// What a parameter is, in the rule.
#[derive(Clone, Copy, Debug)]
pub enum ParameterType {
    /// Text on a line.
    Text,
    /// A pattern.
    Pattern,
    /// Text on several lines.
    Page,
    /// Header fields, one a line.
    Headers,
    /// Part of a request whose values are counted.
    Part,
    /// Parts of a request by which rules on behaviour count: one or several, with commas.
    Parts,
    /// How the answer to a failed attempt is recognised, one a line; may be empty.
    Failure,
    /// A number.
    Number,
    /// True or false.
    Flag,
    /// One of these: value and label.
    One(&'static [(&'static str, &'static str)]),
    /// A profile of the policy.
    Profile,
    /// An attack type; with `any`.
    AnyAttack,
    /// An attack type.
    Attack,
}

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Name in the rule.
    pub name: &'static str,
    /// Label.
    pub label: &'static str,
    /// What it is.
    pub value_type: ParameterType,
    /// What it means.
    pub hint: &'static str,
    /// Default value.
    pub default: &'static str,
}

pub(super) const fn parameter(
    name: &'static str,
    label: &'static str,
    value_type: ParameterType,
    hint: &'static str,
    default: &'static str,
) -> Parameter {
    Parameter { name, label, value_type, hint, default }
}

/// What a node takes where a rule of type `code` (or of another name for it) does not say; empty where that is nothing, or is
/// a setting of the node. Defaults of forms may differ: they are what is wise for a new rule.
pub(super) fn absent(code: &str, name: &str) -> &'static str {
    let kind = find(code).map_or(code, |kind| kind.shown.code);
    match (name, kind) {
        ("threshold", "brute") => "10",
        ("threshold", "forced_browsing" | "bola") => "50",
        ("window", "brute") => "300",
        ("window", "rate_limit" | "forced_browsing" | "bola") => "60",
        ("burst", _) => "0",
        ("key", "rate_limit" | "brute" | "forced_browsing" | "bola") => "client",
        ("reaction", "rate_limit" | "brute") if !code.ends_with("_counter") => "block",
        ("reaction", _) => "report",
        ("duration", _) => "600",
        ("size_unit", _) => "b",
        ("mode", "overlimit_res_settings") => "monitoring",
        ("mode", "file_upload_size_limit" | "graphql_detection") => "block",
        ("max_depth" | "max_value_size_kb" | "max_doc_per_batch", _) => "10",
        ("max_doc_size_kb", _) => "100",
        ("max_aliases", _) => "5",
        ("introspection" | "debug_enabled", _) => "on",
        ("status", "block_reply") => "403",
        _ => "",
    }
}

impl Parameter {
    /// The field of a form, with `value` in it.
    pub fn field(&self, value: Option<String>, wrong: Option<&str>) -> Field {
        let pairs = |all: &[(&str, &str)]| all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let control = match self.value_type {
            ParameterType::Text | ParameterType::Part | ParameterType::Parts => Control::Code,
            ParameterType::Pattern => Control::Code,
            ParameterType::Page => Control::Page,
            ParameterType::Headers | ParameterType::Failure => Control::Lines,
            ParameterType::Number => Control::Number,
            ParameterType::Flag => Control::Check,
            ParameterType::One(all) => Control::Select(pairs(all)),
            ParameterType::Profile => Control::Select(profile_labels()),
            ParameterType::AnyAttack => Control::Select(attacks(true)),
            ParameterType::Attack => Control::Select(attacks(false)),
        };
        let field = Field::new(self.name, self.label, control, self.hint).with_error(wrong);
        let field = field.with(value.unwrap_or_else(|| self.default.into()));
        if self.is_required() { field.required() } else { field }
    }

    fn is_required(&self) -> bool {
        match self.value_type {
            ParameterType::Text | ParameterType::Pattern => true,
            ParameterType::Part | ParameterType::Parts => !self.default.is_empty(),
            _ => false,
        }
    }

    /// The value for the rule of what was filled in; none where nothing was.
    pub fn value(&self, text: &str) -> Option<Value> {
        match self.value_type {
            ParameterType::Flag => Some(json!(!text.is_empty())),
            _ if text.is_empty() => None,
            // Browsers send line ends as CRLF.
            ParameterType::Page => Some(json!(text.replace("\r\n", "\n"))),
            ParameterType::Headers => Some(reply_types::header_fields(text)),
            ParameterType::Part => Some(abuse_types::part(text)),
            ParameterType::Parts => Some(abuse_types::parts(text)),
            ParameterType::Failure => Some(abuse_types::failure(text)),
            // Keep invalid numbers as text: validation of the rule reports them.
            ParameterType::Number => Some(text.parse::<u64>().map_or_else(|_| json!(text), |n| json!(n))),
            _ => Some(json!(text)),
        }
    }

    /// What is filled in for a value of a rule.
    pub fn text(&self, value: &Value) -> String {
        match value {
            _ if matches!(self.value_type, ParameterType::Part | ParameterType::Parts) => {
                abuse_types::parts_text(value)
            }
            _ if matches!(self.value_type, ParameterType::Failure) => abuse_types::failure_text(value),
            Value::Object(_) => reply_types::header_lines(value),
            Value::Bool(true) => "on".into(),
            Value::Bool(false) | Value::Null => String::new(),
            Value::String(text) => text.clone(),
            value => value.to_string(),
        }
    }

    /// A value of a rule in words.
    pub fn words(&self, value: &Value) -> String {
        let text = self.text(value);
        match self.value_type {
            ParameterType::One(all) => {
                all.iter().find(|(code, _)| *code == text).map_or(text, |(_, label)| (*label).to_owned())
            }
            ParameterType::Profile => {
                profiles().iter().find(|profile| profile.name == text).map_or(text, |profile| profile.label.clone())
            }
            ParameterType::AnyAttack | ParameterType::Attack if text == "any" => "any attack".into(),
            ParameterType::AnyAttack | ParameterType::Attack => {
                AttackType::from_code(&text).map_or(text, |attack| attack.name().into())
            }
            _ => text,
        }
    }
}

fn profile_labels() -> Vec<(String, String)> {
    profiles().iter().map(|profile| (profile.name.clone(), profile.label.clone())).collect()
}

fn attacks(any: bool) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> =
        AttackType::ALL.iter().map(|attack| (attack.code().to_owned(), attack.name().to_owned())).collect();
    all.retain(|(code, _)| code != AttackType::BlockedSource.code() && (!any || code != AttackType::Vpatch.code()));
    all.sort_by(|a, b| a.1.cmp(&b.1));
    if any {
        all.insert(0, ("any".into(), "Any".into()));
    }
    all
}
