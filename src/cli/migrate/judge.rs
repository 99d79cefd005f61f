//! What becomes of each value of a file.

use super::table::{Chart, Does, Known};
use crate::config::resolve::is_vendor;
use crate::config::tree::{Entry, Mark, Node, Value};
use serde::Serialize;
use weir_core::ruleset::similar_name;

/// First line of what `helm get values` prints.
const HELM_HEAD: &str = "USER-SUPPLIED VALUES";

/// What becomes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// Carries over.
    Carried,
    /// Carries over, but means something else, or its default differs: to be read.
    Changed,
    /// Was not set, and has to be, for things to stay as they were.
    Added,
    /// Without effect; left out.
    Ignored,
    /// Not known to the older charts nor to this one, or not possible here; left out.
    Unknown,
}

/// One value and its fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Dotted path; list members are `[0]`.
    pub key: String,
    /// What becomes of it.
    pub fate: Fate,
    /// Line of the file, from 1. None: it is not in the file.
    pub line: Option<usize>,
    /// Why, in words.
    pub note: String,
    /// Whether the new file goes without it.
    #[serde(skip)]
    pub left_out: bool,
    /// What the new file gets under this key.
    #[serde(skip)]
    pub insert: Option<&'static str>,
}

/// Judges every value of a file from `chart`.
pub fn judge(known: &Known, chart: Chart, root: &Node) -> Vec<Finding> {
    let mut judge = Judge { known, chart, findings: Vec::new() };
    judge.map(root, known.root(), "");
    judge.defaults(chart, root);
    judge.findings
}

/// Which chart a file was written for, if its values tell.
pub fn chart_of(root: &Node) -> Option<Chart> {
    let has = |path: &str| find(root, path).is_some();
    let mode = |word: &str| text(root, "config.connector.mode") == Some(word);
    let group = |word: &str| text(root, "config.api.nodeGroup") == Some(word);
    let next = mode("block")
        || mode("monitoring")
        || group("defaultNodeNextGroup")
        || ["processing.containers.nodeNext", "processing.containers.collectd", "config.connector.log_level"]
            .into_iter()
            .any(has)
        || has("config.connector.http_inspector.real_ip_header");
    let native = mode("connector-server")
        || mode("envoy-external-filter")
        || group("defaultNodeNativeGroup")
        || ["processing.containers.nodeNative", "config.aggregation.wstoreMemory", "config.aggregation.serviceAddress"]
            .into_iter()
            .any(has)
        || ["log", "proxy_headers", "input_filters", "per_connection_limits", "disable_mesh"]
            .iter()
            .any(|key| has(&format!("config.connector.{key}")))
        || has("drop_on_overload");
    match (next, native) {
        (true, false) => Some(Chart::Next),
        (false, true) => Some(Chart::Native),
        _ => None,
    }
}

/// The node at a dotted path of maps.
pub fn find<'n>(node: &'n Node, path: &str) -> Option<&'n Node> {
    path.split('.').try_fold(node, |at, name| {
        let Value::Map(entries) = &at.value else { return None };
        entries.iter().rev().find(|entry| entry.key == name).map(|entry| &entry.node)
    })
}

fn text<'n>(node: &'n Node, path: &str) -> Option<&'n str> {
    match &find(node, path)?.value {
        Value::Scalar(text) => Some(text),
        _ => None,
    }
}

struct Judge<'k> {
    known: &'k Known,
    chart: Chart,
    findings: Vec<Finding>,
}

