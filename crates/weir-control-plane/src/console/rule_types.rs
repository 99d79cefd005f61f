//! The rule types that forms can create, with their parameters.

use super::abuse_types;
use super::reply_types::BLOCK_REPLY;
pub use super::rule_parameters::{Parameter, ParameterType};
pub(super) use super::rule_parameters::{absent, parameter};
use super::view::rules::RuleTypeInfo;

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
    ("enum", "bola"),
    ("rate_limit_enum", "rate_limit"),
];

/// The type called `code`, or of which it is another name.
pub fn find(code: &str) -> Option<&'static RuleType> {
    let code = ALIASES.iter().find(|(other, _)| *other == code).map_or(code, |(_, code)| code);
    RULE_TYPES.iter().chain(std::iter::once(&RESPONSE_HEADER)).find(|kind| kind.shown.code == code)
}

/// Types for the choice, by group.
pub fn groups() -> Vec<(&'static str, Vec<RuleTypeInfo>)> {
    let of = |group: &str| RULE_TYPES.iter().filter(|kind| kind.group == group).map(|kind| kind.shown).collect();
    [BLOCKING, BEHAVIOUR, EXCEPTIONS, DETECTION, PRIVACY, LIMITS].map(|group| (group, of(group))).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
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
