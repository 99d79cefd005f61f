//! What weakens protection, or blocks everywhere, is not published by accident: such a change is refused until the request
//! carries the confirmation of exactly this difference, which the refusal names.

mod addresses;
mod behaviour;
mod modes;
mod scope;

pub use modes::{hosts, mode_in_force, words as mode_words};
pub use scope::{Reach, concerns};

use super::diff::{self, Difference};
use super::state::{PolicyState, RuleEntry};
use crate::auth::secret;
use crate::confirm::{Confirm, Danger, Unconfirmed};
use crate::error::{Error, Result};
use serde_json::{Value, json};
use std::collections::HashSet;
use weir_core::model::{AnomalyKind, AttackType};
use weir_policy::AnomalyAction;
use weir_policy::anomalies::AnomalyTable;

/// What is typed to confirm a change that no host bounds.
pub const EVERYWHERE: &str = "everywhere";
/// The application of requests of none: where no applications are configured, that of every request.
const NO_APPLICATION: i64 = -1;
/// Bytes up to which a largest body or upload is none: ordinary forms are larger.
const SMALL_BODY: u64 = 1_024;
/// Milliseconds of inspection, at most, that many an ordinary request takes.
const SHORT_INSPECTION: u64 = 100;
/// Changes told; more would not be read.
const MAX_TOLD: usize = 100;

/// Refuses a difference that needs confirmation for `changes`, and does not have it.
pub fn confirmed(
    before: &PolicyState,
    after: &PolicyState,
    changes: Vec<Danger>,
    given: Option<&Confirm>,
) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let (confirm, word) = (hash(before, after), word(&changes));
    let given = given.filter(|given| !given.hash.is_empty());
    let fits = |given: &Confirm| {
        let typed = given.word.as_ref().is_none_or(|typed| typed.trim().eq_ignore_ascii_case(&word));
        secret::same(&given.hash, &confirm) && typed
    };
    if given.is_some_and(fits) {
        return Ok(());
    }
    let stale = given.is_some();
    Err(Error::Unconfirmed(Box::new(Unconfirmed { changes, confirm, word, effect: None, stale })))
}

/// The one host that all changes are about, or `everywhere`.
fn word(changes: &[Danger]) -> String {
    let words: HashSet<&str> = changes.iter().map(|change| change.word.as_str()).collect();
    match changes {
        [first, ..] if words.len() == 1 => first.word.clone(),
        _ => EVERYWHERE.to_owned(),
    }
}

/// SHA-256 of the difference, without times and authors.
fn hash(before: &PolicyState, after: &PolicyState) -> String {
    let mut all = Vec::new();
    diff::each(before, after, |mut one: Difference| {
        for side in [&mut one.before, &mut one.after] {
            if let Value::Object(map) = side {
                ["created_by", "created_at", "updated_at"].into_iter().for_each(|key| drop(map.remove(key)));
            }
        }
        all.push(json!([one.object, one.before, one.after]));
    });
    secret::hash(&Value::Array(all).to_string())
}

/// Every change from `before` to `after` that weakens protection without a scope, or blocks everywhere.
pub fn dangers(before: &PolicyState, after: &PolicyState, now: u64) -> Vec<Danger> {
    let mut all = modes::lowered(before, after, now);
    let old: HashSet<(u64, String)> = before.rules.iter().filter(|rule| is_live(rule, now)).map(fingerprint).collect();
    let new = after.rules.iter().filter(|rule| is_live(rule, now) && !old.contains(&fingerprint(rule)));
    all.extend(new.filter_map(rule));
    all.extend(anomalies(before, after));
    all.extend(addresses::grown(before, after, now));
    all.truncate(MAX_TOLD);
    all
}

/// The rules in force that weaken protection, each with what it does in words.
pub fn weakening(state: &PolicyState, now: u64) -> Vec<(&RuleEntry, String)> {
    let weaker = |entry: &RuleEntry| {
        let lowers = entry.kind() == "wallarm_mode"
            && entry.rule.get("mode").and_then(Value::as_str).is_some_and(|mode| !["block", "default"].contains(&mode));
        lowers || exception(entry).is_some()
    };
    let live = state.rules.iter().filter(|entry| is_live(entry, now) && weaker(entry));
    live.map(|entry| (entry, about(entry))).collect()
}

fn fingerprint(entry: &RuleEntry) -> (u64, String) {
    (entry.id, json!([entry.rule, entry.groups]).to_string())
}

/// Whether a rule is switched on and not over.
fn is_live(entry: &RuleEntry, now: u64) -> bool {
    entry.is_enabled() && entry.rule.get("expired_at").and_then(Value::as_u64).is_none_or(|end| end > now)
}

fn text<'r>(entry: &'r RuleEntry, key: &str) -> &'r str {
    entry.rule.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn attack_words(entry: &RuleEntry) -> String {
    match text(entry, "attack_type") {
        "" | "any" => "any attack".into(),
        code => AttackType::from_code(code).map_or_else(|| code.to_owned(), |attack| attack.name().to_owned()),
    }
}

/// What an exception leaves out; none for rules of other types.
fn exception(entry: &RuleEntry) -> Option<String> {
    Some(match entry.kind() {
        "disable_attack_type" => attack_words(entry),
        "disable_stamp" => format!("signature {}", text(entry, "stamp")),
        "disable_regex" | "ignore_regex" => {
            format!("custom rule {}", entry.rule.get("regex_id").cloned().unwrap_or_default())
        }
        "binary_data" => "what only weakly matches in binary data".into(),
        "uploads" => format!("what files of type {} contain", text(entry, "file_type")),
        "profile" => format!("what profile {} takes for normal", text(entry, "profile")),
        "parser_state" if text(entry, "state") == "disabled" => {
            format!("what parser {} decodes", text(entry, "parser"))
        }
        _ => return None,
    })
}

