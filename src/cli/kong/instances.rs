//! The instances of the plugins in a declarative configuration or in manifests.

use crate::config::tree::{Entry, Mark, Node, Value};
use std::collections::BTreeMap;

/// One of the plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugin {
    /// `kong-lua`.
    Requests,
    /// `kong-lua-response`.
    Responses,
}

impl Plugin {
    /// Its name in Kong.
    pub const fn name(self) -> &'static str {
        match self {
            Plugin::Requests => "kong-lua",
            Plugin::Responses => "kong-lua-response",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Plugin::Requests, Plugin::Responses].into_iter().find(|plugin| plugin.name() == name)
    }
}

/// An instance.
#[derive(Debug)]
pub struct Instance<'t> {
    /// Of which plugin.
    pub plugin: Plugin,
    /// What it belongs to, in words.
    pub place: String,
    /// Where its name stands.
    pub mark: Mark,
    /// Its `config`.
    pub config: Option<&'t Node>,
    /// Whether some of its configuration is elsewhere: in a secret, or in a shared part of the file.
    pub elsewhere: bool,
    /// Its `protocols`.
    pub protocols: Option<&'t Node>,
    /// Its `consumer`, where it is one of a consumer.
    pub consumer: Option<Mark>,
    /// Kind and name of the route or service that it names as its own.
    pub owner: Option<(&'static str, &'t str)>,
    /// Protocols of the route or service that it belongs to.
    pub owner_protocols: Vec<&'t str>,
}

/// What encloses a part of the file.
#[derive(Clone, Debug, Default)]
struct Scope<'t> {
    place: String,
    protocols: Vec<&'t str>,
    consumer: bool,
}

/// Every instance in a document, in order.
pub fn find(document: &Node) -> Vec<Instance<'_>> {
    let mut out = Vec::new();
    walk(document, &Scope::default(), &mut out);
    if out.iter().any(|instance| instance.owner.is_some()) {
        let mut owners = BTreeMap::new();
        name_owners(document, &mut owners);
        for instance in &mut out {
            let Some((kind, name)) = instance.owner else { continue };
            instance.place = format!("{kind} {name}");
            instance.owner_protocols = owners.get(&(kind, name)).cloned().unwrap_or_default();
        }
    }
    out
}

/// The protocols of each route and service by its name. No deeper than the parser of the file allows.
fn name_owners<'t>(node: &'t Node, owners: &mut BTreeMap<(&'static str, &'t str), Vec<&'t str>>) {
    let Value::Map(entries) = &node.value else { return };
    for (list, kind) in [("services", "service"), ("routes", "route")] {
        let Some(Value::List(items)) = value(entries, list).map(|entry| &entry.node.value) else { continue };
        for item in items {
            if let Value::Map(fields) = &item.value
                && let Some(name) = text(fields, "name")
            {
                owners.insert((kind, name), protocols(list, fields));
            }
            name_owners(item, owners);
        }
    }
}

/// The route or the service that a plugin names as its own.
fn owner(entries: &[Entry]) -> Option<(&'static str, &str)> {
    ["route", "service"].into_iter().find_map(|kind| match &value(entries, kind)?.node.value {
        Value::Scalar(name) => Some((kind, name.as_str())),
        Value::Map(fields) => Some((kind, text(fields, "name")?)),
        Value::Null | Value::List(_) => None,
    })
}

/// The protocols of an item of the list `kind`.
fn protocols<'t>(kind: &str, fields: &'t [Entry]) -> Vec<&'t str> {
    let mut out: Vec<&str> = value(fields, "protocols").map(|entry| words(&entry.node)).unwrap_or_default();
    if kind == "services" {
        out.extend(text(fields, "protocol"));
        out.extend(text(fields, "url").and_then(|url| url.split_once("://")).map(|(scheme, _)| scheme));
    }
    out
}

