//! What a control plane counts. Every label is a word of a short list.

use super::sinks;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;
use weir_protocol::node_api::Ack;

/// Upper bounds of the time to store a batch, in seconds: from one on an idle disk to one that outlives its sender.
const SECONDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// By what came of it.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// By the state of a node.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct State {
    state: &'static str,
}

/// By the kind of an alarm.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// What came of an attempt to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// A session began.
    Accepted,
    /// Login or password is wrong, or the identity provider gives no role.
    Refused,
    /// There were too many attempts.
    Throttled,
}

/// The families. Clones count together.
#[derive(Clone, Debug)]
pub struct ControlPlaneMetrics {
    records: Family<Outcome, Counter>,
    batches: Family<Outcome, Counter>,
    ingest: Histogram,
    misdated: Counter,
    logins: Family<Outcome, Counter>,
    retention: Family<Outcome, Counter>,
    messages: Family<Outcome, Counter>,
    nodes: Family<State, Gauge>,
    alarms: Family<Kind, Gauge>,
    serial: Gauge,
    polls: Gauge,
    /// Of webhooks and syslog.
    pub(super) sinks: sinks::Metrics,
}

impl Default for ControlPlaneMetrics {
    fn default() -> Self {
        Self {
            records: Family::default(),
            batches: Family::default(),
            ingest: Histogram::new(SECONDS),
            misdated: Counter::default(),
            logins: Family::default(),
            retention: Family::default(),
            messages: Family::default(),
            nodes: Family::default(),
            alarms: Family::default(),
            serial: Gauge::default(),
            polls: Gauge::default(),
            sinks: sinks::Metrics::default(),
        }
    }
}

impl ControlPlaneMetrics {
    /// Registers the families, as `control_plane_*`.
    pub fn enlist(&self, registry: &mut Registry) {
        let records = "Records of nodes, by outcome: stored, duplicate, rejected.";
        registry.register("control_plane_records", records, self.records.clone());
        registry.register(
            "control_plane_batches",
            "Batches of records, by outcome: stored, failed.",
            self.batches.clone(),
        );
        registry.register("control_plane_ingest_seconds", "Time to store a batch.", self.ingest.clone());
        registry.register("control_plane_misdated", "Hits that got the time of their arrival.", self.misdated.clone());
        registry.register(
            "control_plane_logins",
            "Logins, by outcome: accepted, refused, throttled.",
            self.logins.clone(),
        );
        registry.register(
            "control_plane_retention_runs",
            "Removals of old hits, by outcome: done, failed.",
            self.retention.clone(),
        );
        let messages = "Messages of alerts and reports, by outcome: sent, failed.";
        registry.register("control_plane_alert_messages", messages, self.messages.clone());
        registry.register("control_plane_nodes", "Nodes, by state: active, inactive, disabled.", self.nodes.clone());
        let alarms = "Alarms on the Dashboard, by kind: no_node, uninspected.";
        registry.register("control_plane_alarms", alarms, self.alarms.clone());
        registry.register("control_plane_policy_serial", "Serial of the policy in force.", self.serial.clone());
        registry.register("control_plane_policy_polls", "Nodes that wait for a policy.", self.polls.clone());
        self.sinks.enlist(registry);
    }

    /// A batch was handled within `took`; none is what the store could not take.
    pub(super) fn batch(&self, took: Duration, ack: Option<&Ack>) {
        self.ingest.observe(took.as_secs_f64());
        count(&self.batches, if ack.is_some() { "stored" } else { "failed" }, 1);
        if let Some(ack) = ack {
            count(&self.records, "stored", ack.stored);
            count(&self.records, "duplicate", ack.duplicates);
            count(&self.records, "rejected", ack.rejected.len() as u64);
        }
    }

    /// Hits came with a time at which nothing can be stored.
    pub(super) fn misdated(&self, hits: u64) {
        self.misdated.inc_by(hits);
    }

    /// A login was attempted.
    pub(super) fn login(&self, came: Login) {
        let outcome = match came {
            Login::Accepted => "accepted",
            Login::Refused => "refused",
            Login::Throttled => "throttled",
        };
        count(&self.logins, outcome, 1);
    }

    /// Retention ran, to its end or not.
    pub(super) fn retained(&self, done: bool) {
        count(&self.retention, if done { "done" } else { "failed" }, 1);
    }

    /// A message of an alert, a digest or a report was delivered or not.
    pub(super) fn message(&self, sent: bool) {
        count(&self.messages, if sent { "sent" } else { "failed" }, 1);
    }

    /// Counts a node that waits for a policy for as long as the answer is kept.
    pub(super) fn poll(&self) -> Poll {
        self.polls.inc();
        Poll(self.polls.clone())
    }

    /// Sets the serial of the policy in force.
    pub(super) fn set_serial(&self, serial: u64) {
        self.serial.set(i64::try_from(serial).unwrap_or(i64::MAX));
    }

    /// Sets how many alarms of a kind there are.
    pub(super) fn set_alarms(&self, kind: &'static str, alarms: usize) {
        self.alarms.get_or_create(&Kind { kind }).set(i64::try_from(alarms).unwrap_or(i64::MAX));
    }

    /// Sets how many nodes are in `state`.
    pub(super) fn set_nodes(&self, state: &'static str, nodes: i64) {
        self.nodes.get_or_create(&State { state }).set(nodes);
    }
}

fn count(family: &Family<Outcome, Counter>, outcome: &'static str, by: u64) {
    family.get_or_create(&Outcome { outcome }).inc_by(by);
}

/// A poll under way.
pub(super) struct Poll(Gauge);

impl Drop for Poll {
    fn drop(&mut self) {
        self.0.dec();
    }
}
