//! Which requests a rule is for, as far as it bounds the damage of a wrong one.

use super::super::state::RuleEntry;
use super::{EVERYWHERE, NO_APPLICATION};
use serde_json::Value;
use weir_policy::pattern;

/// Values that have little in common. A pattern that matches most of them matches anything.
const PROBES: &[&str] = &["a", "Zq-7", "/x/y", "0", "shop.example", "%~"];
/// Probes that a pattern may match by chance.
const BY_CHANCE: usize = 3;
/// Parts of a request that nearly every request has alike: a condition on them alone bounds nothing.
const COMMON: &[&str] = &["method", "scheme", "proto"];
/// Headers of which the same is true.
const COMMON_HEADERS: &[&str] =
    &["ACCEPT", "ACCEPT-ENCODING", "ACCEPT-LANGUAGE", "CONNECTION", "VIA", "X-FORWARDED-PROTO"];
/// Headers that nearly every request has, with values that differ: a condition on their value is a bound, a point is none.
const USUAL_HEADERS: &[&str] = &[
    "AUTHORIZATION",
    "CONTENT-LENGTH",
    "CONTENT-TYPE",
    "COOKIE",
    "HOST",
    "ORIGIN",
    "REFERER",
    "USER-AGENT",
    "X-FORWARDED-FOR",
    "X-FORWARDED-HOST",
    "X-REAL-IP",
];
/// Steps of a point that say where a value is and not how it is called.
const POSITIONS: &[&str] = &["array", "path"];
/// Ordinary values of parts that are of one form: a pattern that matches most of these bounds nothing, either. Others are
/// tried on [`PROBES`].
const PROBES_OF: &[(&str, &[&str])] = &[
    ("uri", &["/", "/login", "/api/v1/items/7?page=2", "/index.php", "/static/app.js", "/Shop/Cart?id=1&x=%20"]),
    ("path", &["api", "v1", "users", "static", "Shop", "wp-content", "7"]),
    ("action_name", &["index", "login", "items", "7", "app", "Cart"]),
    ("HOST", &["shop.example", "www.example.com", "api.shop.example.org", "10.0.0.7", "localhost", "a-b.test"]),
    (
        "USER-AGENT",
        &["Mozilla/5.0 (X11; Linux x86_64) Gecko", "curl/8.5.0", "okhttp/4.12", "Dalvik/2.1.0", "python-requests/2"],
    ),
];

/// Values that requests of most browsers and programs have.
const ORDINARY: &[&str] = &[
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "gzip, deflate, br",
    "en-US,en;q=0.9",
    "keep-alive",
    "application/json",
];

/// Which requests a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nothing bounds it.
    Everywhere,
    /// All requests to one host, or of one application.
    Host(String),
    /// A part of the requests.
    Narrow,
}

impl Reach {
    /// The reach of a rule by its conditions.
    pub fn of(entry: &RuleEntry) -> Self {
        let mut host = None;
        for condition in entry.rule.get("action").and_then(Value::as_array).into_iter().flatten() {
            match bound(condition) {
                Bound::Nothing => {}
                Bound::Host(name) => host = Some(name),
                Bound::Part => return Reach::Narrow,
            }
        }
        host.map_or(Reach::Everywhere, Reach::Host)
    }

    /// What a person types to confirm a rule of this reach.
    pub fn word(&self) -> String {
        match self {
            Reach::Host(host) => host.clone(),
            Reach::Everywhere | Reach::Narrow => EVERYWHERE.into(),
        }
    }

    /// At the end of a sentence.
    pub fn words(&self) -> String {
        match self {
            Reach::Everywhere => EVERYWHERE.into(),
            Reach::Host(host) => format!("on {host}"),
            Reach::Narrow => "in some requests".into(),
        }
    }
}

enum Bound {
    Nothing,
    Host(String),
    Part,
}

