//! Conditions of a rule's action: which requests the rule is for.

use super::pattern;
use super::reading::Reading;
use regex::bytes::Regex;
use serde_json::Value;
use std::borrow::Cow;
use weir_core::model::{DecodedHead, DecodedPath};

/// Conditions that one action may have, as documented.
pub const MAX_CONDITIONS: usize = 60;

/// What a condition tests.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A header; repeated ones are joined by `, `. `HOST` is compared without port and without regard to case.
    Header(String),
    /// The method.
    Method,
    /// The method, or one by which the client asks the upstream to replace it: frameworks read `X-HTTP-Method-Override` and
    /// the query parameter `_method`.
    AnyMethod,
    /// A path segment other than the last, decoded.
    Path(u32),
    /// The last path segment up to its first dot.
    ActionName,
    /// What follows the last dot of the last path segment.
    ActionExt,
    /// A query parameter; if repeated, any of its values.
    Query(String),
    /// Protocol version, e.g. `1.1`.
    Proto,
    /// `http` or `https`.
    Scheme,
    /// Decoded path, then the query as sent.
    Uri,
    /// Application id.
    Instance,
}

/// The test that its value must pass.
#[derive(Clone, Debug)]
pub enum Test {
    /// It is exactly this.
    Equal(Vec<u8>),
    /// It is this, without regard to case; held in lower case.
    Iequal(Vec<u8>),
    /// The pattern is found in it.
    Regex(Box<Regex>),
    /// It is absent.
    Absent,
}

/// One condition.
#[derive(Clone, Debug)]
pub struct Condition {
    /// What it tests.
    pub subject: Subject,
    /// The test.
    pub test: Test,
}

impl Condition {
    /// Reads `{type, point, value}`. For points without a name the point may contain the value instead.
    pub fn read(value: &Value) -> Result<Self, (&'static str, String)> {
        let Some(map) = value.as_object() else {
            return Err(("", "a condition has `type`, `point` and `value`".into()));
        };
        if let Some(key) = map.keys().find(|key| !["type", "point", "value"].contains(&key.as_str())) {
            return Err(("", format!("unknown key `{key}`; a condition has `type`, `point` and `value`")));
        }
        let (subject, in_point) = read_point(map.get("point")).map_err(|message| ("point", message))?;
        let text = match map.get("value") {
            None | Some(Value::Null) => in_point,
            Some(Value::String(text)) if text.is_empty() && in_point.is_some() => in_point,
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(_) => return Err(("value", "expected text".into())),
        };
        let kind = map.get("type").and_then(Value::as_str).unwrap_or_default();
        let test = read_test(kind, &subject, text)?;
        Ok(Self { subject, test })
    }

    /// The condition on whatever a client may write for the same request, as what limits requests must not depend on the
    /// spelling that a client chooses: paths and methods in any case (there are servers to which `/LOGIN` is `/login`), and
    /// methods that are replaced. `None` if it is no other condition.
    pub fn in_any_spelling(&self) -> Option<Self> {
        let is_of_path = self.subject.is_of_path() || self.subject == Subject::Uri;
        let subject = if self.subject == Subject::Method { Subject::AnyMethod } else { self.subject.clone() };
        match &self.test {
            Test::Equal(value) if is_of_path || self.subject == Subject::Method => {
                Some(Self { subject, test: Test::Iequal(value.to_ascii_lowercase()) })
            }
            test if self.subject == Subject::Method => Some(Self { subject, test: test.clone() }),
            _ => None,
        }
    }

    /// Whether it holds only for paths that end with a slash.
    pub fn is_at_final_slash(&self) -> bool {
        let (Test::Equal(value) | Test::Iequal(value)) = &self.test else { return false };
        match self.subject {
            Subject::ActionName => value.is_empty(),
            Subject::Uri => value.split(|&byte| byte == b'?').next().is_some_and(|path| path.ends_with(b"/")),
            _ => false,
        }
    }

