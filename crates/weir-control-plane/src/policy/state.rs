//! The whole policy as data: what a version holds. Documents for nodes are made from it, so that a version can be compared,
//! put back, and signed by any replica alike.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Group of nodes that do not say otherwise.
pub const DEFAULT_GROUP: &str = "default";
/// Most rules.
pub const MAX_RULES: usize = 10_000;
/// Most listed values: a document of them stays well below `node_api::MAX_POLICY_BYTES`.
pub const MAX_IP_ENTRIES: usize = 200_000;
/// Most applications.
pub const MAX_APPLICATIONS: usize = 10_000;
/// Most groups: each is compiled with each change.
pub const MAX_GROUPS: usize = 100;
/// Longest rule, in bytes of JSON: it holds a pattern of 4 KiB and 60 conditions with ease.
pub const MAX_RULE_BYTES: usize = 64 << 10;
/// Longest reason, title or name, in characters.
pub const MAX_TEXT: usize = 500;

/// The policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyState {
    /// Id of the next rule; ids are never used twice, since hits name them.
    pub next_rule: u64,
    /// Id of the next listed value.
    pub next_entry: u64,
    /// Mode and anomalies for every group.
    pub base: Scope,
    /// What groups have of their own.
    pub groups: BTreeMap<String, Scope>,
    /// Rules, in order.
    pub rules: Vec<RuleEntry>,
    /// Listed values.
    pub ip_lists: Vec<IpEntry>,
    /// Names of applications, by id.
    pub applications: BTreeMap<i64, Application>,
    /// Rule packs in use.
    pub rule_packs: Vec<weir_protocol::node_api::Blob>,
    /// Address databases in use.
    pub databases: Vec<weir_protocol::node_api::Blob>,
}

/// General settings of all groups or of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// General mode; none leaves it to the group around, and there to the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// What anomalies mean, where it differs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub anomalies: BTreeMap<String, String>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleEntry {
    /// Id, from 1.
    pub id: u64,
    /// Groups that it is for; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Type, conditions, parameters: a rule of docs/policy.md without `id`.
    pub rule: Map<String, Value>,
    /// Hit from which it was made; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from_hit: String,
    /// Who made it.
    pub created_by: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970.
    pub updated_at: i64,
}

impl RuleEntry {
    /// Its type.
    pub fn kind(&self) -> &str {
        self.rule.get("type").and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it is switched on; it may be over all the same.
    pub fn is_enabled(&self) -> bool {
        self.rule.get("enabled").and_then(Value::as_bool).unwrap_or(true)
    }
}

/// A listed value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpEntry {
    /// Id, from 1.
    pub id: u64,
    /// `allow`, `deny` or `gray`.
    pub list: String,
    /// What the value is: `ip_range`, `country`, `asn`, `proxy_type`, `datacenter`.
    pub rule_type: String,
    /// The value.
    pub value: String,
    /// Applications that it is for; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<i64>,
    /// Groups that it is for; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// End, in seconds since 1970; none for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_at: Option<u64>,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who listed it.
    pub created_by: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// An application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// What it is called.
    pub name: String,
    /// Notes.
    #[serde(default)]
    pub comment: String,
}

impl PolicyState {
    /// The state of a new control plane: it says nothing, so each node keeps its own mode.
    pub fn first() -> Self {
        Self { next_rule: 1, next_entry: 1, ..Self::default() }
    }

    /// A rule by id.
    pub fn rule(&self, id: u64) -> Option<&RuleEntry> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// Groups that differ from the rest in anything: for each there is a document of its own.
    pub fn own_groups(&self) -> std::collections::BTreeSet<&str> {
        let rules = self.rules.iter().flat_map(|rule| &rule.groups);
        let lists = self.ip_lists.iter().flat_map(|entry| &entry.groups);
        self.groups.keys().chain(rules).chain(lists).map(String::as_str).collect()
    }
}

/// Whether an entry for `groups` is for `group`.
pub fn is_for(groups: &[String], group: &str) -> bool {
    groups.is_empty() || groups.iter().any(|one| one == group)
}
