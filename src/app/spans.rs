//! Export of spans to a collector.

use super::error::SettingsError;
use super::settings;
use crate::config::Resolved;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weir_node::traces::{Exporter, TraceMetrics, Traces};

/// The exporter and what gives it spans, where a collector is configured.
pub struct Spans(Option<(Arc<Traces>, Exporter)>);

impl Spans {
    /// As configured; nothing is sent yet.
    pub fn open(resolved: &Resolved, registry: &mut Registry) -> Result<Self, SettingsError> {
        let config = settings::traces(resolved)?;
        let made = config.map(|config| Exporter::new(config, TraceMetrics::register(registry)));
        made.transpose().map(Self).map_err(SettingsError::Traces)
    }

    /// What takes spans of verdicts.
    pub fn traces(&self) -> Option<Arc<Traces>> {
        self.0.as_ref().map(|(traces, _)| Arc::clone(traces))
    }

    /// Begins to send, until `stop`.
    pub fn start(self, stop: &CancellationToken) -> Export {
        Export(self.0.map(|(_, exporter)| tokio::spawn(exporter.run(stop.clone()))))
    }
}

/// An export under way.
pub struct Export(Option<JoinHandle<()>>);

impl Export {
    /// Waits until what was queued is sent, or the collector does not take it.
    pub async fn finish(self) {
        if let Some(task) = self.0
            && let Err(error) = task.await
        {
            // Only a defect ends the task otherwise.
            tracing::error!(%error, "the export of spans ended early");
        }
    }
}
