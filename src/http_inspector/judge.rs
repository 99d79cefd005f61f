//! From the octets of a call to its verdict: parse, plan, inspect, decide. Runs on a worker or on the pool.

use super::answer::Answer;
use super::call::{Call, Form, Leg};
use super::context::{self, Context, Keys, Parts};
use super::envelope;
use super::refusal::Refusal;
use crate::engine::{self, Scratch, inspect};
use crate::generation::Generation;
use crate::model::{AnomalyKind, Facts, Header, Inspection, Message};
use crate::parse::chunked::{self, Chunked};
use crate::parse::extract::Options;
use crate::parse::{facts::facts, message};
use crate::policy::client::Client;
use crate::policy::{Head, Plan, Verdict};
use crate::telemetry::{Judged, Telemetry, TraceParent};
use bytes::Bytes;
use std::cell::Cell;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A call with all that its verdict depends on.
pub struct Job {
    /// Headers of the call.
    pub call: Call,
    /// Its body.
    pub body: Bytes,
    /// Rules and policy.
    pub generation: Arc<Generation>,
    /// Hosts that are accepted.
    pub access: Arc<super::Access>,
    /// Keys of contexts.
    pub keys: Arc<Keys>,
    /// Where to report.
    pub telemetry: Arc<Telemetry>,
}

