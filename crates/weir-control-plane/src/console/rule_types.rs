//! The rule types that forms can create, with their parameters.

use super::abuse_types;
use super::reply_types::{self, BLOCK_REPLY};
use super::view::form::{Control, Field};
use super::view::rules::RuleTypeInfo;
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

/// A type with its parameters.
#[derive(Clone, Copy, Debug)]
pub struct RuleType {
    /// Code, label, description and icon.
    pub shown: RuleTypeInfo,
    /// Group in the choice of types.
    pub group: &'static str,
    /// None if rules of this type have no location, else whether it is required.
    pub point: Option<bool>,
    /// Its parameters.
    pub parameters: &'static [Parameter],
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

pub(super) const fn kind(
    group: &'static str,
    shown: (&'static str, &'static str, &'static str, &'static str),
    point: Option<bool>,
    parameters: &'static [Parameter],
) -> RuleType {
    let (code, label, icon, about) = shown;
    RuleType { shown: RuleTypeInfo { code, label, about, icon }, group, point, parameters }
}

const LIMIT_MODE: ParameterType =
    ParameterType::One(&[("block", "Treat as attack"), ("monitoring", "Report only"), ("off", "Off")]);
pub(super) const BLOCKING: &str = "Blocking";
const EXCEPTIONS: &str = "Exceptions";
const DETECTION: &str = "Custom detection";
const LIMITS: &str = "Limits and parsers";
const PRIVACY: &str = "Privacy";
/// Group of rules on behaviour over many requests.
pub(super) const BEHAVIOUR: &str = "Behaviour";

/// Every type that can be made by form.
pub const RULE_TYPES: &[RuleType] = &[
    abuse_types::RATE_LIMIT,
    abuse_types::BRUTE,
    abuse_types::FORCED_BROWSING,
    abuse_types::BOLA,
    abuse_types::SESSION,
    kind(
        BLOCKING,
        (
            "wallarm_mode",
            "Filtration mode",
            "sliders",
            "Overrides the filtration mode for requests to a host or path, or with a method.",
        ),
        None,
        &[parameter(
            "mode",
            "Mode",
            ParameterType::One(&[
                ("block", "Blocking"),
                ("safe_blocking", "Safe blocking"),
                ("monitoring", "Monitoring"),
                ("off", "Off"),
                ("default", "Configured on each node"),
            ]),
            "",
            "block",
        )],
    ),
    kind(
        BLOCKING,
        (
            "vpatch",
            "Virtual patch",
            "patch",
            "Blocks attacks in a part of the request in every filtration mode except off.",
        ),
        Some(false),
        &[parameter("attack_type", "Attack type", ParameterType::AnyAttack, "", "any")],
    ),
    BLOCK_REPLY,
    kind(
        EXCEPTIONS,
        ("disable_stamp", "Exception: signature", "undo", "Ignores matches of one signature in a part of the request."),
        Some(false),
        &[parameter("stamp", "Signature", ParameterType::Text, "Its name, as shown in hits.", "")],
    ),
    kind(
        EXCEPTIONS,
        (
            "disable_attack_type",
            "Exception: attack type",
            "undo",
            "Ignores attacks of one type in a part of the request.",
        ),
        Some(false),
        &[parameter("attack_type", "Attack type", ParameterType::AnyAttack, "", "any")],
    ),
    kind(
        EXCEPTIONS,
        (
            "disable_regex",
            "Exception: custom signature",
            "undo",
            "Ignores matches of a custom signature in a part of the request.",
        ),
        Some(false),
        &[parameter("regex_id", "Rule ID", ParameterType::Number, "The rule that defines the custom signature.", "")],
    ),
    kind(
        EXCEPTIONS,
        (
            "binary_data",
            "Allow binary data",
            "layers",
            "Does not treat binary content as an anomaly; only high-confidence matches count.",
        ),
        Some(false),
        &[],
    ),
    kind(
        EXCEPTIONS,
        (
            "uploads",
            "Allow a file type",
            "upload",
            "Ignores content that is normal for a file type in a part of the request.",
        ),
        Some(false),
        &[parameter(
            "file_type",
            "File type",
            ParameterType::One(&[
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
        EXCEPTIONS,
        (
            "profile",
            "Profile of a route",
            "layers",
            "Ignores what is normal on a route whose fields carry code, queries, prompts, telemetry, rich text or manifests.",
        ),
        Some(false),
        &[parameter(
            "profile",
            "Profile",
            ParameterType::Profile,
            "Applies to the fields that the profile names, or to the location above. Headers, cookies, the path and other \
             fields are inspected as before.",
            "code",
        )],
    ),
    kind(
        DETECTION,
        ("regex", "Custom signature", "code", "Treats requests that match your regular expression as attacks."),
        Some(false),
        &[
            parameter(
                "regex",
                "Pattern",
                ParameterType::Pattern,
                "Regular expression: case-sensitive, matches anywhere in the value. Write ~ and & as [~] and [&].",
                "",
            ),
            parameter(
                "attack_type",
                "Attack type",
                ParameterType::Attack,
                "Virtual patch: block in every mode except off.",
                "scanner",
            ),
        ],
    ),
    kind(
        DETECTION,
        (
            "experimental_regex",
            "Custom signature (experimental)",
            "flask",
            "Matches of your regular expression are reported and never block.",
        ),
        Some(false),
        &[
            parameter(
                "regex",
                "Pattern",
                ParameterType::Pattern,
                "Regular expression: case-sensitive, matches anywhere in the value.",
                "",
            ),
            parameter("attack_type", "Attack type", ParameterType::Attack, "", "scanner"),
        ],
    ),
    kind(
        PRIVACY,
        ("sensitive_data", "Mask sensitive data", "lock", "Masks a value before the request is stored."),
        Some(true),
        &[],
    ),
    kind(
        LIMITS,
        (
            "overlimit_res_settings",
            "Inspection time limit",
            "clock",
            "Limits how long a request is inspected, and sets what happens on timeout.",
        ),
        None,
        &[
            parameter("overlimit_time", "Time limit, ms", ParameterType::Number, "1 to 10,000.", "1000"),
            parameter(
                "mode",
                "On timeout",
                ParameterType::One(&[
                    ("monitoring", "Decide on the results so far, report the timeout"),
                    ("off", "Decide on the results so far"),
                    ("blocking", "Treat as attack"),
                ]),
                "",
                "monitoring",
            ),
        ],
    ),
    kind(
        LIMITS,
        (
            "file_upload_size_limit",
            "Upload size limit",
            "upload",
            "Limits the size of a file in a part of the request or, without a location, of the body.",
        ),
        Some(false),
        &[
            parameter("size", "Maximum size", ParameterType::Number, "", ""),
            parameter(
                "size_unit",
                "Unit",
                ParameterType::One(&[("mb", "MiB"), ("kb", "KiB"), ("gb", "GiB"), ("tb", "TiB"), ("b", "bytes")]),
                "",
                "mb",
            ),
            parameter("mode", "When exceeded", LIMIT_MODE, "", "block"),
        ],
    ),
    kind(
        LIMITS,
        ("graphql_detection", "GraphQL limits", "nodes", "Limits depth, size and batching of GraphQL requests."),
        None,
        &[
            parameter("max_depth", "Maximum depth", ParameterType::Number, "", "10"),
            parameter("max_value_size_kb", "Maximum value size, KiB", ParameterType::Number, "", "10"),
            parameter("max_doc_size_kb", "Maximum document size, KiB", ParameterType::Number, "", "100"),
            parameter("max_aliases", "Maximum aliases", ParameterType::Number, "", "5"),
            parameter("max_doc_per_batch", "Maximum documents per batch", ParameterType::Number, "", "10"),
            parameter("introspection", "Detect introspection queries", ParameterType::Flag, "", "on"),
            parameter("debug_enabled", "Detect debug mode", ParameterType::Flag, "", "on"),
            parameter("mode", "When exceeded", LIMIT_MODE, "", "block"),
        ],
    ),
    kind(
        LIMITS,
        (
            "parser_state",
            "Enable or disable a parser",
            "sliders",
            "Enables or disables a parser in a part of the request.",
        ),
        Some(false),
        &[
            parameter(
                "parser",
                "Parser",
                ParameterType::Text,
                "Its name as in locations: json_doc, xml, base64, gzip, jwt, gql, htmljs...",
                "",
            ),
            parameter(
                "state",
                "State",
                ParameterType::One(&[("disabled", "Disabled"), ("enabled", "Enabled")]),
                "",
                "disabled",
            ),
        ],
    ),
];

/// A rule that is kept and has no effect here. It can be looked at, limited and deleted, and is not offered for new rules.
const RESPONSE_HEADER: RuleType = kind(
    "",
    (
        "set_response_header",
        "Response header (no effect)",
        "rules",
        "Kept for other nodes: these nodes do not change responses.",
    ),
    None,
    &[],
);

/// Other names of types, which policies may use as well.
const ALIASES: &[(&str, &str)] = &[
    ("ignore_regex", "disable_regex"),
    ("enumeration", "bola"),
    ("bola_counter", "bola"),
    ("brute_counter", "brute"),
    ("dirbust_counter", "forced_browsing"),
];

/// The type called `code`, or of which it is another name.
pub fn find(code: &str) -> Option<&'static RuleType> {
    let code = ALIASES.iter().find(|(other, _)| *other == code).map_or(code, |(_, code)| code);
    RULE_TYPES.iter().chain(std::iter::once(&RESPONSE_HEADER)).find(|kind| kind.shown.code == code)
}

/// What a node takes where a rule of type `code` (or of another name for it) does not say; empty where that is nothing, or is
/// a setting of the node. Defaults of forms may differ: they are what is wise for a new rule.
pub fn absent(code: &str, name: &str) -> &'static str {
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

/// Types for the choice, by group.
pub fn groups() -> Vec<(&'static str, Vec<RuleTypeInfo>)> {
    let of = |group: &str| RULE_TYPES.iter().filter(|kind| kind.group == group).map(|kind| kind.shown).collect();
    [BLOCKING, BEHAVIOUR, EXCEPTIONS, DETECTION, PRIVACY, LIMITS].map(|group| (group, of(group))).into()
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

#[cfg(test)]
mod tests {
    use super::*;
    use weir_policy::{Policy, PolicyDoc, Settings};

    /// Each type as its form makes it, with what a person would fill in.
    fn sample(kind: &RuleType) -> Value {
        let mut rule = json!({"type": kind.shown.code, "id": 1});
        for parameter in kind.parameters {
            let default = match (parameter.name, parameter.default) {
                ("parser", _) => "json_doc",
                ("regex", _) => "^a+$",
                ("headers", _) => "retry-after: 60",
                ("failure", _) => "status: 401, 403",
                ("distinct", "") => "path:1",
                (_, "") => "1",
                (_, text) => text,
            };
            rule[parameter.name] = parameter.value(default).unwrap();
        }
        if kind.point.is_some() {
            rule["point"] = json!([["post"]]);
        }
        rule
    }

    #[test]
    fn every_rule_type_compiles_in_a_policy() {
        for kind in RULE_TYPES {
            let text = json!({"rules": [sample(kind)]}).to_string();
            let doc = PolicyDoc::parse("p", &text).unwrap();
            let compiled = Policy::compile(&Settings::default(), Some(&doc));
            assert!(compiled.is_ok(), "{}: {:?}", kind.shown.code, compiled.err());
        }
    }

    #[test]
    fn every_rule_type_is_in_exactly_one_group() {
        let shown: usize = groups().iter().map(|(_, kinds)| kinds.len()).sum();
        assert_eq!(shown, RULE_TYPES.len());
        assert!(find("ignore_regex").is_some() && find("nothing").is_none());
        assert!(RULE_TYPES.iter().all(|kind| !kind.group.is_empty()));
    }
}
