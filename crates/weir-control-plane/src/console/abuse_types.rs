//! Rule types on behaviour over many requests, for forms.

use super::point_text;
use super::rule_types::{BEHAVIOUR, Parameter, ParameterType, RuleType, kind, parameter};
use serde_json::{Map, Value, json};

const KEY: Parameter = parameter(
    "key",
    "Counted by",
    ParameterType::Parts,
    "client, application, host, route, consumer, session, header:NAME, cookie:NAME, query:NAME, jwt:CLAIM, path:N, or a location \
     such as [post][json_doc][hash,'user']; several with commas. A consumer is known from the response: the limit acts from the \
     next request with the same credential on.",
    "client",
);
const WINDOW: Parameter = parameter("window", "Sliding window, seconds", ParameterType::Number, "", "60");
const BURST: Parameter = parameter("burst", "Tolerated above the limit", ParameterType::Number, "", "0");
const REACTION: Parameter = parameter(
    "reaction",
    "Reaction",
    ParameterType::One(&[
        ("report", "Report only"),
        ("block", "Block requests above the limit"),
        ("graylist", "Graylist the source"),
        ("denylist", "Denylist the source"),
    ]),
    "Only the source is listed, only for a time, and only for calls of connectors that authenticate themselves.",
    "report",
);
const DURATION: Parameter = parameter("duration", "Time on the list, seconds", ParameterType::Number, "", "600");
const FAILURE: Parameter = parameter(
    "failure",
    "How a failure is recognised",
    ParameterType::Failure,
    "One per line, any of them: status: 401, 403 or body: PATTERN or redirect: PATTERN (of the header Location). For body the \
     connector must send response bodies. Empty: by the status above.",
    "",
);
const DRY_RUN: Parameter = parameter("dry_run", "Dry run: only report", ParameterType::Flag, "", "");

/// Requests.
pub const RATE_LIMIT: RuleType = kind(
    BEHAVIOUR,
    ("rate_limit", "Rate limit", "sliders", "Limits the number of requests with the same key."),
    None,
    &[
        parameter("threshold", "Requests in the window", ParameterType::Number, "", "600"),
        WINDOW,
        BURST,
        KEY,
        REACTION,
        DURATION,
        DRY_RUN,
    ],
);

/// Failed attempts.
pub const BRUTE: RuleType = kind(
    BEHAVIOUR,
    (
        "brute",
        "Brute force",
        "patch",
        "Counts failed attempts, by default those that the upstream answers 401 or 403. Needs the response leg of the connector \
         on this route.",
    ),
    None,
    &[
        parameter("threshold", "Failed attempts in the window", ParameterType::Number, "", "10"),
        parameter("window", "Sliding window, seconds", ParameterType::Number, "", "300"),
        BURST,
        KEY,
        FAILURE,
        parameter(
            "distinct",
            "Count different values of",
            ParameterType::Part,
            "For credential stuffing: the account, such as [post][json_doc][hash,'user'], counted by client. Empty: attempts are \
             counted.",
            "",
        ),
        REACTION,
        DURATION,
        DRY_RUN,
    ],
);

/// Requests for what does not exist.
pub const FORCED_BROWSING: RuleType = kind(
    BEHAVIOUR,
    (
        "forced_browsing",
        "Forced browsing",
        "patch",
        "Counts requests for what does not exist, by default responses with status 404. Needs the response leg of the connector \
         on this route.",
    ),
    None,
    &[
        parameter("threshold", "Not found in the window", ParameterType::Number, "", "50"),
        WINDOW,
        BURST,
        KEY,
        FAILURE,
        REACTION,
        DURATION,
        DRY_RUN,
    ],
);

/// Different values.
pub const BOLA: RuleType = kind(
    BEHAVIOUR,
    (
        "bola",
        "Enumeration (BOLA)",
        "patch",
        "Counts the different values of a part of the request, such as ids of objects.",
    ),
    None,
    &[
        parameter(
            "distinct",
            "Part that is varied",
            ParameterType::Part,
            "For example path:2, query:id, jwt:sub or [post][json_doc][hash,'id'].",
            "path:1",
        ),
        parameter("threshold", "Different values in the window", ParameterType::Number, "", "50"),
        WINDOW,
        BURST,
        KEY,
        REACTION,
        DURATION,
        DRY_RUN,
    ],
);

