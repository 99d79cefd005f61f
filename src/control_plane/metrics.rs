//! What a control plane counts.

use super::app::App;
use super::error::Result;
use super::sinks;
use super::store::StoreError;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

/// By what came of it.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Outcome {
    /// A word of a fixed list.
    pub outcome: &'static str,
}

/// By the state of a node.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct State {
    state: &'static str,
}

/// The families. Clones count together.
#[derive(Clone, Debug)]
pub struct ControlPlaneMetrics {
    records: Family<Outcome, Counter>,
    ingest: Histogram,
    misdated: Counter,
    logins: Family<Outcome, Counter>,
    retention: Family<Outcome, Counter>,
    nodes: Family<State, Gauge>,
    serial: Gauge,
    /// Nodes that wait for a policy.
    pub polls: Gauge,
    /// Of webhooks and syslog.
    pub sinks: sinks::Metrics,
}

impl Default for ControlPlaneMetrics {
    fn default() -> Self {
        let seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        Self {
            records: Family::default(),
            ingest: Histogram::new(seconds),
            misdated: Counter::default(),
            logins: Family::default(),
            retention: Family::default(),
            nodes: Family::default(),
            serial: Gauge::default(),
            polls: Gauge::default(),
            sinks: sinks::Metrics::default(),
        }
    }
}

impl ControlPlaneMetrics {
    /// Registers the families.
    pub fn enlist(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("control_plane");
        registry.register("records", "Records of nodes: stored, duplicate, rejected.", self.records.clone());
        let batch = "Time to store a batch of records.";
        registry.register_with_unit("ingest", batch, Unit::Seconds, self.ingest.clone());
        registry.register("misdated", "Hits that got the time of their arrival.", self.misdated.clone());
        registry.register("logins", "Attempts to log in: accepted, refused, throttled.", self.logins.clone());
        registry.register("retention_runs", "Removals of what is too old: done, failed.", self.retention.clone());
        registry.register("nodes", "Nodes by state: active, inactive, disabled.", self.nodes.clone());
        registry.register("policy_serial", "Serial of the policy in force.", self.serial.clone());
        registry.register("policy_polls", "Nodes that wait for a policy.", self.polls.clone());
        registry.register("sink_records", "Records delivered to webhooks and syslog.", self.sinks.delivered.clone());
        registry.register("sink_failures", "Deliveries that failed and are tried again.", self.sinks.failures.clone());
    }

    /// A batch was taken, with so many records stored, there already, and rejected.
    pub fn batch(&self, took: Duration, counts: [u64; 3]) {
        self.ingest.observe(took.as_secs_f64());
        for (outcome, count) in ["stored", "duplicate", "rejected"].into_iter().zip(counts) {
            self.records.get_or_create(&Outcome { outcome }).inc_by(count);
        }
    }

    /// Hits came with a time at which nothing can be stored.
    pub fn misdated(&self, hits: u64) {
        self.misdated.inc_by(hits);
    }

    /// Somebody tried to log in.
    pub fn login(&self, outcome: &'static str) {
        self.logins.get_or_create(&Outcome { outcome }).inc();
    }

    /// Retention ran.
    pub fn retained<T>(&self, done: &std::result::Result<T, StoreError>) {
        let outcome = if done.is_ok() { "done" } else { "failed" };
        self.retention.get_or_create(&Outcome { outcome }).inc();
    }

    /// Looks at what is counted by looking.
    pub(super) async fn look(&self, app: &App) -> Result<()> {
        let mut states = [("active", 0), ("inactive", 0), ("disabled", 0)];
        for node in app.nodes.list().await? {
            let at = if !node.enabled { 2 } else { usize::from(!node.active) };
            states[at].1 += 1;
        }
        for (state, count) in states {
            self.nodes.get_or_create(&State { state }).set(count);
        }
        self.serial.set(i64::try_from(app.policy.head().version.serial).unwrap_or(i64::MAX));
        Ok(())
    }
}

/// Counts in a gauge for as long as it is kept.
pub(super) struct Counted(Gauge);

impl Counted {
    /// One more.
    pub fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
