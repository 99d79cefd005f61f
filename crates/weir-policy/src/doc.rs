//! The policy document, from the control plane or a local file, in YAML or JSON.
//!
//! [`PolicyDoc::parse`] reads the syntax and keeps the location of every value. `Policy::compile` checks the values and
//! reports all mistakes at once.

use super::doc_shape;
use super::error::PolicyError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use weir_core::ruleset::similar_name;

/// Largest number of YAML nodes in a document: many times that of 100,000 listed addresses and 10,000 rules.
const MAX_NODES: usize = 4_000_000;
/// Bytes of all its scalars.
const MAX_SCALARS: usize = 256 << 20;

/// A value and its location.
pub(super) type YamlNode = Spanned<Value>;
/// A mapping and its location.
pub(super) type Mapping = Spanned<BTreeMap<String, YamlNode>>;

/// A document, read but not yet checked.
#[derive(Clone, Debug, Default)]
pub struct PolicyDoc {
    pub(super) name: String,
    pub(super) top: BTreeMap<String, YamlNode>,
    pub(super) rules: Vec<Mapping>,
    pub(super) ip_lists: Vec<Mapping>,
    pub(super) anomalies: BTreeMap<String, YamlNode>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDocument {
    #[serde(default)]
    version: Option<YamlNode>,
    #[serde(default)]
    mode: Option<YamlNode>,
    #[serde(default)]
    rules: Vec<Mapping>,
    #[serde(default)]
    ip_lists: Vec<Mapping>,
    #[serde(default)]
    anomalies: BTreeMap<String, YamlNode>,
}

impl PolicyDoc {
    /// Reads a document in YAML or JSON; errors refer to it as `name`. An empty document is valid.
    pub fn parse(name: &str, text: &str) -> Result<PolicyDoc, Vec<PolicyError>> {
        let raw: Option<RawDocument> = read(text).map_err(|error| {
            let found = doc_shape::mistakes(name, text);
            if found.is_empty() { vec![unreadable(name, text, &error)] } else { found }
        })?;
        let Some(raw) = raw else { return Ok(PolicyDoc { name: name.into(), ..PolicyDoc::default() }) };
        let top = [("version", raw.version.clone()), ("mode", raw.mode.clone())];
        let top = top.into_iter().filter_map(|(key, node)| Some((key.to_owned(), node?))).collect();
        let RawDocument { rules, ip_lists, anomalies, .. } = raw;
        Ok(PolicyDoc { name: name.into(), top, rules, ip_lists, anomalies })
    }

    /// Reads a document that is JSON already.
    pub fn from_json(name: &str, value: &Value) -> Result<PolicyDoc, Vec<PolicyError>> {
        Self::parse(name, &escaped(&value.to_string()))
    }
}

/// Reads YAML or JSON.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, serde_saphyr::Error> {
    let mut budget = serde_saphyr::Budget::default();
    (budget.max_nodes, budget.max_events) = (MAX_NODES, 2 * MAX_NODES);
    budget.max_total_scalar_bytes = MAX_SCALARS;
    serde_saphyr::from_str_with_options(text, serde_saphyr::options! { budget: Some(budget), with_snippet: false })
}

/// Why a document cannot be read at all. Its place is beside the message, not in it.
fn unreadable(name: &str, text: &str, error: &serde_saphyr::Error) -> PolicyError {
    let (line, column) = error.location().map_or((0, 0), |l| (l.line() as usize, l.column() as usize));
    let message = match read::<Value>(text) {
        Ok(value) if !value.is_object() => {
            format!(
                "a policy is a mapping with `version`, `mode`, `rules`, `ip_lists` and `anomalies`, got {}",
                shown(&value)
            )
        }
        _ => {
            let message = error.to_string();
            let place = format!(" at line {line}, column {column}");
            message.strip_suffix(&place).map(str::to_owned).unwrap_or(message)
        }
    };
    PolicyError { file: name.into(), line, column, at: String::new(), message }
}

