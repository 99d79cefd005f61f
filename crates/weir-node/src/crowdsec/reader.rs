//! Fetches decisions.

use super::Decided;
use super::decisions::{Changes, Decisions};
use crate::sync::{Endpoint, SetupError};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use reqwest::{Client, StatusCode, Url, header};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use weir_runtime::backoff::Backoff;
use weir_runtime::bounded_body;
use weir_runtime::clock::now_millis;

/// Longest call: a first answer may have some hundred thousand decisions.
const CALL: Duration = Duration::from_secs(60);
/// Largest answer, in bytes.
const MAX_ANSWER: usize = 128 << 20;
/// All decisions are fetched anew after this time, in case that a change was missed.
const WHOLE_EVERY: Duration = Duration::from_secs(3600);
/// Scopes that can be listed.
const SCOPES: &str = "ip,range,country,as";

/// Where decisions come from.
#[derive(Clone)]
pub struct Config {
    /// URL of the API, without `v1/`.
    pub url: Url,
    /// Key of a bouncer.
    pub key: String,
    /// Certificate authority to trust instead of the built-in ones.
    pub ca_file: Option<PathBuf>,
    /// Time between two calls.
    pub interval: Duration,
}

impl Config {
    /// With the URL as an operator writes it. Fails if it is not the URL of an API.
    pub fn new(url: &str, key: &str, ca_file: Option<PathBuf>, interval: Duration) -> Result<Self, ReaderError> {
        let url = Url::parse(url).map_err(ReaderError::Url)?;
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() || !plain {
            return Err(ReaderError::UrlForm);
        }
        Ok(Self { url, key: key.trim().to_owned(), ca_file, interval })
    }
}

