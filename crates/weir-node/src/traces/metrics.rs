//! Sends the metrics of the process to a collector.

use super::collector::{Collector, SendError};
use super::exporter::{Config, ExporterError, TraceMetrics, resource, scope};
use super::metrics_proto::{ExportMetricsServiceRequest, ResourceMetrics, ScopeMetrics};
use super::open_metrics::{self, Times};
use super::proto::ExportTraceServiceResponse;
use prometheus_client::registry::Registry;
use prost::Message as _;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use weir_runtime::clock::now_millis;

/// Sends metrics in intervals.
pub struct MetricsExporter {
    collector: Collector,
    interval: Duration,
    service_name: String,
    metrics: TraceMetrics,
    /// Nanoseconds since 1970.
    start: u64,
}

fn now() -> u64 {
    now_millis() * 1_000_000
}

impl MetricsExporter {
    /// An exporter, if `config` has an interval; nothing is sent yet. Fails if the certificate authority cannot be used.
    pub(super) fn new(config: &Config, metrics: &TraceMetrics) -> Result<Option<Self>, ExporterError> {
        let Some(interval) = config.metrics_interval else { return Ok(None) };
        let url = config.url.join("metrics").map_err(ExporterError::Url)?;
        let collector = Collector::new(config, url)?;
        let (service_name, metrics) = (config.service_name.clone(), metrics.clone());
        Ok(Some(Self { collector, interval, service_name, metrics, start: now() }))
    }

    /// Sends what `registry` has in each interval until `stop`, and then once more.
    pub async fn run(self, registry: Arc<Registry>, stop: CancellationToken) {
        let (mut failing, mut stopped) = (false, false);
        while !stopped {
            stopped = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(self.interval) => false,
            };
            match self.send(&registry).await {
                Ok(refused) => {
                    self.metrics.count_export(if refused { "refused" } else { "sent" });
                    if failing {
                        tracing::info!("the collector takes metrics again");
                    }
                    failing = false;
                }
                Err(error) => {
                    self.metrics.count_export("failed");
                    // Once for an outage, not for each interval.
                    if !failing {
                        let error = weir_runtime::error_chain::with_causes(&error);
                        tracing::warn!(error, "metrics were not exported; exports are counted in trace_metric_exports");
                    }
                    failing = true;
                }
            }
        }
    }

    /// Sends all metrics; answers whether the collector refused some.
    async fn send(&self, registry: &Registry) -> Result<bool, SendError> {
        // Writing to a String does not fail.
        let text = weir_runtime::telemetry::metrics::text(registry).unwrap_or_default();
        let (metrics, odd) = open_metrics::read(&text, Times { start: self.start, now: now() });
        if odd > 0 {
            tracing::error!(lines = odd, "metrics were left out of the export");
        }
        let scope_metrics = vec![ScopeMetrics { scope: Some(scope()), metrics }];
        let resource_metrics = vec![ResourceMetrics { resource: Some(resource(&self.service_name)), scope_metrics }];
        let body = self.collector.post(ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()).await?;
        // The answer has the form of that to spans. One that is not read as one of OTLP refuses nothing.
        let read = ExportTraceServiceResponse::decode(&body[..]).unwrap_or_default();
        Ok(read.partial_success.is_some_and(|partial| partial.rejected_spans > 0))
    }
}
