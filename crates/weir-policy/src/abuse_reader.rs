//! Abuse rules and session keys as written in a document.

use super::abuse::{AbuseKind, AbuseRule, Failure, KeyPart, Reaction, RulePlace, max_threshold};
use super::abuse_controls::{self, Control};
use super::doc::{FieldReader, shown};
use super::error::PolicyError;
use super::pattern;
use super::reply::{ReplySettings, ReplyTemplate};
use regex::bytes::Regex;
use serde_json::{Value, json};
use siphasher::sip::SipHasher24;
use std::hash::Hasher as _;
use weir_core::model::PointPattern;

/// Most parts of a key.
const MAX_PARTS: usize = 6;
/// Largest burst and rate.
const MAX_COUNT: u64 = super::abuse::MAX_COUNT as u64;
/// Longest window, in seconds: a day.
pub(super) const MAX_WINDOW: u64 = 86_400;
/// Longest time on a list, in seconds: 30 days.
pub(super) const MAX_LISTED: u64 = 30 * 86_400;
/// Time on a list where a rule does not say, in seconds.
const LISTED: u64 = 600;
const PARTS: &str = "client, application, host, route, consumer, session, header:NAME, cookie:NAME, query:NAME, jwt:CLAIM, \
                     path:N, or a point such as [[post], [json_doc], [hash, user]]";

/// Names of rule types, those of the replaced system included.
const TYPES: &[(&str, AbuseKind)] = &[
    ("rate_limit", AbuseKind::RateLimit),
    ("brute", AbuseKind::Brute),
    ("brute_counter", AbuseKind::Brute),
    ("forced_browsing", AbuseKind::ForcedBrowsing),
    ("dirbust_counter", AbuseKind::ForcedBrowsing),
    ("bola", AbuseKind::Bola),
    ("enumeration", AbuseKind::Bola),
    ("bola_counter", AbuseKind::Bola),
    ("enum", AbuseKind::Bola),
    ("rate_limit_enum", AbuseKind::RateLimit),
];

/// Whether `name` is the type of an abuse rule.
pub(super) fn knows(name: &str) -> bool {
    TYPES.iter().any(|(known, _)| *known == name)
}

/// Reads the parameters of an abuse rule of type `name`; `None` if it has mistakes, which are recorded.
pub(super) fn read(
    fields: &mut FieldReader<'_, '_>,
    name: &str,
    id: u64,
    notices: &mut Vec<PolicyError>,
) -> Option<AbuseRule> {
    let kind = TYPES.iter().find(|(known, _)| *known == name)?.1;
    let before = fields.mistakes();
    if name.ends_with("_counter") {
        fields.text("counter");
        notices.push(fields.notice(format!("{name} counts as {}: set threshold, window and reaction", kind.code())));
    }
    let control = abuse_controls::read(fields, name, notices);
    let mut key = key(fields);
    let key_is_wrong = fields.mistakes() > before;
    if control.by_session && !key.contains(&KeyPart::Session) {
        key.push(KeyPart::Session);
    }
    let counts_values = matches!(kind, AbuseKind::Brute | AbuseKind::Bola);
    let enumerated = control.distinct.clone().filter(|_| counts_values && fields.get("distinct").is_none());
    let distinct = enumerated.or_else(|| distinct(fields, kind));
    let (threshold, window) = limit(fields, kind, distinct.is_some(), &control);
    let burst = fields.number("burst", 0..=MAX_COUNT).unwrap_or(0) as u32;
    let reaction = control.reaction.unwrap_or_else(|| reaction(fields, kind, name.ends_with("_counter")));
    let dry_run = fields.flag("dry_run", false) || control.only_reports;
    let failure = failure(fields, kind);
    let reply = reply(fields, kind);
    let unlistable =
        !key.contains(&KeyPart::Client) && matches!(reaction, Reaction::Graylist(_) | Reaction::Denylist(_));
    if unlistable && !key_is_wrong {
        fields.error("key", "only a source can be listed: add `client` to the key, or use the reaction `block`");
    }
    let threshold = threshold?;
    let regexes = [&failure.body, &failure.redirect].map(|regex| regex.as_ref().map(Regex::as_str));
    let counted = json!({
        "type": kind.code(),
        "key": &key,
        "distinct": &distinct,
        "window": window,
        "status": &failure.status,
        "body": regexes[0],
        "redirect": regexes[1],
        "action": fields.get("action"),
    });
    let mut read_as = vec![json!(kind == AbuseKind::Brute), json!(&key)];
    if key.iter().any(|part| matches!(part, KeyPart::Segment(_))) {
        // They were once compared with regard to case: such keys are not found any more.
        read_as.push(json!("folded"));
    }
    let (measure, parts) = (fingerprint(&counted), fingerprint(&json!(read_as)));
    (fields.mistakes() == before).then_some(AbuseRule {
        id,
        kind,
        key,
        distinct,
        threshold,
        burst,
        window,
        reaction,
        dry_run,
        failure,
        measure,
        parts,
        reply,
        place: RulePlace::default(),
    })
}

