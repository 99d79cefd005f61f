//! Alarms: requests that pass uninspected, nodes that do not answer or lack signatures, and rules on behaviour that cannot act. They are judged
//! by the last heartbeats whenever the Dashboard is shown; each beginning and end is an event in the audit log.

use super::app::App;
use super::audit::Record;
use super::error::Result;
use super::listing;
use super::nodes::Node;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use weir_core::model::bytes::printable;
use weir_protocol::code::NodeRole;

/// Milliseconds for which a gap is shown after its last message.
const SHOWN_MS: i64 = 10 * 60 * 1000;
/// Milliseconds of grace beyond two heartbeats before a node counts as silent.
const GRACE_MS: i64 = 2_000;
/// Most alarms: more would not be read.
const MAX_ALARMS: usize = 50;
/// Nodes that an alarm names.
const NAMED: usize = 3;

/// Bytes shown of a name of a node or route.
const MAX_NAME: usize = 60;

/// Kinds, as metrics name them.
pub const KINDS: [&str; 5] = ["no_node", "uninspected", "unanswered", "unlisted", "missing_signatures"];

/// What a security team must see at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// No processing node answers.
    NoNode {
        /// The last heartbeat of any, in milliseconds since 1970.
        since: i64,
    },
    /// Messages passed uninspected.
    Uninspected {
        /// Route of the gateway; empty where it is not known.
        route: String,
        /// `request` or `response`.
        leg: String,
        /// Why, as in coverage reports.
        reason: String,
        /// At least so many.
        count: u64,
        /// The last of them, in milliseconds since 1970.
        last: i64,
    },
    /// A rule on responses to whose requests no responses come.
    Unanswered {
        /// Id of the rule.
        rule: u64,
        /// Route of the gateway; empty where it is not known.
        route: String,
        /// The last of these requests, in milliseconds since 1970.
        last: i64,
    },
    /// Calls of connectors that do not authenticate, for which rules would list sources.
    Unlisted {
        /// Names of the nodes.
        nodes: Vec<String>,
        /// The last of them, in milliseconds since 1970.
        last: i64,
    },
    /// Nodes that do not use all signatures built into their program.
    MissingSignatures {
        /// Names of the nodes.
        nodes: Vec<String>,
        /// The most that one of them lacks.
        count: u64,
        /// The last heartbeat of any, in milliseconds since 1970.
        last: i64,
    },
}

impl Alarm {
    /// One of [`KINDS`].
    pub fn kind(&self) -> &'static str {
        match self {
            Alarm::NoNode { .. } => KINDS[0],
            Alarm::Uninspected { .. } => KINDS[1],
            Alarm::Unanswered { .. } => KINDS[2],
            Alarm::Unlisted { .. } => KINDS[3],
            Alarm::MissingSignatures { .. } => KINDS[4],
        }
    }

    /// What distinguishes it from others.
    fn object(&self) -> String {
        match self {
            Alarm::NoNode { .. } => "nodes".into(),
            Alarm::Uninspected { route, leg, reason, .. } => format!("{leg}/{route}/{reason}"),
            Alarm::Unanswered { rule, route, .. } => format!("rule/{rule}/{route}"),
            Alarm::Unlisted { .. } => "connectors".into(),
            Alarm::MissingSignatures { .. } => "nodes".into(),
        }
    }

    /// What happens, in a sentence without its end.
    pub fn text(&self) -> String {
        match self {
            Alarm::NoNode { .. } => {
                "No node answers: gateways refuse requests or let them pass uninspected, as their failure mode says"
                    .into()
            }
            Alarm::Uninspected { route, leg, reason, .. } => {
                let what = if leg == "response" { "Responses" } else { "Requests" };
                let place = if route.is_empty() { String::new() } else { format!(" on route {}", short(route)) };
                format!("{what} pass uninspected{place}: {}", reason_text(reason))
            }
            Alarm::Unanswered { rule, route, .. } => {
                let place = if route.is_empty() { String::new() } else { format!(" on route {}", short(route)) };
                format!("Rule {rule} counts nothing{place}: the connector sends no responses to its requests")
            }
            Alarm::Unlisted { nodes, .. } => {
                format!("Calls of connectors that do not authenticate list nothing (node {})", named(nodes))
            }
            Alarm::MissingSignatures { nodes, count, .. } => {
                let are = if *count == 1 { "signature is" } else { "signatures are" };
                format!("{count} built-in {are} not in use (node {})", named(nodes))
            }
        }
    }

    /// What to do about it; empty for what the text says already.
    pub fn advice(&self) -> &'static str {
        match self {
            Alarm::NoNode { .. } | Alarm::Uninspected { .. } => "",
            Alarm::Unanswered { .. } => {
                "Switch the response leg of the connector on for this route, or exclude the route from the rule."
            }
            Alarm::Unlisted { .. } => {
                "Rules with the reaction graylist or denylist only report and limit for these calls. Set connector.auth on the \
                 node and a key or certificate in the connector."
            }
            Alarm::MissingSignatures { .. } => {
                "A rule pack takes their place, or rules.builtin of the node is false. Rule packs: take the pack out of use, or \
                 bring a version of it that has them."
            }
        }
    }

    /// Whether requests may pass uninspected; others concern single rules.
    pub fn is_grave(&self) -> bool {
        matches!(self, Alarm::NoNode { .. } | Alarm::Uninspected { .. })
    }

    /// When it was last so, in milliseconds since 1970.
    pub fn at(&self) -> i64 {
        match self {
            Alarm::NoNode { since } => *since,
            Alarm::Uninspected { last, .. }
            | Alarm::Unanswered { last, .. }
            | Alarm::Unlisted { last, .. }
            | Alarm::MissingSignatures { last, .. } => *last,
        }
    }

    /// How many messages, as far as they are counted.
    pub fn count(&self) -> Option<u64> {
        match self {
            Alarm::NoNode { .. }
            | Alarm::Unanswered { .. }
            | Alarm::Unlisted { .. }
            | Alarm::MissingSignatures { .. } => None,
            Alarm::Uninspected { count, .. } => Some(*count),
        }
    }
}

