//! The queue of spans, and the task that sends them by OTLP over HTTP.

use super::collector::{Collector, SendError};
use super::metrics::MetricsExporter;
use super::proto::{
    AnyValue, ExportTraceServiceRequest, ExportTraceServiceResponse, InstrumentationScope, KeyValue, Resource,
    ResourceSpans, ScopeSpans, any_value::Value,
};
use super::sampling::{Numbers, Sampled};
use super::span::{Facts, Parts, VerdictSpan};
use crate::sync::SetupError;
use http::HeaderMap;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use prost::Message as _;
use reqwest::Url;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use weir_core::model::Inspection;
use weir_policy::Verdict;
use weir_runtime::telemetry::TraceParent;

/// Verdicts that wait to be sent.
const QUEUE: usize = 2_048;
/// Verdicts of one call to the collector.
const BATCH: usize = 512;
/// Longest time that a span waits for others.
const WAIT: Duration = Duration::from_secs(2);
/// Spans of a verdict.
const SPANS: u64 = 4;

/// Where spans go.
#[derive(Clone, Debug)]
pub struct Config {
    /// URL to which spans are posted.
    pub url: Url,
    /// Certificate authority to trust instead of the built-in ones.
    pub ca_file: Option<PathBuf>,
    /// The part of the calls without a trace of their caller that are traced, 0 to 1.
    pub ratio: f64,
    /// `service.name` of the spans and metrics.
    pub service_name: String,
    /// Headers of each call.
    pub headers: HeaderMap,
    /// File with further headers, one a line.
    pub headers_file: Option<PathBuf>,
    /// Time between two exports of metrics; none: metrics are not exported.
    pub metrics_interval: Option<Duration>,
}

impl Config {
    /// With the base URL of a collector as an operator writes it. Fails if it is not one.
    pub fn new(
        endpoint: &str,
        ca_file: Option<PathBuf>,
        ratio: f64,
        service_name: String,
    ) -> Result<Self, ExporterError> {
        let mut url = Url::parse(endpoint).map_err(ExporterError::Url)?;
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() || !plain {
            return Err(ExporterError::UrlForm);
        }
        url.set_path(&format!("{}/v1/traces", url.path().trim_end_matches('/')));
        let (headers, headers_file, metrics_interval) = (HeaderMap::new(), None, None);
        Ok(Self { url, ca_file, ratio, service_name, headers, headers_file, metrics_interval })
    }
}