    /// Whether the condition holds for a request as `reading` understands it.
    pub fn holds(&self, reading: &Reading<'_, '_, '_>) -> bool {
        if let Subject::Query(name) = &self.subject {
            let mut values = reading.request.facts.query_values(name.as_bytes());
            return match &self.test {
                Test::Absent => values.next().is_none(),
                test => values.any(|value| test.holds(value)),
            };
        }
        if self.subject == Subject::AnyMethod {
            return holds_for_a_method(&self.test, reading);
        }
        match (self.subject.value(reading), &self.test) {
            (None, Test::Absent) => true,
            (None, _) | (Some(_), Test::Absent) => false,
            (Some(value), test) if reading.path.parameters_removed && self.subject.is_of_path() => {
                test.holds_without_parameters(&value)
            }
            (Some(value), test) => test.holds(&value),
        }
    }
}

impl Test {
    fn holds(&self, value: &[u8]) -> bool {
        match self {
            Test::Equal(want) => value == want,
            Test::Iequal(want) => value.eq_ignore_ascii_case(want),
            Test::Regex(regex) => regex.is_match(value),
            Test::Absent => false,
        }
    }

    /// Like [`Self::holds`] for a part of a path from which parameters were removed: they are removed from the expected
    /// value too, so that a condition on `items;v=1` still holds for this reading of its own path.
    fn holds_without_parameters(&self, value: &[u8]) -> bool {
        let bare = |want: &[u8]| want[..memchr::memchr(b';', want).unwrap_or(want.len())].to_vec();
        match self {
            Test::Equal(want) => value == bare(want),
            Test::Iequal(want) => value.eq_ignore_ascii_case(&bare(want)),
            test => test.holds(value),
        }
    }
}

impl Subject {
    fn is_of_path(&self) -> bool {
        matches!(self, Subject::Path(_) | Subject::ActionName | Subject::ActionExt)
    }

    fn value<'h>(&self, reading: &Reading<'_, 'h, '_>) -> Option<Cow<'h, [u8]>> {
        let (facts, path) = (reading.request.facts, reading.path);
        match self {
            Subject::Header(name) if name == "HOST" => {
                (!reading.host.is_empty()).then_some(Cow::Borrowed(reading.host))
            }
            Subject::Header(name) => DecodedHead::header(reading.request.message, name),
            Subject::Method | Subject::AnyMethod => Some(Cow::Borrowed(facts.method)),
            Subject::Path(at) => path.segments.get(*at as usize).map(|segment| Cow::Borrowed(segment.as_ref())),
            Subject::ActionName => Some(Cow::Borrowed(path.action_name.as_ref())),
            Subject::ActionExt => path.action_ext.as_ref().map(|ext| Cow::Borrowed(ext.as_ref())),
            Subject::Query(name) => facts.query_values(name.as_bytes()).next().map(|v| Cow::Owned(v.to_vec())),
            Subject::Proto => Some(Cow::Borrowed(version(facts.proto))),
            Subject::Scheme => Some(Cow::Borrowed(facts.scheme.as_str().as_bytes())),
            Subject::Uri => Some(uri(facts, path)),
            Subject::Instance => Some(Cow::Owned(reading.application.to_string().into_bytes())),
        }
    }
}

/// Headers by which a client asks for another method.
const METHOD_HEADERS: [&str; 3] = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"];

/// Whether the method of a request passes the test, or one that is to replace it.
fn holds_for_a_method(test: &Test, reading: &Reading<'_, '_, '_>) -> bool {
    let (message, facts) = (reading.request.message, reading.request.facts);
    let is_named = |name: &&str| message.headers_named(name).any(|method| test.holds(method.trim_ascii()));
    test.holds(facts.method)
        || METHOD_HEADERS.iter().any(is_named)
        || facts.query_values(b"_method").any(|method| test.holds(method))
}

/// `1.1` of `HTTP/1.1`.
fn version(proto: &[u8]) -> &[u8] {
    match proto.split_at_checked(5) {
        Some((name, version)) if name.eq_ignore_ascii_case(b"http/") => version,
        _ => proto,
    }
}

