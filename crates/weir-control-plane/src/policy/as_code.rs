//! The policy as one YAML document, for version control: export, difference, and application, which changes nothing the
//! second time. A section that the document leaves out is not touched.

pub mod end;
mod yaml;

use super::diff::{Differences, diff};
use super::edit::{NewIpEntry, NewRule, add_ips, check_ips, check_rule};
use super::service::{Change, Edited};
use super::state::{Application, IpEntry, MAX_IP_ENTRIES, PolicyState, RuleEntry, Scope};
use crate::app::App;
use crate::audit::Record;
use crate::auth::Caller;
use crate::confirm::Unconfirmed;
use crate::error::{Error, Mistake, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Form of the document that this build reads and writes.
pub const FORM: &str = "weir-policy/1";

/// The first line of a document.
const HEAD: &str =
    "# The policy of weir: `weir policy apply` puts it in force. A section that is left out is not touched.\n";
/// Most nodes of a document that is read: as many values as may be listed, with all that is said of them.
const MAX_NODES: usize = 20 * MAX_IP_ENTRIES;
/// Most bytes of its texts: the route takes no longer body.
const MAX_SCALARS: usize = 32 << 20;
/// Its sections in order.
const SECTIONS: &[&str] = &["form", "general", "groups", "applications", "rules", "ip_lists"];

/// The document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// [`FORM`].
    #[serde(default)]
    pub form: String,
    /// Mode and anomalies of all groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub general: Option<Scope>,
    /// What groups have of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<BTreeMap<String, Scope>>,
    /// Names of applications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applications: Option<BTreeMap<i64, Application>>,
    /// Rules, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<DocumentRule>>,
    /// Listed values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_lists: Option<Vec<DocumentEntry>>,
}

/// A rule of the document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentRule {
    /// Id of the rule that it changes; without one it is found by its content, or made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Groups that it is for; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Type, conditions, parameters. Its end is in seconds here, and RFC 3339 in YAML.
    pub rule: Map<String, Value>,
}

/// A listed value of the document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentEntry {
    /// `allow`, `deny` or `gray`.
    pub list: String,
    /// What the value is.
    #[serde(default = "super::edit::ip_range")]
    pub rule_type: String,
    /// The value.
    pub value: String,
    /// Applications that it is for; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<i64>,
    /// Groups that it is for; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// End, in seconds since 1970; none for never. Written as RFC 3339.
    #[serde(default, with = "end", skip_serializing_if = "Option::is_none")]
    pub expired_at: Option<u64>,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What the application of a document would do.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Serial of the version that was compared.
    pub serial: u64,
    /// The differences.
    pub differences: Differences,
    /// What would be accepted but have no effect.
    pub notices: Vec<Mistake>,
    /// What has to be confirmed; null where nothing has.
    pub confirmation: Option<Unconfirmed>,
}

impl Document {
    /// The whole of `state`, but for rule packs and databases, which are files.
    pub fn of(state: &PolicyState) -> Self {
        let rule =
            |one: &RuleEntry| DocumentRule { id: Some(one.id), groups: one.groups.clone(), rule: one.rule.clone() };
        let entry = |one: &IpEntry| DocumentEntry {
            list: one.list.clone(),
            rule_type: one.rule_type.clone(),
            value: one.value.clone(),
            applications: one.applications.clone(),
            groups: one.groups.clone(),
            expired_at: one.expired_at,
            reason: one.reason.clone(),
        };
        Self {
            form: FORM.to_owned(),
            general: Some(state.base.clone()),
            groups: Some(state.groups.clone()),
            applications: Some(state.applications.clone()),
            rules: Some(state.rules.iter().map(rule).collect()),
            ip_lists: Some(state.ip_lists.iter().map(entry).collect()),
        }
    }

    /// As YAML.
    pub fn yaml(&self) -> Result<String> {
        let mut document = self.clone();
        for rule in document.rules.iter_mut().flatten() {
            end::write_in(&mut rule.rule);
        }
        let Value::Object(sections) = serde_json::to_value(document).map_err(Error::internal)? else {
            return Err(Error::internal("a document is an object"));
        };
        let mut out = HEAD.to_owned();
        for name in SECTIONS {
            if let Some(section) = sections.get(*name) {
                yaml::section(&mut out, name, section);
            }
        }
        Ok(out)
    }