/// A name, cut where it is long.
fn short(name: &str) -> String {
    printable(name.as_bytes(), MAX_NAME)
}

/// Names of nodes; of many, the first ones.
fn named(nodes: &[String]) -> String {
    listing::first(nodes.iter().map(|name| short(name)), NAMED)
}

/// A reason of coverage reports in words.
fn reason_text(reason: &str) -> &str {
    match reason {
        "connect" => "the gateway cannot connect to the node",
        "timeout" => "the node did not answer in time",
        "reset" => "the node closed the connection",
        "malformed" => "the node's answer was not valid",
        "tls" => "the TLS connection to the node failed",
        "status_5xx" => "the node answered with an error",
        "shed" => "the node is overloaded",
        "refused" => "the node does not accept the gateway's key or address",
        "bad_call" => "the node does not understand the gateway's calls",
        "breaker_open" => "calls are suspended after failures of the node",
        "lua_error" => "the gateway's plugin failed",
        "error" => "a body could not be read",
        "too_large" => "a message was too large for the node",
        "queue" | "queue_full" => "copies were dropped because the gateway's queue is full",
        "exiting" => "copies were dropped when a gateway stopped",
        "unbuffered" | "upgrade" => "the gateway does not buffer them",
        other => other,
    }
}

/// The alarms by what nodes say at `now`, in a control plane that runs since `started`; the most recent first after a silence
/// of all nodes. Times are milliseconds since 1970.
pub fn of_nodes(nodes: &[Node], now: i64, started: i64) -> Vec<Alarm> {
    let mut out: Vec<Alarm> = silence(nodes, now, started).into_iter().collect();
    let mut gaps: BTreeMap<(&str, &str, &str), (u64, i64)> = BTreeMap::new();
    for gap in nodes.iter().filter(|node| node.enabled).flat_map(|node| &node.heartbeat.gaps) {
        let at = i64::try_from(gap.last).unwrap_or(i64::MAX).min(now);
        // Gateways report the same total to several nodes: the largest is a lower bound, the sum would be too much.
        let (count, last) = gaps.entry((&gap.route, &gap.leg, &gap.reason)).or_default();
        (*count, *last) = ((*count).max(gap.count), (*last).max(at));
    }
    let mut gaps: Vec<_> = gaps.into_iter().filter(|(_, (_, last))| now - last < SHOWN_MS).collect();
    gaps.sort_by_key(|(_, (_, last))| std::cmp::Reverse(*last));
    out.extend(gaps.into_iter().map(|((route, leg, reason), (count, last))| Alarm::Uninspected {
        route: route.into(),
        leg: leg.into(),
        reason: reason.into(),
        count,
        last,
    }));
    out.extend(unanswered(nodes, now));
    out.extend(unlisted(nodes, now));
    out.extend(missing_signatures(nodes, now));
    out.truncate(MAX_ALARMS);
    out
}

/// What nodes that are well report of a moment, if it is not long past.
fn recent(at: u64, now: i64) -> Option<i64> {
    let at = i64::try_from(at).unwrap_or(i64::MAX).min(now);
    (now - at < SHOWN_MS).then_some(at)
}