impl Judge<'_> {
    fn say(&mut self, key: &str, fate: Fate, mark: Mark, note: impl Into<String>) {
        let left_out = matches!(fate, Fate::Ignored | Fate::Unknown);
        let line = (mark.line > 0).then_some(mark.line);
        self.findings.push(Finding { key: key.to_owned(), fate, line, note: note.into(), left_out, insert: None });
    }

    fn map(&mut self, node: &Node, schema: &serde_json::Value, path: &str) {
        let Value::Map(entries) = &node.value else {
            if path.is_empty() && node.value != Value::Null {
                self.say("", Fate::Unknown, node.mark, "a values file is a map");
            }
            return;
        };
        for entry in entries {
            if path.is_empty() && entry.key == HELM_HEAD && entry.node.value == Value::Null {
                self.findings.push(Finding {
                    key: entry.key.clone(),
                    fate: Fate::Ignored,
                    line: Some(entry.mark.line),
                    note: "the first line of what `helm get values` prints".into(),
                    left_out: true,
                    insert: None,
                });
                continue;
            }
            let at = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
            self.entry(entry, schema, &at);
        }
    }

    fn entry(&mut self, entry: &Entry, schema: &serde_json::Value, path: &str) {
        let row = self.known.row(path);
        if let Some(row) = row.filter(|row| matches!(row.does, Does::Ignored | Does::Dropped)) {
            return self.say(path, Fate::Ignored, entry.mark, row.note.clone());
        }
        let Some(member) = self.known.member(schema, &entry.key) else {
            let near =
                similar_name(&entry.key, self.known.names(schema)).map(|near| format!("; did you mean `{near}`?"));
            let note = format!("no value of the older charts or of this one{}", near.unwrap_or_default());
            return self.say(path, Fate::Unknown, entry.mark, note);
        };
        match &entry.node.value {
            // Further down there is more to tell, or to find wrong.
            Value::Map(inner) if !inner.is_empty() && self.has_shape(member) => self.map(&entry.node, member, path),
            Value::List(items) if self.known.items(member).is_some_and(|items| self.has_shape(items)) => {
                self.leaf(entry, path);
                let of = self.known.items(member).expect("just seen");
                for (at, item) in items.iter().enumerate() {
                    self.refused(item, of, &format!("{path}[{at}]"));
                }
            }
            _ => self.leaf(entry, path),
        }
    }

    fn has_shape(&self, schema: &serde_json::Value) -> bool {
        self.known.names(schema).next().is_some()
    }

    /// Members of a list that the chart would refuse.
    fn refused(&mut self, node: &Node, schema: &serde_json::Value, path: &str) {
        let Value::Map(entries) = &node.value else { return };
        for entry in entries {
            let at = format!("{path}.{}", entry.key);
            let Some(member) = self.known.member(schema, &entry.key) else {
                self.say(&at, Fate::Unknown, entry.mark, "no value of the older charts or of this one");
                continue;
            };
            if let (Value::List(items), Some(of)) = (&entry.node.value, self.known.items(member)) {
                for (nth, item) in items.iter().enumerate() {
                    self.refused(item, of, &format!("{at}[{nth}]"));
                }
            }
        }
    }

    fn leaf(&mut self, entry: &Entry, path: &str) {
        let given = match &entry.node.value {
            Value::Scalar(text) => text.as_str(),
            _ => "",
        };
        match (path, given) {
            ("config.api.host", host) if is_vendor(host) => {
                let note = "a vendor's host is never contacted: the release brings its own control plane, and \
                            config.api.token is its first Deploy token";
                self.say(path, Fate::Changed, entry.mark, note);
                self.findings.last_mut().expect("just pushed").left_out = true;
            }
            ("config.api.host", _) => self.say(path, Fate::Carried, entry.mark, "nodes call it, as before"),
            ("config.connector.mode", "envoy-external-filter") => {
                let note = "the Envoy filter protocol is not offered: keep that node, or use a connector that speaks \
                            connector-server";
                self.say(path, Fate::Unknown, entry.mark, note);
            }
            ("processing.service.clusterIP", "None") => {
                self.say(
                    path,
                    Fate::Ignored,
                    entry.mark,
                    "it had no effect in 0.5.3; `processing.service.headless` asks for it",
                );
            }
            ("config.connector.proxy_headers", _) => self.proxy_headers(entry, path),
            _ => match self.known.row(path) {
                Some(row) if !row.charts.contains(&self.chart) => {
                    let note = format!("that chart did not have it; here it has an effect: {}", row.note);
                    self.say(path, Fate::Changed, entry.mark, note);
                }
                Some(row) if row.does == Does::Changed => {
                    let note = row.note.clone();
                    self.say(path, Fate::Changed, entry.mark, note);
                }
                Some(row) => {
                    let note = row.note.clone();
                    self.say(path, Fate::Carried, entry.mark, note);
                }
                None => self.say(path, Fate::Carried, entry.mark, "a value of this chart"),
            },
        }
    }

    fn proxy_headers(&mut self, entry: &Entry, path: &str) {
        let Value::List(items) = &entry.node.value else {
            return self.say(path, Fate::Carried, entry.mark, "trusted proxies");
        };
        let open: Vec<_> =
            items.iter().enumerate().filter(|(_, item)| find(item, "trusted_networks").is_none()).collect();
        if open.is_empty() {
            self.say(path, Fate::Carried, entry.mark, "proxies trusted to report the client's address");
        }
        for (at, item) in open {
            let note = "without `trusted_networks` it trusted everyone; here it trusts loopback and private networks. Write \
                        out 0.0.0.0/0 and ::/0 if everyone is meant";
            self.say(&format!("{path}[{at}]"), Fate::Changed, item.mark, note);
        }
    }

    /// What the older chart did where nothing was set, and this one does otherwise.
    fn defaults(&mut self, chart: Chart, root: &Node) {
        let unset = |path: &str| find(root, path).is_none();
        let added = |key: &str, value: &'static str, note: &str| Finding {
            key: key.to_owned(),
            fate: Fate::Added,
            line: None,
            note: note.to_owned(),
            left_out: false,
            insert: Some(value),
        };
        let outside = text(root, "processing.service.type").is_some_and(|kind| kind != "ClusterIP");
        if outside && unset("config.connector.allowed_networks") && unset("config.connector.auth") {
            let note = "calls were accepted from everywhere; here from loopback and private networks, unless connectors \
                        prove who they are by config.connector.auth, or you name their networks";
            self.say("config.connector.allowed_networks", Fate::Changed, Mark::default(), note);
        }
        if chart == Chart::Native {
            if unset("config.connector.route_config.wallarm_mode") {
                let note = "the older chart monitors where no mode is set, this one blocks";
                self.findings.push(added("config.connector.route_config.wallarm_mode", "monitoring", note));
            }
            if unset("servicePrefix") && unset("fullnameOverride") {
                let note = "keeps the address native-processing, which your connectors call";
                self.findings.push(added("servicePrefix", "native", note));
            }
        }
        if chart == Chart::Next {
            if unset("processing.autoscaling.enabled") {
                let note = "it was on by default (1 to 10 pods); here it is off. Set it to true to keep it";
                self.say("processing.autoscaling.enabled", Fate::Changed, Mark::default(), note);
            }
            if unset("config.connector.log_level") && unset("config.connector.log.level") {
                self.say(
                    "config.connector.log.level",
                    Fate::Changed,
                    Mark::default(),
                    "it was debug by default; here it is info",
                );
            }
        }
    }
}