/// Escapes the characters of JSON that YAML does not allow literally. They occur only in strings.
fn escaped(json: &str) -> String {
    use std::fmt::Write as _;
    let foreign = |c: char| matches!(c, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match foreign(c) {
            true => write!(out, "\\u{:04x}", u32::from(c)).expect("String"),
            false => out.push(c),
        }
    }
    out
}

/// Reads the fields of one mapping and records mistakes with their location.
pub(super) struct FieldReader<'d, 'e> {
    file: &'d str,
    at: String,
    place: (usize, usize),
    map: &'d BTreeMap<String, YamlNode>,
    known: Vec<&'static str>,
    tolerant: bool,
    errors: &'e mut Vec<PolicyError>,
}

impl<'d, 'e> FieldReader<'d, 'e> {
    /// A reader of `map`, the value of key `at`.
    pub fn new(doc: &'d PolicyDoc, at: String, map: &'d Mapping, errors: &'e mut Vec<PolicyError>) -> Self {
        let place = (map.referenced.line() as usize, map.referenced.column() as usize);
        Self { file: &doc.name, at, place, map: &map.value, known: Vec::new(), tolerant: false, errors }
    }

    /// A reader of the top-level fields of `doc`.
    pub fn top(doc: &'d PolicyDoc, errors: &'e mut Vec<PolicyError>) -> Self {
        Self {
            file: &doc.name,
            at: String::new(),
            place: (1, 1),
            map: &doc.top,
            known: Vec::new(),
            tolerant: false,
            errors,
        }
    }

    /// Records a mistake at `key` or a part of it; with an empty key, at the mapping as a whole.
    pub fn error(&mut self, key: &str, message: impl Into<String>) {
        let field = key.split(['[', '.']).next().unwrap_or_default();
        let node = self.map.get(field);
        let (line, column) =
            node.map_or(self.place, |n| (n.referenced.line() as usize, n.referenced.column() as usize));
        let dot = if self.at.is_empty() || key.is_empty() { "" } else { "." };
        let at = format!("{}{dot}{key}", self.at);
        self.errors.push(PolicyError { file: self.file.into(), line, column, at, message: message.into() });
    }

    /// Returns a notice with the location of the mapping; it is not recorded as a mistake.
    pub fn notice(&self, message: impl Into<String>) -> PolicyError {
        let (line, column) = self.place;
        PolicyError { file: self.file.into(), line, column, at: self.at.clone(), message: message.into() }
    }

    /// The value of a key that is only for those who know it: it is not named among the known ones where it is absent.
    pub fn get_silently(&mut self, key: &'static str) -> Option<&'d Value> {
        if self.map.contains_key(key) { self.get(key) } else { None }
    }

    /// The value of `key`; null counts as absent.
    pub fn get(&mut self, key: &'static str) -> Option<&'d Value> {
        self.known.push(key);
        self.map.get(key).map(|node| &node.value).filter(|value| !value.is_null())
    }

    /// Reads `key` with `read`; records what was `expected` if that fails.
    pub fn read<T>(&mut self, key: &'static str, expected: &str, read: impl Fn(&'d Value) -> Option<T>) -> Option<T> {
        let value = self.get(key)?;
        let got = read(value);
        if got.is_none() {
            self.error(key, format!("expected {expected}, got {}", shown(value)));
        }
        got
    }

    /// Like [`Self::read`]; absence is a mistake too.
    pub fn need<T>(&mut self, key: &'static str, expected: &str, read: impl Fn(&'d Value) -> Option<T>) -> Option<T> {
        if self.get(key).is_none() {
            self.error(key, format!("`{key}` is missing: expected {expected}"));
            return None;
        }
        self.read(key, expected, read)
    }

