//! Types of rules as forms: what each asks for.

use super::view::form::{Control, Field};
use super::view::rules::RuleKind;
use serde_json::{Value, json};
use weir_core::model::AttackType;

/// What a parameter is, in the rule.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Text on a line.
    Text,
    /// A pattern.
    Pattern,
    /// A number.
    Number,
    /// True or false.
    Flag,
    /// One of these: value and label.
    One(&'static [(&'static str, &'static str)]),
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
    pub shape: Shape,
    /// What it means.
    pub hint: &'static str,
    /// What it is where nothing is said.
    pub otherwise: &'static str,
}

/// A type with its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// For people.
    pub shown: RuleKind,
    /// Group in the choice of types.
    pub group: &'static str,
    /// Whether it has a point; none if it has not, else whether it must have one.
    pub point: Option<bool>,
    /// Its parameters.
    pub parameters: &'static [Parameter],
}

const fn parameter(
    name: &'static str,
    label: &'static str,
    shape: Shape,
    hint: &'static str,
    otherwise: &'static str,
) -> Parameter {
    Parameter { name, label, shape, hint, otherwise }
}

const fn kind(
    group: &'static str,
    shown: (&'static str, &'static str, &'static str, &'static str),
    point: Option<bool>,
    parameters: &'static [Parameter],
) -> Kind {
    let (code, label, icon, about) = shown;
    Kind { shown: RuleKind { code, label, about, icon }, group, point, parameters }
}

const OWN_MODE: Shape =
    Shape::One(&[("block", "Going over is an attack"), ("monitoring", "Going over is told"), ("off", "Off")]);
const BLOCKING: &str = "Blocking";
const EXCEPTIONS: &str = "Exceptions";
const DETECTION: &str = "Own detection";
const LIMITS: &str = "Limits and parsers";
const PRIVACY: &str = "Privacy";

