//! Which requests a rule is for, as far as it bounds the damage of a wrong one.

use super::super::state::RuleEntry;
use super::EVERYWHERE;
use serde_json::Value;
use weir_policy::pattern;

/// Values that have little in common. A pattern that matches most of them matches anything.
const PROBES: &[&str] = &["a", "Zq-7", "/x/y", "0", "shop.example", "%~"];
/// Probes that a pattern may match by chance.
const BY_CHANCE: usize = 3;
/// Parts of a request that nearly every request has alike: a condition on them alone bounds nothing.
const COMMON: &[&str] = &["method", "scheme", "proto"];

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
    let (point, value) = (&condition["point"], condition["value"].as_str().unwrap_or_default());
    let part = point[0].as_str().unwrap_or_default();
    match condition["type"].as_str() {
        // Nearly every request lacks something. Without a first segment of the path it is the root alone.
        Some("absent") if part == "path" && point[1].as_u64() == Some(0) => Bound::Part,
        Some("absent") => Bound::Nothing,
        Some("regex") if is_any(value) => Bound::Nothing,
        _ if COMMON.contains(&part) => Bound::Nothing,
        _ if part == "instance" => Bound::Host(format!("app:{}", text(&condition["value"]))),
        _ if part == "header" && point[1].as_str().is_some_and(|name| name.eq_ignore_ascii_case("host")) => {
            Bound::Host(value.to_lowercase())
        }
        _ => Bound::Part,
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether a rule can act on requests to `host`, or of `application`, as far as its conditions name these.
pub fn concerns(entry: &RuleEntry, host: Option<&str>, application: Option<i64>) -> bool {
    let conditions = entry.rule.get("action").and_then(Value::as_array);
    conditions.into_iter().flatten().all(|condition| {
        let (kind, value) = (condition["type"].as_str().unwrap_or_default(), text(&condition["value"]));
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

/// Whether the rule is for one value of a request by its name, such as `[get,'q']`.
pub fn names_a_value(entry: &RuleEntry) -> bool {
    let steps = entry.rule.get("point").and_then(Value::as_array);
    steps.into_iter().flatten().any(|step| step.as_array().is_some_and(|step| step.len() > 1))
}
