//! Metrics of the synchronisation with a control plane or an aggregation.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// By code of the reason.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Reason {
    /// Bounded value.
    pub reason: &'static str,
}

/// The families. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct SyncMetrics {
    /// Whether the last call was answered.
    pub up: Gauge,
    /// Failed calls.
    pub failures: Family<Reason, Counter>,
    /// Registrations that gave an identity.
    pub registrations: Counter,
    /// Serial of the policy in force.
    pub serial: Gauge,
    /// Policies refused.
    pub refused: Family<Reason, Counter>,
}

impl SyncMetrics {
    /// Families registered in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let all = Self::default();
        registry.register(
            "control_plane_up",
            "Whether the last call to the control plane or aggregation was answered.",
            all.up.clone(),
        );
        registry.register(
            "control_plane_call_failures",
            "Calls to the control plane or aggregation that came to nothing, by reason.",
            all.failures.clone(),
        );
        registry.register(
            "control_plane_registrations",
            "Registrations that gave an identity.",
            all.registrations.clone(),
        );
        registry.register(
            "policy_serial",
            "Serial of the control plane's policy in force; 0 for the local one alone.",
            all.serial.clone(),
        );
        registry.register(
            "policy_refused",
            "Policies of the control plane that were refused, by reason; the last good one stayed.",
            all.refused.clone(),
        );
        all
    }
}