/// Every type that can be made by form.
pub const KINDS: &[Kind] = &[
    kind(
        BLOCKING,
        ("wallarm_mode", "Filtration mode", "sliders", "Another mode for a host, a path, a method."),
        None,
        &[parameter(
            "mode",
            "Mode",
            Shape::One(&[
                ("block", "Blocking"),
                ("safe_blocking", "Safe blocking"),
                ("monitoring", "Monitoring"),
                ("off", "Off"),
                ("default", "As each node is configured"),
            ]),
            "",
            "block",
        )],
    ),
    kind(
        BLOCKING,
        ("vpatch", "Virtual patch", "patch", "Attacks at a point are blocked in every mode but off."),
        Some(false),
        &[parameter("attack_type", "Attack type", Shape::AnyAttack, "", "any")],
    ),
    kind(
        EXCEPTIONS,
        ("disable_stamp", "Exception: signature", "undo", "Findings of one signature do not count at a point."),
        Some(false),
        &[parameter("stamp", "Signature", Shape::Text, "Its name, as hits show it.", "")],
    ),
    kind(
        EXCEPTIONS,
        ("disable_attack_type", "Exception: attack type", "undo", "Findings of one type do not count at a point."),
        Some(false),
        &[parameter("attack_type", "Attack type", Shape::AnyAttack, "", "any")],
    ),
    kind(
        EXCEPTIONS,
        ("disable_regex", "Exception: own signature", "undo", "Findings of an own signature do not count at a point."),
        Some(false),
        &[parameter("regex_id", "Id of its rule", Shape::Number, "", "")],
    ),
    kind(
        EXCEPTIONS,
        (
            "binary_data",
            "Allow binary data",
            "layers",
            "Bytes that are no text are no oddity; only what is certain counts.",
        ),
        Some(false),
        &[],
    ),
    kind(
        EXCEPTIONS,
        ("uploads", "Allow a file type", "upload", "What files of a type hold by nature does not count at a point."),
        Some(false),
        &[parameter(
            "file_type",
            "File type",
            Shape::One(&[
                ("html", "HTML"),
                ("docs", "Documents"),
                ("images", "Images"),
                ("music", "Music"),
                ("video", "Video"),
            ]),
            "",
            "images",
        )],
    ),
    kind(
        DETECTION,
        ("regex", "Own signature", "code", "A pattern of yours makes an attack of a type."),
        Some(false),
        &[
            parameter(
                "regex",
                "Pattern",
                Shape::Pattern,
                "Regular expression, with case, unanchored. `~` and `&` only in a class: [~].",
                "",
            ),
            parameter(
                "attack_type",
                "Told as",
                Shape::Attack,
                "`Virtual patch` blocks in every mode but off.",
                "scanner",
            ),
        ],
    ),
    kind(
        DETECTION,
        ("experimental_regex", "Own signature, on trial", "flask", "A pattern of yours is told and never decides."),
        Some(false),
        &[
            parameter("regex", "Pattern", Shape::Pattern, "Regular expression, with case, unanchored.", ""),
            parameter("attack_type", "Told as", Shape::Attack, "", "scanner"),
        ],
    ),
    kind(
        PRIVACY,
        ("sensitive_data", "Mask sensitive data", "lock", "The value at a point is masked before anything is stored."),
        Some(true),
        &[],
    ),
    kind(
        LIMITS,
        (
            "overlimit_res_settings",
            "Time for an inspection",
            "clock",
            "How long a request is looked at, and what follows when that is over.",
        ),
        None,
        &[
            parameter("overlimit_time", "Milliseconds", Shape::Number, "1 to 10,000.", "1000"),
            parameter(
                "mode",
                "When it is over",
                Shape::One(&[
                    ("monitoring", "Judge by what was seen, tell it"),
                    ("off", "Judge by what was seen"),
                    ("blocking", "It is an attack"),
                ]),
                "",
                "monitoring",
            ),
        ],
    ),
    kind(
        LIMITS,
        ("file_upload_size_limit", "Largest upload", "upload", "Of a file at a point, or of a body without a point."),
        Some(false),
        &[
            parameter("size", "Size", Shape::Number, "", ""),
            parameter(
                "size_unit",
                "Unit",
                Shape::One(&[("mb", "MiB"), ("kb", "KiB"), ("gb", "GiB"), ("b", "bytes")]),
                "",
                "mb",
            ),
            parameter("mode", "Mode", OWN_MODE, "", "block"),
        ],
    ),
    kind(
        LIMITS,
        ("graphql_detection", "GraphQL limits", "nodes", "Bounds of GraphQL requests."),
        None,
        &[
            parameter("max_depth", "Depth", Shape::Number, "", "10"),
            parameter("max_value_size_kb", "Largest value, KiB", Shape::Number, "", "10"),
            parameter("max_doc_size_kb", "Largest document, KiB", Shape::Number, "", "100"),
            parameter("max_aliases", "Aliases", Shape::Number, "", "5"),
            parameter("max_doc_per_batch", "Documents in a batch", Shape::Number, "", "10"),
            parameter("introspection", "Introspection is told", Shape::Flag, "", "on"),
            parameter("debug_enabled", "Debug mode is told", Shape::Flag, "", "on"),
            parameter("mode", "Mode", OWN_MODE, "", "block"),
        ],
    ),
    kind(
        LIMITS,
        ("parser_state", "Parser on or off", "sliders", "Whether a parser is tried on values."),
        Some(false),
        &[
            parameter(
                "parser",
                "Parser",
                Shape::Text,
                "As in points: json_doc, xml, base64, gzip, jwt, gql, htmljs...",
                "",
            ),
            parameter("state", "State", Shape::One(&[("disabled", "Off"), ("enabled", "On")]), "", "disabled"),
        ],
    ),
];

/// The type called `code`; `ignore_regex` is another name.
pub fn find(code: &str) -> Option<&'static Kind> {
    let code = if code == "ignore_regex" { "disable_regex" } else { code };
    KINDS.iter().find(|kind| kind.shown.code == code)
}

