//! Rules as written: type and parameters, checked one by one.

use super::condition::{Condition, MAX_CONDITIONS, Test};
use super::custom::{CUSTOM_PREFIX, CustomSignature};
use super::doc::Fields;
use super::error::PolicyError;
use super::graphql::GraphqlLimits;
use super::mode::Mode;
use super::pattern;
use super::settings::OverlimitMode;
use crate::model::{AttackType, ParserSet, PointPattern};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A time that never comes.
pub(super) const NEVER: u64 = u64::MAX;
/// Longest time limit of an `overlimit_res_settings` rule, in milliseconds, as documented.
const MAX_OVERLIMIT_MS: u64 = 10_000;

/// Which document a rule stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The node's own.
    Local,
    /// The control plane's.
    Remote,
}

/// One rule, checked.
#[derive(Debug)]
pub(super) struct Rule {
    pub origin: Origin,
    pub id: u64,
    /// Seconds since 1970 from which it is over.
    pub expires: u64,
    pub conditions: Vec<Condition>,
    /// The conditions as text, the same for rules with the same ones.
    pub action: String,
    pub kind: Kind,
}

/// What a rule does.
#[derive(Debug)]
pub(super) enum Kind {
    /// Sets the mode; none falls back to the node's own.
    Mode(Option<Mode>),
    /// Blocks attacks of a type (none: any) at a point, also in monitoring.
    Vpatch(Option<AttackType>, Option<PointPattern>),
    /// A signature of the user's.
    Custom(CustomSignature),
    /// What is not to be reported, and where.
    Except(Except, Option<PointPattern>),
    /// A point whose value is masked before anything is stored.
    Sensitive(PointPattern),
    /// Switches a parser.
    Parser { parser: ParserSet, off: bool, point: Option<PointPattern> },
    /// Time for an inspection and what follows when it is over.
    Overlimit { time: Option<Duration>, mode: OverlimitMode },
    /// Largest upload.
    Upload { bytes: u64, mode: OwnMode, point: Option<PointPattern> },
    /// Bounds of GraphQL requests.
    Graphql(GraphqlLimits),
    /// Accepted, without effect.
    Ignored,
}

/// What an exception leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Except {
    /// A custom signature.
    Regex(u64),
    /// An attack type; none for any.
    Attack(Option<AttackType>),
    /// A signature or detector by name.
    Stamp(Arc<str>),
    /// Octets that are no text, and what matches them by accident.
    Binary,
    /// What files of a type may hold.
    Upload(FileType),
}

/// File types that an upload may be allowed to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileType {
    Docs,
    Html,
    Images,
    Music,
    Video,
}

/// The mode of a rule that brings its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnMode {
    Off,
    Monitoring,
    Block,
}

const OWN_MODES: &[(&str, OwnMode)] = &[
    ("monitoring", OwnMode::Monitoring),
    ("block", OwnMode::Block),
    ("blocking", OwnMode::Block),
    ("off", OwnMode::Off),
    ("default", OwnMode::Block),
];

/// Rule types that are read.
pub(super) const TYPES: &str = "wallarm_mode, vpatch, regex, experimental_regex, disable_regex, ignore_regex, disable_attack_type, \
                     disable_stamp, binary_data, uploads, sensitive_data, parser_state, overlimit_res_settings, \
                     file_upload_size_limit, graphql_detection, set_response_header";

/// Reads rule `number`. None where it is switched off or has mistakes that are noted; a type that this node
/// only accepts is told in `notices`.
pub(super) fn read(
    mut fields: Fields<'_, '_>,
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
    debug_assert!(kind.is_some() || fields.mistakes() > before, "a rule is dropped in silence");
    fields.finish();
    let (conditions, action) = conditions?;
    Some(Rule { origin, id, expires, conditions, action, kind: kind? }).filter(|_| enabled)
}

impl Rule {
    /// Gives new ids to what bears or means one of the ids in `moved`.
    pub fn renumber(&mut self, moved: &HashMap<u64, u64>) {
        let renumber = |id: &mut u64| *id = moved.get(id).copied().unwrap_or(*id);
        renumber(&mut self.id);
        match &mut self.kind {
            Kind::Custom(signature) => renumber(&mut signature.rule),
            Kind::Graphql(limits) => renumber(&mut limits.rule),
            Kind::Except(Except::Regex(id), _) => renumber(id),
            Kind::Except(Except::Stamp(stamp), _) => {
                let new = CustomSignature::rule_of(stamp).and_then(|id| moved.get(&id));
                *stamp = new.map_or_else(|| stamp.clone(), |id| format!("{CUSTOM_PREFIX}{id}").into());
            }
            _ => {}
        }
    }
}

