//! Rules as written: type and parameters, checked one by one.

use super::{ExceptionKind, FileType, NEVER, Origin, Rule, RuleKind, TYPES};
use crate::abuse_reader;
use crate::condition::{Condition, MAX_CONDITIONS, Test};
use crate::custom::CustomSignature;
use crate::doc::FieldReader;
use crate::error::PolicyError;
use crate::graphql::GraphqlLimits;
use crate::mode::Mode;
use crate::mode::RuleMode;
use crate::pattern;
use crate::profiles;
use crate::reply;
use crate::settings::OverlimitMode;
use serde_json::Value;
use std::time::Duration;
use weir_core::model::{AttackType, ParserSet, PointPattern};

/// Longest time limit of an `overlimit_res_settings` rule, in milliseconds, as documented.
const MAX_OVERLIMIT_MS: u64 = 10_000;

const OWN_MODES: &[(&str, RuleMode)] = &[
    ("monitoring", RuleMode::Monitoring),
    ("block", RuleMode::Block),
    ("blocking", RuleMode::Block),
    ("off", RuleMode::Off),
    ("default", RuleMode::Block),
];

/// Reads rule `number`. Returns `None` if it is disabled or has mistakes, which are recorded; a type that is accepted
/// without effect is added to `notices`.
pub(crate) fn read(
    mut fields: FieldReader<'_, '_>,
    number: usize,
    origin: Origin,
    notices: &mut Vec<PolicyError>,
) -> Option<Rule> {
    let before = fields.mistakes();
    let id = fields.number("id", 0..=u64::MAX).unwrap_or(number as u64 + 1);
    let expires = fields.number("expired_at", 0..=u64::MAX).unwrap_or(NEVER);
    let enabled = fields.flag("enabled", true);
    for comment in ["comment", "title"] {
        fields.text(comment);
    }
    let conditions = conditions(&mut fields);
    let kind = kind(&mut fields, id, notices);
    debug_assert!(kind.is_some() || fields.mistakes() > before, "a rule is dropped without a report");
    fields.finish();
    let (mut conditions, mut action) = conditions?;
    let kind = kind?;
    if matches!(kind, RuleKind::Abuse(_)) {
        for condition in &mut conditions {
            if let Some(folded) = condition.in_any_spelling() {
                *condition = folded;
                // Rules of other types with this condition compare as it says.
                action.push_str(" in any spelling");
            }
        }
    }
    Some(Rule { origin, id, expires, conditions, action, kind }).filter(|_| enabled)
}

/// Conditions, the cheap ones first, and their text.
fn conditions(fields: &mut FieldReader<'_, '_>) -> Option<(Vec<Condition>, String)> {
    let Some(value) = fields.get("action") else { return Some((Vec::new(), String::new())) };
    let Some(items) = value.as_array() else {
        fields.error("action", "expected a list of conditions");
        return None;
    };
    if items.len() > MAX_CONDITIONS {
        fields.error("action", format!("{} conditions; at most {MAX_CONDITIONS} are allowed", items.len()));
        return None;
    }
    let mut read = Vec::new();
    for (number, item) in items.iter().enumerate() {
        match Condition::read(item) {
            Ok(condition) => read.push((item.to_string(), condition)),
            Err((key, message)) => {
                let dot = if key.is_empty() { "" } else { "." };
                fields.error(&format!("action[{number}]{dot}{key}"), message);
            }
        }
    }
    read.sort_by(|a, b| (cost(&a.1), &a.0).cmp(&(cost(&b.1), &b.0)));
    let text = read.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join("&");
    (read.len() == items.len()).then(|| (read.into_iter().map(|(_, condition)| condition).collect(), text))
}

fn cost(condition: &Condition) -> u8 {
    u8::from(matches!(condition.test, Test::Regex(_)))
}

