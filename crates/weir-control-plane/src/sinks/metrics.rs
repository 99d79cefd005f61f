//! What deliveries to sinks count.

use super::sink::Target;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// By kind of sink.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// The families. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    delivered: Family<Kind, Counter>,
    failures: Family<Kind, Counter>,
    dropped: Counter,
}

impl Metrics {
    /// Registers the families.
    pub fn enlist(&self, registry: &mut Registry) {
        let delivered = "Records that webhooks and syslog receivers took, by kind.";
        registry.register("control_plane_sink_records", delivered, self.delivered.clone());
        let failures = "Deliveries that failed, each to be tried again, by kind.";
        registry.register("control_plane_sink_failures", failures, self.failures.clone());
        let dropped = "Records no longer kept for a receiver that was away for too long.";
        registry.register("control_plane_sink_records_dropped", dropped, self.dropped.clone());
    }

    pub(super) fn delivered(&self, target: &Target, records: usize) {
        self.delivered.get_or_create(&kind(target)).inc_by(records as u64);
    }

    pub(super) fn failed(&self, target: &Target) {
        self.failures.get_or_create(&kind(target)).inc();
    }

    pub(super) fn dropped(&self, records: u64) {
        self.dropped.inc_by(records);
    }
}

fn kind(target: &Target) -> Kind {
    let kind = match target {
        Target::Webhook { .. } => "webhook",
        Target::Syslog { .. } => "syslog",
    };
    Kind { kind }
}
