//! YAML as a tree that knows where everything stands. Nothing is judged here but syntax: duplicate and unknown keys stay
//! in the tree, so that one run can report every mistake.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// Largest file read, in bytes: a hundred thousand routes fit.
pub const MAX_FILE: usize = 4 << 20;
/// Values and keys of one file, aliases counted as often as they are used: bounds what an alias bomb can make.
const MAX_NODES: usize = 200_000;
/// Nesting of one file: the deepest sensible one is that of nested routes.
const MAX_DEPTH: usize = 40;

/// A place in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Line, from 1; 0 where unknown.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Length in characters; 0 where unknown.
    pub length: usize,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where.
    pub mark: Mark,
    /// What.
    pub value: Value,
}

/// A value. Scalars are the text that was written: what it means depends on the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing was written.
    Null,
    /// A scalar.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in order, duplicates kept.
    Map(Vec<Entry>),
}

impl Value {
    /// What to call it in a message.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub mark: Mark,
    /// Its value.
    pub node: Node,
}

/// Why a text is no YAML, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where.
    pub mark: Mark,
    /// What is wrong.
    pub message: String,
}

/// Parses `text`. An empty text is [`Value::Null`].
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    let empty = Node { mark: Mark::default(), value: Value::Null };
    if text.len() > MAX_FILE {
        let message = format!("the file has {} bytes, more than {MAX_FILE}", text.len());
        return Err(SyntaxError { mark: Mark::default(), message });
    }
    let blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    if text.lines().all(blank) {
        return Ok(empty);
    }
    let raw: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options()).map_err(|error| SyntaxError {
        mark: error.location().map(mark).unwrap_or_default(),
        message: message(&error),
    })?;
    Ok(node(raw, text))
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: MAX_NODES,
            max_events: 2 * MAX_NODES,
            max_depth: MAX_DEPTH,
            max_documents: 1,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        // `off` is a mode, not a boolean.
        strict_booleans: true,
        with_snippet: false,
    }
}

/// The message without the position, which is shown in its own way, and without the library's inner names.
fn message(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::budget::BudgetBreach;
    match error.without_snippet() {
        serde_saphyr::Error::Budget { breach: BudgetBreach::Documents { .. }, .. } => {
            "a second document; a configuration has only one".to_owned()
        }
        serde_saphyr::Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => {
            format!("nested deeper than {MAX_DEPTH} levels")
        }
        serde_saphyr::Error::Budget { .. } => {
            format!("more than {MAX_NODES} values, each use of an alias counted")
        }
        serde_saphyr::Error::RecursiveReferencesRequireWeakTypes { .. } => {
            "an alias inside its own definition".to_owned()
        }
        _ => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            let line = line.split(" at line ").next().unwrap_or(line);
            line.trim_start_matches("error: ").trim_end_matches(':').to_owned()
        }
    }
}

fn mark(at: Location) -> Mark {
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Mark { line: size(at.line()), column: size(at.column()), length: size(at.span().len()) }
}

fn node(raw: Spanned<Raw>, source: &str) -> Node {
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Text(text) => Value::Scalar(text),
        Raw::Typed(text) => Value::Scalar(written(raw.defined, source).unwrap_or(text)),
        Raw::List(items) => Value::List(items.into_iter().map(|item| node(item, source)).collect()),
        Raw::Map(entries) => {
            let entry = |(key, value): (Spanned<String>, Spanned<Raw>)| Entry {
                key: key.value,
                mark: mark(key.referenced),
                node: node(value, source),
            };
            Value::Map(entries.into_iter().map(entry).collect())
        }
    };
    Node { mark: mark(raw.referenced), value }
}

/// A number or boolean as it was written: `1.10` is a header value too, and `640_000` keeps its form.
fn written(at: Location, source: &str) -> Option<String> {
    let start = usize::try_from(at.span().byte_offset()?).ok()?;
    let length = usize::try_from(at.span().byte_len()?).ok()?;
    let text = source.get(start..start.checked_add(length)?)?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A value as the YAML library sees it.
enum Raw {
    Null,
    Text(String),
    Typed(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries(text: &str) -> Vec<Entry> {
        match parse(text).unwrap().value {
            Value::Map(entries) => entries,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn scalars_keep_their_text_and_place() {
        let got = entries("mode: off\nmax: 640_000\nversion: 1.10\nhex: 0x10\nword: \"404\"\nflag: true\nnone:\n");
        let texts: Vec<_> = got.iter().map(|e| e.node.value.clone()).collect();
        let text = |t: &str| Value::Scalar(t.to_owned());
        let flags = [text("off"), text("640_000"), text("1.10"), text("0x10"), text("404"), text("true"), Value::Null];
        assert_eq!(texts, flags);
        assert_eq!(got[1].mark, Mark { line: 2, column: 1, length: 3 });
        assert_eq!(got[1].node.mark, Mark { line: 2, column: 6, length: 7 });
    }

    #[test]
    fn duplicates_and_odd_keys_stay() {
        let got = entries("a: 1\na: 2\n404: x\n");
        assert_eq!(got.iter().map(|e| e.key.as_str()).collect::<Vec<_>>(), ["a", "a", "404"]);
    }

    #[test]
    fn aliases_stand_where_they_are_used() {
        let got = entries("a: &x [1, 2]\nb: *x\n");
        assert_eq!(got[1].node.mark.line, 2);
        let Value::List(items) = &got[1].node.value else { panic!("no list") };
        assert_eq!(items[1].value, Value::Scalar("2".into()));
    }

    #[test]
    fn comments_alone_are_nothing() {
        assert_eq!(parse("# nothing\n\n  # here\n").unwrap().value, Value::Null);
    }

    #[test]
    fn broken_yaml_says_where() {
        let error = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(error.mark.line >= 2, "{error:?}");
        assert!(!error.message.is_empty() && !error.message.contains("at line"), "{error:?}");
    }

    #[test]
    fn bounds_are_told_in_words() {
        let told = |text: &str| parse(text).unwrap_err().message;
        assert!(told("a: 1\n---\nb: 2\n").contains("a second document"));
        assert!(told("a: &a [*a]\n").contains("inside its own definition"));
        let nested: String = (0..60).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
        assert!(told(&nested).contains("nested deeper"));
        let many = "[x, x, x, x, x, x, x, x]\n".replace('x', &format!("[{}]", "y,".repeat(30_000)));
        assert!(told(&many).contains("more than 200000 values"));
    }

    #[test]
    fn bombs_are_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..12 {
            let uses = format!("*a{}, ", n - 1).repeat(10);
            bomb.push_str(&format!("a{n}: &a{n} [{uses}]\n"));
        }
        // Written out, it is a terabyte.
        assert!(parse(&bomb).is_err());
        assert!(parse(&"[".repeat(100_000)).is_err());
        let nested: String = (0..200).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
        assert!(parse(&nested).is_err());
        assert!(parse(&" ".repeat(MAX_FILE + 1)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-c:{}\\[\\]&*!|>'\",\n \t#-]{0,60}") {
            let _ = parse(&text);
        }
    }
}