/// Why decisions cannot be fetched as configured.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// The URL cannot be parsed.
    #[error("lapi_url: {0}")]
    Url(#[source] <Url as FromStr>::Err),
    /// The URL has another scheme, no host, or more than scheme, host, port and path.
    #[error("lapi_url: write it as `http://127.0.0.1:8080`")]
    UrlForm,
    /// The key has bytes that no header can have.
    #[error("lapi_key: a key has visible ASCII characters alone")]
    Key(#[source] header::InvalidHeaderValue),
    /// The certificate authority cannot be used.
    #[error("{0}")]
    Setup(#[source] SetupError),
    /// The HTTP client cannot be made.
    #[error("HTTP client: {0}")]
    Client(#[source] reqwest::Error),
}

/// By result of a call.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

/// Metrics of the reader.
#[derive(Clone, Debug, Default)]
pub struct ReaderMetrics {
    decisions: Gauge,
    unused: Counter,
    calls: Family<Outcome, Counter>,
}

impl ReaderMetrics {
    /// Families registered in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let all = Self::default();
        registry.register("crowdsec_decisions", "Decisions of CrowdSec's local API in force.", all.decisions.clone());
        registry.register(
            "crowdsec_unused_decisions",
            "Decisions that were left out: of a scope or type that is not supported, or too many.",
            all.unused.clone(),
        );
        registry.register("crowdsec_calls", "Calls to CrowdSec's local API, by result.", all.calls.clone());
        all
    }
}

/// Why decisions could not be fetched.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("cannot be reached: {0}")]
    Unreachable(#[source] reqwest::Error),
    #[error("it refuses the key of the bouncer")]
    Key,
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("it answers with more than {MAX_ANSWER} bytes")]
    TooLarge,
    #[error("it answers with something else than decisions: {0}")]
    Malformed(#[source] serde_json::Error),
}

impl FetchError {
    const fn code(&self) -> &'static str {
        match self {
            FetchError::Unreachable(_) => "unreachable",
            FetchError::Key => "key",
            FetchError::Status(_) => "status",
            FetchError::TooLarge => "too_large",
            FetchError::Malformed(_) => "malformed",
        }
    }
}

/// Keeps decisions up to date.
pub struct Reader {
    http: Client,
    config: Config,
    key: header::HeaderValue,
    decided: Arc<Decided>,
    metrics: ReaderMetrics,
}

impl Reader {
    /// A reader; nothing is fetched yet. Fails if the key or the certificate authority of `config` cannot be used.
    pub fn new(config: Config, metrics: ReaderMetrics) -> Result<Self, ReaderError> {
        let endpoint = Endpoint {
            section: "crowdsec",
            host: config.url.host_str().unwrap_or_default().to_owned(),
            port: config.url.port_or_known_default().unwrap_or_default(),
            tls: config.url.scheme() == "https",
            verify: true,
            ca_file: config.ca_file.clone(),
        };
        let mut key = header::HeaderValue::try_from(&config.key).map_err(ReaderError::Key)?;
        key.set_sensitive(true);
        let builder = endpoint.client().map_err(ReaderError::Setup)?;
        let http = builder.timeout(CALL).build().map_err(ReaderError::Client)?;
        Ok(Self { http, config, key, decided: Arc::default(), metrics })
    }

    /// The decisions in force, which the reader replaces.
    pub fn decided(&self) -> Arc<Decided> {
        Arc::clone(&self.decided)
    }

    /// Fetches decisions until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let (mut decisions, mut backoff, mut whole) = (Decisions::default(), Backoff::default(), None::<Instant>);
        loop {
            let all = whole.is_none_or(|at| at.elapsed() >= WHOLE_EVERY);
            let fetched = tokio::select! {
                () = stop.cancelled() => return,
                fetched = self.fetch(all) => fetched,
            };
            let pause = match fetched {
                Ok(changes) => {
                    if all {
                        whole = Some(Instant::now());
                    }
                    backoff.reset();
                    match self.apply(decisions, changes, all).await {
                        Some(applied) => decisions = applied,
                        None => (decisions, whole) = (Decisions::default(), None),
                    }
                    self.config.interval
                }
                Err(error) => {
                    self.count(error.code());
                    tracing::warn!(%error, decisions = decisions.len(), "CrowdSec's local API gives no decisions");
                    // What was missed meanwhile is not known.
                    whole = None;
                    backoff.pause().max(self.config.interval)
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn count(&self, result: &'static str) {
        self.metrics.calls.get_or_create(&Outcome { result }).inc();
    }

    async fn apply(&self, mut decisions: Decisions, changes: Changes, all: bool) -> Option<Decisions> {
        self.count("ok");
        let done = tokio::task::spawn_blocking(move || {
            let unused = decisions.apply(changes, all, now_millis() / 1000);
            let index = decisions.index();
            (decisions, index, unused)
        });
        match done.await {
            Ok((decisions, index, unused)) => {
                // The metric says what is in force, so it comes after.
                self.decided.replace(index);
                self.metrics.decisions.set(decisions.len() as i64);
                self.metrics.unused.inc_by(unused as u64);
                Some(decisions)
            }
            // Only a defect ends the task.
            Err(error) => {
                tracing::error!(%error, "decisions of CrowdSec were not applied");
                None
            }
        }
    }

    async fn fetch(&self, all: bool) -> Result<Changes, FetchError> {
        let mut url = self.config.url.clone();
        url.set_path(&format!("{}/v1/decisions/stream", url.path().trim_end_matches('/')));
        // Without `dedup=false`, the API leaves out decisions that a longer one on the same source covers, and says
        // nothing when that longer one is deleted while they are still in force.
        url.query_pairs_mut()
            .append_pair("startup", if all { "true" } else { "false" })
            .append_pair("scopes", SCOPES)
            .append_pair("dedup", "false");
        let call = self.http.get(url).header("x-api-key", self.key.clone());
        let mut response = call.send().await.map_err(|error| FetchError::Unreachable(error.without_url()))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(FetchError::Key),
            status => return Err(FetchError::Status(status)),
        }
        let body = bounded_body::read(&mut response, MAX_ANSWER).await;
        let body = body.map_err(|error| FetchError::Unreachable(error.without_url()))?.ok_or(FetchError::TooLarge)?;
        serde_json::from_slice(&body).map_err(FetchError::Malformed)
    }
}
