//! What becomes of one call.

use super::{COVERAGE, OPENAPI, REQUESTS, RESPONSES, Service};
use crate::http_inspector::access::Access;
use crate::http_inspector::admission::Entry;
use crate::http_inspector::answer;
use crate::http_inspector::batch;
use crate::http_inspector::call::{self, Call, Leg};
use crate::http_inspector::connection::Connection;
use crate::http_inspector::judge::{Job, Judgement};
use crate::http_inspector::pool::Full;
use crate::http_inspector::receive::receive;
use crate::http_inspector::refusal::{Refusal, Shed};
use axum::body::Body;
use http::request::Parts as Head;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use std::sync::Arc;
use weir_runtime::serve::drain;
use weir_runtime::telemetry::Refused;
use weir_runtime::telemetry::metrics::Kind;

/// Largest coverage report, in bytes.
const MAX_REPORT: usize = 1 << 20;

impl Service {
    /// The answer to `request`.
    pub async fn answer(&self, request: Request<Incoming>, connection: &Connection) -> Response<Body> {
        let (head, mut body) = request.into_parts();
        let route = self.route(&head, &mut body, connection);
        let answered = match self.config.reply_timeout {
            None => route.await,
            Some((limit, status)) => {
                let late = Err(Refusal::ReplyTimeout(status));
                tokio::time::timeout(limit, route).await.unwrap_or(late)
            }
        };
        match answered {
            Ok(response) => response,
            Err(refusal) => self.refuse(&refusal, &head, &mut body, connection).await,
        }
    }

    /// Tells the refusal, to the log and to the caller.
    async fn refuse(&self, refusal: &Refusal, head: &Head, body: &mut Incoming, at: &Connection) -> Response<Body> {
        let id = head.headers.get("inspector-request-id").filter(|id| call::is_id(id.as_bytes()));
        Refused {
            code: refusal.code(),
            status: refusal.status().as_u16(),
            shed: refusal.shed(),
            peer: at.peer.ip(),
            request_id: id.and_then(|id| id.to_str().ok()).unwrap_or_default(),
            detail: &refusal.detail(),
        }
        .emit(&self.telemetry);
        // A caller that waits for 100 (Continue) has not begun to send, h2 resets the stream alone.
        let sending = head.version < http::Version::HTTP_2 && !head.headers.contains_key(header::EXPECT);
        let left = sending && !refusal.ends_connection() && !drain(body, 2 * self.config.max_call_bytes).await;
        if left || refusal.ends_connection() {
            at.end();
        }
        refusal.response()
    }

    async fn route(&self, head: &Head, body: &mut Incoming, at: &Connection) -> Result<Response<Body>, Refusal> {
        let seen = |r#type| self.telemetry.metrics.messages_seen.get_or_create(&Kind { r#type }).inc();
        match head.uri.path() {
            REQUESTS => {
                seen("request");
                self.inspect(Leg::Request, head, body, at).await
            }
            RESPONSES => {
                seen("response");
                self.inspect(Leg::Response, head, body, at).await
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
            _ => {
                seen("other");
                Err(Refusal::NotFound)
            }
        }
    }

    async fn inspect(
        &self,
        leg: Leg,
        head: &Head,
        body: &mut Incoming,
        at: &Connection,
    ) -> Result<Response<Body>, Refusal> {
        let access = self.may_call(head, at)?;
        let mut entry = self.admission.enter()?;
        let many = leg == Leg::Response && batch::is_batch(&head.headers);
        let call = if many { None } else { Some(Call::parse(leg, &head.headers)?) };
        let body = receive(body, &mut entry, self.config.max_call_bytes, self.config.body_timeout).await?;
        at.received(head_size(&head.headers) + body.len());
        let Some(call) = call else { return self.batch(head, &body, entry, at, &access) };
        let trace = call.traceparent.clone().filter(valid_trace);
        let job = self.job(call, body, access);
        if !job.call.blocking {
            let (accepted, job, entry) = self.work(job, entry, Job::accept).await?;
            self.copy(job, entry)?;
            return Ok(answer::accepted(accepted, trace));
        }
        let (Judgement { answer, recorded }, ..) = self.work(job, entry, Job::run).await?;
        // The answer is kept back until the record of a malicious call is in the spool.
        if let (Some(recorder), Some(recorded)) = (&self.recorder, recorded) {
            recorder.settle(recorded).await;
        }
        Ok(answer.response(trace))
    }

    /// Whether the caller may call, with the access rules that said so.
    fn may_call(&self, head: &Head, at: &Connection) -> Result<Arc<Access>, Refusal> {
        let access = self.access.load_full();
        let proven = access.authenticate(at.peer.ip(), at.certificate, &head.headers)?;
        if !proven {
            self.telemetry.metrics.unauthenticated.inc();
        }
        if head.method != Method::POST { Err(Refusal::Method("POST")) } else { Ok(access) }
    }

    /// Does at once what is small, and what is large where other connections need not wait for it.
    async fn work<T: Send + 'static>(
        &self,
        job: Job,
        entry: Entry,
        work: fn(&Job) -> Result<T, Refusal>,
    ) -> Result<(T, Job, Entry), Refusal> {
        if job.body.len() <= self.config.load.inline_bytes {
            return work(&job).map(|done| (done, job, entry));
        }
        let patience = self.config.load.queue_timeout;
        let queued = self.pool.run(patience, move || work(&job).map(|done| (done, job, entry)));
        let answer = queued.map_err(|Full| self.admission.refuse(Shed::Queue))?.await;
        match answer {
            Ok(Some(result)) => result,
            Ok(None) => Err(self.admission.refuse(Shed::Queue)),
            // The job was dropped without an answer, which only a defect can do.
            Err(_) => Err(Refusal::Internal),
        }
    }

    /// Judges a copy later, once. `held` is what it takes of the bounds on calls.
    pub(super) fn copy(&self, job: Job, held: impl Send + 'static) -> Result<(), Refusal> {
        if self.repeats.is_repeat(&job.call) {
            return Ok(());
        }
        let call = job.call.clone();
        let queued = self.background.spawn(move || {
            let _held = held;
            // Nobody waits for the answer; its record is on its way, and metrics were told by the job.
            if let Err(refusal) = job.run() {
                let (code, id) = (refusal.code(), job.call.request_id.as_str());
                tracing::warn!(code, request_id = id, "an accepted copy was refused");
            }
        });
        queued.map_err(|Full| self.admission.refuse(Shed::BackgroundQueue))?;
        self.repeats.took(&call);
        Ok(())
    }

    async fn coverage(&self, head: &Head, body: &mut Incoming, at: &Connection) -> Result<Response<Body>, Refusal> {
        self.may_call(head, at)?;
        let mut entry = self.admission.enter()?;
        let body = receive(body, &mut entry, MAX_REPORT, self.config.body_timeout).await?;
        at.received(head_size(&head.headers) + body.len());
        self.coverage.report(&body, &self.telemetry.metrics)?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(response)
    }

    fn openapi(&self, method: &Method) -> Result<Response<Body>, Refusal> {
        if method != Method::GET && method != Method::HEAD {
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
}

fn valid_trace(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|text| weir_runtime::telemetry::TraceParent::parse(text).is_some())
}

/// About the bytes of the head of a call.
fn head_size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}