    /// Reads YAML, of which JSON is a part.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(text).map_err(|_| Error::invalid("", "the document is not UTF-8"))?;
        let mut budget = serde_saphyr::Budget::default();
        (budget.max_nodes, budget.max_events, budget.max_total_scalar_bytes) = (MAX_NODES, 2 * MAX_NODES, MAX_SCALARS);
        let options = serde_saphyr::options! { budget: Some(budget), with_snippet: false };
        let mut document: Self = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| Error::invalid("", in_words(&error.to_string())))?;
        if document.form != FORM {
            return Err(Error::invalid("form", format!("the document needs the line `form: {FORM}`")));
        }
        for (number, rule) in document.rules.iter_mut().flatten().enumerate() {
            let field = || format!("rules[{number}]/{}", end::MEMBER);
            end::read_in(&mut rule.rule).map_err(|expected| Error::invalid(field(), expected))?;
        }
        document.check()?;
        Ok(document)
    }

    fn check(&self) -> Result<()> {
        let mut ids = HashSet::new();
        for (number, rule) in self.rules.iter().flatten().enumerate() {
            if rule.id.is_some_and(|id| !ids.insert(id)) {
                return Err(Error::invalid(format!("rules[{number}]/id"), "another rule has this id"));
            }
            check_rule(&NewRule { rule: rule.rule.clone(), ..NewRule::default() })?;
        }
        check_ips(&self.ip_lists.iter().flatten().map(DocumentEntry::to_new).collect::<Vec<_>>())
    }

    /// Makes `state` what the document says.
    fn apply(&self, state: &mut PolicyState, author: &str, now: i64) {
        if let Some(general) = &self.general {
            state.base = general.clone();
        }
        if let Some(groups) = &self.groups {
            let own = groups.iter().filter(|(_, scope)| **scope != Scope::default());
            state.groups = own.map(|(name, scope)| (name.clone(), scope.clone())).collect();
        }
        if let Some(applications) = &self.applications {
            state.applications = applications.clone();
        }
        if let Some(rules) = &self.rules {
            apply_rules(state, rules, author, now);
        }
        if let Some(entries) = &self.ip_lists {
            apply_lists(state, entries, author, now);
        }
    }
}

/// Names rules by their place in the document, of which `after` was made, and not by ids, which new ones do not have yet.
fn placed(document: &Document, after: &PolicyState, error: Error) -> Error {
    let mut mistakes = match error {
        Error::Invalid(mistakes) if document.rules.is_some() => mistakes,
        other => return other,
    };
    let places: HashMap<String, usize> =
        after.rules.iter().enumerate().map(|(at, rule)| (rule.id.to_string(), at)).collect();
    for mistake in &mut mistakes {
        let Some(rest) = mistake.field.strip_prefix("rules/") else { continue };
        let (id, under) = rest.split_once('/').map_or((rest, String::new()), |(id, under)| (id, format!("/{under}")));
        if let Some(at) = places.get(id) {
            mistake.field = format!("rules[{at}]{under}");
        }
    }
    Error::Invalid(mistakes)
}

impl DocumentEntry {
    fn to_new(&self) -> NewIpEntry {
        NewIpEntry {
            list: self.list.clone(),
            rule_type: self.rule_type.clone(),
            value: self.value.clone(),
            applications: self.applications.clone(),
            groups: self.groups.clone(),
            expired_at: self.expired_at,
            reason: self.reason.clone(),
        }
    }
}

