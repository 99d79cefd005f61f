//! What people and programs change of the policy: each change is checked, published and recorded.

use super::check::{GROUP_FORM, is_group};
use super::service::{Author, Change, Edited};
use super::state::{Application, IpEntry, MAX_TEXT, PolicyState, RuleEntry, Scope};
use super::version::Version;
use crate::app::App;
use crate::audit::Record;
use crate::auth::{Caller, Permission};
use crate::confirm::Danger;
use crate::error::{Error, Mistake, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashMap};

/// Why an end is refused.
const PAST: &str = "the end has passed already: expected a time to come, in seconds since 1970, or none for never";
/// Listed values that one call adds or removes.
pub const MAX_BULK: usize = 100_000;

/// A rule as it is made or replaced.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRule {
    /// Type, conditions, parameters: a rule of docs/policy.md without `id`.
    pub rule: Map<String, Value>,
    /// Groups that it is for; empty for all.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Hit from which it is made; empty for none.
    #[serde(default)]
    pub from_hit: String,
}

/// A value to be listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewIpEntry {
    /// `allow`, `deny` or `gray`.
    pub list: String,
    /// What the value is.
    #[serde(default = "ip_range")]
    pub rule_type: String,
    /// The value.
    pub value: String,
    /// Applications; empty for all.
    #[serde(default)]
    pub applications: Vec<i64>,
    /// Groups; empty for all.
    #[serde(default)]
    pub groups: Vec<String>,
    /// End, in seconds since 1970; none for never.
    #[serde(default)]
    pub expired_at: Option<u64>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// The usual kind of value.
pub fn ip_range() -> String {
    "ip_range".into()
}

/// What became of values that were to be listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// New ones.
    pub added: usize,
    /// Ones that were listed already: end and reason are the new ones.
    pub renewed: usize,
}

impl App {
    /// Makes a rule.
    pub async fn create_rule(&self, caller: &Caller, new: NewRule) -> Result<Change<RuleEntry>> {
        check_rule(&new)?;
        self.check_end(&new, None)?;
        let (author, now) = (caller.name(), self.clock.millis());
        let note = format!("rule made: {}", new.rule.get("type").and_then(Value::as_str).unwrap_or("?"));
        self.publish(caller, &note, |state| {
            let entry = RuleEntry {
                id: state.next_rule,
                groups: new.groups.clone(),
                rule: new.rule.clone(),
                from_hit: new.from_hit.clone(),
                created_by: author.clone(),
                created_at: now,
                updated_at: now,
            };
            state.next_rule += 1;
            state.rules.push(entry.clone());
            let record = Record::new("rule.create", format!("rule/{}", entry.id), (), &entry)?;
            Ok(Edited { value: entry, record })
        })
        .await
    }

    /// Replaces a rule; its id stays.
    pub async fn change_rule(&self, caller: &Caller, id: u64, new: NewRule) -> Result<Change<RuleEntry>> {
        check_rule(&new)?;
        self.check_end(&new, Some(id))?;
        let now = self.clock.millis();
        self.publish(caller, &format!("rule {id} changed"), |state| {
            let entry = find(state, id)?;
            let before = entry.clone();
            if entry.rule != new.rule || entry.groups != new.groups {
                (entry.rule, entry.groups, entry.updated_at) = (new.rule.clone(), new.groups.clone(), now);
            }
            let record = Record::new("rule.change", format!("rule/{id}"), &before, &*entry)?;
            Ok(Edited { value: entry.clone(), record })
        })
        .await
    }

    /// Removes a rule.
    pub async fn remove_rule(&self, caller: &Caller, id: u64) -> Result<Change<RuleEntry>> {
        self.publish(caller, &format!("rule {id} removed"), |state| {
            let removed = find(state, id)?.clone();
            state.rules.retain(|rule| rule.id != id);
            let record = Record::new("rule.remove", format!("rule/{id}"), &removed, ())?;
            Ok(Edited { value: removed, record })
        })
        .await
    }

    /// What of a rule would have to be confirmed.
    pub fn dangers_of(&self, new: &NewRule, replaces: Option<u64>) -> Result<Vec<Danger>> {
        let head = self.policy.head();
        let mut after = (*head.state).clone();
        after.put_rule(new, replaces)?;
        Ok(super::guard::dangers(&head.state, &after, self.clock.seconds()))
    }

    /// Says what is wrong with a rule, all of it, without making it; `replaces` is the rule whose place it would take.
    pub async fn check_rule(&self, new: &NewRule, replaces: Option<u64>) -> Result<Vec<Mistake>> {
        check_rule(new)?;
        self.check_end(new, replaces)?;
        self.policy.try_change(|state| state.put_rule(new, replaces)).await
    }

    /// Refuses a rule that is over before it acts. One that was over already may be changed.
    fn check_end(&self, new: &NewRule, replaces: Option<u64>) -> Result<()> {
        let head = self.policy.head();
        let before = replaces.and_then(|id| head.state.rule(id)).and_then(|entry| entry.rule.get("expired_at"));
        match new.rule.get("expired_at") {
            end if end == before => Ok(()),
            Some(end) if end.as_u64().is_some_and(|end| end <= self.clock.seconds()) => {
                Err(Error::invalid("expired_at", PAST))
            }
            _ => Ok(()),
        }
    }