/// What a condition leaves of the requests.
fn bound(condition: &Value) -> Bound {
    let (point, value) = (&condition["point"], value_of(condition));
    let value = value.as_str();
    let part = point[0].as_str().unwrap_or_default();
    let header = if part == "header" { point[1].as_str().unwrap_or_default().to_uppercase() } else { String::new() };
    match condition["type"].as_str() {
        // Nearly every request lacks something. Without a first segment of the path it is the root alone.
        Some("absent") if part == "path" && point[1].as_u64() == Some(0) => Bound::Part,
        Some("absent") => Bound::Nothing,
        Some("regex") if is_any(value) || is_usual(if part == "header" { &header } else { part }, value) => {
            Bound::Nothing
        }
        _ if COMMON.contains(&part) || COMMON_HEADERS.contains(&header.as_str()) => Bound::Nothing,
        _ if part == "instance" && value == NO_APPLICATION.to_string() => Bound::Nothing,
        _ if part == "instance" => Bound::Host(format!("app:{value}")),
        _ if header == "HOST" => Bound::Host(value.to_lowercase()),
        _ => Bound::Part,
    }
}

/// What a condition compares with: its value, or the last step of a point that has no name.
fn value_of(condition: &Value) -> String {
    let (point, value) = (&condition["point"], &condition["value"]);
    let named = ["header", "query", "path"].contains(&point[0].as_str().unwrap_or_default());
    text(if value.is_null() && !named { &point[1] } else { value })
}

/// Whether a pattern matches most of the ordinary values of a part.
fn is_usual(part: &str, regex: &str) -> bool {
    let Some((_, probes)) = PROBES_OF.iter().find(|(name, _)| *name == part) else { return false };
    let Ok(regex) = pattern::regex(regex, false) else { return false };
    probes.iter().filter(|probe| regex.is_match(probe.as_bytes())).count() * 2 > probes.len()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether a rule can act on requests to `host`, or of `application`, as far as its conditions name these.
pub fn concerns(entry: &RuleEntry, host: Option<&str>, application: Option<i64>) -> bool {
    let conditions = entry.rule.get("action").and_then(Value::as_array);
    conditions.into_iter().flatten().all(|condition| {
        let (kind, value) = (condition["type"].as_str().unwrap_or_default(), value_of(condition));
        match (condition["point"][0].as_str(), host, application) {
            (Some("instance"), _, Some(id)) => kind != "equal" || value == id.to_string(),
            (Some("header"), Some(host), _)
                if condition["point"][1].as_str().is_some_and(|name| name.eq_ignore_ascii_case("host")) =>
            {
                match kind {
                    "equal" | "iequal" => value.eq_ignore_ascii_case(host),
                    "regex" => pattern::regex(&value, false).map_or(true, |regex| regex.is_match(host.as_bytes())),
                    _ => true,
                }
            }
            _ => true,
        }
    })
}

/// Whether a pattern matches nearly anything.
pub fn is_any(regex: &str) -> bool {
    let Ok(regex) = pattern::regex(regex, false) else { return false };
    PROBES.iter().filter(|probe| regex.is_match(probe.as_bytes())).count() > BY_CHANCE
}

/// Whether a pattern matches what most clients send.
pub fn is_ordinary(regex: &str) -> bool {
    pattern::regex(regex, false).is_ok_and(|regex| ORDINARY.iter().any(|value| regex.is_match(value.as_bytes())))
}

/// The part of a request that the rule is for, within a sentence: ` in [path,0]`; empty for all of it.
pub fn place(entry: &RuleEntry) -> String {
    let steps = entry.rule.get("point").and_then(Value::as_array).into_iter().flatten();
    let step = |step: &Value| step.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(",");
    let steps: String = steps.map(|one| format!("[{}]", step(one))).collect();
    if steps.is_empty() { steps } else { format!(" in {steps}") }
}

/// Whether the rule is for one value of a request by its name, such as `[get,'q']`. Positions, such as `[path,0]`, and headers that
/// nearly every request has are no such names.
pub fn names_a_value(entry: &RuleEntry) -> bool {
    let steps = entry.rule.get("point").and_then(Value::as_array);
    steps.into_iter().flatten().any(|step| match (step[0].as_str(), step[1].as_str()) {
        (Some(kind), Some(name)) if kind.eq_ignore_ascii_case("header") => !is_usual_header(name),
        (Some(kind), Some(_)) => !POSITIONS.iter().any(|position| kind.eq_ignore_ascii_case(position)),
        _ => false,
    })
}

fn is_usual_header(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    COMMON_HEADERS.contains(&name.as_str()) || USUAL_HEADERS.contains(&name.as_str())
}
