//! Rules in words, and as YAML.

use super::rule_types::{RuleType, absent, find};
use super::scope::RuleScope;
use super::view::rules::ConditionRow;
use super::{point_text, scope};
use serde_json::{Map, Value};
use weir_core::model::AttackType;

/// Key of the end of a rule or of an entry of an address list, in seconds since 1970.
const EXPIRED_AT: &str = "expired_at";

/// What a rule does, in words, without the requests that it applies to.
struct Effect {
    /// Begins the sentence: `Blocks SQL injection`.
    action: String,
    /// Joins the action and the requests.
    preposition: &'static str,
    /// Ends the sentence: `, in every filtration mode except off`.
    condition: String,
}

impl Effect {
    fn new(action: impl Into<String>) -> Self {
        Self { action: action.into(), preposition: "in", condition: String::new() }
    }

    fn when(mut self, condition: impl Into<String>) -> Self {
        self.condition = condition.into();
        self
    }

    /// For actions on requests as a whole.
    fn on_requests(mut self) -> Self {
        self.preposition = "for";
        self
    }
}

const EXCEPT_OFF: &str = ", in every filtration mode except off";

fn effect(rule: &Map<String, Value>) -> Effect {
    let code = rule.get("type").and_then(Value::as_str).unwrap_or_default();
    let Some(kind) = find(code) else { return Effect::new(format!("{code}: {}", Value::Object(rule.clone()))) };
    let of = |name: &str| match kind.parameters.iter().find(|parameter| parameter.name == name) {
        Some(parameter) => match rule.get(name) {
            Some(value) => parameter.words(value),
            None => parameter.words(&absent(code, name).into()),
        },
        None => String::new(),
    };
    let attack = lower_unless_name(&of("attack_type"));
    match kind.shown.code {
        "wallarm_mode" => Effect::new(format!("Sets the filtration mode to \"{}\"", lower(&of("mode")))).on_requests(),
        "vpatch" => Effect::new(format!("Blocks {attack}")).when(EXCEPT_OFF),
        "disable_stamp" => Effect::new(format!("Ignores matches of signature {}", of("stamp"))),
        "disable_attack_type" => Effect::new(format!("Ignores {attack}")),
        "disable_regex" => Effect::new(format!("Ignores matches of the custom signature in rule {}", of("regex_id"))),
        "binary_data" => Effect::new("Allows binary data").when("; only high-confidence matches count"),
        "uploads" => Effect::new(format!("Allows content that is normal for files of type {}", of("file_type"))),
        "profile" => Effect::new(format!("Ignores what is normal in the fields of profile \"{}\"", of("profile"))),
        "regex" if of("attack_type") == AttackType::Vpatch.name() => {
            Effect::new(format!("Blocks values that match {}", of("regex"))).when(EXCEPT_OFF)
        }
        "regex" => Effect::new(format!("Detects values that match {} as {attack}", of("regex"))),
        "experimental_regex" => Effect::new(format!("Reports values that match {} as {attack}", of("regex")))
            .when(", without ever blocking"),
        "block_reply" => Effect::new(reply_words(rule)).on_requests(),
        "sensitive_data" => Effect::new("Masks the value").when(" before the request is stored"),
        "overlimit_res_settings" if of("overlimit_time").is_empty() => {
            Effect::new("Limits inspection as nodes are configured")
                .on_requests()
                .when(format!("; on timeout: {}", lower(&of("mode"))))
        }
        "overlimit_res_settings" => Effect::new(format!("Limits inspection to {} ms", of("overlimit_time")))
            .on_requests()
            .when(format!("; on timeout: {}", lower(&of("mode")))),
        "file_upload_size_limit" => Effect::new(format!("Limits uploads to {} {}", of("size"), of("size_unit")))
            .when(format!("; when exceeded: {}", lower(&of("mode")))),
        "graphql_detection" => {
            Effect::new("Limits GraphQL queries").when(format!("; when exceeded: {}", lower(&of("mode"))))
        }
        "rate_limit" | "brute" | "forced_browsing" | "bola" => {
            let what = match kind.shown.code {
                "brute" if rule.contains_key("distinct") => "different values in failed attempts",
                "rate_limit" => "requests",
                "brute" => "failed attempts",
                "forced_browsing" => "requests for what does not exist",
                _ => "different values",
            };
            let threshold = Some(of("threshold")).filter(|given| !given.is_empty());
            let threshold = threshold.unwrap_or_else(|| "(no number of)".into());
            let limit = format!("Allows {threshold} {what} in {} s by {}", of("window"), of("key"));
            let reaction = match rule.get("dry_run") {
                Some(Value::Bool(true)) => "report only (dry run)".to_owned(),
                _ => lower(&of("reaction")),
            };
            Effect::new(limit).on_requests().when(format!("; when exceeded: {reaction}"))
        }
        "session" => Effect::new(format!("Takes {} for the session", of("key"))).on_requests(),
        "parser_state" => {
            let verb =
                if rule.get("state").and_then(Value::as_str) == Some("enabled") { "Enables" } else { "Disables" };
            Effect::new(format!("{verb} the parser {}", of("parser")))
        }
        _ => Effect::new(kind.shown.label),
    }
}

