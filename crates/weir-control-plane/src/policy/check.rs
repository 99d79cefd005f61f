//! A state is published only if every node can compile it: the code of the node itself says so, for every group.

use super::document::{Assembled, Understands, assemble};
use super::state::{
    DEFAULT_GROUP, IpEntry, MAX_APPLICATIONS, MAX_GROUPS, MAX_IP_ENTRIES, MAX_RULE_BYTES, MAX_RULES, MAX_TEXT,
    PolicyState, RuleEntry,
};
use crate::error::{Error, Mistake, Result};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::LazyLock;
use weir_core::detect;
use weir_core::model::{AnomalyKind, AttackType};
use weir_core::ruleset::{builtin, similar_name};
use weir_policy::finding_name::{self, FindingKind};
use weir_policy::{Policy, PolicyDoc, PolicyError, Settings};
use weir_protocol::node_api::MAX_POLICY_BYTES;

/// Mistakes told at once; more would not be read.
const MAX_MISTAKES: usize = 100;
/// Room in a document for serial, signature and the like.
const ENVELOPE: usize = 64 << 10;

/// The policy of `group`, as a node with default settings compiles it.
pub fn compile(state: &PolicyState, group: &str) -> Result<Policy, Vec<Mistake>> {
    compile_with(state, group, &Settings::default())
}

/// The policy of `group`, as a node with `settings` compiles it.
pub fn compile_with(state: &PolicyState, group: &str, settings: &Settings) -> Result<Policy, Vec<Mistake>> {
    let assembled = assemble(state, group, &Understands::all(), 0);
    let text = assembled.policy.to_string();
    if text.len() + ENVELOPE > MAX_POLICY_BYTES {
        let message = format!("the document would take {} bytes; {MAX_POLICY_BYTES} are possible", text.len());
        return Err(vec![Mistake::new("", message)]);
    }
    let policy = PolicyDoc::parse("policy", &text).and_then(|doc| Policy::compile(settings, Some(&doc)));
    let policy = policy.map_err(|errors| mistakes(&errors, &assembled))?;
    let wrong: Vec<Mistake> = policy
        .custom_signatures()
        .into_iter()
        .filter_map(|own| Some(Mistake::new(format!("rules/{}/regex", own.rule), own.compile().err()?.to_string())))
        .collect();
    if wrong.is_empty() { Ok(policy) } else { Err(wrong) }
}

/// Checks `state` for every group; answers what was accepted but has no effect.
pub fn check(state: &PolicyState) -> Result<Vec<Mistake>> {
    let mut wrong = bounds(state);
    if !wrong.is_empty() {
        return Err(Error::Invalid(wrong));
    }
    let mut notices: Vec<Mistake> = Vec::new();
    let groups = std::iter::once(DEFAULT_GROUP).chain(state.own_groups().into_iter().filter(|g| *g != DEFAULT_GROUP));
    for group in groups {
        match compile(state, group) {
            Ok(policy) => {
                let assembled = assemble(state, group, &Understands::all(), 0);
                notices.extend(mistakes(policy.notices(), &assembled));
            }
            Err(more) => wrong.extend(more),
        }
    }
    let without = state.ip_lists.iter().filter_map(|entry| Some((entry, inert(state, entry)?)));
    notices.extend(
        without.take(MAX_MISTAKES).map(|(entry, why)| Mistake::new(format!("ip_lists/{}/value", entry.id), why)),
    );
    notices.extend(state.rules.iter().filter_map(|rule| without_effect(state, rule)).take(MAX_MISTAKES));
    // A rule for all groups is wrong in each of them.
    dedup(&mut wrong);
    dedup(&mut notices);
    if wrong.is_empty() { Ok(notices) } else { Err(Error::Invalid(wrong)) }
}

/// Why an exception for it does nothing.
const DENYLISTED: &str = "no effect: exceptions do not let a denylisted source pass; remove the entry of the denylist, or put the \
                          source on the allowlist";

/// Names of the signatures and detectors that come with this version, of anomalies and of limits.
static KNOWN_NAMES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let signatures = builtin::ids().iter().cloned();
    let detectors = detect::TABLE.iter().map(|detector| detector.name.to_owned());
    let anomalies = AnomalyKind::ALL.iter().map(|kind| finding_name::anomaly(kind.code()));
    let limits = AttackType::ALL.iter().map(|attack| finding_name::limit(*attack));
    signatures.chain(detectors).chain(anomalies).chain(limits).collect()
});

/// What to say of an exception that cannot act: what it names is nothing that a node reports, or nothing that an exception lets
/// pass. A rule pack may have signatures that are not known here.
fn without_effect(state: &PolicyState, entry: &RuleEntry) -> Option<Mistake> {
    let text = |key: &str| entry.rule.get(key).and_then(Value::as_str).unwrap_or_default();
    let (field, says) = match entry.kind() {
        "disable_stamp" => ("stamp", unknown_stamp(state, text("stamp"))?),
        "disable_attack_type" if text("attack_type") == AttackType::BlockedSource.code() => {
            ("attack_type", DENYLISTED.to_owned())
        }
        "disable_regex" | "ignore_regex" => {
            let id = entry.rule.get("regex_id").and_then(Value::as_u64)?;
            ("regex_id", (!is_custom(state, id)).then(|| format!("no effect: no custom signature is rule {id}"))?)
        }
        _ => return None,
    };
    Some(Mistake::new(format!("rules/{}/{field}", entry.id), says))
}

