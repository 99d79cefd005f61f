//! Metrics of listeners.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Labels: the listener.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Listener {
    listener: &'static str,
}

/// Labels: the listener and why it closed or refused a connection.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    listener: &'static str,
    reason: &'static str,
}

/// The metric families. Clones share their counts.
#[derive(Clone, Debug, Default)]
pub struct ServeMetrics {
    open: Family<Listener, Gauge>,
    ended: Family<Ended, Counter>,
}

impl ServeMetrics {
    /// Registers the families.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "listener_connections",
            "Open connections beside those of the connector API.",
            self.open.clone(),
        );
        registry.register(
            "listener_connections_ended",
            "Connections that a listener refused or ended, by reason.",
            self.ended.clone(),
        );
    }

    /// Counts an open connection until the guard is dropped.
    pub(super) fn open(&self, listener: &'static str) -> Open {
        let gauge = self.open.get_or_create(&Listener { listener }).clone();
        gauge.inc();
        Open(gauge)
    }

    /// Counts a connection that was closed or refused for `reason`.
    pub(super) fn ended(&self, listener: &'static str, reason: &'static str) {
        self.ended.get_or_create(&Ended { listener, reason }).inc();
    }
}

/// Counts one open connection.
pub(super) struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