/// A rule of the kinds that ignore, by what it ignores; others by type.
fn about(entry: &RuleEntry) -> String {
    match exception(entry) {
        Some(what) => format!("{what} is ignored"),
        None if entry.kind() == "wallarm_mode" => {
            format!("filtration mode {}", modes::words(Some(text(entry, "mode"))))
        }
        None => entry.kind().to_owned(),
    }
}

/// What a new or changed rule does that needs confirmation.
fn rule(entry: &RuleEntry) -> Option<Danger> {
    let (reach, at_point) = (Reach::of(entry), scope::names_a_value(entry));
    if reach == Reach::Narrow {
        return None;
    }
    let place = scope::place(entry);
    let whole = |word: String, says: String, weakens| {
        Some(Danger { says: format!("{says}{place} {}", reach.words()), weakens, word })
    };
    if let Some(what) = exception(entry) {
        let for_all = ["disable_attack_type", "parser_state", "profile"].contains(&entry.kind());
        let broad = reach == Reach::Everywhere || for_all;
        return if broad && !at_point { whole(reach.word(), format!("{what} is ignored"), true) } else { None };
    }
    match entry.kind() {
        "vpatch" if reach == Reach::Everywhere && !at_point => {
            whole(reach.word(), format!("{} is blocked in every mode except off", attack_words(entry)), false)
        }
        "regex" if scope::is_any(text(entry, "regex")) && !at_point => {
            whole(reach.word(), "every value is taken for an attack".into(), false)
        }
        "regex" if !entry.rule.contains_key("point") && scope::is_ordinary(text(entry, "regex")) => {
            whole(reach.word(), "what ordinary clients send is taken for an attack".into(), false)
        }
        "overlimit_res_settings" if text(entry, "mode") == "off" => {
            whole(reach.word(), "what was not inspected is let through".into(), true)
        }
        "overlimit_res_settings" if text(entry, "mode") != "blocking" && time_limit(entry) < SHORT_INSPECTION => {
            let says = format!("what is not inspected within {} ms is let through", time_limit(entry));
            whole(reach.word(), says, true)
        }
        _ if reach == Reach::Everywhere && !at_point => limit(entry).and_then(|says| whole(reach.word(), says, false)),
        _ => None,
    }
}

/// Anomalies that were attacks and are none any more.
fn anomalies(before: &PolicyState, after: &PolicyState) -> Vec<Danger> {
    let table = |state: &PolicyState, group: Option<&str>| {
        let mut table = AnomalyTable::default();
        let own = group.and_then(|group| state.groups.get(group));
        for (code, action) in [Some(&state.base), own].into_iter().flatten().flat_map(|scope| &scope.anomalies) {
            let kind = AnomalyKind::ALL.iter().find(|kind| kind.code() == code);
            if let (Some(&kind), Some(action)) = (kind, AnomalyAction::from_code(action)) {
                table.set(kind, action);
            }
        }
        table
    };
    let mut out: Vec<Danger> = Vec::new();
    let groups = std::iter::once(None).chain(before.groups.keys().chain(after.groups.keys()).map(|g| Some(g.as_str())));
    for group in groups {
        let (old, new) = (table(before, group), table(after, group));
        for kind in AnomalyKind::ALL {
            let says = format!("protocol anomaly {} is not blocked any more", kind.code());
            let lowered = old.get(*kind) == AnomalyAction::Block && new.get(*kind) != AnomalyAction::Block;
            if lowered && !out.iter().any(|known| known.says == says) {
                out.push(Danger { says, weakens: true, word: EVERYWHERE.into() });
            }
        }
    }
    out
}

/// How long a rule lets requests be inspected, in milliseconds.
fn time_limit(entry: &RuleEntry) -> u64 {
    entry.rule.get("overlimit_time").and_then(Value::as_u64).unwrap_or(u64::MAX)
}

/// A limit that ordinary requests exceed, in words.
fn limit(entry: &RuleEntry) -> Option<String> {
    let number = |key: &str| entry.rule.get(key).and_then(Value::as_u64);
    let blocks = |codes: &[&str]| codes.contains(&text(entry, "mode"));
    match entry.kind() {
        "graphql_detection" if !blocks(&["off", "monitoring"]) => {
            let limits = ["max_depth", "max_value_size_kb", "max_doc_size_kb", "max_doc_per_batch"];
            let zero = limits.into_iter().find(|key| number(key) == Some(0))?;
            Some(format!("every GraphQL request is blocked ({zero}: 0)"))
        }
        "file_upload_size_limit" if !blocks(&["off", "monitoring"]) => {
            let unit = ["b", "kb", "mb", "gb", "tb"].iter().position(|unit| *unit == text(entry, "size_unit"))?;
            let bytes = number("size")?.saturating_mul(1 << (10 * unit));
            (bytes < SMALL_BODY).then(|| {
                format!("every body of more than {bytes} {} is blocked", if bytes == 1 { "byte" } else { "bytes" })
            })
        }
        _ => behaviour::limit(entry),
    }
}

#[cfg(test)]
mod tests;