/// Conditions, the cheap ones first, and their text.
fn conditions(fields: &mut Fields<'_, '_>) -> Option<(Vec<Condition>, String)> {
    let Some(value) = fields.get("action") else { return Some((Vec::new(), String::new())) };
    let Some(items) = value.as_array() else {
        fields.error("action", "a list of conditions is wanted");
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

fn kind(fields: &mut Fields<'_, '_>, id: u64, notices: &mut Vec<PolicyError>) -> Option<Kind> {
    let Some(name) = fields.need("type", "a rule type", Value::as_str) else {
        fields.tolerate_all();
        return None;
    };
    let except = |what: Option<Except>, point: Option<Option<PointPattern>>| Some(Kind::Except(what?, point?));
    match name {
        "wallarm_mode" => {
            let codes = ["off", "monitoring", "safe_blocking", "block", "default"];
            let choices = codes.map(|code| (code, Mode::from_code(code)));
            fields.need("mode", "a mode", Some)?;
            fields.choice("mode", &choices).map(Kind::Mode)
        }
        "vpatch" => {
            let (attack, point) = (attack(fields, true), point(fields));
            Some(Kind::Vpatch(attack?, point?))
        }
        "regex" | "experimental_regex" => custom(fields, id, name == "experimental_regex").map(Kind::Custom),
        "disable_regex" | "ignore_regex" => {
            let id = fields.need("regex_id", "the id of a regex rule", Value::as_u64);
            except(id.map(Except::Regex), point(fields))
        }
        "disable_attack_type" => except(attack(fields, true).map(Except::Attack), point(fields)),
        "disable_stamp" => {
            let stamp = fields.need("stamp", "the name of a signature, e.g. `sqli.union-select`", Value::as_str);
            except(stamp.map(|stamp| Except::Stamp(stamp.into())), point(fields))
        }
        "binary_data" => except(Some(Except::Binary), point(fields)),
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
            except(file.map(Except::Upload), point(fields))
        }
        "sensitive_data" => match point(fields)? {
            Some(point) => Some(Kind::Sensitive(point)),
            None => {
                fields.error("point", "`point` is missing: say which value is sensitive");
                None
            }
        },
        "parser_state" => parser(fields),
        "overlimit_res_settings" => overlimit(fields),
        "file_upload_size_limit" => upload(fields),
        "graphql_detection" => Some(Kind::Graphql(graphql(fields, id))),
        "set_response_header" => {
            for key in ["mode", "name", "values"] {
                fields.get(key);
            }
            notices.push(fields.notice("set_response_header is accepted, but this node does not change responses"));
            Some(Kind::Ignored)
        }
        other => {
            fields.error("type", format!("unknown rule type `{other}`; known are {TYPES}"));
            fields.tolerate_all();
            None
        }
    }
}

/// The point of a rule: none where it has none, an error (outer none) where it is wrong.
fn point(fields: &mut Fields<'_, '_>) -> Option<Option<PointPattern>> {
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

/// An attack type; `any` gives an inner none where it is allowed.
fn attack(fields: &mut Fields<'_, '_>, any: bool) -> Option<Option<AttackType>> {
    let wanted = if any { "an attack type such as `sqli`, or `any`" } else { "an attack type such as `sqli`" };
    fields.need("attack_type", wanted, |value| match value.as_str()? {
        "any" if any => Some(None),
        code => AttackType::from_code(code).map(Some),
    })
}

fn custom(fields: &mut Fields<'_, '_>, id: u64, experimental: bool) -> Option<CustomSignature> {
    let attack = attack(fields, false);
    let pattern = fields.need("regex", "a pattern", Value::as_str);
    let point = point(fields);
    match pattern.map(pattern::pire) {
        Some(Err(message)) => fields.error("regex", message),
        Some(Ok(regex)) if regex.is_match(b"") => {
            fields.error("regex", "the pattern matches the empty text, so it would match everywhere");
        }
        _ => {}
    }
    let pattern = if pattern? == "^.*$" { "^.+$" } else { pattern? };
    let points = point?.into_iter().collect();
    Some(CustomSignature { rule: id, attack: attack??, pattern: pattern.into(), points, experimental })
}

fn parser(fields: &mut Fields<'_, '_>) -> Option<Kind> {
    let parser = fields.need("parser", "the name of a parser", |value| ParserSet::from_code(value.as_str()?));
    let off = fields.choice("state", &[("enabled", false), ("disabled", true)]);
    if off.is_none() && fields.get("state").is_none() {
        fields.error("state", "`state` is missing: `enabled` or `disabled` is wanted");
    }
    let point = point(fields)?;
    Some(Kind::Parser { parser: parser?, off: off?, point })
}

fn overlimit(fields: &mut Fields<'_, '_>) -> Option<Kind> {
    let time = fields.number("overlimit_time", 1..=MAX_OVERLIMIT_MS).map(Duration::from_millis);
    let modes =
        [("off", OverlimitMode::Off), ("monitoring", OverlimitMode::Monitoring), ("blocking", OverlimitMode::Blocking)];
    let mode = fields.choice("mode", &modes).unwrap_or_default();
    Some(Kind::Overlimit { time, mode })
}

fn upload(fields: &mut Fields<'_, '_>) -> Option<Kind> {
    let size = fields.number("size", 1..=u64::MAX);
    if size.is_none() && fields.get("size").is_none() {
        fields.error("size", "`size` is missing: the largest upload");
    }
    let units = [("b", 0), ("kb", 10), ("mb", 20), ("gb", 30), ("tb", 40)];
    let shift: u32 = fields.choice("size_unit", &units).unwrap_or(0);
    let mode = fields.choice("mode", OWN_MODES).unwrap_or(OwnMode::Block);
    let point = point(fields)?;
    Some(Kind::Upload { bytes: size?.saturating_mul(1 << shift), mode, point })
}

fn graphql(fields: &mut Fields<'_, '_>, id: u64) -> GraphqlLimits {
    let bound = |n: Option<u64>| n.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let all = 0..=u64::from(u32::MAX);
    let mode = fields.choice("mode", OWN_MODES).unwrap_or(OwnMode::Block);
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