/// Types for the choice, by group.
pub fn groups() -> Vec<(&'static str, Vec<RuleKind>)> {
    let of = |group: &str| KINDS.iter().filter(|kind| kind.group == group).map(|kind| kind.shown).collect();
    [BLOCKING, EXCEPTIONS, DETECTION, PRIVACY, LIMITS].map(|group| (group, of(group))).into()
}

impl Parameter {
    /// The field of a form, with `value` in it.
    pub fn field(&self, value: Option<String>, wrong: Option<&str>) -> Field {
        let pairs = |all: &[(&str, &str)]| all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let control = match self.shape {
            Shape::Text => Control::Code,
            Shape::Pattern => Control::Code,
            Shape::Number => Control::Number,
            Shape::Flag => Control::Check,
            Shape::One(all) => Control::Select(pairs(all)),
            Shape::AnyAttack => Control::Select(attacks(true)),
            Shape::Attack => Control::Select(attacks(false)),
        };
        let field = Field::new(self.name, self.label, control, self.hint).blamed(wrong);
        let field = field.with(value.unwrap_or_else(|| self.otherwise.into()));
        if matches!(self.shape, Shape::Text | Shape::Pattern) { field.needed() } else { field }
    }

    /// The value for the rule of what was filled in; none where nothing was.
    pub fn value(&self, text: &str) -> Option<Value> {
        match self.shape {
            Shape::Flag => Some(json!(!text.is_empty())),
            _ if text.is_empty() => None,
            // What is no number is left as text: the check of the rule says what is wrong.
            Shape::Number => Some(text.parse::<u64>().map_or_else(|_| json!(text), |n| json!(n))),
            _ => Some(json!(text)),
        }
    }

    /// What is filled in for a value of a rule.
    pub fn text(&self, value: &Value) -> String {
        match value {
            Value::Bool(true) => "on".into(),
            Value::Bool(false) | Value::Null => String::new(),
            Value::String(text) => text.clone(),
            value => value.to_string(),
        }
    }

    /// A value of a rule in words.
    pub fn words(&self, value: &Value) -> String {
        let text = self.text(value);
        match self.shape {
            Shape::One(all) => {
                all.iter().find(|(code, _)| *code == text).map_or(text, |(_, label)| (*label).to_owned())
            }
            Shape::AnyAttack | Shape::Attack if text == "any" => "any attack".into(),
            Shape::AnyAttack | Shape::Attack => {
                AttackType::from_code(&text).map_or(text, |attack| attack.name().into())
            }
            _ => text,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use weir_policy::{Policy, PolicyDoc, Settings};

    /// Each type as its form makes it, with what a person would fill in.
    fn sample(kind: &Kind) -> Value {
        let mut rule = json!({"type": kind.shown.code, "id": 1});
        for parameter in kind.parameters {
            let otherwise = match (parameter.name, parameter.otherwise) {
                ("parser", _) => "json_doc",
                ("regex", _) => "^a+$",
                (_, "") => "1",
                (_, text) => text,
            };
            rule[parameter.name] = parameter.value(otherwise).unwrap();
        }
        if kind.point.is_some() {
            rule["point"] = json!([["post"]]);
        }
        rule
    }

    #[test]
    fn every_type_makes_a_rule_that_nodes_take() {
        for kind in KINDS {
            let text = json!({"rules": [sample(kind)]}).to_string();
            let doc = PolicyDoc::parse("p", &text).unwrap();
            let compiled = Policy::compile(&Settings::default(), Some(&doc));
            assert!(compiled.is_ok(), "{}: {:?}", kind.shown.code, compiled.err());
        }
    }

    #[test]
    fn every_type_stands_in_a_group_once() {
        let shown: usize = groups().iter().map(|(_, kinds)| kinds.len()).sum();
        assert_eq!(shown, KINDS.len());
        assert!(find("ignore_regex").is_some() && find("set_response_header").is_none());
    }
}