/// `Replies to blocked clients with status 403 (HTML, JSON)`.
fn reply_words(rule: &Map<String, Value>) -> String {
    let bodies = [("body_html", "HTML"), ("body_json", "JSON"), ("body_text", "plain text")];
    let own: Vec<&str> = bodies.iter().filter(|(key, _)| rule.contains_key(*key)).map(|(_, name)| *name).collect();
    let status = rule.get("status").map_or_else(|| "403".to_owned(), Value::to_string);
    format!("Replies to blocked clients with status {status} and {}", own.join(" and "))
}

/// What a rule does, without the location and requests that it applies to, for lists that show those separately.
pub fn summary(rule: &Map<String, Value>) -> String {
    let effect = effect(rule);
    format!("{}{}", effect.action, effect.condition)
}

/// What a rule blocks, allows or changes, and in which requests, as a sentence.
pub fn sentence(rule: &Map<String, Value>) -> String {
    let Effect { action, preposition, condition } = effect(rule);
    let requests = requests(rule);
    let said = match point(rule).as_str() {
        "" => format!("{action} {preposition} {requests}{condition}."),
        point => format!("{action} in {point} of {requests}{condition}."),
    };
    match rule.get(EXPIRED_AT).and_then(Value::as_i64) {
        Some(end) => format!("{said} Ends on {} UTC.", moment(end)),
        None => said,
    }
}

/// `2027-01-31 00:00:00`, of seconds since 1970.
fn moment(seconds: i64) -> String {
    super::view::time::format(seconds.saturating_mul(1_000), "%Y-%m-%d %H:%M:%S")
}

/// The requests that a rule applies to: `POST requests to shop.example.com/api where header X-A matches ^b`.
fn requests(rule: &Map<String, Value>) -> String {
    let (scope, conditions) = scope_of(rule);
    let mut out = match (scope.method.as_str(), scope.host.is_empty() && scope.path.is_empty()) {
        ("", true) => "all requests".to_owned(),
        ("", false) => "requests".to_owned(),
        (method, _) => format!("{method} requests"),
    };
    if !scope.host.is_empty() || !scope.path.is_empty() {
        out.push_str(&format!(" to {}{}", scope.host, scope.path));
    }
    if !conditions.is_empty() {
        out.push_str(&format!(" where {}", described(&conditions)));
    }
    out
}

fn scope_of(rule: &Map<String, Value>) -> (RuleScope, Vec<ConditionRow>) {
    RuleScope::of(rule.get("action").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default())
}