thread_local! {
    /// Memory of the inspections of this thread. Absent while one runs, so a panic leaves nothing half-used behind.
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

impl Job {
    /// Judges the call. A panic, which would be a defect of the node, is caught, counted and never made a verdict.
    pub fn run(&self) -> Result<Answer, Refusal> {
        match catch_unwind(AssertUnwindSafe(|| self.judge())) {
            Ok(result) => result,
            Err(_) => {
                self.telemetry.metrics.panics.inc();
                tracing::error!(request_id = self.call.request_id.as_str(), "panic while a call was judged");
                Err(Refusal::Internal)
            }
        }
    }

    fn judge(&self) -> Result<Answer, Refusal> {
        let written;
        let raw = match self.call.form {
            Form::Raw => &self.body[..],
            Form::Envelope => {
                written = envelope::to_raw(self.call.leg, &self.body)?;
                &written[..]
            }
        };
        match self.call.leg {
            Leg::Request => self.request(raw),
            Leg::Response => self.response(raw),
        }
    }

    fn request(&self, raw: &[u8]) -> Result<Answer, Refusal> {
        let mut message = message::request(raw);
        let unchunked = self.unchunk(&message);
        unchunked.iter().for_each(|chunked| set_body(chunked, &mut message));
        self.complete(&mut message);
        let client = self.client(&message);
        let mut facts = facts(&message);
        if let Some(host) = client.host {
            facts.host = host.into_bytes().into();
        }
        if !self.access.allows_host(&facts.host) {
            return Err(Refusal::Host);
        }
        let now = now();
        let verdict = self.verdict(&message, &facts, client.address, now, raw.len());
        let application = verdict.1.application;
        let parts = Parts {
            time: now,
            application,
            hit: !verdict.0.attacks.is_empty(),
            fields: [self.call.request_id.as_str().as_bytes(), facts.method, &facts.host, &facts.path],
        };
        let context = bytes::Bytes::from(context::seal(&self.keys, &parts));
        let context = http::HeaderValue::from_maybe_shared(context).ok();
        Ok(Answer::new(self.call.request_id.as_str(), &verdict.0, context))
    }

    fn response(&self, raw: &[u8]) -> Result<Answer, Refusal> {
        let now = now();
        let context = self.context(now);
        let mut message = message::response(raw);
        let unchunked = self.unchunk(&message);
        unchunked.iter().for_each(|chunked| set_body(chunked, &mut message));
        self.complete(&mut message);
        let headers = context.as_ref().map(|c| vec![Header { name: b"host", value: &c.host }]);
        let asked = Message {
            method: context.as_ref().map_or(b"", |c| &c.method),
            target: context.as_ref().map_or(b"", |c| &c.path),
            headers: headers.unwrap_or_default(),
            application: context.as_ref().map_or(message.application, |c| c.application),
            scheme: message.scheme,
            ..Message::default()
        };
        message.application = asked.application;
        // The path of a context is decoded already: decoding it again here would tell it apart from the request's.
        let mut facts = facts(&asked);
        facts.path = asked.target.into();
        let verdict = self.verdict(&message, &facts, self.call.client, now, raw.len());
        Ok(Answer::new(self.call.request_id.as_str(), &verdict.0, None))
    }

    fn context(&self, now: u64) -> Option<Context> {
        let (state, context) = match self.call.context.as_ref() {
            None => ("missing", None),
            Some(token) => match context::open(&self.keys, token.as_str(), now) {
                Ok(context) => ("valid", Some(context)),
                Err(context::BadContext::Forged) => ("forged", None),
                Err(context::BadContext::Expired) => ("expired", None),
            },
        };
        self.telemetry.metrics.contexts.get_or_create(&crate::telemetry::metrics::State { state }).inc();
        context
    }

    /// The body without its chunk framing, where the connector left that on.
    fn unchunk<'b>(&self, message: &Message<'b>) -> Option<Chunked<'b>> {
        let framed = self.call.chunked && message.header("transfer-encoding").is_some();
        framed.then(|| chunked::decode(message.body))
    }

    /// What the connector says about the message, besides its octets.
    fn complete(&self, message: &mut Message<'_>) {
        message.body_state = self.call.body;
        message.scheme = self.call.scheme;
        message.application = self.call.application.unwrap_or(-1);
    }

    /// The client, and the host that a trusted proxy tells.
    fn client(&self, message: &Message<'_>) -> Client {
        self.generation.clients.find(self.call.client, &message.headers)
    }

    fn verdict(
        &self,
        message: &Message<'_>,
        facts: &Facts<'_>,
        client: IpAddr,
        now: u64,
        bytes: usize,
    ) -> (Verdict, Plan) {
        let begin = Instant::now();
        let client = Some(client);
        let generation = &self.generation;
        let head = Head {
            message,
            facts,
            client,
            source: generation.source(client),
            now,
            blocking: generation.blocking && self.call.blocking,
            request_id: self.call.request_id.as_str(),
        };
        let plan = generation.policy.plan(&head);
        let inspection = plan.bypass.is_none().then(|| self.inspect(message, &plan, begin));
        let verdict = generation.policy.decide(&head, &plan, inspection.as_ref());
        let trace = self.call.traceparent.as_ref().and_then(|v| v.to_str().ok()).and_then(TraceParent::parse);
        Judged {
            leg: self.call.leg.code(),
            request_id: self.call.request_id.as_str(),
            connector: self.call.connector.as_str(),
            client,
            method: facts.method,
            host: &facts.host,
            path: &facts.path,
            application: plan.application,
            blocking: self.call.blocking,
            trace,
            bypass: plan.bypass,
            verdict: &verdict,
            inspection: inspection.as_ref(),
            bytes,
            elapsed: begin.elapsed(),
        }
        .emit(&self.telemetry);
        (verdict, plan)
    }

    fn inspect(&self, message: &Message<'_>, plan: &Plan, begin: Instant) -> Inspection {
        let limit = plan.time_limit;
        let stop = || begin.elapsed() >= limit;
        let how = engine::Plan {
            limits: plan.limits.clone(),
            options: Options { parsers_off: plan.parsers_off, parsers_off_at: &plan.parsers_off_at },
            explain: false,
        };
        let mut scratch = SCRATCH.take().unwrap_or_default();
        let inspection = inspect(message, &self.generation.ruleset, &how, &mut scratch, &stop);
        SCRATCH.set(Some(scratch));
        inspection
    }
}

/// Puts the body and the trailers of `chunked` in place of the framed body.
fn set_body<'b>(chunked: &'b Chunked<'b>, message: &mut Message<'b>) {
    message.body = &chunked.body;
    if chunked.broken {
        message.oddities.push(AnomalyKind::BadChunk);
    }
    message::trailers(chunked.trailers, message);
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
