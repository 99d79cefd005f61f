//! What an aggregation counts besides its spools and its way upstream.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use weir_runtime::telemetry::metrics::raise;

/// By call and status of the answer.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Call {
    /// Path without variable parts.
    pub call: &'static str,
    /// `ok`, or the code of the problem.
    pub outcome: &'static str,
}

/// The families. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct AggregationMetrics {
    /// Nodes that are known.
    pub replicas: Gauge,
    /// Groups with a connection of their own.
    pub groups: Gauge,
    /// Long polls in progress.
    pub polls: Gauge,
    /// Calls of nodes.
    pub calls: Family<Call, Counter>,
    /// Records taken.
    pub records: Counter,
    abuse_counters: Gauge,
    abuse_given_up: Counter,
    abuse_not_counted: Counter,
    abuse_forgotten: Counter,
}

impl AggregationMetrics {
    /// Families registered in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let all = Self::default();
        registry.register("aggregation_nodes", "Nodes that are known.", all.replicas.clone());
        registry.register("aggregation_groups", "Groups with an upstream connection.", all.groups.clone());
        registry.register("aggregation_policy_polls", "Nodes that wait for a policy.", all.polls.clone());
        registry.register("aggregation_calls", "Calls of nodes, by outcome.", all.calls.clone());
        registry.register("aggregation_records", "Records taken from nodes.", all.records.clone());
        let name = "aggregation_abuse_counters";
        registry.register(name, "Counters of abuse rules that are added up here.", all.abuse_counters.clone());
        let mut counter = |name, help, counter: &Counter| registry.register(name, help, counter.clone());
        counter(
            "aggregation_abuse_counters_given_up",
            "Counters given up for others, for lack of memory.",
            &all.abuse_given_up,
        );
        counter(
            "aggregation_abuse_not_counted",
            "Reports not counted because all counters were past half of their limit.",
            &all.abuse_not_counted,
        );
        counter(
            "aggregation_abuse_announcements_forgotten",
            "Counters past half of their limit that some nodes may not have heard of.",
            &all.abuse_forgotten,
        );
        all
    }

    /// Takes over the state of counters: how many there are, those given up and events not counted, announcements
    /// forgotten.
    pub fn abuse(&self, counters: usize, [given_up, not_counted]: [u64; 2], forgotten: u64) {
        self.abuse_counters.set(i64::try_from(counters).unwrap_or(i64::MAX));
        raise(&self.abuse_given_up, given_up);
        raise(&self.abuse_not_counted, not_counted);
        raise(&self.abuse_forgotten, forgotten);
    }
}
