//! From a request on a connection to its answer.

use super::access::Access;
use super::admission::{Admission, Entry};
use super::answer::{self, Answer};
use super::call::{Call, Leg};
use super::config::Config;
use super::context::Keys;
use super::coverage::Coverage;
use super::judge::Job;
use super::pool::{Full, Pool};
use super::receive::receive;
use super::refusal::{Refusal, Shed};
use super::server::Connection;
use crate::generation::Current;
use crate::telemetry::metrics::Kind;
use crate::telemetry::{Health, Refused, Telemetry};
use arc_swap::ArcSwap;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use std::sync::Arc;
use std::sync::atomic::Ordering;

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

/// Largest coverage report, in octets.
const MAX_REPORT: usize = 1 << 20;

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
}

/// The API.
pub struct Service {
    config: Config,
    current: Arc<Current>,
    access: ArcSwap<Access>,
    keys: Arc<Keys>,
    telemetry: Arc<Telemetry>,
    health: Arc<Health>,
    openapi: Bytes,
    admission: Arc<Admission>,
    pool: Pool,
    background: Pool,
    coverage: Coverage,
}

impl Service {
    /// A service, with its threads.
    pub fn new(parts: Parts) -> std::io::Result<Self> {
        let Parts { config, current, access, keys, telemetry, health, openapi } = parts;
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
            keys: Arc::new(keys),
            health,
            openapi,
            admission,
            pool,
            background,
            coverage: Coverage::default(),
            telemetry,
            config,
        })
    }

    /// Puts new access rules in use.
    pub fn set_access(&self, access: Access) {
        self.access.store(Arc::new(access));
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

    /// Out-of-band copies still to be inspected.
    pub fn background_waiting(&self) -> usize {
        self.background.waiting()
    }

    /// The answer to `request`.
    pub async fn answer(&self, request: Request<Incoming>, connection: &Connection) -> Response<Body> {
        let peer = connection.peer.ip();
        // For the log: the id, where there is a valid one.
        let id = request.headers().get("inspector-request-id").cloned();
        let answered = match self.config.reply_timeout {
            None => self.route(request, connection).await,
            Some((limit, status)) => {
                let late = Err(Refusal::ReplyTimeout(status));
                tokio::time::timeout(limit, self.route(request, connection)).await.unwrap_or(late)
            }
        };
        answered.unwrap_or_else(|refusal| {
            let id = id.as_ref().filter(|id| super::call::is_id(id.as_bytes())).and_then(|id| id.to_str().ok());
            Refused {
                code: refusal.code(),
                status: refusal.status().as_u16(),
                shed: refusal.shed(),
                peer,
                request_id: id.unwrap_or_default(),
                detail: &refusal.detail(),
            }
            .emit(&self.telemetry);
            if refusal.ends_connection() {
                connection.end();
            }
            refusal.response()
        })
    }

    async fn route(&self, request: Request<Incoming>, connection: &Connection) -> Result<Response<Body>, Refusal> {
        let seen = |r#type| self.telemetry.metrics.messages_seen.get_or_create(&Kind { r#type }).inc();
        match request.uri().path() {
            REQUESTS => {
                seen("request");
                self.inspect(Leg::Request, request, connection).await
            }
            RESPONSES => {
                seen("response");
                self.inspect(Leg::Response, request, connection).await
            }
            COVERAGE => {
                seen("coverage");
                self.coverage(request, connection).await
            }
            OPENAPI => {
                seen("other");
                self.openapi(&request)
            }
            path if self.config.health_path.as_deref() == Some(path) => {
                seen("health");
                Ok(self.health())
            }
            _ => {
                seen("other");
                Err(Refusal::NotFound)
            }
        }
    }

    async fn inspect(&self, leg: Leg, request: Request<Incoming>, at: &Connection) -> Result<Response<Body>, Refusal> {
        let (head, body) = request.into_parts();
        let access = self.may_call(&head.method, &head.headers, at)?;
        let mut entry = self.admission.enter()?;
        let call = Call::parse(leg, &head.headers)?;
        let body = receive(body, &mut entry, self.config.max_call_bytes, self.config.body_timeout).await?;
        at.received(head_size(&head.headers) + body.len());
        let trace = call.traceparent.clone().filter(valid_trace);
        let job = Job {
            call,
            body,
            generation: self.current.get(),
            access,
            keys: Arc::clone(&self.keys),
            telemetry: Arc::clone(&self.telemetry),
        };
        if !job.call.blocking {
            self.copy(job, entry)?;
            return Ok(answer::accepted(trace));
        }
        self.judge(job, entry).await.map(|answer| answer.response(trace))
    }

    /// Whether the caller may call, with the access rules that said so.
    fn may_call(&self, method: &Method, headers: &HeaderMap, at: &Connection) -> Result<Arc<Access>, Refusal> {
        let access = self.access.load_full();
        let proven = access.authenticate(at.peer.ip(), at.certificate, headers)?;
        if !proven {
            self.telemetry.metrics.unauthenticated.inc();
        }
        if method != Method::POST { Err(Refusal::Method("POST")) } else { Ok(access) }
    }

    /// Judges at once what is small, and large messages where other connections need not wait for them.
    async fn judge(&self, job: Job, entry: Entry) -> Result<Answer, Refusal> {
        if job.body.len() <= self.config.load.inline_bytes {
            let _held = entry;
            return job.run();
        }
        let patience = self.config.load.queue_timeout;
        let queued = self.pool.run(patience, move || {
            let _held = entry;
            job.run()
        });
        let answer = queued.map_err(|Full| self.admission.refuse(Shed::Queue))?.await;
        match answer {
            Ok(Some(result)) => result,
            Ok(None) => Err(self.admission.refuse(Shed::Queue)),
            // The job was dropped without an answer, which only a defect can do.
            Err(_) => Err(Refusal::Internal),
        }
    }

    fn copy(&self, job: Job, entry: Entry) -> Result<(), Refusal> {
        let queued = self.background.spawn(move || {
            let _held = entry;
            // Nobody waits for the answer; events and metrics were told by the job.
            if let Err(refusal) = job.run() {
                let (code, id) = (refusal.code(), job.call.request_id.as_str());
                tracing::warn!(code, request_id = id, "an accepted copy was refused");
            }
        });
        queued.map_err(|Full| self.admission.refuse(Shed::BackgroundQueue))
    }

    async fn coverage(&self, request: Request<Incoming>, at: &Connection) -> Result<Response<Body>, Refusal> {
        let (head, body) = request.into_parts();
        self.may_call(&head.method, &head.headers, at)?;
        let mut entry = self.admission.enter()?;
        let body = receive(body, &mut entry, MAX_REPORT, self.config.body_timeout).await?;
        at.received(head_size(&head.headers) + body.len());
        self.coverage.report(&body, &self.telemetry.metrics)?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(response)
    }

    fn openapi(&self, request: &Request<Incoming>) -> Result<Response<Body>, Refusal> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return Err(Refusal::Method("GET, HEAD"));
        }
        let mut response = Response::new(Body::from(self.openapi.clone()));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        Ok(response)
    }

    fn health(&self) -> Response<Body> {
        let (status, text) = if self.health.is_ready() {
            (StatusCode::OK, "ready\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        };
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = status;
        response
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

fn valid_trace(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|text| crate::telemetry::TraceParent::parse(text).is_some())
}

/// About the octets of the head of a call.
fn head_size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}