/// Where the session is.
pub const SESSION: RuleType = kind(
    BEHAVIOUR,
    (
        "session",
        "Session key",
        "sliders",
        "Says where an application keeps its session. Sources with many sessions of the upstream get a limit for each.",
    ),
    None,
    &[parameter("key", "Session", ParameterType::Text, "cookie:NAME, header:NAME or jwt:CLAIM.", "cookie:session")],
);

/// Splits at commas outside of brackets and quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut out, mut start, mut depth, mut quote) = (Vec::new(), 0, 0usize, None);
    for (at, c) in text.char_indices() {
        match (c, quote) {
            (c, Some(open)) => quote = (c != open).then_some(open),
            ('\'' | '"', None) if depth > 0 => quote = Some(c),
            ('[', None) => depth += 1,
            (']', None) => depth = depth.saturating_sub(1),
            (',', None) if depth == 0 => {
                out.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    out.push(&text[start..]);
    out.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// A part as it was typed. What is no point stays text, which validation of the rule reports.
pub fn part(text: &str) -> Value {
    match text.starts_with('[') {
        true => point_text::read(text).unwrap_or_else(|_| json!(text)),
        false => json!(text),
    }
}

/// Parts as they were typed: a name as text, a point or several parts as a list.
pub fn parts(text: &str) -> Value {
    match split(text).as_slice() {
        [name] if !name.starts_with('[') => json!(name),
        all => all.iter().map(|one| part(one)).collect(),
    }
}

/// Parts of a rule as text.
pub fn parts_text(value: &Value) -> String {
    let is_step = |step: &Value| step.as_array().is_some_and(|step| step.first().is_some_and(Value::is_string));
    match value {
        Value::String(text) => text.clone(),
        Value::Array(steps) if !steps.is_empty() && steps.iter().all(is_step) => point_text::write(value),
        Value::Array(all) => all.iter().map(parts_text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Lines such as `status: 401, 403` as the failure of a rule. Lines without a colon stay text, which validation of the rule
/// reports.
pub fn failure(text: &str) -> Value {
    let mut out = Map::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once(':') else { return json!(text) };
        let (name, value) = (name.trim(), value.trim());
        let code = |code: &str| code.trim().parse::<u64>().map_or_else(|_| json!(code), |code| json!(code));
        out.insert(name.into(), if name == "status" { value.split(',').map(code).collect() } else { json!(value) });
    }
    Value::Object(out)
}

/// The failure of a rule as lines.
pub fn failure_text(value: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let Some(map) = value.as_object() else { return text(value) };
    let line = |(name, value): (&String, &Value)| match value {
        Value::Array(codes) => format!("{name}: {}", codes.iter().map(text).collect::<Vec<_>>().join(", ")),
        value => format!("{name}: {}", text(value)),
    };
    map.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_texts_points_and_lists_of_both_and_back() {
        let user = json!([["post"], ["json_doc"], ["hash", "us,er"]]);
        for (text, value) in [
            ("client", json!("client")),
            ("client, header:X-Key", json!(["client", "header:X-Key"])),
            ("[post][json_doc][hash,'us,er']", json!([user])),
            ("client, [post][json_doc][hash,'us,er']", json!(["client", user])),
        ] {
            assert_eq!(parts(text), value, "{text}");
            assert_eq!(parts_text(&value), text);
        }
        assert_eq!((part("[post][json_doc][hash,'us,er']"), part("path:1")), (user.clone(), json!("path:1")));
        assert_eq!(part(&parts_text(&user)), user);
        assert_eq!(parts("client,[post"), json!(["client", "[post"]), "a mistake stays for validation to report");
    }

    #[test]
    fn failures_are_lines_and_back() {
        let value = json!({"status": [401, 403], "body": "wrong: (user|password)", "redirect": "^/login"});
        assert_eq!(failure(&failure_text(&value)), value);
        assert_eq!(failure("status: 200, x\r\n"), json!({"status": [200, " x"]}));
        assert_eq!(failure_text(&json!({"status": 404})), "status: 404");
        assert_eq!(failure("401"), json!("401"));
    }
}
