//! Handling of one API call: routing, admission, inspection, response.

use super::{COVERAGE, OPENAPI, REQUESTS, RESPONSES, Service};
use crate::http_inspector::access::AccessRules;
use crate::http_inspector::admission::AdmissionPermit;
use crate::http_inspector::api_error::{ApiError, ShedReason};
use crate::http_inspector::backlog::Share;
use crate::http_inspector::batch;
use crate::http_inspector::call::{self, CallHeaders, Direction};
use crate::http_inspector::connection::Connection;
use crate::http_inspector::crowdsec;
use crate::http_inspector::envoy;
use crate::http_inspector::forward_auth::{self, Proxy};
use crate::http_inspector::inspection_job::{InspectionJob, InspectionOutcome};
use crate::http_inspector::pool::QueueFull;
use crate::http_inspector::receive::receive;
use crate::http_inspector::verdict_response::{self, VerdictResponse};
use axum::body::Body;
use http::request::Parts as Head;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;
use weir_runtime::serve::{Caller, drain};
use weir_runtime::telemetry::RejectedCallEvent;
use weir_runtime::telemetry::metrics::Kind;

/// Largest coverage report, in bytes.
const MAX_REPORT: usize = 1 << 20;

impl Service {
    /// Routes `request` and returns its response.
    pub async fn handle(self: &Arc<Self>, request: Request<Incoming>, connection: &Arc<Connection>) -> Response<Body> {
        let (head, mut body) = request.into_parts();
        if let Some(call) = envoy::Call::of(head.uri.path()) {
            return Box::pin(self.envoy(call, head, body, connection)).await;
        }
        // Boxed, and rare branches in it once more: a call that is refused then does not move kilobytes that it never uses.
        let route = Box::pin(self.route(&head, &mut body, connection));
        let mut response = match self.in_time(route).await {
            Ok(response) => response,
            Err(error) => self.reject(&error, &head, &mut body, connection).await,
        };
        // Elsewhere the headers are those of a client.
        if let (REQUESTS | RESPONSES | COVERAGE, Some(id)) = (head.uri.path(), call::call_id(&head.headers)) {
            response.headers_mut().insert(call::CALL_ID, id.clone());
        }
        response
    }

