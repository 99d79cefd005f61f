//! What differs between two versions of the policy.

use super::state::PolicyState;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Differences told; the rest is counted.
const MAX_SHOWN: usize = 500;

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// What: `rule/17`, `ip_list/9`, `application/2`, `general`, `group/edge`, `rule_pack/x`, `database/country`.
    pub object: String,
    /// How it was; null where it was not there.
    pub before: Value,
    /// How it is; null where it is there no more.
    pub after: Value,
}

/// All differences.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Differences {
    /// The first of them.
    pub shown: Vec<Difference>,
    /// Further ones.
    pub more: usize,
}

/// What is different in `to`.
pub fn diff(from: &PolicyState, to: &PolicyState) -> Differences {
    let mut all = Differences::default();
    each(from, to, |one| {
        if all.shown.len() < MAX_SHOWN {
            all.shown.push(one);
        } else {
            all.more += 1;
        }
    });
    all
}

/// Calls `visit` with every difference in `to`, in order of names.
pub fn each(from: &PolicyState, to: &PolicyState, mut visit: impl FnMut(Difference)) {
    let (before, after) = (objects(from), objects(to));
    let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let (old, new) = (before.get(key), after.get(key));
        if old != new {
            let side = |value: Option<&Value>| value.cloned().unwrap_or_default();
            visit(Difference { object: key.clone(), before: side(old), after: side(new) });
        }
    }
}

/// Everything by name.
fn objects(state: &PolicyState) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::from([("general".to_owned(), json(&state.base))]);
    all.extend(state.groups.iter().map(|(name, scope)| (format!("group/{name}"), json(scope))));
    all.extend(state.rules.iter().map(|rule| (format!("rule/{}", rule.id), json(rule))));
    all.extend(state.ip_lists.iter().map(|entry| (format!("ip_list/{}", entry.id), json(entry))));
    all.extend(state.applications.iter().map(|(id, one)| (format!("application/{id}"), json(one))));
    all.extend(state.rule_packs.iter().map(|pack| (format!("rule_pack/{}", pack.name), json(pack))));
    all.extend(state.databases.iter().map(|base| (format!("database/{}", base.name), json(base))));
    all
}

/// As JSON; plain data always is.
fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Application, Scope};

    #[test]
    fn added_changed_and_removed_are_told() {
        let mut from = PolicyState::first();
        from.base = Scope { mode: Some("monitoring".into()), ..Scope::default() };
        from.applications.insert(1, Application { name: "shop".into(), comment: String::new() });
        let mut to = PolicyState::first();
        to.applications.insert(2, Application { name: "blog".into(), comment: String::new() });
        let changes = diff(&from, &to);
        let objects: Vec<&str> = changes.shown.iter().map(|one| one.object.as_str()).collect();
        assert_eq!(objects, ["application/1", "application/2", "general"]);
        assert!(
            changes.shown[0].after.is_null() && changes.shown[1].before.is_null() && changes.shown[2].after.is_object()
        );
        assert_eq!(diff(&to, &to), Differences::default());
    }
}
