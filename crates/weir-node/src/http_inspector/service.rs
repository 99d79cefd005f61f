//! The API service: its state, and what may change while it runs.

mod batch;
mod calls;
mod crowdsec;
mod described;
mod envoy;
mod forward_auth;

use super::access::AccessRules;
use super::admission::Admission;
use super::backlog::Backlog;
use super::config::Config;
use super::connection::Connection;
use super::context::ContextKeys;
use super::coverage::Coverage;
use super::gaps::Gaps;
use super::pool::Pool;
use super::repeats::Repeats;
use crate::abuse::Abuse;
use crate::crowdsec::Decided;
use crate::events::Recorder;
use crate::generation::CurrentGeneration;
use crate::traces::Traces;
use arc_swap::ArcSwap;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weir_runtime::telemetry::{Health, Telemetry};

/// Paths of the API.
pub const REQUESTS: &str = "/v1/requests";
/// Responses.
pub const RESPONSES: &str = "/v1/responses";
/// Coverage reports.
pub const COVERAGE: &str = "/v1/coverage";
/// The description of the API.
pub const OPENAPI: &str = "/openapi.json";
/// Every path with its method, for the test that compares them with the API description.
pub const ROUTES: &[(&str, &str)] = &[
    ("post", REQUESTS),
    ("post", RESPONSES),
    ("post", COVERAGE),
    ("get", OPENAPI),
    ("get", "/v1/forward-auth/traefik"),
    ("get", "/v1/forward-auth/caddy"),
    ("get", "/v1/forward-auth/nginx"),
    ("get", "/v1/forward-auth/nginx/reply"),
    ("get", "/v1/forward-auth/ingress-nginx"),
    ("get", "/v1/forward-auth/envoy"),
    ("post", super::crowdsec::APPSEC),
    ("get", super::crowdsec::DECISIONS),
    ("get", super::crowdsec::DECISIONS_STREAM),
];

/// Everything that a [`Service`] needs.
pub struct ServiceParts {
    /// Settings.
    pub config: Config,
    /// Rules and policy.
    pub current: Arc<CurrentGeneration>,
    /// Access rules.
    pub access: AccessRules,
    /// ContextKeys of contexts.
    pub keys: ContextKeys,
    /// Metrics and access log.
    pub telemetry: Arc<Telemetry>,
    /// State for the health endpoint.
    pub health: Arc<Health>,
    /// `/openapi.json`.
    pub openapi: Bytes,
    /// Records malicious requests, if configured.
    pub recorder: Option<Arc<Recorder>>,
    /// Behaviour over many requests.
    pub abuse: Arc<Abuse>,
    /// Lists of CrowdSec.
    pub decided: Arc<Decided>,
    /// Spans of verdicts, if they are exported.
    pub traces: Option<Arc<Traces>>,
}

/// The API.
pub struct Service {
    config: Config,
    current: Arc<CurrentGeneration>,
    access: ArcSwap<AccessRules>,
    keys: ArcSwap<ContextKeys>,
    telemetry: Arc<Telemetry>,
    health: Arc<Health>,
    openapi: Bytes,
    recorder: Option<Arc<Recorder>>,
    abuse: Arc<Abuse>,
    decided: Arc<Decided>,
    traces: Option<Arc<Traces>>,
    admission: Arc<Admission>,
    pool: Pool,
    backlog: Arc<Backlog>,
    background: Pool,
    coverage: Coverage,
    repeats: Repeats,
}

impl Service {
    /// Creates the service and starts its threads.
    pub fn new(parts: ServiceParts) -> std::io::Result<Self> {
        let ServiceParts {
            config,
            current,
            access,
            keys,
            telemetry,
            health,
            openapi,
            recorder,
            abuse,
            decided,
            traces,
        } = parts;
        let metrics = &telemetry.metrics;
        let pool = Pool::new("inspect", config.threads, config.load.queue, metrics.queued.clone())?;
        // No caller waits for the verdict on a copy: half of the threads stay free for calls with a waiting caller.
        let threads = config.threads.div_ceil(2);
        let background =
            Pool::new("inspect-oob", threads, config.load.background_queue, metrics.background_queued.clone())?;
        let admission = Arc::new(Admission::new(config.load.clone(), Arc::clone(&telemetry)));
        Ok(Self {
            current,
            access: ArcSwap::from_pointee(access),
            keys: ArcSwap::from_pointee(keys),
            health,
            openapi,
            recorder,
            abuse,
            decided,
            traces,
            admission,
            pool,
            backlog: Backlog::new(config.threads),
            background,
            coverage: Coverage::default(),
            repeats: Repeats::default(),
            telemetry,
            config,
        })
    }

    /// Replaces the access rules.
    pub fn set_access(&self, access: AccessRules) {
        self.access.store(Arc::new(access));
    }

    /// Replaces the keys of contexts. Contexts that only the old keys open count as forged from now on.
    pub fn set_keys(&self, keys: ContextKeys, secrets: &[Vec<u8>]) {
        self.abuse.set_secrets(secrets);
        self.keys.store(Arc::new(keys));
    }

    /// Settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Metrics and access log.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// Load shedding; the caller must run its probe.
    pub fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// The behaviour of clients.
    pub fn abuse(&self) -> &Arc<Abuse> {
        &self.abuse
    }

    /// What passed uninspected by the reports of connectors.
    pub fn gaps(&self) -> &Arc<Gaps> {
        self.coverage.gaps()
    }

    /// Out-of-band copies that are queued or being inspected.
    pub fn copies(&self) -> usize {
        self.background.unfinished()
    }

    /// Counts the call, and ends the connection when one of its limits is reached.
    pub(super) fn count_call(&self, connection: &Connection, response: &mut Response<Body>, http1: bool) {
        let calls = connection.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let limits = &self.config.per_connection;
        let reached = limits.requests.is_some_and(|max| calls >= max)
            || limits.bytes.is_some_and(|max| connection.bytes.load(Ordering::Relaxed) >= max);
        if reached {
            connection.end_because(&self.telemetry.metrics, "limit");
        }
        if http1 && connection.is_ending() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}