    /// Awaits `work` for no longer than `connector.app_reply_timeout`.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
        match self.config.reply_timeout {
            None => work.await,
            Some((limit, status)) => {
                tokio::time::timeout(limit, work).await.unwrap_or(Err(ApiError::ReplyTimeout(status)))
            }
        }
    }

    /// Logs the error and returns it to the caller.
    async fn reject(&self, error: &ApiError, head: &Head, body: &mut Incoming, at: &Connection) -> Response<Body> {
        let id = head.headers.get("inspector-request-id").filter(|id| call::is_id(id.as_bytes()));
        self.log_rejected(error, id.and_then(|id| id.to_str().ok()).unwrap_or_default(), at.caller);
        // A caller that waits for 100 (Continue) has not sent the body yet; HTTP/2 resets only the stream.
        let sending = head.version < http::Version::HTTP_2 && !head.headers.contains_key(header::EXPECT);
        let left = sending && !error.ends_connection() && !drain(body, 2 * self.config.max_call_bytes).await;
        if left || error.ends_connection() {
            at.end();
        }
        // A proxy passes this response on to the client, who must not learn what went wrong between proxy and node.
        match crowdsec::Call::of(head) {
            Some(call) => call.refused(error),
            None if head.uri.path().starts_with(forward_auth::PREFIX) => error.bare_response(),
            None => error.response(),
        }
    }

    /// Counts and logs a call without a verdict.
    pub fn log_rejected(&self, error: &ApiError, request_id: &str, peer: Caller) {
        RejectedCallEvent {
            code: error.code(),
            status: error.status().as_u16(),
            shed: error.shed(),
            peer,
            request_id,
            detail: &error.detail(),
        }
        .emit(&self.telemetry);
    }

    async fn route(&self, head: &Head, body: &mut Incoming, at: &Connection) -> Result<Response<Body>, ApiError> {
        let seen = |r#type| self.telemetry.metrics.messages_seen.get_or_create(&Kind { r#type }).inc();
        match head.uri.path() {
            REQUESTS => {
                seen("request");
                self.inspect(Direction::Request, head, body, at).await
            }
            RESPONSES => {
                seen("response");
                self.inspect(Direction::Response, head, body, at).await
            }
            COVERAGE => {
                seen("coverage");
                self.coverage(head, body, at).await
            }
            OPENAPI => {
                seen("other");
                self.openapi(&head.method)
            }
            path if self.config.health_path.as_deref() == Some(path) => {
                seen("health");
                Ok(self.health())
            }
            forward_auth::reply::NGINX_REPLY => {
                seen("other");
                self.nginx_reply(head, at)
            }
            path => match (Proxy::of(path), crowdsec::Call::of(head)) {
                (Some(proxy), _) => {
                    seen("forward_auth");
                    Box::pin(self.forward_auth(proxy, head, body, at)).await
                }
                (None, Some(call)) => {
                    seen(call.code());
                    Box::pin(self.crowdsec(call, head, body, at)).await
                }
                (None, None) => {
                    seen("other");
                    Err(ApiError::NotFound)
                }
            },
        }
    }

    async fn inspect(
        &self,
        direction: Direction,
        head: &Head,
        body: &mut Incoming,
        at: &Connection,
    ) -> Result<Response<Body>, ApiError> {
        let access = self.authorize(head, at)?;
        let mut permit = self.admission.admit()?;
        let many = direction == Direction::Response && batch::is_batch(&head.headers);
        let call = if many { None } else { Some(CallHeaders::parse(direction, &head.headers)?) };
        let waits = call.as_ref().is_some_and(|call| call.blocking);
        let announced = if waits { self.announce(body)? } else { None };
        let body = receive(body, &mut permit, self.config.max_call_bytes, self.config.body_timeout).await?;
        drop(announced);
        at.received(head_size(&head.headers) + body.len());
        let Some(call) = call else { return self.batch(head, &body, permit, at, &access) };
        let trace = call.traceparent.clone().filter(valid_trace);
        let job = self.job(call, body, at.caller, access);
        if !job.call.blocking {
            let (accepted, job, permit) = self.run_job(job, permit, InspectionJob::accept).await?;
            self.enqueue_copy(job, permit)?;
            return Ok(verdict_response::accepted(accepted, trace));
        }
        let (response, _) = self.verdict(job, permit).await?;
        Ok(response.into_http(trace))
    }

    /// Refuses a large message that would wait too long for a thread, before its body is read; otherwise counts it among
    /// those that later ones have to wait for.
    fn announce(&self, body: &impl http_body::Body) -> Result<Option<Share>, ApiError> {
        let (load, bytes) = (&self.config.load, body.size_hint().lower());
        if bytes <= load.inline_bytes as u64 {
            return Ok(None);
        }
        if self.pool.is_backed_up(self.backlog.wait(), load.queue_timeout) {
            return Err(self.admission.overloaded(ShedReason::Queue));
        }
        Ok(Some(self.backlog.announce(bytes)))
    }

    /// Inspects a message whose sender waits for the verdict, and waits until the record of a malicious one is in the spool.
    pub(super) async fn verdict(
        &self,
        job: InspectionJob,
        permit: AdmissionPermit,
    ) -> Result<(VerdictResponse, AdmissionPermit), ApiError> {
        let (InspectionOutcome { response, record }, _, permit) = self.run_job(job, permit, InspectionJob::run).await?;
        if let (Some(recorder), Some(record)) = (&self.recorder, record) {
            recorder.await_written(record).await;
        }
        Ok((response, permit))
    }

    /// Authenticates a caller by the key that it sent, and returns the access rules that applied.
    pub(super) fn authorize_key(
        &self,
        caller: Caller,
        certificate: bool,
        key: Option<&[u8]>,
    ) -> Result<Arc<AccessRules>, ApiError> {
        let access = self.access.load_full();
        if !access.authenticate_key(caller, certificate, key)? {
            self.telemetry.metrics.unauthenticated.inc();
        }
        Ok(access)
    }

    /// Authenticates the caller and returns the access rules that applied.
    pub(super) fn authorize(&self, head: &Head, at: &Connection) -> Result<Arc<AccessRules>, ApiError> {
        let access = self.access.load_full();
        let authenticated = access.authenticate(at.caller, at.certificate, &head.headers)?;
        if !authenticated {
            self.telemetry.metrics.unauthenticated.inc();
        }
        if head.method != Method::POST { Err(ApiError::Method("POST")) } else { Ok(access) }
    }

    /// Runs `work` on this thread for small messages and in the pool for large ones, so that they do not delay other
    /// connections.
    pub(super) async fn run_job<T: Send + 'static>(
        &self,
        job: InspectionJob,
        permit: AdmissionPermit,
        work: fn(&InspectionJob) -> Result<T, ApiError>,
    ) -> Result<(T, InspectionJob, AdmissionPermit), ApiError> {
        if job.body.len() <= self.config.load.inline_bytes {
            return work(&job).map(|done| (done, job, permit));
        }
        let (max_wait, backlog, bytes) =
            (self.config.load.queue_timeout, Arc::clone(&self.backlog), job.body.len() as u64);
        let share = self.backlog.receive(bytes);
        let queued = self.pool.run(max_wait, move || {
            let begin = Instant::now();
            let done = work(&job);
            backlog.inspected(bytes, begin.elapsed());
            drop(share);
            done.map(|done| (done, job, permit))
        });
        let outcome = queued.map_err(|QueueFull| self.admission.overloaded(ShedReason::Queue))?.await;
        match outcome {
            Ok(Some(result)) => result,
            Ok(None) => Err(self.admission.overloaded(ShedReason::Queue)),
            // The job was dropped without a result, which only a defect of the node can cause.
            Err(_) => Err(ApiError::Internal),
        }
    }

    /// Queues a copy to be inspected later, once. `held` is what it takes of the limits on calls.
    pub(super) fn enqueue_copy(&self, job: InspectionJob, held: impl Send + 'static) -> Result<(), ApiError> {
        if self.repeats.is_repeat(&job.call) {
            return Ok(());
        }
        let call = job.call.clone();
        let queued = self.background.spawn(move || {
            let _held = held;
            // No caller waits for this verdict; the job has already recorded it and updated the metrics.
            if let Err(error) = job.run() {
                let (code, id) = (error.code(), job.call.request_id.as_str());
                tracing::warn!(code, request_id = id, "an accepted out-of-band copy could not be inspected");
            }
        });
        queued.map_err(|QueueFull| self.admission.overloaded(ShedReason::BackgroundQueue))?;
        self.repeats.took(&call);
        Ok(())
    }

    async fn coverage(&self, head: &Head, body: &mut Incoming, at: &Connection) -> Result<Response<Body>, ApiError> {
        self.authorize(head, at)?;
        let mut permit = self.admission.admit()?;
        let body = receive(body, &mut permit, MAX_REPORT, self.config.body_timeout).await?;
        at.received(head_size(&head.headers) + body.len());
        self.coverage.add_report(&body, &self.telemetry.metrics)?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(response)
    }

    fn openapi(&self, method: &Method) -> Result<Response<Body>, ApiError> {
        if method != Method::GET && method != Method::HEAD {
            return Err(ApiError::Method("GET, HEAD"));
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
}

fn valid_trace(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|text| weir_runtime::telemetry::TraceParent::parse(text).is_some())
}

/// Approximate size of the head of a call, in bytes.
pub(super) fn head_size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}
