//! YAML as people write it: sections and items in block style, what is deeper in flow style.

use serde_json::Value;

/// Levels in block style.
const BLOCKS: usize = 3;

/// Adds a section to `out`.
pub fn section(out: &mut String, name: &str, value: &Value) {
    out.push_str(name);
    out.push(':');
    block(out, value, 1, false);
}

/// A value after its key or its dash, with the line end. The first member of an item follows the dash.
fn block(out: &mut String, value: &Value, depth: usize, item: bool) {
    match value {
        Value::Object(map) if !map.is_empty() && depth <= BLOCKS => {
            for (number, (key, value)) in map.iter().enumerate() {
                if item && number == 0 {
                    out.push(' ');
                } else {
                    line(out, depth);
                }
                out.push_str(&scalar(key));
                out.push(':');
                block(out, value, depth + 1, false);
            }
            if !item && depth == 1 {
                out.push('\n');
            }
        }
        Value::Array(items) if depth == 1 && items.iter().any(Value::is_object) => {
            for item in items {
                line(out, depth);
                out.push('-');
                block(out, item, depth + 1, true);
            }
            out.push('\n');
        }
        value => {
            out.push(' ');
            flow(out, value);
            if depth == 1 {
                out.push('\n');
            }
        }
    }
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
}

fn flow(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => out.push_str(&scalar(text)),
        Value::Array(items) => {
            out.push('[');
            for (number, item) in items.iter().enumerate() {
                out.push_str(if number == 0 { "" } else { ", " });
                flow(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (number, (key, value)) in map.iter().enumerate() {
                out.push_str(if number == 0 { "" } else { ", " });
                out.push_str(&scalar(key));
                out.push_str(": ");
                flow(out, value);
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// A text: plain where every reader takes it for one, or in double quotes, as in JSON.
fn scalar(text: &str) -> String {
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c))
        && !reserved.iter().any(|word| text.eq_ignore_ascii_case(word));
    if plain { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sections_are_written_as_people_do_and_read_back() {
        let rules = json!([
            {"id": 1, "groups": ["edge"], "rule": {"type": "vpatch", "point": [["get", "q"]], "comment": "no: \"x\"\n#1"}},
            {"id": 2, "rule": {"type": "disable_stamp", "action": [{"type": "equal", "value": "12"}], "enabled": false}},
        ]);
        let mut out = String::new();
        section(&mut out, "form", &json!("weir-policy/1"));
        section(&mut out, "general", &json!({"mode": "off"}));
        section(&mut out, "applications", &json!({"3": {"name": "shop", "comment": ""}}));
        section(&mut out, "groups", &json!({}));
        section(&mut out, "rules", &rules);
        section(&mut out, "ip_lists", &json!([]));
        let read: Value = serde_saphyr::from_str(&out).unwrap_or_else(|error| panic!("{error}\n{out}"));
        assert_eq!((&read["rules"], &read["general"]["mode"]), (&rules, &json!("off")), "{out}");
        assert_eq!((&read["groups"], &read["ip_lists"]), (&json!({}), &json!([])), "{out}");
        assert!(
            out.contains("  - groups: [edge]\n    id: 1\n") || out.contains("  - id: 1\n    groups: [edge]\n"),
            "{out}"
        );
    }
}