fn kind(fields: &mut FieldReader<'_, '_>, id: u64, notices: &mut Vec<PolicyError>) -> Option<RuleKind> {
    let Some(name) = fields.need("type", "a rule type", Value::as_str) else {
        fields.tolerate_all();
        return None;
    };
    let except =
        |what: Option<ExceptionKind>, point: Option<Option<PointPattern>>| Some(RuleKind::Exception(what?, point?));
    match name {
        "wallarm_mode" => {
            let codes = ["off", "monitoring", "safe_blocking", "block", "default"];
            let choices = codes.map(|code| (code, Mode::from_code(code)));
            fields.need("mode", "a mode", Some)?;
            fields.choice("mode", &choices).map(RuleKind::Mode)
        }
        "vpatch" => {
            let (attack, point) = (attack(fields, true), point(fields));
            Some(RuleKind::Vpatch(attack?, point?))
        }
        "regex" | "experimental_regex" => custom(fields, id, name == "experimental_regex").map(RuleKind::Custom),
        "disable_regex" | "ignore_regex" => {
            let id = fields.need("regex_id", "the id of a regex rule", Value::as_u64);
            except(id.map(ExceptionKind::Regex), point(fields))
        }
        "disable_attack_type" => except(attack(fields, true).map(ExceptionKind::Attack), point(fields)),
        "disable_stamp" => {
            let stamp = fields.need("stamp", "the name of a signature, e.g. `sqli.union-select`", Value::as_str);
            except(stamp.map(|stamp| ExceptionKind::Stamp(stamp.into())), point(fields))
        }
        "binary_data" => except(Some(ExceptionKind::Binary), point(fields)),
        "uploads" => {
            let types = [
                ("docs", FileType::Docs),
                ("html", FileType::Html),
                ("images", FileType::Images),
                ("music", FileType::Music),
                ("video", FileType::Video),
            ];
            let given = fields.need("file_type", "a file type", Value::as_str);
            let file = given.and_then(|_| fields.choice("file_type", &types));
            except(file.map(ExceptionKind::Upload), point(fields))
        }
        "profile" => {
            let given = fields.need("profile", "the name of a profile, e.g. `llm-chat`", Value::as_str);
            let profile = given.and_then(|_| fields.choice("profile", &profiles::names()));
            except(profile.map(ExceptionKind::Profile), point(fields))
        }
        "sensitive_data" => match point(fields)? {
            Some(point) => Some(RuleKind::Sensitive(point)),
            None => {
                fields.error("point", "`point` is missing: say which value is sensitive");
                None
            }
        },
        "parser_state" => parser(fields),
        "overlimit_res_settings" => overlimit(fields),
        "file_upload_size_limit" => upload(fields),
        "graphql_detection" => Some(RuleKind::Graphql(graphql(fields, id))),
        name if abuse_reader::knows(name) => {
            abuse_reader::read(fields, name, id, notices).map(|rule| RuleKind::Abuse(Box::new(rule)))
        }
        "session" => abuse_reader::session(fields).map(RuleKind::Session),
        "block_reply" => reply::read(fields, notices).map(|reply| RuleKind::Reply(Box::new(reply))),
        "set_response_header" => {
            for key in ["mode", "name", "values"] {
                fields.get(key);
            }
            notices.push(fields.notice("set_response_header is accepted, but this node does not change responses"));
            Some(RuleKind::Ignored)
        }
        other => {
            fields.error("type", format!("unknown rule type `{other}`; known are {TYPES}"));
            fields.tolerate_all();
            None
        }
    }
}

/// The point of a rule: the inner `None` if it has none, the outer `None` if it is not valid.
fn point(fields: &mut FieldReader<'_, '_>) -> Option<Option<PointPattern>> {
    let Some(value) = fields.get("point") else { return Some(None) };
    match serde_json::from_value::<PointPattern>(value.clone()) {
        Ok(pattern) if pattern.0.is_empty() => Some(None),
        Ok(pattern) => Some(Some(pattern)),
        Err(error) => {
            fields.error("point", error.to_string());
            None
        }
    }
}