/// The rules of the document in its order. One that is there already, by content or by id, keeps id, author and times.
fn apply_rules(state: &mut PolicyState, rules: &[DocumentRule], author: &str, now: i64) {
    let old = std::mem::take(&mut state.rules);
    let content = |rule: &Map<String, Value>, groups: &[String]| serde_json::json!([rule, groups]).to_string();
    let mut by_content: HashMap<String, Vec<&RuleEntry>> = HashMap::new();
    for rule in old.iter().rev() {
        by_content.entry(content(&rule.rule, &rule.groups)).or_default().push(rule);
    }
    let by_id: HashMap<u64, &RuleEntry> = old.iter().map(|rule| (rule.id, rule)).collect();
    let mut taken = HashSet::new();
    let mut found: Vec<Option<&RuleEntry>> = rules
        .iter()
        .map(|rule| {
            let same = by_content.get_mut(&content(&rule.rule, &rule.groups))?;
            let own = same.iter().position(|one| Some(one.id) == rule.id);
            let one = if let Some(at) = own { same.remove(at) } else { same.pop()? };
            taken.insert(one.id).then_some(one)
        })
        .collect();
    for (rule, found) in rules.iter().zip(&mut found) {
        let id = rule.id.filter(|_| found.is_none());
        *found = found.or_else(|| by_id.get(&id?).copied().filter(|one| taken.insert(one.id)));
    }
    for (rule, known) in rules.iter().zip(found) {
        let same = known.is_some_and(|known| known.rule == rule.rule && known.groups == rule.groups);
        let id = known.map_or(state.next_rule, |known| known.id);
        state.next_rule = state.next_rule.max(id + 1);
        state.rules.push(RuleEntry {
            id,
            groups: rule.groups.clone(),
            rule: rule.rule.clone(),
            from_hit: known.map(|known| known.from_hit.clone()).unwrap_or_default(),
            created_by: known.map_or_else(|| author.to_owned(), |known| known.created_by.clone()),
            created_at: known.map_or(now, |known| known.created_at),
            updated_at: known.filter(|_| same).map_or(now, |known| known.updated_at),
        });
    }
}

/// The values of the document; those that are listed already keep id, author and time.
fn apply_lists(state: &mut PolicyState, entries: &[DocumentEntry], author: &str, now: i64) {
    let new: Vec<NewIpEntry> = entries.iter().map(DocumentEntry::to_new).collect();
    add_ips(state, &new, author, now);
    let key = |list: &str, kind: &str, value: &str, applications: &[i64], groups: &[String]| {
        serde_json::json!([list, kind, value.trim().to_lowercase(), applications, groups]).to_string()
    };
    let wanted: HashSet<String> =
        new.iter().map(|one| key(&one.list, &one.rule_type, &one.value, &one.applications, &one.groups)).collect();
    state
        .ip_lists
        .retain(|one| wanted.contains(&key(&one.list, &one.rule_type, &one.value, &one.applications, &one.groups)));
}

impl App {
    /// The policy in force as a document.
    pub fn policy_document(&self) -> Document {
        Document::of(&self.policy.head().state)
    }

    /// What the application of `document` would change, without changing anything.
    pub async fn plan_policy(&self, caller: &Caller, document: &Document) -> Result<Plan> {
        let head = self.policy.head();
        let mut after = (*head.state).clone();
        document.apply(&mut after, &caller.name(), self.clock.millis());
        let differences = diff(&head.state, &after);
        let notices = self.policy.try_change(|state| {
            document.apply(state, &caller.name(), self.clock.millis());
            Ok(())
        });
        let notices = notices.await.map_err(|error| placed(document, &after, error))?;
        let confirmation = self.asked_for(&head.state, &after).await?;
        Ok(Plan { serial: head.version.serial, differences, notices, confirmation })
    }

    /// Makes the policy what `document` says; answers how many differences there were.
    pub async fn apply_policy(&self, caller: &Caller, document: &Document) -> Result<Change<usize>> {
        let (author, now) = (caller.name(), self.clock.millis());
        let published = self.publish(caller, "applied a policy document", |state| {
            let before = state.clone();
            document.apply(state, &author, now);
            let changes = diff(&before, state);
            let count = changes.shown.len() + changes.more;
            Ok(Edited { value: count, record: Record::new("policy.apply", "policy", (), &changes)? })
        });
        published.await.map_err(|error| {
            let mut after = (*self.policy.head().state).clone();
            document.apply(&mut after, &author, now);
            placed(document, &after, error)
        })
    }
}

/// A message of the YAML reader in words of the format, not of its events.
fn in_words(message: &str) -> String {
    message
        .replace("expected sequence start", "expected a list")
        .replace("expected mapping start", "expected a mapping")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_said_in_words_of_the_format() {
        for (text, part) in [("rules: 7", "expected a list"), ("general: 7", "expected a mapping"), ("7", "a mapping")]
        {
            let error = Document::parse(text.as_bytes()).err().map(|error| format!("{error:?}")).unwrap_or_default();
            assert!(error.contains(part) && error.contains("line 1"), "{text}: {error}");
        }
    }
}
