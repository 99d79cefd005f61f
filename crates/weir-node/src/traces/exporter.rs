//! The queue of spans, and the task that sends them by OTLP over HTTP.

use super::proto::{
    AnyValue, ExportTraceServiceRequest, ExportTraceServiceResponse, InstrumentationScope, KeyValue, Resource,
    ResourceSpans, ScopeSpans, any_value::Value,
};
use super::sampling::{Numbers, Sampled};
use super::span::{Facts, Parts, VerdictSpan};
use crate::sync::{Endpoint, SetupError};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use prost::Message as _;
use reqwest::{Client, StatusCode, Url};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
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
/// Longest call.
const CALL: Duration = Duration::from_secs(10);
/// Largest answer, in bytes.
const MAX_ANSWER: usize = 64 << 10;
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
    /// `service.name` of the spans.
    pub service_name: String,
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
        Ok(Self { url, ca_file, ratio, service_name })
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

/// Why spans were not taken.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("the collector cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("the collector answers {0}")]
    Status(StatusCode),
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
}

impl TraceMetrics {
    /// Families registered in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let all = Self::default();
        let help = "Spans, by outcome: sent, refused by the collector, failed, dropped because the queue was full.";
        registry.register("trace_spans", help, all.spans.clone());
        all
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
    http: Client,
    config: Config,
    queue: mpsc::Receiver<VerdictSpan>,
    metrics: TraceMetrics,
}

impl Exporter {
    /// An exporter, and what gives it spans; nothing is sent yet. Fails if the certificate authority cannot be used.
    pub fn new(config: Config, metrics: TraceMetrics) -> Result<(Arc<Traces>, Self), ExporterError> {
        let endpoint = Endpoint {
            section: "traces",
            host: config.url.host_str().unwrap_or_default().to_owned(),
            port: config.url.port_or_known_default().unwrap_or_default(),
            tls: config.url.scheme() == "https",
            verify: true,
            ca_file: config.ca_file.clone(),
        };
        let builder = endpoint.client().map_err(ExporterError::Setup)?;
        let http = builder.timeout(CALL).build().map_err(ExporterError::Client)?;
        let (sender, queue) = mpsc::channel(QUEUE);
        let traces =
            Traces { numbers: Numbers::default(), ratio: config.ratio, queue: sender, metrics: metrics.clone() };
        Ok((Arc::new(traces), Self { http, config, queue, metrics }))
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
        let text = |key: &str, value: &str| KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(Value::String(value.to_owned())) }),
        };
        let version = env!("CARGO_PKG_VERSION");
        let attributes = vec![text("service.name", &self.config.service_name), text("service.version", version)];
        let scope = InstrumentationScope { name: "weir".to_owned(), version: version.to_owned() };
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
        let resource_spans = vec![ResourceSpans { resource: Some(Resource { attributes }), scope_spans }];
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let call = self.http.post(self.config.url.clone()).header("content-type", "application/x-protobuf").body(body);
        let unreachable = |error: reqwest::Error| SendError::Unreachable(error.without_url());
        let mut answer = call.send().await.map_err(unreachable)?;
        if answer.status() != StatusCode::OK {
            return Err(SendError::Status(answer.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                break;
            }
            body.extend_from_slice(&chunk);
        }
        // An answer that is not read as one of OTLP refuses nothing.
        let read = ExportTraceServiceResponse::decode(&body[..]).unwrap_or_default();
        Ok(read.partial_success.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or_default()))
    }
}