fn uri<'h>(facts: &'h DecodedHead<'_>, path: &'h DecodedPath<'_>) -> Cow<'h, [u8]> {
    match memchr::memchr(b'?', &facts.uri) {
        None => Cow::Borrowed(path.text.as_ref()),
        Some(at) => Cow::Owned([path.text.as_ref(), &facts.uri[at..]].concat()),
    }
}

fn read_point(point: Option<&Value>) -> Result<(Subject, Option<String>), String> {
    let Some(items) = point.and_then(Value::as_array) else {
        return Err("expected a point such as [\"header\", \"HOST\"] or [\"path\", 0]".into());
    };
    let tag = items.first().and_then(Value::as_str).unwrap_or_default();
    let argument = match items.get(1) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(other) => return Err(format!("{other} cannot be part of a condition's point")),
    };
    if items.len() > 2 {
        return Err("the point of a condition has a name and at most one argument".into());
    }
    let named = |what: &str| argument.clone().ok_or_else(|| format!("`{tag}` needs {what}"));
    let subject = match tag {
        "header" => return Ok((Subject::Header(named("the name of a header")?.to_ascii_uppercase()), None)),
        "path" => {
            let at = named("the number of a segment")?;
            let at = at.parse().map_err(|_| format!("`{at}` is not the number of a path segment"))?;
            return Ok((Subject::Path(at), None));
        }
        "query" | "get" => return Ok((Subject::Query(named("the name of a parameter")?), None)),
        "method" => Subject::Method,
        "action_name" => Subject::ActionName,
        "action_ext" => Subject::ActionExt,
        "proto" => Subject::Proto,
        "scheme" => Subject::Scheme,
        "uri" => Subject::Uri,
        "instance" | "application" => Subject::Instance,
        _ => {
            const KNOWN: &str = "header, method, path, action_name, action_ext, query, proto, scheme, uri, instance";
            return Err(format!("unknown point `{tag}`; conditions know {KNOWN}"));
        }
    };
    Ok((subject, argument))
}

fn read_test(kind: &str, subject: &Subject, text: Option<String>) -> Result<Test, (&'static str, String)> {
    let text = text.map(|text| if *subject == Subject::Proto { strip_http(text) } else { text });
    let host = *subject == Subject::Header("HOST".into());
    match (kind, text) {
        ("absent", None) => Ok(Test::Absent),
        ("absent", Some(text)) if text.is_empty() => Ok(Test::Absent),
        ("absent", Some(_)) => Err(("value", "`absent` takes no value".into())),
        ("equal" | "iequal" | "regex", None) => Err(("value", format!("`{kind}` needs a value"))),
        ("equal" | "iequal", Some(text)) if host => {
            let name = match text.rsplit_once(':') {
                Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name.to_owned(),
                _ => text,
            };
            Ok(Test::Iequal(name.to_ascii_lowercase().into_bytes()))
        }
        ("equal", Some(text)) => Ok(Test::Equal(text.into_bytes())),
        ("iequal", Some(text)) => Ok(Test::Iequal(text.to_ascii_lowercase().into_bytes())),
        ("regex", Some(text)) => {
            let regex = pattern::pire(&text).map_err(|error| ("value", error.to_string()))?;
            Ok(Test::Regex(Box::new(regex)))
        }
        _ => Err(("type", format!("expected equal, iequal, regex or absent, got `{kind}`"))),
    }
}

