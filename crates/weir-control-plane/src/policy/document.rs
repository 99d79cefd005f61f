//! From the state to the document of one group, as nodes that understand certain things may have it.

use super::state::{IpEntry, PolicyState, is_for};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Without this nothing is sent.
pub const POLICY: &str = "policy.1";
const RULE_PACKS: &str = "rule_packs.1";
const DATABASES: &str = "databases.1";

/// Rule types that came after [`POLICY`], and what a node must say to get them. A new type is added here, so that nodes of
/// the version before get the rest of the policy without it.
const NEWER_RULES: &[(&str, &str)] = &[("block_reply", "block_reply.1")];

/// What a node understands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Understands(Vec<String>);

impl Understands {
    /// Of what a node said at registration or with its heartbeat; what this build does not know does not count.
    pub fn new<S: AsRef<str>>(capabilities: &[S]) -> Self {
        let newer = NEWER_RULES.iter().map(|(_, capability)| *capability);
        let known = [POLICY, RULE_PACKS, DATABASES].into_iter().chain(newer);
        let said = known.filter(|known| capabilities.iter().any(|said| said.as_ref() == *known));
        Self(said.map(str::to_owned).collect())
    }

    /// Everything that this build can send.
    pub fn all() -> Self {
        Self::new(weir_protocol::node_api::CAPABILITIES)
    }

    /// Whether `capability` is among it.
    pub fn has(&self, capability: &str) -> bool {
        self.0.iter().any(|one| one == capability)
    }

    fn rule(&self, kind: &str) -> bool {
        NEWER_RULES.iter().find(|(newer, _)| *newer == kind).is_none_or(|(_, capability)| self.has(capability))
    }
}

/// A document, and what its parts were made from.
#[derive(Clone, Debug)]
pub struct Assembled {
    /// In the form of a local policy file.
    pub policy: Value,
    /// Id of each rule.
    pub rules: Vec<u64>,
    /// Ids of the values of each `ip_lists` item.
    pub lists: Vec<Vec<u64>>,
    /// What a node must understand to use it.
    pub requires: Vec<String>,
    /// Rules that the node would not understand.
    pub left_out: usize,
}

/// Makes the document of `group`. Listed values that were over at `now` (seconds since 1970) are left out.
pub fn assemble(state: &PolicyState, group: &str, understands: &Understands, now: u64) -> Assembled {
    let own = state.groups.get(group);
    let mut policy = Map::new();
    policy.insert("version".into(), json!(1));
    if let Some(mode) = own.and_then(|own| own.mode.as_ref()).or(state.base.mode.as_ref()) {
        policy.insert("mode".into(), json!(mode));
    }
    let mut anomalies = state.base.anomalies.clone();
    anomalies.extend(own.iter().flat_map(|own| own.anomalies.clone()));
    if !anomalies.is_empty() {
        policy.insert("anomalies".into(), json!(anomalies));
    }
    let here = state.rules.iter().filter(|rule| is_for(&rule.groups, group));
    let (fit, left_out): (Vec<_>, Vec<_>) = here.partition(|rule| understands.rule(rule.kind()));
    let mut requires = vec![POLICY.to_owned()];
    let mut need = |capability: &str| {
        if !requires.iter().any(|one| one == capability) {
            requires.push(capability.to_owned());
        }
    };
    let mut rules = Vec::with_capacity(fit.len());
    for entry in &fit {
        NEWER_RULES.iter().filter(|(kind, _)| *kind == entry.kind()).for_each(|(_, capability)| need(capability));
        let mut rule = entry.rule.clone();
        rule.insert("id".into(), json!(entry.id));
        rules.push(Value::Object(rule));
    }
    policy.insert("rules".into(), Value::Array(rules));
    let (items, lists) = ip_lists(state.ip_lists.iter().filter(|entry| is_for(&entry.groups, group)), now);
    policy.insert("ip_lists".into(), Value::Array(items));
    if understands.has(RULE_PACKS) && !state.rule_packs.is_empty() {
        need(RULE_PACKS);
    }
    if understands.has(DATABASES) && !state.databases.is_empty() {
        need(DATABASES);
    }
    let rules = fit.iter().map(|entry| entry.id).collect();
    Assembled { policy: Value::Object(policy), rules, lists, requires, left_out: left_out.len() }
}

/// Values that differ in nothing else share an item.
fn ip_lists<'s>(entries: impl Iterator<Item = &'s IpEntry>, now: u64) -> (Vec<Value>, Vec<Vec<u64>>) {
    type Key<'s> = (&'s str, &'s str, &'s [i64], Option<u64>, &'s str);
    let mut places: HashMap<Key<'s>, usize> = HashMap::new();
    let mut items: Vec<(Key<'s>, Vec<&'s str>, Vec<u64>)> = Vec::new();
    for entry in entries.filter(|entry| entry.expired_at.is_none_or(|end| end > now)) {
        let key: Key<'s> = (&entry.list, &entry.rule_type, &entry.applications, entry.expired_at, &entry.reason);
        let place = *places.entry(key).or_insert_with(|| {
            items.push((key, Vec::new(), Vec::new()));
            items.len() - 1
        });
        items[place].1.push(&entry.value);
        items[place].2.push(entry.id);
    }
    let mut out = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
    for ((list, rule_type, applications, expired_at, reason), values, ids) in items {
        let mut item = Map::new();
        item.insert("list".into(), json!(list));
        item.insert("rule_type".into(), json!(rule_type));
        item.insert("values".into(), json!(values));
        if !applications.is_empty() {
            item.insert("applications".into(), json!(applications));
        }
        if let Some(end) = expired_at {
            item.insert("expired_at".into(), json!(end));
        }
        if !reason.is_empty() {
            item.insert("reason".into(), json!(reason));
        }
        out.0.push(Value::Object(item));
        out.1.push(ids);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_of_the_version_before_get_the_rest() {
        let entry = |id: u64, kind: &str| json!({"id": id, "rule": {"type": kind}, "created_by": "", "created_at": 0, "updated_at": 0});
        let rules = [entry(1, "wallarm_mode"), entry(2, "block_reply")].map(|one| serde_json::from_value(one).unwrap());
        let state = PolicyState { rules: rules.into(), ..PolicyState::default() };
        let old = assemble(&state, "default", &Understands::new(&[POLICY]), 0);
        assert_eq!(
            (old.rules.as_slice(), old.left_out, old.requires.as_slice()),
            (&[1][..], 1, &[POLICY.to_owned()][..])
        );
        let new = assemble(&state, "default", &Understands::all(), 0);
        assert_eq!((new.rules.as_slice(), new.left_out), (&[1, 2][..], 0));
        assert_eq!(new.requires, [POLICY, "block_reply.1"]);
    }
}