fn unknown_stamp(state: &PolicyState, stamp: &str) -> Option<String> {
    match FindingKind::of(stamp) {
        FindingKind::Denylist => return Some(DENYLISTED.into()),
        FindingKind::Custom(id) => {
            let known = id.is_some_and(|id| is_custom(state, id));
            return (!known).then(|| format!("no effect: no custom signature is called `{stamp}`"));
        }
        FindingKind::Behaviour(id) => {
            let known = id.is_some_and(|id| state.rules.iter().any(|rule| rule.id == id));
            return (!known).then(|| format!("no effect: no rule on behaviour is called `{stamp}`"));
        }
        FindingKind::Signature | FindingKind::Anomaly(_) | FindingKind::Limit(_) => {}
    }
    if KNOWN_NAMES.contains(stamp) {
        return None;
    }
    match similar_name(stamp, KNOWN_NAMES.iter().map(String::as_str)) {
        Some(near) => Some(format!("no signature of this version is called `{stamp}`: did you mean `{near}`?")),
        None if state.rule_packs.is_empty() => Some(format!(
            "no signature of this version is called `{stamp}`: it acts only where nodes have rules of their own"
        )),
        None => None,
    }
}

fn is_custom(state: &PolicyState, id: u64) -> bool {
    state.rules.iter().any(|rule| rule.id == id && ["regex", "experimental_regex"].contains(&rule.kind()))
}

/// Why a listed value cannot act: nodes get no database from here that would tell of an address what is listed.
pub fn inert(state: &PolicyState, entry: &IpEntry) -> Option<&'static str> {
    let (database, why) = match entry.rule_type.as_str() {
        "country" | "location" => (
            "country",
            "no effect without a database of countries: upload one under Rule packs, or set geo.country_database on the nodes",
        ),
        "asn" => (
            "asn",
            "no effect without a database of autonomous systems: upload one under Rule packs, or set geo.asn_database on the nodes",
        ),
        "proxy_type" | "datacenter" => (
            "source_type",
            "no effect without a database of source types: upload one under Rule packs, or set geo.source_type_database on the nodes",
        ),
        _ => return None,
    };
    (!state.databases.iter().any(|one| one.name == database)).then_some(why)
}

fn dedup(mistakes: &mut Vec<Mistake>) {
    let mut seen = std::collections::HashSet::new();
    mistakes.retain(|mistake| seen.insert((mistake.field.clone(), mistake.message.clone())));
    mistakes.truncate(MAX_MISTAKES);
}

fn bounds(state: &PolicyState) -> Vec<Mistake> {
    let mut wrong = Vec::new();
    let mut most = |field: &str, have: usize, most: usize| {
        if have > most {
            wrong.push(Mistake::new(field, format!("{have} are too many; {most} are possible")));
        }
    };
    most("rules", state.rules.len(), MAX_RULES);
    most("ip_lists", state.ip_lists.len(), MAX_IP_ENTRIES);
    most("applications", state.applications.len(), MAX_APPLICATIONS);
    most("groups", state.own_groups().len(), MAX_GROUPS);
    for rule in &state.rules {
        most(&format!("rules/{}", rule.id), serde_json::to_string(&rule.rule).map_or(0, |t| t.len()), MAX_RULE_BYTES);
    }
    let long = |text: &str| text.chars().count() > MAX_TEXT || text.chars().any(char::is_control);
    for entry in state.ip_lists.iter().filter(|entry| long(&entry.reason) || long(&entry.value)) {
        let field = format!("ip_lists/{}/reason", entry.id);
        wrong.push(Mistake::new(field, format!("at most {MAX_TEXT} characters on one line are allowed")));
    }
    for group in state.own_groups().into_iter().filter(|group| !is_group(group)) {
        wrong.push(Mistake::new("groups", format!("`{group}` is no name of a group: {GROUP_FORM}")));
    }
    wrong
}

/// What a name of a group looks like.
pub const GROUP_FORM: &str = "expected 1 to 100 letters, digits and `._-`";

/// Whether `name` can be that of a group.
pub fn is_group(name: &str) -> bool {
    (1..=100).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// From places in the document to rules and listed values.
fn mistakes(errors: &[PolicyError], assembled: &Assembled) -> Vec<Mistake> {
    errors.iter().take(MAX_MISTAKES).map(|error| Mistake::new(place(&error.at, assembled), &error.message)).collect()
}

/// `rules[3].point` is `rules/17/point`; `ip_lists[0].values[2]` is `ip_lists/9/value`.
fn place(at: &str, assembled: &Assembled) -> String {
    let found = || {
        let (number, rest) = index(at.strip_prefix("rules")?)?;
        Some(format!("rules/{}{}", assembled.rules.get(number)?, rest.replacen('.', "/", 1)))
    };
    let listed = || {
        let (number, rest) = index(at.strip_prefix("ip_lists")?)?;
        let ids = assembled.lists.get(number)?;
        Some(match rest.strip_prefix(".values").and_then(index) {
            Some((value, _)) => format!("ip_lists/{}/value", ids.get(value)?),
            None => format!("ip_lists/{}{}", ids.first()?, rest.replacen('.', "/", 1)),
        })
    };
    found().or_else(listed).unwrap_or_else(|| at.to_owned())
}

/// The number in `[3]rest`, and the rest.
fn index(text: &str) -> Option<(usize, &str)> {
    let (number, rest) = text.strip_prefix('[')?.split_once(']')?;
    Some((number.parse().ok()?, rest))
}