/// A hash of the canonical JSON of `counted` (members sorted, no spaces) that is the same in every process, of 63 bits so that
/// databases can hold it. It distinguishes revisions of one rule, so it need not resist crafted collisions.
fn fingerprint(counted: &Value) -> u64 {
    let mut sorted = counted.clone();
    sorted.sort_all_objects();
    let mut hasher = SipHasher24::new();
    hasher.write(sorted.to_string().as_bytes());
    hasher.finish() >> 1
}

fn key(fields: &mut FieldReader<'_, '_>) -> Vec<KeyPart> {
    let Some(value) = fields.get("key") else { return vec![KeyPart::Client] };
    // A form gives the parts in one text.
    let items: Vec<Value> = match value {
        Value::Array(items) => items.clone(),
        Value::String(text) => text.split(',').map(|part| part.trim().into()).collect(),
        other => vec![other.clone()],
    };
    if items.is_empty() || items.len() > MAX_PARTS {
        fields.error("key", format!("expected 1 to {MAX_PARTS} of {PARTS}"));
    }
    let mut parts = Vec::new();
    for (number, item) in items.iter().enumerate() {
        match part(item) {
            Ok(part) => parts.push(part),
            Err(message) => fields.error(&format!("key[{number}]"), message),
        }
    }
    parts
}

pub(super) fn part(value: &Value) -> Result<KeyPart, String> {
    if value.is_array() {
        let point: PointPattern = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
        return if point.0.is_empty() { Err("the point is empty".into()) } else { Ok(KeyPart::Point(point)) };
    }
    let text = value.as_str().unwrap_or_default();
    let (tag, name) = text.split_once(':').map_or((text, None), |(tag, name)| (tag, Some(name)));
    let owned = || name.filter(|name| !name.is_empty()).map(str::to_owned);
    let named = || owned().ok_or_else(|| format!("`{tag}` needs a name: `{tag}:NAME`"));
    Ok(match (tag, name) {
        ("client" | "ip", None) => KeyPart::Client,
        ("application", None) => KeyPart::Application,
        ("host", None) => KeyPart::Host,
        ("route", None) => KeyPart::Route,
        ("consumer", None) => KeyPart::Consumer,
        ("session", None) => KeyPart::Session,
        ("header", _) => KeyPart::Header(named()?.to_ascii_uppercase()),
        ("cookie", _) => KeyPart::Cookie(named()?),
        ("query", _) => KeyPart::Query(named()?),
        ("jwt", _) => KeyPart::Claim(named()?),
        ("path", Some(number)) => {
            let number = number.parse().map_err(|_| format!("`{number}` is not the number of a path segment"))?;
            KeyPart::Segment(number)
        }
        _ => return Err(format!("expected {PARTS}; got {}", shown(value))),
    })
}

fn distinct(fields: &mut FieldReader<'_, '_>, kind: AbuseKind) -> Option<KeyPart> {
    match (fields.get("distinct"), kind) {
        (None, AbuseKind::Bola) => {
            fields.error(
                "distinct",
                format!("`distinct` is missing: the value that an attacker would vary. Expected {PARTS}"),
            );
            None
        }
        (None, _) => None,
        (Some(_), AbuseKind::RateLimit | AbuseKind::ForcedBrowsing) => {
            fields.error(
                "distinct",
                format!("a rule of type {} counts requests; use `bola` to count values", kind.code()),
            );
            None
        }
        (Some(value), _) => part(value).map_err(|message| fields.error("distinct", message)).ok(),
    }
}

/// Threshold and window in seconds, also as `rate` and `time_unit`.
fn limit(fields: &mut FieldReader<'_, '_>, kind: AbuseKind, distinct: bool, control: &Control) -> (Option<u32>, u32) {
    let most = u64::from(max_threshold(distinct));
    let given = match control.threshold {
        Some(count) => Some(count.min(most)),
        None if control.window.is_some() => None,
        None => fields.number("threshold", 1..=most),
    };
    let rate = if kind == AbuseKind::RateLimit { fields.number("rate", 1..=MAX_COUNT) } else { None };
    let unit = if kind == AbuseKind::RateLimit { fields.choice("time_unit", &[("rps", 1), ("rpm", 60)]) } else { None };
    let (usual, seconds) = match kind {
        AbuseKind::RateLimit => (None, 60),
        AbuseKind::Brute => (Some(10), 300),
        AbuseKind::ForcedBrowsing | AbuseKind::Bola => (Some(50), 60),
    };
    let window = fields.number("window", 1..=MAX_WINDOW).or(control.window).or(unit).unwrap_or(seconds);
    let threshold = given.or(rate).or(usual);
    if threshold.is_none() && fields.get("threshold").is_none() && fields.get("rate").is_none() {
        fields.error("threshold", "`threshold` is missing: how many requests are allowed in `window` seconds");
    }
    (threshold.map(|n| n as u32), window as u32)
}