/// Rules on responses to whose requests no responses come, the most recent first.
fn unanswered(nodes: &[Node], now: i64) -> Vec<Alarm> {
    let mut found: BTreeMap<(u64, &str), i64> = BTreeMap::new();
    for one in nodes.iter().filter(|node| node.enabled).flat_map(|node| &node.heartbeat.behaviour.unanswered) {
        let Some(at) = recent(one.last, now) else { continue };
        let last = found.entry((one.rule, &one.route)).or_default();
        *last = at.max(*last);
    }
    let alarm = |((rule, route), last): ((u64, &str), i64)| Alarm::Unanswered { rule, route: route.into(), last };
    let mut alarms: Vec<Alarm> = found.into_iter().map(alarm).collect();
    alarms.sort_by_key(|alarm| std::cmp::Reverse(alarm.at()));
    alarms
}

/// Whether connectors that do not authenticate send requests under rules that would list their sources.
fn unlisted(nodes: &[Node], now: i64) -> Option<Alarm> {
    let calls = nodes.iter().filter(|node| node.enabled && node.heartbeat.behaviour.unlisted > 0);
    let calls = calls.filter_map(|node| Some((recent(node.heartbeat.behaviour.unlisted, now)?, node.name.clone())));
    let (times, nodes): (Vec<i64>, Vec<String>) = calls.unzip();
    times.into_iter().max().map(|last| Alarm::Unlisted { nodes, last })
}

/// Nodes that answer and do not use all signatures built into their program.
fn missing_signatures(nodes: &[Node], now: i64) -> Option<Alarm> {
    let lack = nodes.iter().filter(|node| node.enabled && node.heartbeat.missing_signatures > 0);
    let lack: Vec<&Node> = lack.filter(|node| now - node.seen_at < SHOWN_MS).collect();
    let count = lack.iter().map(|node| node.heartbeat.missing_signatures).max()?;
    let last = lack.iter().map(|node| node.seen_at).max()?;
    Some(Alarm::MissingSignatures { nodes: lack.iter().map(|node| node.name.clone()).collect(), count, last })
}

/// Whether all processing nodes are silent. What was missed before the control plane started says nothing.
fn silence(nodes: &[Node], now: i64, started: i64) -> Option<Alarm> {
    let processing = nodes.iter().filter(|node| node.role == NodeRole::Processing && node.enabled);
    let silent = |node: &Node| {
        let patience = i64::try_from(node.heartbeat.interval().saturating_mul(2_000)).unwrap_or(i64::MAX);
        now - node.seen_at.max(started) > patience.saturating_add(GRACE_MS)
    };
    let all: Vec<&Node> = processing.collect();
    let since = all.iter().map(|node| node.seen_at).max()?;
    all.iter().all(|node| silent(node)).then_some(Alarm::NoNode { since })
}

/// The alarms that this process has recorded as begun.
#[derive(Debug)]
pub struct Alarms {
    started: i64,
    raised: Mutex<BTreeSet<(&'static str, String)>>,
}

impl Alarms {
    /// None yet, in a control plane that starts now, in milliseconds since 1970.
    pub fn new(started: i64) -> Self {
        Self { started, raised: Mutex::default() }
    }
}

impl App {
    /// The alarms at this moment.
    pub async fn alarms(&self) -> Result<Vec<Alarm>> {
        Ok(of_nodes(&self.nodes.list().await?, self.clock.millis(), self.alarms.started))
    }

    /// Records alarms that began or ended since the last call, and sets their metric.
    pub(super) async fn watch_alarms(&self) -> Result<()> {
        let alarms = self.alarms().await?;
        for kind in KINDS {
            let count = alarms.iter().filter(|alarm| alarm.kind() == kind).count();
            self.config.metrics.set_alarms(kind, count);
        }
        let now: BTreeSet<_> = alarms.iter().map(|alarm| (alarm.kind(), alarm.object())).collect();
        let before = {
            let mut raised = self.alarms.raised.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *raised, now.clone())
        };
        for alarm in &alarms {
            if !before.contains(&(alarm.kind(), alarm.object())) {
                tracing::warn!(kind = alarm.kind(), "{}", alarm.text());
                let object = format!("{}/{}", alarm.kind(), alarm.object());
                let record = Record::new("alarm.begin", object, (), alarm.text())?;
                self.audit.begin().await?.commit_record("weir", "", &record).await?;
            }
        }
        for (kind, object) in before.difference(&now) {
            tracing::info!(kind, object, "alarm ended");
            let record = Record::new("alarm.end", format!("{kind}/{object}"), (), ())?;
            self.audit.begin().await?.commit_record("weir", "", &record).await?;
        }
        Ok(())
    }
}