/// An attack type; `any`, if allowed, gives an inner `None`.
fn attack(fields: &mut FieldReader<'_, '_>, any: bool) -> Option<Option<AttackType>> {
    let expected = if any { "an attack type such as `sqli`, or `any`" } else { "an attack type such as `sqli`" };
    fields.need("attack_type", expected, |value| match value.as_str()? {
        "any" if any => Some(None),
        code => AttackType::from_code(code).map(Some),
    })
}

fn custom(fields: &mut FieldReader<'_, '_>, id: u64, experimental: bool) -> Option<CustomSignature> {
    let attack = attack(fields, false);
    let pattern = fields.need("regex", "a pattern", Value::as_str);
    let point = point(fields);
    match pattern.map(pattern::pire) {
        Some(Err(error)) => fields.error("regex", error.to_string()),
        Some(Ok(regex)) if regex.is_match(b"") => {
            fields.error("regex", "the pattern matches the empty text, so it would match everywhere");
        }
        _ => {}
    }
    let pattern = if pattern? == "^.*$" { "^.+$" } else { pattern? };
    let points = point?.into_iter().collect();
    Some(CustomSignature { rule: id, attack: attack??, pattern: pattern.into(), points, experimental })
}

fn parser(fields: &mut FieldReader<'_, '_>) -> Option<RuleKind> {
    let parser = fields.need("parser", "the name of a parser", |value| ParserSet::from_code(value.as_str()?));
    let off = fields.choice("state", &[("enabled", false), ("disabled", true)]);
    if off.is_none() && fields.get("state").is_none() {
        fields.error("state", "`state` is missing: expected `enabled` or `disabled`");
    }
    let point = point(fields)?;
    Some(RuleKind::Parser { parser: parser?, off: off?, point })
}

fn overlimit(fields: &mut FieldReader<'_, '_>) -> Option<RuleKind> {
    let time = fields.number("overlimit_time", 1..=MAX_OVERLIMIT_MS).map(Duration::from_millis);
    let modes =
        [("off", OverlimitMode::Off), ("monitoring", OverlimitMode::Monitoring), ("blocking", OverlimitMode::Blocking)];
    let mode = fields.choice("mode", &modes).unwrap_or_default();
    Some(RuleKind::Overlimit { time, mode })
}

fn upload(fields: &mut FieldReader<'_, '_>) -> Option<RuleKind> {
    let size = fields.number("size", 1..=u64::MAX);
    if size.is_none() && fields.get("size").is_none() {
        fields.error("size", "`size` is missing: the largest upload");
    }
    let units = [("b", 0), ("kb", 10), ("mb", 20), ("gb", 30), ("tb", 40)];
    let shift: u32 = fields.choice("size_unit", &units).unwrap_or(0);
    let mode = fields.choice("mode", OWN_MODES).unwrap_or(RuleMode::Block);
    let point = point(fields)?;
    Some(RuleKind::Upload { bytes: size?.saturating_mul(1 << shift), mode, point })
}

fn graphql(fields: &mut FieldReader<'_, '_>, id: u64) -> GraphqlLimits {
    let bound = |n: Option<u64>| n.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let all = 0..=u64::from(u32::MAX);
    let mode = fields.choice("mode", OWN_MODES).unwrap_or(RuleMode::Block);
    let mut limits = GraphqlLimits { rule: id, mode, ..GraphqlLimits::default() };
    let mut set = |key: &'static str, unit: usize, at: &mut usize| {
        if let Some(n) = bound(fields.number(key, all.clone())) {
            *at = n.saturating_mul(unit);
        }
    };
    set("max_depth", 1, &mut limits.depth);
    set("max_value_size_kb", 1 << 10, &mut limits.value_bytes);
    set("max_doc_size_kb", 1 << 10, &mut limits.document_bytes);
    set("max_aliases", 1, &mut limits.aliases);
    set("max_doc_per_batch", 1, &mut limits.batch);
    limits.introspection = fields.flag("introspection", true);
    limits.debug = fields.flag("debug_enabled", true);
    limits
}