fn described(conditions: &[ConditionRow]) -> String {
    let one = |row: &ConditionRow| {
        let known = scope::POINTS.iter().find(|(code, _)| *code == row.point);
        let label = known.map_or(row.point.as_str(), |(_, label)| label);
        let name = if row.name.is_empty() { String::new() } else { format!(" {}", row.name) };
        let test = match row.how.as_str() {
            "absent" => "is absent".into(),
            "regex" => format!("matches {}", row.value),
            "iequal" => format!("equals {} (ignoring case)", row.value),
            _ => format!("equals {}", row.value),
        };
        format!("{}{name} {test}", lower(label))
    };
    conditions.iter().map(one).collect::<Vec<_>>().join(" and ")
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// `SQL injection` stays, `Path traversal` becomes `path traversal`.
fn lower_unless_name(text: &str) -> String {
    let name = text.chars().nth(1).is_some_and(char::is_uppercase);
    if name { text.to_owned() } else { lower(text) }
}

/// The requests that a rule applies to, in short form for lists: `POST shop.example.com/api`.
pub fn place(rule: &Map<String, Value>) -> String {
    let (scope, conditions) = scope_of(rule);
    match (scope == RuleScope::default(), conditions.is_empty()) {
        (_, true) => scope.describe(),
        (true, false) => format!("Requests where {}", described(&conditions)),
        (false, false) => format!("{} where {}", scope.describe(), described(&conditions)),
    }
}

/// The point of a rule as hits show it; empty for none.
pub fn point(rule: &Map<String, Value>) -> String {
    rule.get("point").map(point_text::write).unwrap_or_default()
}

/// Name of its type for people, and the icon.
pub fn kind(rule: &Map<String, Value>) -> (&'static str, &'static str) {
    let found: Option<&RuleType> = rule.get("type").and_then(Value::as_str).and_then(find);
    found.map_or(("Other", "rules"), |kind| (kind.shown.label, kind.shown.icon))
}

/// A value as YAML: mappings in lines, what they hold in flow style, which is how policies are written.
pub fn yaml(value: &Value) -> String {
    let Value::Object(map) = value else { return format!("{}\n", flow(value)) };
    let mut out = String::new();
    let order = ["type", "mode", "attack_type", "stamp", "regex_id", "regex", "point", "action"];
    let rank = |key: &str| order.iter().position(|known| *known == key).unwrap_or(order.len());
    let mut keys: Vec<&String> = map.keys().collect();
    keys.sort_by_key(|key| (rank(key), key.as_str()));
    for key in keys {
        match &map[key] {
            Value::Array(items) if items.iter().any(Value::is_object) => {
                out.push_str(&format!("{key}:\n"));
                items.iter().for_each(|item| out.push_str(&format!("  - {}\n", flow(item))));
            }
            Value::String(text) if is_block(text) => {
                out.push_str(&format!("{key}: |-\n"));
                for line in text.lines() {
                    out.push_str(&if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") });
                }
            }
            value => match value.as_i64().filter(|_| key == EXPIRED_AT) {
                Some(end) => out.push_str(&format!("{key}: {end}  # {} UTC\n", moment(end))),
                None => out.push_str(&format!("{key}: {}\n", flow(value))),
            },
        }
    }
    out
}

fn flow(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let order = ["type", "point", "value"];
            let rank = |key: &str| order.iter().position(|known| *known == key).unwrap_or(order.len());
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_by_key(|key| (rank(key), key.as_str()));
            let members = keys.into_iter().map(|key| format!("{key}: {}", flow(&map[key])));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        value => value.to_string(),
    }
}

/// Whether YAML reads the text, indented after `|-`, as that text.
fn is_block(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with(char::is_whitespace)
        && !text.ends_with('\n')
        && !text.chars().any(|c| c.is_control() && c != '\n')
}

/// Whether YAML reads the text, unquoted within flow style, as that text.
fn is_plain(text: &str) -> bool {
    let safe = |c: char| c.is_ascii_alphanumeric() || "_-./ ".contains(c);
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(safe)
        && !text.ends_with(' ')
        && !words.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_of_several_lines_are_blocks_that_read_back() {
        let body = "<p>a: b\n\n  # c\n</p>";
        let rule = json!({"type": "block_reply", "body_html": body, "body_json": " x\ny", "body_text": "a\n"});
        let text = yaml(&rule);
        assert!(text.contains("body_html: |-\n  <p>a: b\n\n    # c\n  </p>\n"), "{text}");
        let back: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(back, rule);
    }

    #[test]
    fn what_a_rule_on_behaviour_leaves_out_is_told_as_nodes_take_it() {
        for code in ["rate_limit", "brute", "forced_browsing", "bola"] {
            let distinct = if code == "bola" { json!("path:1") } else { Value::Null };
            let mut rule = json!({"type": code, "id": 1, "threshold": 7, "distinct": distinct});
            rule.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            let says = summary(rule.as_object().unwrap());
            assert!(says.starts_with("Allows 7 ") && !says.contains("  ") && !says.ends_with(": "), "{says}");
            // As weir-policy reads it.
            let window = if code == "brute" { 300 } else { 60 };
            assert!(says.contains(&format!(" in {window} s by client")), "{says}");
            for reaction in ["block", "graylist", "denylist"] {
                rule["reaction"] = json!(reaction);
                let says = |dry_run: bool| {
                    let mut rule = rule.clone();
                    rule["dry_run"] = json!(dry_run);
                    summary(rule.as_object().unwrap())
                };
                assert!(says(true).ends_with("; when exceeded: report only (dry run)"), "{}", says(true));
                assert!(!says(false).contains("report"), "{}", says(false));
            }
        }
    }

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn rules_read_as_sentences() {
        let rule = map(json!({"type": "vpatch", "attack_type": "sqli", "point": [["post"], ["json_doc"]], "action": [
            {"type": "equal", "point": ["header", "HOST"], "value": "h"}, {"type": "equal", "point": ["method"], "value": "POST"},
            {"type": "regex", "point": ["header", "X-A"], "value": "^b"}]}));
        assert_eq!(summary(&rule), "Blocks SQL injection, in every filtration mode except off");
        assert_eq!(place(&rule), "POST h where header X-A matches ^b");
        assert_eq!(point(&rule), "[post][json_doc]");
        assert_eq!(
            sentence(&rule),
            "Blocks SQL injection in [post][json_doc] of POST requests to h where header X-A matches ^b, \
             in every filtration mode except off."
        );
        let mode = map(json!({"type": "wallarm_mode", "mode": "block"}));
        assert_eq!(
            (place(&mode), summary(&mode)),
            ("All requests".into(), "Sets the filtration mode to \"blocking\"".into())
        );
        assert_eq!(sentence(&mode), "Sets the filtration mode to \"blocking\" for all requests.");
        for (rule, text) in [
            (
                json!({"type": "disable_attack_type", "attack_type": "any", "point": [["get", "q"]]}),
                "Ignores any attack in [get,'q'] of all requests.",
            ),
            (
                json!({"type": "experimental_regex", "regex": "^a", "attack_type": "ptrav"}),
                "Reports values that match ^a as path traversal in all requests, without ever blocking.",
            ),
            (
                json!({"type": "regex", "regex": "^a", "attack_type": "vpatch"}),
                "Blocks values that match ^a in all requests, in every filtration mode except off.",
            ),
            (
                json!({"type": "file_upload_size_limit", "size": 5, "size_unit": "mb", "mode": "block"}),
                "Limits uploads to 5 MiB in all requests; when exceeded: treat as attack.",
            ),
            (
                json!({"type": "parser_state", "parser": "xml", "state": "disabled", "point": [["post"]]}),
                "Disables the parser xml in [post] of all requests.",
            ),
            (
                json!({"type": "disable_attack_type", "attack_type": "sqli", "expired_at": 1_801_353_661}),
                "Ignores SQL injection in all requests. Ends on 2027-01-31 00:01:01 UTC.",
            ),
        ] {
            assert_eq!(sentence(&map(rule)), text);
        }
    }

    #[test]
    fn yaml_reads_back_as_the_same() {
        for value in [
            json!({"type": "regex", "regex": "^a: [b], {c} #d'\"\\", "mode": "off", "n": 3, "flag": true, "none": null,
                "action": [{"type": "equal", "point": ["path", 0], "value": "1.1"}], "point": [["hash", "a b"], ["get_all"]],
                "comment": "x\n\u{85}y\u{2028}", "expired_at": 1_801_353_661}),
            json!({}),
        ] {
            let text = yaml(&value);
            let back: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            let same = if value == json!({}) { back.is_null() || back == value } else { back == value };
            assert!(same, "{text}\n{back}");
            let end = text.lines().find(|line| line.starts_with("expired_at"));
            assert!(end.is_none_or(|line| line == "expired_at: 1801353661  # 2027-01-31 00:01:01 UTC"), "{text}");
        }
    }
}