fn strip_http(text: String) -> String {
    text.strip_prefix("HTTP/").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;
    use crate::verdict::RequestContext;
    use serde_json::json;
    use weir_core::model::{Header, Message, Scheme};

    fn holds(condition: Value) -> bool {
        let message = Message {
            headers: vec![
                Header { name: b"Host", value: b"Shop.Example:8080" },
                Header { name: b"X-A", value: b"1" },
                Header { name: b"x-a", value: b"2" },
            ],
            ..Message::default()
        };
        let owned = |text: &'static str| Cow::Borrowed(text.as_bytes());
        let facts = DecodedHead {
            method: b"POST",
            uri: owned("/%61pi/v1/login.php?q=1&q=2"),
            host: owned("shop.example"),
            path: DecodedPath {
                text: owned("/api/v1/login.php"),
                segments: vec![owned("api"), owned("v1")],
                action_name: owned("login"),
                action_ext: Some(owned("php")),
                parameters_removed: false,
            },
            other_hosts: Vec::new(),
            other_paths: Vec::new(),
            query: vec![(owned("q"), owned("1")), (owned("q"), owned("2"))],
            proto: b"HTTP/1.1",
            scheme: Scheme::Https,
            application: 0,
        };
        let request = RequestContext {
            message: &message,
            facts: &facts,
            client: None,
            source: Source::default(),
            now: 0,
            blocking: true,
            request_id: "",
        };
        Condition::read(&condition).unwrap_or_else(|e| panic!("{condition}: {e:?}")).holds(&Reading {
            request: &request,
            host: &facts.host,
            path: &facts.path,
            application: 7,
        })
    }

    #[test]
    fn every_point_and_test() {
        let mut count = 0;
        for (kind, point, value, want) in [
            ("equal", json!(["header", "HOST"]), json!("SHOP.example"), true),
            ("equal", json!(["header", "host"]), json!("shop.example:8080"), true),
            ("regex", json!(["header", "HOST"]), json!("^shop[.]example$"), true),
            ("equal", json!(["header", "X-A"]), json!("1, 2"), true),
            ("iequal", json!(["header", "X-B"]), json!(""), false),
            ("absent", json!(["header", "X-B"]), json!(""), true),
            ("absent", json!(["header", "X-A"]), Value::Null, false),
            ("equal", json!(["method"]), json!("POST"), true),
            ("equal", json!(["method", "post"]), json!(""), false),
            ("iequal", json!(["method", "post"]), json!(""), true),
            ("equal", json!(["path", 0]), json!("api"), true),
            ("equal", json!(["path", "1"]), json!("v1"), true),
            ("absent", json!(["path", 2]), json!(""), true),
            ("equal", json!(["action_name"]), json!("login"), true),
            ("equal", json!(["action_name", "login"]), json!(""), true),
            ("equal", json!(["action_ext"]), json!("php"), true),
            ("absent", json!(["action_ext"]), json!(""), false),
            ("equal", json!(["query", "q"]), json!("2"), true),
            ("equal", json!(["get", "q"]), json!("3"), false),
            ("absent", json!(["query", "z"]), json!(""), true),
            ("equal", json!(["proto", "1.1"]), json!(""), true),
            ("equal", json!(["proto"]), json!("HTTP/1.1"), true),
            ("equal", json!(["scheme", "https"]), json!(""), true),
            ("equal", json!(["uri"]), json!("/api/v1/login.php?q=1&q=2"), true),
            ("regex", json!(["uri"]), json!("^/api/"), true),
            ("equal", json!(["instance", 7]), json!(""), true),
            ("equal", json!(["instance"]), json!("8"), false),
        ] {
            let condition = json!({"type": kind, "point": point, "value": value});
            assert_eq!(holds(condition.clone()), want, "{condition}");
            count += 1;
        }
        assert_eq!(count, 27);
    }

    #[test]
    fn mistakes_are_named() {
        for (condition, key, message) in [
            (json!({"type": "like", "point": ["method"], "value": "x"}), "type", "expected equal"),
            (json!({"type": "equal", "point": ["cookie", "a"], "value": "x"}), "point", "unknown point `cookie`"),
            (json!({"type": "equal", "point": ["path", "x"], "value": "x"}), "point", "not the number"),
            (json!({"type": "equal", "point": ["header"], "value": "x"}), "point", "needs the name"),
            (json!({"type": "regex", "point": ["uri"], "value": "(~(a))"}), "value", "PIRE"),
            (json!({"type": "equal", "point": ["uri"]}), "value", "needs a value"),
            (json!({"type": "equal", "point": ["uri"], "value": "x", "ponit": 1}), "", "unknown key"),
            (json!("x"), "", "a condition has"),
        ] {
            let (at, text) = Condition::read(&condition).unwrap_err();
            assert!(at == key && text.contains(message), "{condition}: {at}: {text}");
        }
    }
}
