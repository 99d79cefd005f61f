//! A rule file as a tree whose every node knows its line and column, so that each mistake can be shown where it is.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::fmt;

/// Bytes of one rule file.
pub const MAX_FILE: usize = 4 << 20;

/// Line and column, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// A node with its place.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// Where it stands.
    pub location: Location,
    /// What it is.
    pub value: T,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum YamlValue {
    /// Text, quoted or not.
    Text(String),
    /// A number.
    Number(serde_json::Number),
    /// `true` or `false`.
    Bool(bool),
    /// Nothing: `~`, `null` or no value at all.
    Null,
    /// A list.
    List(Vec<Located<YamlValue>>),
    /// Members in order.
    Map(Vec<(Located<String>, Located<YamlValue>)>),
}

impl YamlValue {
    /// What kind of node this is, for people.
    pub fn kind(&self) -> &'static str {
        match self {
            YamlValue::Text(_) => "a text",
            YamlValue::Number(_) => "a number",
            YamlValue::Bool(_) => "true or false",
            YamlValue::Null => "nothing",
            YamlValue::List(_) => "a list",
            YamlValue::Map(_) => "a mapping",
        }
    }

    /// The node as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match self {
            YamlValue::Text(text) => Value::String(text.clone()),
            YamlValue::Number(number) => Value::Number(number.clone()),
            YamlValue::Bool(value) => Value::Bool(*value),
            YamlValue::Null => Value::Null,
            YamlValue::List(items) => items.iter().map(|item| item.value.to_json()).collect(),
            YamlValue::Map(members) => {
                members.iter().map(|(key, value)| (key.value.clone(), value.value.to_json())).collect()
            }
        }
    }
}

/// Reads a file. The error is the syntax error of YAML, with its place where that is known.
pub fn parse(text: &str) -> Result<Located<YamlValue>, (Option<Location>, String)> {
    if text.len() > MAX_FILE {
        return Err((None, format!("larger than {MAX_FILE} bytes")));
    }
    let place = |l: serde_saphyr::Location| Location { line: l.line() as usize, column: l.column() as usize };
    serde_saphyr::from_str::<Spanned<YamlValue>>(text).map(at).map_err(|error| {
        let message = error.to_string();
        let first = message.lines().next().unwrap_or_default().trim_start_matches("error: ").to_string();
        // The place is reported beside the message, so it need not be in it.
        let told = error.location().map(|l| format!("line {} column {}: ", l.line(), l.column())).unwrap_or_default();
        (error.location().map(place), first.trim_start_matches(told.as_str()).to_string())
    })
}

fn at<T>(spanned: Spanned<T>) -> Located<T> {
    let location = spanned.referenced;
    Located {
        location: Location { line: location.line() as usize, column: location.column() as usize },
        value: spanned.value,
    }
}

impl<'de> Deserialize<'de> for YamlValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = YamlValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }
    fn visit_str<E>(self, text: &str) -> Result<YamlValue, E> {
        Ok(YamlValue::Text(text.to_string()))
    }
    fn visit_bool<E>(self, value: bool) -> Result<YamlValue, E> {
        Ok(YamlValue::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<YamlValue, E> {
        Ok(YamlValue::Number(value.into()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<YamlValue, E> {
        Ok(YamlValue::Number(value.into()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<YamlValue, E> {
        Ok(serde_json::Number::from_f64(value).map_or(YamlValue::Text(value.to_string()), YamlValue::Number))
    }
    fn visit_unit<E>(self) -> Result<YamlValue, E> {
        Ok(YamlValue::Null)
    }
    fn visit_none<E>(self) -> Result<YamlValue, E> {
        Ok(YamlValue::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<YamlValue, D::Error> {
        YamlValue::deserialize(deserializer)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<YamlValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<YamlValue>>()? {
            items.push(at(item));
        }
        Ok(YamlValue::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<YamlValue, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            members.push((at(key), at(map.next_value::<Spanned<YamlValue>>()?)));
        }
        Ok(YamlValue::Map(members))
    }
}
