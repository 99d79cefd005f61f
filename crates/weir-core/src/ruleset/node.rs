//! A rule file as a tree whose every node knows its line and column, so that each mistake can be shown where it is.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::fmt;

/// Bytes of one rule file.
pub const MAX_FILE: usize = 4 << 20;

/// Line and column, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// A node with its place.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub node: T,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Node {
    /// Text, quoted or not.
    Text(String),
    /// A number.
    Number(serde_json::Number),
    /// `true` or `false`.
    Bool(bool),
    /// Nothing: `~`, `null` or no value at all.
    Null,
    /// A list.
    List(Vec<At<Node>>),
    /// Members in order.
    Map(Vec<(At<String>, At<Node>)>),
}

impl Node {
    /// What kind of node this is, for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Node::Text(_) => "a text",
            Node::Number(_) => "a number",
            Node::Bool(_) => "true or false",
            Node::Null => "nothing",
            Node::List(_) => "a list",
            Node::Map(_) => "a mapping",
        }
    }

    /// The node as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match self {
            Node::Text(text) => Value::String(text.clone()),
            Node::Number(number) => Value::Number(number.clone()),
            Node::Bool(value) => Value::Bool(*value),
            Node::Null => Value::Null,
            Node::List(items) => items.iter().map(|item| item.node.to_json()).collect(),
            Node::Map(members) => members.iter().map(|(key, value)| (key.node.clone(), value.node.to_json())).collect(),
        }
    }
}

/// Reads a file. The error is the syntax error of YAML, with its place where that is known.
pub fn read(text: &str) -> Result<At<Node>, (Option<Place>, String)> {
    if text.len() > MAX_FILE {
        return Err((None, format!("larger than {MAX_FILE} bytes")));
    }
    let place = |l: serde_saphyr::Location| Place { line: l.line() as usize, column: l.column() as usize };
    serde_saphyr::from_str::<Spanned<Node>>(text).map(at).map_err(|error| {
        let message = error.to_string();
        let first = message.lines().next().unwrap_or_default().trim_start_matches("error: ").to_string();
        // The place is reported beside the message, so it need not be in it.
        let told = error.location().map(|l| format!("line {} column {}: ", l.line(), l.column())).unwrap_or_default();
        (error.location().map(place), first.trim_start_matches(told.as_str()).to_string())
    })
}

fn at<T>(spanned: Spanned<T>) -> At<T> {
    let location = spanned.referenced;
    At { place: Place { line: location.line() as usize, column: location.column() as usize }, node: spanned.value }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }
    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_string()))
    }
    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(serde_json::Number::from_f64(value).map_or(Node::Text(value.to_string()), Node::Number))
    }
    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }
    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<Node>>()? {
            items.push(at(item));
        }
        Ok(Node::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            members.push((at(key), at(map.next_value::<Spanned<Node>>()?)));
        }
        Ok(Node::Map(members))
    }
}
