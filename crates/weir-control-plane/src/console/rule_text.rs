//! Rules in words, and as people read them in files.

use super::rule_kinds::{Kind, find};
use super::scope::Scope;
use super::{point_text, scope};
use serde_json::{Map, Value};

/// What a rule does, in a sentence without its place.
pub fn says(rule: &Map<String, Value>) -> String {
    let code = rule.get("type").and_then(Value::as_str).unwrap_or_default();
    let Some(kind) = find(code) else { return format!("{code}: {}", Value::Object(rule.clone())) };
    let of = |name: &str| {
        let parameter = kind.parameters.iter().find(|parameter| parameter.name == name);
        parameter.zip(rule.get(name)).map(|(parameter, value)| parameter.words(value)).unwrap_or_default()
    };
    let attack = upper(&of("attack_type"));
    match code {
        "wallarm_mode" => format!("Mode: {}", lower(&of("mode"))),
        "vpatch" => format!("{attack} is blocked in every mode"),
        "disable_stamp" => format!("Findings of {} do not count", of("stamp")),
        "disable_attack_type" => format!("{attack} does not count"),
        "disable_regex" | "ignore_regex" => format!("Findings of own signature {} do not count", of("regex_id")),
        "binary_data" => "Binary data is fine".into(),
        "uploads" => format!("Files are fine: {}", lower(&of("file_type"))),
        "regex" => format!("{} is {}", of("regex"), lower_unless_name(&of("attack_type"))),
        "experimental_regex" => format!("On trial: {} is {}", of("regex"), lower_unless_name(&of("attack_type"))),
        "sensitive_data" => "Masked before anything is stored".into(),
        "overlimit_res_settings" => format!("At most {} ms; then: {}", of("overlimit_time"), lower(&of("mode"))),
        "file_upload_size_limit" => format!("At most {} {}", of("size"), of("size_unit")),
        "graphql_detection" => "GraphQL requests have bounds".into(),
        "parser_state" => format!("Parser {} is {}", of("parser"), lower(&of("state"))),
        _ => kind.shown.label.into(),
    }
}

fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
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

/// Where a rule holds, in words.
pub fn place(rule: &Map<String, Value>) -> String {
    let none = Vec::new();
    let action = rule.get("action").and_then(Value::as_array).unwrap_or(&none);
    let (scope, rest) = Scope::of(action);
    let mut out = if scope == Scope::default() && !rest.is_empty() { String::new() } else { scope.describe() };
    for row in &rest {
        let joint = if out.is_empty() { "" } else { " and " };
        let label =
            scope::POINTS.iter().find(|(code, _)| *code == row.point).map_or(row.point.as_str(), |(_, label)| label);
        let name = if row.name.is_empty() { String::new() } else { format!(" {}", row.name) };
        let test = match row.how.as_str() {
            "absent" => " is not there".into(),
            "regex" => format!(" matches {}", row.value),
            _ => format!(" is {}", row.value),
        };
        out.push_str(&format!("{joint}{}{name}{test}", lower(label)));
    }
    out
}

/// The point of a rule as hits show it; empty for none.
pub fn point(rule: &Map<String, Value>) -> String {
    rule.get("point").map(point_text::write).unwrap_or_default()
}

/// Name of its type for people, and the icon.
pub fn kind(rule: &Map<String, Value>) -> (&'static str, &'static str) {
    let found: Option<&Kind> = rule.get("type").and_then(Value::as_str).and_then(find);
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
            value => out.push_str(&format!("{key}: {}\n", flow(value))),
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

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn rules_are_told_in_words() {
        let rule = map(json!({"type": "vpatch", "attack_type": "sqli", "point": [["post"], ["json_doc"]], "action": [
            {"type": "equal", "point": ["header", "HOST"], "value": "h"}, {"type": "equal", "point": ["method"], "value": "POST"},
            {"type": "regex", "point": ["header", "X-A"], "value": "^b"}]}));
        assert_eq!(says(&rule), "SQL injection is blocked in every mode");
        assert_eq!(place(&rule), "POST h and header X-A matches ^b");
        assert_eq!(point(&rule), "[post][json_doc]");
        assert_eq!(place(&map(json!({"type": "wallarm_mode", "mode": "block"}))), "everywhere");
        assert_eq!(says(&map(json!({"type": "wallarm_mode", "mode": "block"}))), "Mode: blocking");
    }

    #[test]
    fn yaml_reads_back_as_the_same() {
        for value in [
            json!({"type": "regex", "regex": "^a: [b], {c} #d'\"\\", "mode": "off", "n": 3, "flag": true, "none": null,
                "action": [{"type": "equal", "point": ["path", 0], "value": "1.1"}], "point": [["hash", "a b"], ["get_all"]],
                "comment": "x\n\u{85}y\u{2028}"}),
            json!({}),
        ] {
            let text = yaml(&value);
            let back: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            let same = if value == json!({}) { back.is_null() || back == value } else { back == value };
            assert!(same, "{text}\n{back}");
        }
    }
}