    /// Lists values.
    pub async fn add_ips(&self, caller: &Caller, new: Vec<NewIpEntry>) -> Result<Change<Listed>> {
        if new.len() > MAX_BULK {
            return Err(Error::invalid("", format!("{} values; at most {MAX_BULK} are taken at once", new.len())));
        }
        check_ips(&new)?;
        let is_over = |entry: &NewIpEntry| entry.expired_at.is_some_and(|end| end <= self.clock.seconds());
        // An import of a list may well hold entries that are over; none that does something is no change that anybody wants.
        if !new.is_empty() && new.iter().all(is_over) {
            return Err(Error::invalid("expired_at", PAST));
        }
        let (author, now) = (caller.name(), self.clock.millis());
        let note = match new.as_slice() {
            [one] => format!("{} on the {} list", one.value, one.list),
            all => format!("{} values listed", all.len()),
        };
        let add = |state: &mut PolicyState| {
            let value = add_ips(state, &new, &author, now);
            Ok(Edited { value, record: Record::new("ip_list.add", &note, (), &new)? })
        };
        self.publish(caller, &note, add).await
    }

    /// Takes values off their lists, by id; answers those that were there.
    pub async fn remove_ips(&self, caller: &Caller, ids: &BTreeSet<u64>) -> Result<Change<Vec<IpEntry>>> {
        let note = format!("{} listed values removed", ids.len());
        self.publish(caller, &note, |state| {
            let (gone, kept): (Vec<_>, Vec<_>) =
                std::mem::take(&mut state.ip_lists).into_iter().partition(|entry| ids.contains(&entry.id));
            state.ip_lists = kept;
            if gone.is_empty() {
                return Err(Error::NotFound("listed value"));
            }
            let record = Record::new("ip_list.remove", &note, &gone, ())?;
            Ok(Edited { value: gone, record })
        })
        .await
    }

    /// Sets general mode and anomalies of all groups (none) or of one.
    pub async fn set_scope(&self, caller: &Caller, group: Option<&str>, scope: Scope) -> Result<Change<Scope>> {
        if group.is_some_and(|group| !is_group(group)) {
            return Err(Error::invalid("group", GROUP_FORM));
        }
        let object = group.map_or_else(|| "general".to_owned(), |group| format!("group/{group}"));
        let head = self.policy.head();
        let old = group.map_or_else(|| Some(&head.state.base), |group| head.state.groups.get(group));
        let note = scope_note(group, &old.cloned().unwrap_or_default(), &scope);
        self.publish(caller, &note, |state| {
            let before = match group {
                None => std::mem::replace(&mut state.base, scope.clone()),
                Some(group) if scope == Scope::default() => state.groups.remove(group).unwrap_or_default(),
                Some(group) => state.groups.insert(group.to_owned(), scope.clone()).unwrap_or_default(),
            };
            let record = Record::new("policy.settings", &object, &before, &scope)?;
            Ok(Edited { value: scope.clone(), record })
        })
        .await
    }

    /// Names an application, or forgets its name.
    pub async fn set_application(&self, caller: &Caller, id: i64, new: Option<Application>) -> Result<Change<()>> {
        if id < -1 || id == 0 {
            return Err(Error::invalid("id", "expected a positive number, or -1 for requests of no application"));
        }
        let bad = |text: &str| text.chars().count() > MAX_TEXT || text.chars().any(char::is_control);
        if new.as_ref().is_some_and(|new| new.name.trim().is_empty() || bad(&new.name) || bad(&new.comment)) {
            return Err(Error::invalid("name", format!("expected 1 to {MAX_TEXT} characters on one line")));
        }
        self.publish(caller, &format!("application {id}"), |state| {
            let before = match &new {
                Some(new) => state.applications.insert(id, new.clone()),
                None => Some(state.applications.remove(&id).ok_or(Error::NotFound("application"))?),
            };
            let record = Record::new("application.set", format!("application/{id}"), &before, &new)?;
            Ok(Edited { value: (), record })
        })
        .await
    }

    /// Puts an earlier version of the policy in force again.
    pub async fn rollback(&self, caller: &Caller, serial: u64) -> Result<Change<()>> {
        let (version, old) = self.policy.version(serial).await?;
        let named = |version: &Version| json!({"version": version.number, "serial": version.serial});
        let (before, after) = (named(&self.policy.head().version), named(&version));
        self.publish(caller, &format!("back to version {}", version.number), |state| {
            let same = old.rule_packs == state.rule_packs && old.databases == state.databases;
            if !same && !caller.may(Permission::Settings) {
                // Packs are the administrators' alone, whatever way leads there.
                let why = "this version has other rule packs or databases; an administrator can put it back";
                return Err(Error::Forbidden(why));
            }
            // Ids go on rising: hits name those that were given since.
            let (rule, entry) = (state.next_rule.max(old.next_rule), state.next_entry.max(old.next_entry));
            *state = PolicyState { next_rule: rule, next_entry: entry, ..old.clone() };
            Ok(Edited {
                value: (),
                record: Record::new("policy.rollback", format!("policy/{serial}"), &before, &after)?,
            })
        })
        .await
    }