    /// Text.
    pub fn text(&mut self, key: &'static str) -> Option<&'d str> {
        self.read(key, "text", Value::as_str)
    }

    /// True or false; `otherwise` if absent.
    pub fn flag(&mut self, key: &'static str, otherwise: bool) -> bool {
        self.read(key, "true or false", Value::as_bool).unwrap_or(otherwise)
    }

    /// A number within `range`.
    pub fn number(&mut self, key: &'static str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        self.read(key, &expected, |value| value.as_u64().filter(|n| range.contains(n)))
    }

    /// One of `choices` by name.
    pub fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let find = |value: &Value| {
            // YAML before 1.2 takes an unquoted `off` for false.
            let text = if *value == Value::Bool(false) { "off" } else { value.as_str()? };
            choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice)
        };
        let value = self.get(key)?;
        let found = find(value);
        if found.is_none() {
            let near = value.as_str().and_then(|text| similar_name(text, names.iter().copied()));
            let near = near.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            self.error(key, format!("expected one of {}, got {}{near}", names.join(", "), shown(value)));
        }
        found
    }

    /// Number of mistakes recorded so far, including earlier readers.
    pub fn mistakes(&self) -> usize {
        self.errors.len()
    }

    /// Makes [`Self::finish`] accept every key, for mappings whose keys are unknown.
    pub fn tolerate_all(&mut self) {
        self.tolerant = true;
    }

    /// Records every key that was not read as unknown.
    pub fn finish(mut self) {
        if self.tolerant {
            return;
        }
        let unknown: Vec<&String> = self.map.keys().filter(|key| !self.known.contains(&key.as_str())).collect();
        for key in unknown {
            let hint = match similar_name(key, self.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known are {}", self.known_keys()),
            };
            self.error(key, format!("unknown key; {hint}"));
        }
    }

    /// The keys that were read, in alphabetical order.
    fn known_keys(&self) -> String {
        let keys: BTreeSet<&str> = self.known.iter().copied().collect();
        keys.into_iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
    }
}

/// A value as shown in a message.
pub(super) fn shown(value: &Value) -> String {
    const MAX_SHOWN: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(MAX_SHOWN) {
        Some((cut, _)) => format!("`{}…`", &text[..cut]),
        None => format!("`{text}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_similar_name_is_suggested() {
        let doc = PolicyDoc::parse("a.yaml", "mode: blocking\n").unwrap();
        let mut errors = Vec::new();
        FieldReader::top(&doc, &mut errors).choice("mode", &[("off", 0), ("block", 1)]);
        assert_eq!(errors[0].message, "expected one of off, block, got `\"blocking\"`; did you mean block?");
    }

    #[test]
    fn yaml_and_json_read_alike_and_keep_places() {
        let yaml = PolicyDoc::parse("a.yaml", "mode: block\nrules:\n  - type: vpatch\n    id: 7\n").unwrap();
        let json = PolicyDoc::parse("a.json", r#"{"mode": "block", "rules": [{"type": "vpatch", "id": 7}]}"#).unwrap();
        assert_eq!(yaml.rules[0].value["id"].value, json.rules[0].value["id"].value);
        assert_eq!(yaml.rules[0].value["id"].referenced.line(), 4);
        assert_eq!(json.rules[0].value["id"].referenced.line(), 1);
        assert!(PolicyDoc::parse("e", "").unwrap().rules.is_empty());
        assert!(PolicyDoc::parse("e", "# nothing\n").unwrap().rules.is_empty());
    }

    #[test]
    fn every_text_in_json_arrives() {
        let all: String =
            (0..=0x2fff).chain(0xfe00..=0x1_0010).chain(0x1_f600..0x1_f610).filter_map(char::from_u32).collect();
        let doc = PolicyDoc::from_json("a", &serde_json::json!({"rules": [{"title": all}]})).unwrap();
        assert_eq!(doc.rules[0].value["title"].value, all.as_str());
    }

    #[test]
    fn syntax_errors_have_a_place() {
        let errors = PolicyDoc::parse("p.yaml", "mode: block\nrulez: []\n").unwrap_err();
        assert_eq!((errors[0].file.as_str(), errors[0].line), ("p.yaml", 2), "{errors:?}");
        assert!(PolicyDoc::parse("p.yaml", "rules: [").is_err());
        assert!(PolicyDoc::parse("p.yaml", "mode: a\nmode: b\n").is_err(), "duplicate keys");
    }
}
