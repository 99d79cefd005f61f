//! What an aggregation counts besides its spools and its way upstream.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

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
        all
    }
}
