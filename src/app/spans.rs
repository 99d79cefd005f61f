//! Export of spans and metrics to a collector.

use super::error::SettingsError;
use super::settings;
use crate::config::Resolved;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weir_node::traces::{Exporter, MetricsExporter, TraceMetrics, Traces};

/// The exporters, where a collector is configured.
pub struct Spans(Option<Exporters>);

struct Exporters {
    /// What gives spans to `spans`.
    traces: Arc<Traces>,
    spans: Exporter,
    metrics: Option<MetricsExporter>,
}

impl Spans {
    /// As configured; nothing is sent yet.
    pub fn open(resolved: &Resolved, registry: &mut Registry) -> Result<Self, SettingsError> {
        let Some(config) = settings::traces(resolved)? else { return Ok(Self(None)) };
        let made = Exporter::new(config, TraceMetrics::register(registry)).and_then(|(traces, spans)| {
            let metrics = spans.of_metrics()?;
            Ok(Self(Some(Exporters { traces, spans, metrics })))
        });
        made.map_err(SettingsError::Traces)
    }

    /// What takes spans of verdicts.
    pub fn traces(&self) -> Option<Arc<Traces>> {
        self.0.as_ref().map(|exporters| Arc::clone(&exporters.traces))
    }

    /// Begins to send spans and the metrics of `registry`, until `stop`.
    pub fn start(self, registry: &Arc<Registry>, stop: &CancellationToken) -> Export {
        let Some(Exporters { spans, metrics, .. }) = self.0 else { return Export(Vec::new()) };
        let metrics = metrics.map(|metrics| tokio::spawn(metrics.run(Arc::clone(registry), stop.clone())));
        Export(std::iter::once(tokio::spawn(spans.run(stop.clone()))).chain(metrics).collect())
    }
}

/// An export under way.
pub struct Export(Vec<JoinHandle<()>>);

impl Export {
    /// Waits until what was queued is sent, or the collector does not take it.
    pub async fn finish(self) {
        for task in self.0 {
            if let Err(error) = task.await {
                // Only a defect ends the task otherwise.
                tracing::error!(%error, "the export of spans or metrics ended early");
            }
        }
    }
}