/// Why spans cannot be exported as configured.
#[derive(Debug, thiserror::Error)]
pub enum ExporterError {
    /// The URL cannot be parsed.
    #[error("traces.endpoint: {0}")]
    Url(#[source] <Url as FromStr>::Err),
    /// The URL has another scheme, no host, or more than scheme, host, port and path.
    #[error("traces.endpoint: write it as `http://127.0.0.1:4318`, without `/v1/traces`")]
    UrlForm,
    /// The certificate authority cannot be used.
    #[error("{0}")]
    Setup(#[source] SetupError),
    /// The HTTP client cannot be made.
    #[error("traces: HTTP client: {0}")]
    Client(#[source] reqwest::Error),
}

/// By what came of a span.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// Metrics of the export.
#[derive(Clone, Debug, Default)]
pub struct TraceMetrics {
    spans: Family<Outcome, Counter>,
    metric_exports: Family<Outcome, Counter>,
}

impl TraceMetrics {
    /// Families registered in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let all = Self::default();
        let help = "Spans, by outcome: sent, refused by the collector, failed, dropped because the queue was full.";
        registry.register("trace_spans", help, all.spans.clone());
        let help = "Exports of metrics to a collector, by outcome: sent, refused in part, failed.";
        registry.register("trace_metric_exports", help, all.metric_exports.clone());
        all
    }

    pub(super) fn count_export(&self, outcome: &'static str) {
        self.metric_exports.get_or_create(&Outcome { outcome }).inc();
    }

    fn count(&self, outcome: &'static str, spans: u64) {
        self.spans.get_or_create(&Outcome { outcome }).inc_by(spans);
    }

    /// Spans that were `sent`, `refused`, `failed` or `dropped`.
    pub fn spans(&self, outcome: &'static str) -> u64 {
        self.spans.get_or_create(&Outcome { outcome }).get()
    }
}

/// Takes spans; never waits.
#[derive(Debug)]
pub struct Traces {
    numbers: Numbers,
    ratio: f64,
    queue: mpsc::Sender<VerdictSpan>,
    metrics: TraceMetrics,
}

impl Traces {
    /// The trace of a call with this parent, if it is traced.
    pub fn sample(&self, parent: Option<TraceParent<'_>>) -> Option<Sampled> {
        self.numbers.sample(parent, self.ratio)
    }

    /// Queues the spans of a verdict, or drops them where the queue is full.
    pub fn record(
        &self,
        sampled: Sampled,
        parts: Parts,
        facts: &Facts<'_>,
        verdict: &Verdict,
        inspection: Option<&Inspection>,
    ) {
        // What does not fit is not made.
        let Ok(place) = self.queue.try_reserve() else { return self.metrics.count("dropped", SPANS) };
        let ids = std::array::from_fn(|_| self.numbers.span_id());
        place.send(VerdictSpan::new(sampled, ids, parts, facts, verdict, inspection));
    }
}

/// Sends spans to the collector.
pub struct Exporter {
    collector: Collector,
    config: Config,
    queue: mpsc::Receiver<VerdictSpan>,
    metrics: TraceMetrics,
}

impl Exporter {
    /// An exporter, and what gives it spans; nothing is sent yet. Fails if the certificate authority cannot be used.
    pub fn new(config: Config, metrics: TraceMetrics) -> Result<(Arc<Traces>, Self), ExporterError> {
        let collector = Collector::new(&config, config.url.clone())?;
        let (sender, queue) = mpsc::channel(QUEUE);
        let traces =
            Traces { numbers: Numbers::default(), ratio: config.ratio, queue: sender, metrics: metrics.clone() };
        Ok((Arc::new(traces), Self { collector, config, queue, metrics }))
    }

    /// What exports metrics to the same collector, if they are exported.
    pub fn of_metrics(&self) -> Result<Option<MetricsExporter>, ExporterError> {
        MetricsExporter::new(&self.config, &self.metrics)
    }

    /// Sends spans until `stop`, then what is queued, if the collector takes it at once.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut failing = false;
        loop {
            let mut batch = Vec::with_capacity(BATCH);
            let stopped = self.collect(&mut batch, &stop).await;
            if !batch.is_empty() {
                let spans: Vec<_> = batch.into_iter().flat_map(VerdictSpan::into_spans).collect();
                let count = spans.len() as u64;
                match self.send(spans).await {
                    Ok(refused) => {
                        let refused = refused.min(count);
                        self.metrics.count("sent", count - refused);
                        self.metrics.count("refused", refused);
                        if failing {
                            tracing::info!("the collector takes spans again");
                        }
                        failing = false;
                    }
                    Err(error) => {
                        self.metrics.count("failed", count);
                        // Once for an outage, not for each batch.
                        if !failing {
                            let error = weir_runtime::error_chain::with_causes(&error);
                            tracing::warn!(error, "spans were not exported; they are counted in trace_spans");
                        }
                        failing = true;
                    }
                }
            }
            if stopped && (failing || self.queue.is_empty()) {
                self.metrics.count("dropped", SPANS * self.queue.len() as u64);
                return;
            }
        }
    }

    /// Fills `batch` until it is full or old enough; true once `stop` says so.
    async fn collect(&mut self, batch: &mut Vec<VerdictSpan>, stop: &CancellationToken) -> bool {
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                while batch.len() < BATCH && let Ok(span) = self.queue.try_recv() {
                    batch.push(span);
                }
                return true;
            }
            first = self.queue.recv() => match first {
                Some(first) => batch.push(first),
                None => return true,
            },
        }
        let full = Instant::now() + WAIT;
        while batch.len() < BATCH {
            let more = tokio::select! {
                () = stop.cancelled() => return true,
                () = tokio::time::sleep_until(full.into()) => return false,
                more = self.queue.recv() => more,
            };
            match more {
                Some(more) => batch.push(more),
                None => return true,
            }
        }
        false
    }

    /// Sends `spans`; answers how many of them the collector refused.
    async fn send(&self, spans: Vec<super::proto::Span>) -> Result<u64, SendError> {
        let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans }];
        let resource_spans = vec![ResourceSpans { resource: Some(resource(&self.config.service_name)), scope_spans }];
        let body = self.collector.post(ExportTraceServiceRequest { resource_spans }.encode_to_vec()).await?;
        // An answer that is not read as one of OTLP refuses nothing.
        let read = ExportTraceServiceResponse::decode(&body[..]).unwrap_or_default();
        Ok(read.partial_success.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or_default()))
    }
}

/// Identifies this process among those of the service.
static INSTANCE: LazyLock<String> = LazyLock::new(|| uuid::Uuid::now_v7().hyphenated().to_string());

/// This process.
pub(super) fn resource(service_name: &str) -> Resource {
    let text = |key: &str, value: &str| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::String(value.to_owned())) }),
    };
    let version = env!("CARGO_PKG_VERSION");
    let attributes = vec![
        text("service.name", service_name),
        text("service.version", version),
        text("service.instance.id", &INSTANCE),
    ];
    Resource { attributes }
}

pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope { name: "weir".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}
