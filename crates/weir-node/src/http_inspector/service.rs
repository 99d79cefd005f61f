//! The API: what it holds, and what may be changed while it runs.

mod batch;
mod calls;

use super::access::Access;
use super::admission::Admission;
use super::config::Config;
use super::connection::Connection;
use super::context::Keys;
use super::coverage::Coverage;
use super::pool::Pool;
use super::repeats::Repeats;
use crate::events::Recorder;
use crate::generation::Current;
use arc_swap::ArcSwap;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weir_runtime::telemetry::{Health, Telemetry};

/// Paths of the API.
pub const REQUESTS: &str = "/v1/requests";
/// Response legs.
pub const RESPONSES: &str = "/v1/responses";
/// Coverage reports.
pub const COVERAGE: &str = "/v1/coverage";
/// The description of the API.
pub const OPENAPI: &str = "/openapi.json";
/// Every path with its method, for the test that holds the description to the code.
pub const ROUTES: &[(&str, &str)] = &[("post", REQUESTS), ("post", RESPONSES), ("post", COVERAGE), ("get", OPENAPI)];

/// What a service is made of.
pub struct Parts {
    /// Settings.
    pub config: Config,
    /// Rules and policy.
    pub current: Arc<Current>,
    /// Who may call.
    pub access: Access,
    /// Keys of contexts.
    pub keys: Keys,
    /// Where to report.
    pub telemetry: Arc<Telemetry>,
    /// What the health endpoint says.
    pub health: Arc<Health>,
    /// `/openapi.json`.
    pub openapi: Bytes,
    /// Where malicious requests are recorded, if they are.
    pub recorder: Option<Arc<Recorder>>,
}

/// The API.
pub struct Service {
    config: Config,
    current: Arc<Current>,
    access: ArcSwap<Access>,
    keys: ArcSwap<Keys>,
    telemetry: Arc<Telemetry>,
    health: Arc<Health>,
    openapi: Bytes,
    recorder: Option<Arc<Recorder>>,
    admission: Arc<Admission>,
    pool: Pool,
    background: Pool,
    coverage: Coverage,
    repeats: Repeats,
}

impl Service {
    /// A service, with its threads.
    pub fn new(parts: Parts) -> std::io::Result<Self> {
        let Parts { config, current, access, keys, telemetry, health, openapi, recorder } = parts;
        let metrics = &telemetry.metrics;
        let pool = Pool::new("inspect", config.threads, config.load.queue, metrics.queued.clone())?;
        // Copies have nobody waiting for them: half of the threads leave room for calls that do.
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
            admission,
            pool,
            background,
            coverage: Coverage::default(),
            repeats: Repeats::default(),
            telemetry,
            config,
        })
    }

    /// Puts new access rules in use.
    pub fn set_access(&self, access: Access) {
        self.access.store(Arc::new(access));
    }

    /// Puts new keys of contexts in use. Contexts that only the old ones open are told as forged from now on.
    pub fn set_keys(&self, keys: Keys) {
        self.keys.store(Arc::new(keys));
    }

    /// Settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where it reports.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// Load shedding; its probe wants to be run.
    pub fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// Out-of-band copies that wait to be inspected or are.
    pub fn copies(&self) -> usize {
        self.background.unfinished()
    }

    /// Counts the call, and ends the connection when one of its bounds is reached.
    pub(super) fn account(&self, connection: &Connection, response: &mut Response<Body>, http1: bool) {
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