fn reaction(fields: &mut FieldReader<'_, '_>, kind: AbuseKind, counter: bool) -> Reaction {
    let seconds = fields.number("duration", 1..=MAX_LISTED).unwrap_or(LISTED);
    let choices = [
        ("report", Reaction::Report),
        ("block", Reaction::Block),
        ("graylist", Reaction::Graylist(seconds)),
        ("denylist", Reaction::Denylist(seconds)),
    ];
    let usual = match kind {
        _ if counter => Reaction::Report,
        AbuseKind::RateLimit | AbuseKind::Brute => Reaction::Block,
        AbuseKind::ForcedBrowsing | AbuseKind::Bola => Reaction::Report,
    };
    fields.choice("reaction", &choices).unwrap_or(usual)
}

fn failure(fields: &mut FieldReader<'_, '_>, kind: AbuseKind) -> Failure {
    let usual: &[u16] = match kind {
        AbuseKind::Brute => &[401, 403],
        AbuseKind::ForcedBrowsing => &[404],
        AbuseKind::RateLimit | AbuseKind::Bola => return Failure::default(),
    };
    let mut failure = Failure::default();
    let Some(given) = fields.get("failure") else { return Failure { status: usual.into(), ..failure } };
    let Some(map) = given.as_object().filter(|map| !map.is_empty()) else {
        fields.error(
            "failure",
            "expected `status`, `body` or `redirect`: how the response to a failed attempt is recognised",
        );
        return failure;
    };
    for (name, value) in map {
        let at = format!("failure.{name}");
        let mut regex = |into: &mut Option<Regex>| match value.as_str().map(pattern::pire) {
            Some(Ok(regex)) => *into = Some(regex),
            Some(Err(error)) => fields.error(&at, error.to_string()),
            None => fields.error(&at, "expected a pattern"),
        };
        match name.as_str() {
            "body" => regex(&mut failure.body),
            "redirect" => regex(&mut failure.redirect),
            "status" => {
                let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                let code =
                    |item: &Value| item.as_u64().filter(|code| (100..600).contains(code)).map(|code| code as u16);
                match items.iter().map(code).collect::<Option<Vec<_>>>() {
                    Some(codes) => failure.status = codes,
                    None => fields.error(&at, "expected status codes from 100 to 599"),
                }
            }
            _ => fields.error(&at, "unknown key; expected `status`, `body` or `redirect`"),
        }
    }
    failure
}

fn reply(fields: &mut FieldReader<'_, '_>, kind: AbuseKind) -> Option<ReplyTemplate> {
    let usual = if kind == AbuseKind::RateLimit { 429 } else { 403 };
    let status = if kind == AbuseKind::RateLimit { fields.number("rsp_status", 200..=599) } else { None };
    let mut settings = ReplySettings { status: status.map_or(usual, |code| code as u16), ..ReplySettings::default() };
    let Some(given) = fields.get("reply") else {
        let own = kind == AbuseKind::RateLimit;
        return own.then(|| ReplyTemplate::compile(&settings, "reply", &mut Vec::new()));
    };
    let Some(map) = given.as_object() else {
        fields.error("reply", "expected `status`, `body` and `headers`");
        return None;
    };
    for (name, value) in map {
        let bad = match (name.as_str(), value) {
            ("status", value) if value.as_u64().is_some_and(|code| code < 1000) => {
                settings.status = value.as_u64().unwrap_or_default() as u16;
                None
            }
            ("body", Value::String(text)) => {
                settings.json.clone_from(text);
                None
            }
            ("headers", Value::Object(headers)) => {
                let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                settings.headers = headers.iter().map(|(name, value)| (name.clone(), text(value))).collect();
                None
            }
            _ => Some("expected `status` (a number), `body` (text) or `headers` (names and values)"),
        };
        if let Some(message) = bad {
            fields.error(&format!("reply.{name}"), message);
        }
    }
    let mut errors = Vec::new();
    let template = ReplyTemplate::compile(&settings, "reply", &mut errors);
    errors.into_iter().for_each(|error| fields.error(&error.at, error.message));
    Some(template)
}