    /// Puts a new signing key in use.
    pub async fn rotate_key(&self, caller: &Caller) -> Result<weir_protocol::node_api::PolicyKey> {
        self.policy.rotate_key(&Author::of(caller)).await
    }
}

impl PolicyState {
    /// Adds a rule as [`App::create_rule`] would, or puts it in the place of `replaces`: to try it.
    pub fn put_rule(&mut self, new: &NewRule, replaces: Option<u64>) -> Result<()> {
        if let Some(id) = replaces {
            let entry = find(self, id)?;
            (entry.rule, entry.groups) = (new.rule.clone(), new.groups.clone());
            return Ok(());
        }
        self.rules.push(RuleEntry {
            id: self.next_rule,
            groups: new.groups.clone(),
            rule: new.rule.clone(),
            from_hit: new.from_hit.clone(),
            created_by: String::new(),
            created_at: 0,
            updated_at: 0,
        });
        self.next_rule += 1;
        Ok(())
    }
}

/// What a version says of new settings: a change of the mode is named, so that a list of versions shows it.
fn scope_note(group: Option<&str>, old: &Scope, new: &Scope) -> String {
    let whose = group.map_or_else(String::new, |group| format!(" of group {group}"));
    if old.mode == new.mode {
        return format!("settings{whose}");
    }
    let (old, new) = (super::guard::mode_words(old.mode.as_deref()), super::guard::mode_words(new.mode.as_deref()));
    format!("filtration mode{whose}: {old} \u{2192} {new}")
}

fn find(state: &mut PolicyState, id: u64) -> Result<&mut RuleEntry> {
    state.rules.iter_mut().find(|rule| rule.id == id).ok_or(Error::NotFound("rule"))
}

pub(super) fn check_rule(new: &NewRule) -> Result<()> {
    if new.rule.contains_key("id") {
        return Err(Error::invalid("rule/id", "leave the id out: it is given here"));
    }
    if uuid::Uuid::parse_str(&new.from_hit).is_err() && !new.from_hit.is_empty() {
        return Err(Error::invalid("from_hit", "expected the id of a hit"));
    }
    Ok(())
}

/// What the compiler would not see in a value: an unknown list would be one in every group.
pub(super) fn check_ips(new: &[NewIpEntry]) -> Result<()> {
    const MAX_MISTAKES: usize = 100;
    let mut wrong = Vec::new();
    for (number, entry) in new.iter().enumerate() {
        if !["allow", "deny", "gray"].contains(&entry.list.as_str()) {
            wrong.push(Mistake::new(format!("{number}/list"), "expected allow, deny or gray"));
        }
        if entry.expired_at == Some(0) {
            wrong.push(Mistake::new(format!("{number}/expired_at"), PAST));
        }
        if entry.value.trim().is_empty() {
            wrong.push(Mistake::new(format!("{number}/value"), "expected a value"));
        }
        if wrong.len() >= MAX_MISTAKES {
            break;
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Error::Invalid(wrong)) }
}

/// Adds values; those that stand on the same list for the same applications and groups are renewed.
pub(super) fn add_ips(state: &mut PolicyState, new: &[NewIpEntry], author: &str, now: i64) -> Listed {
    type Key = (String, String, String, Vec<i64>, Vec<String>);
    let key = |entry: &IpEntry| -> Key {
        let (list, kind, value) = (entry.list.clone(), entry.rule_type.clone(), entry.value.to_lowercase());
        (list, kind, value, entry.applications.clone(), entry.groups.clone())
    };
    let mut places: HashMap<Key, usize> =
        state.ip_lists.iter().enumerate().map(|(at, entry)| (key(entry), at)).collect();
    let mut listed = Listed::default();
    for one in new {
        let entry = IpEntry {
            id: state.next_entry,
            list: one.list.clone(),
            rule_type: one.rule_type.clone(),
            value: one.value.trim().to_owned(),
            applications: one.applications.clone(),
            groups: one.groups.clone(),
            expired_at: one.expired_at,
            reason: one.reason.trim().to_owned(),
            created_by: author.to_owned(),
            created_at: now,
        };
        match places.get(&key(&entry)) {
            Some(&at) => {
                let known = &mut state.ip_lists[at];
                if (known.expired_at, &known.reason) != (entry.expired_at, &entry.reason) {
                    (known.expired_at, known.reason) = (entry.expired_at, entry.reason);
                    listed.renewed += 1;
                }
            }
            None => {
                places.insert(key(&entry), state.ip_lists.len());
                state.next_entry += 1;
                state.ip_lists.push(entry);
                listed.added += 1;
            }
        }
    }
    listed
}