/// The value of a key.
pub fn value<'t>(entries: &'t [Entry], key: &str) -> Option<&'t Entry> {
    entries.iter().find(|entry| entry.key == key)
}

fn text<'t>(entries: &'t [Entry], key: &str) -> Option<&'t str> {
    scalar(&value(entries, key)?.node)
}

/// The scalars of a list.
pub fn words(node: &Node) -> Vec<&str> {
    let Value::List(items) = &node.value else { return Vec::new() };
    items.iter().filter_map(scalar).collect()
}

fn scalar(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar(text) => Some(text),
        _ => None,
    }
}

/// No deeper than the parser of the file allows.
fn walk<'t>(node: &'t Node, scope: &Scope<'t>, out: &mut Vec<Instance<'t>>) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| walk(item, scope, out)),
        Value::Map(entries) => {
            if matches!(text(entries, "kind"), Some("KongPlugin" | "KongClusterPlugin")) {
                out.extend(manifest(entries));
                return;
            }
            for entry in entries {
                match (entry.key.as_str(), &entry.node.value) {
                    ("plugins", Value::List(items)) => out.extend(items.iter().filter_map(|item| plugin(item, scope))),
                    ("services" | "routes" | "consumers" | "consumer_groups", Value::List(items)) => {
                        for item in items {
                            walk(item, &inner(&entry.key, item, scope), out);
                        }
                    }
                    _ => walk(&entry.node, scope, out),
                }
            }
        }
        Value::Null | Value::Scalar(_) => {}
    }
}

/// The scope of an item of the list `kind`.
fn inner<'t>(kind: &str, item: &'t Node, scope: &Scope<'t>) -> Scope<'t> {
    let Value::Map(entries) = &item.value else { return scope.clone() };
    let name = text(entries, "name").or_else(|| text(entries, "username")).or_else(|| text(entries, "id"));
    let place = format!("{} {}", kind.trim_end_matches('s').replace('_', " "), name.unwrap_or("without a name"));
    Scope { place, protocols: protocols(kind, entries), consumer: kind.starts_with("consumer") }
}

fn plugin<'t>(item: &'t Node, scope: &Scope<'t>) -> Option<Instance<'t>> {
    let Value::Map(entries) = &item.value else { return None };
    let name = value(entries, "name")?;
    let Value::Scalar(written) = &name.node.value else { return None };
    let consumer = value(entries, "consumer").filter(|entry| entry.node.value != Value::Null);
    Some(Instance {
        plugin: Plugin::named(written)?,
        place: if scope.place.is_empty() { "global".into() } else { scope.place.clone() },
        mark: name.node.mark,
        config: value(entries, "config").map(|entry| &entry.node),
        elsewhere: value(entries, "_config").is_some(),
        protocols: value(entries, "protocols").map(|entry| &entry.node),
        consumer: consumer.map(|entry| entry.mark).or(scope.consumer.then_some(name.node.mark)),
        owner: owner(entries),
        owner_protocols: scope.protocols.clone(),
    })
}

fn manifest(entries: &[Entry]) -> Option<Instance<'_>> {
    let name = value(entries, "plugin")?;
    let Value::Scalar(written) = &name.node.value else { return None };
    let metadata = value(entries, "metadata").map(|entry| &entry.node.value);
    let own = match metadata {
        Some(Value::Map(fields)) => text(fields, "name"),
        _ => None,
    };
    let kind = text(entries, "kind").unwrap_or_default();
    Some(Instance {
        plugin: Plugin::named(written)?,
        place: format!("{kind} {}", own.unwrap_or("without a name")),
        mark: name.node.mark,
        config: value(entries, "config").map(|entry| &entry.node),
        elsewhere: value(entries, "configFrom").is_some() || value(entries, "configPatches").is_some(),
        protocols: value(entries, "protocols").map(|entry| &entry.node),
        consumer: None,
        owner: None,
        owner_protocols: Vec::new(),
    })
}