/// Reads where an application keeps its session.
pub(super) fn session(fields: &mut FieldReader<'_, '_>) -> Option<KeyPart> {
    const WANT: &str = "where the session is: cookie:NAME, header:NAME or jwt:CLAIM";
    let given = fields.need("key", WANT, |value| part(value).ok())?;
    if matches!(given, KeyPart::Cookie(_) | KeyPart::Header(_) | KeyPart::Claim(_)) {
        return Some(given);
    }
    fields.error("key", format!("expected {WANT}"));
    None
}

#[cfg(test)]
mod tests {
    use crate::{Policy, PolicyDoc, Settings};

    const FIRST: u64 = 5_782_244_336_629_321_086;

    #[test]
    fn mistakes_have_a_place_and_a_fix() {
        for (rule, at, message) in [
            ("type: rate_limit", "threshold", "is missing: how many requests"),
            ("type: rate_limit, threshold: 0", "threshold", "a number from 1 to 1000000"),
            ("type: rate_limit, threshold: 9, distinct: 'path:1'", "distinct", "use `bola`"),
            ("type: bola", "distinct", "the value that an attacker would vary"),
            ("type: bola, distinct: 'path:x'", "distinct", "not the number of a path segment"),
            ("type: bola, distinct: 'path:1', threshold: 5000", "threshold", "from 1 to 4000"),
            ("type: brute, key: []", "key", "expected 1 to 6 of client"),
            ("type: brute, key: [client, 'cookie:']", "key[1]", "`cookie` needs a name"),
            ("type: brute, key: [account]", "key[0]", "expected client, application"),
            ("type: brute, key: 'cookie:a', reaction: graylist", "key", "only a source can be listed"),
            ("type: brute, failure: {status: 700}", "failure.status", "from 100 to 599"),
            ("type: brute, failure: {code: 401}", "failure.code", "unknown key"),
            ("type: brute, reply: {status: 999}", "reply.status", "is not a status"),
            ("type: brute, treshold: 3", "treshold", "did you mean `threshold`?"),
            ("type: brute, host: a.example", "host", "unknown key; known are `action`, `burst`, "),
            ("type: session, key: client", "key", "cookie:NAME, header:NAME or jwt:CLAIM"),
        ] {
            let doc = PolicyDoc::parse("p.yaml", &format!("rules:\n- {{{rule}}}\n")).unwrap();
            let errors = Policy::compile(&Settings::default(), Some(&doc)).unwrap_err();
            let [error] = &errors[..] else { panic!("{rule}: {errors:?}") };
            assert_eq!((error.at.as_str(), error.line), (format!("rules[0].{at}").as_str(), 2), "{rule}");
            assert!(error.message.contains(message), "{rule}: {error}");
        }
    }

    #[test]
    fn what_a_rule_counts_has_the_same_fingerprint_in_every_build() {
        let measure = |rule: &str| {
            let doc = PolicyDoc::parse("p.yaml", &format!("rules: [{{id: 1, {rule}}}]")).unwrap();
            Policy::compile(&Settings::default(), Some(&doc)).unwrap().abuse().rule(1).unwrap().measure
        };
        // Histories at control planes are kept under these numbers.
        assert_eq!(measure("type: rate_limit, threshold: 9"), FIRST);
        assert_ne!(measure("type: rate_limit, threshold: 9, window: 61"), FIRST);
        let login = "type: brute, key: [client, 'header:x-user', [[post], [json_doc], [hash, user]]], \
                     failure: {status: 401, body: 'no such'}, action: [{type: equal, point: [action_name], value: a}]";
        let again = "type: brute, action: [{value: a, point: [action_name], type: equal}], threshold: 5, \
                     failure: {body: 'no such', status: [401]}, key: ['ip', 'header:X-USER', [[post], [json_doc], [hash, user]]]";
        assert_eq!(measure(again), measure(login), "the order of members, other names, and limits are no part of it");
    }

    #[test]
    fn names_of_the_replaced_system_are_read() {
        let text = "rules: [{id: 1, type: rate_limit, rate: 5, time_unit: rpm, burst: 2, rsp_status: 503},\
                    {id: 2, type: brute_counter, counter: 'b:1'}, {id: 3, type: dirbust_counter}]";
        let doc = PolicyDoc::parse("p.yaml", text).unwrap();
        let policy = Policy::compile(&Settings::default(), Some(&doc)).unwrap();
        let rule = policy.abuse().rule(1).unwrap();
        assert_eq!((rule.threshold, rule.burst, rule.window, rule.limit()), (5, 2, 60, 7));
        assert!(policy.abuse().rule(2).is_some_and(|rule| !rule.is_enforced()));
        assert_eq!(policy.notices().len(), 2);
    }
}
