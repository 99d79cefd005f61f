//! From the bytes of a call to its verdict: parse, plan, inspect, decide. Runs on a worker or on the pool.

mod report;

use super::answer::{Accepted, Answer, Wanted};
use super::call::{Call, Form, Leg};
use super::context::{self, Context, Keys, Parts};
use super::envelope;
use super::refusal::Refusal;
use crate::events::{Recorded, Recorder};
use crate::generation::Generation;
use bytes::Bytes;
use http::HeaderValue;
use std::cell::Cell;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use weir_core::engine::{self, Scratch, inspect};
use weir_core::model::{AnomalyKind, DecodedHead, Header, Inspection, Message, Zone};
use weir_core::parse::chunked::{self, Chunked};
use weir_core::parse::extract::ParseOptions;
use weir_core::parse::{facts::facts, message};
use weir_policy::client::Client;
use weir_policy::{Head, Plan, Verdict};
use weir_runtime::telemetry::{Judged, Telemetry, TraceParent};

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
    /// Where malicious requests are recorded, if they are.
    pub recorder: Option<Arc<Recorder>>,
}

/// An answer, which may leave when the record that goes with it is settled.
pub struct Judgement {
    /// The answer.
    pub answer: Answer,
    /// The record on its way.
    pub recorded: Option<Recorded>,
}

/// One message in the making of its verdict.
struct Case<'c, 'a> {
    message: &'c Message<'a>,
    facts: &'c DecodedHead<'a>,
    client: IpAddr,
    /// Milliseconds since 1970.
    now: u64,
    /// Bytes of the message as received.
    bytes: usize,
    /// Bytes of its head.
    head: usize,
    /// What the context tells, on a response leg.
    context: Option<&'c Context>,
}

thread_local! {
    /// Memory of the inspections of this thread. Absent while one runs, so a panic leaves nothing half-used behind.
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

impl Job {
    /// Judges the call.
    pub fn run(&self) -> Result<Judgement, Refusal> {
        self.guarded(|| {
            self.with_message(|message, bytes| match self.call.leg {
                Leg::Request => self.request(message, bytes),
                Leg::Response => Ok(self.response(message, bytes)),
            })
        })
    }

    /// Checks a copy that is to be judged later, as far as its caller must be told: the form of the call, the host.
    /// Answers the context for the response leg, in which no attack is known yet.
    pub fn accept(&self) -> Result<Accepted, Refusal> {
        self.guarded(|| {
            self.with_message(|mut message, _| {
                if self.call.leg == Leg::Response {
                    return Ok(Accepted::default());
                }
                self.complete(&mut message);
                let client = self.client(&message);
                let (facts, now) = (self.facts(&message, &client)?, now());
                let plan = self.generation.policy.plan(&self.head(&message, &facts, client.address, now));
                let context = self.seal(&facts, plan.application, None, now);
                // Whether the request is malicious is not known yet: then its status would be wanted.
                Ok(Accepted { context, wanted: Some(self.wanted(&plan, self.recorder.is_some())) })
            })
        })
    }

    /// Catches a panic of `work`, which would be a defect of the node: it is counted, and never made a verdict.
    fn guarded<T>(&self, work: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            self.telemetry.metrics.panics.inc();
            tracing::error!(request_id = self.call.request_id.as_str(), "panic while a call was judged");
            Err(Refusal::Internal)
        })
    }

    /// Hands over the message of the call, and how many bytes it has.
    fn with_message<T>(&self, then: impl FnOnce(Message<'_>, usize) -> Result<T, Refusal>) -> Result<T, Refusal> {
        match (self.call.form, self.call.leg) {
            (Form::Raw, Leg::Request) => then(message::request(&self.body), self.body.len()),
            (Form::Raw, Leg::Response) => then(message::response(&self.body), self.body.len()),
            (Form::Envelope, leg) => {
                let pieces = envelope::read(leg, &self.body)?;
                then(pieces.message(), pieces.bytes())
            }
        }
    }

    fn request(&self, message: Message<'_>, bytes: usize) -> Result<Judgement, Refusal> {
        let head = bytes.saturating_sub(message.body.len());
        let unchunked = self.unchunk(&message);
        let mut message = message;
        unchunked.iter().for_each(|chunked| set_body(chunked, &mut message));
        self.complete(&mut message);
        let client = self.client(&message);
        let (facts, now) = (self.facts(&message, &client)?, now());
        let case = Case { message: &message, facts: &facts, client: client.address, now, bytes, head, context: None };
        let (verdict, plan) = self.verdict(&case);
        let recorded = self.record(&case, &verdict, &plan);
        let hit = recorded.as_ref().map(|recorded| *recorded.id.as_bytes());
        let context = self.seal(&facts, plan.application, hit, now);
        let answer = Answer::new(self.call.request_id.as_str(), &verdict, context);
        Ok(Judgement { answer: answer.wanting(self.wanted(&plan, hit.is_some())), recorded })
    }

    /// What policy asks about a request, with the host that a trusted proxy tells.
    fn facts<'m>(&self, message: &Message<'m>, client: &Client) -> Result<DecodedHead<'m>, Refusal> {
        let mut facts = facts(message);
        if let Some(host) = &client.host {
            facts.host = host.clone().into_bytes().into();
        }
        if self.access.allows_host(&facts.host) { Ok(facts) } else { Err(Refusal::Host) }
    }

    /// How much of the response is of use: what some signature reads, unless policy leaves the exchange out. A recorded
    /// request is completed with the status of its response.
    fn wanted(&self, plan: &Plan, recorded: bool) -> Wanted {
        let zones = if plan.bypass.is_some() { Zone::NONE } else { self.generation.ruleset.zones };
        if zones.intersects(Zone::RESPONSE_BODY) {
            Wanted::Body
        } else if recorded || zones.intersects(Zone::RESPONSE_HEADER) {
            Wanted::Head
        } else {
            Wanted::Nothing
        }
    }

    fn seal(&self, facts: &DecodedHead<'_>, application: i64, hit: Option<[u8; 16]>, now: u64) -> Option<HeaderValue> {
        let id = self.call.request_id.as_str().as_bytes();
        let fields = [id, facts.method, &facts.host, facts.raw_path()];
        let token = context::seal(&self.keys, &Parts { time: now, application, hit, fields });
        HeaderValue::from_maybe_shared(Bytes::from(token)).ok()
    }

    fn response(&self, message: Message<'_>, bytes: usize) -> Judgement {
        let now = now();
        let context = self.context(now);
        let head = bytes.saturating_sub(message.body.len());
        let unchunked = self.unchunk(&message);
        let mut message = message;
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
        let (facts, client, context) = (facts(&asked), self.call.client, context.as_ref());
        let case = Case { message: &message, facts: &facts, client, now, bytes, head, context };
        let (verdict, plan) = self.verdict(&case);
        let recorded = self.record(&case, &verdict, &plan);
        self.update(&case);
        Judgement { answer: Answer::new(self.call.request_id.as_str(), &verdict, None), recorded }
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
        self.telemetry.metrics.contexts.get_or_create(&weir_runtime::telemetry::metrics::State { state }).inc();
        context
    }

    /// The body without its chunk framing, where the connector left that on.
    fn unchunk<'b>(&self, message: &Message<'b>) -> Option<Chunked<'b>> {
        let framed = self.call.chunked && message.header("transfer-encoding").is_some();
        framed.then(|| chunked::decode(message.body))
    }

    /// What the connector says about the message, besides its bytes.
    fn complete(&self, message: &mut Message<'_>) {
        message.body_state = self.call.body;
        message.scheme = self.call.scheme;
        message.application = self.call.application.unwrap_or(-1);
    }

    /// The client, and the host that a trusted proxy tells.
    fn client(&self, message: &Message<'_>) -> Client {
        self.generation.clients.find(self.call.client, &message.headers)
    }

    /// What policy is asked with.
    fn head<'h, 'a>(
        &'h self,
        message: &'h Message<'a>,
        facts: &'h DecodedHead<'a>,
        client: IpAddr,
        now: u64,
    ) -> Head<'h, 'a> {
        Head {
            message,
            facts,
            client: Some(client),
            source: self.generation.source(Some(client)),
            now: now / 1000,
            blocking: self.generation.blocking && self.call.blocking,
            request_id: self.call.request_id.as_str(),
        }
    }

    fn verdict(&self, case: &Case<'_, '_>) -> (Verdict, Plan) {
        let begin = Instant::now();
        let Case { message, facts, client, now, bytes, .. } = *case;
        let generation = &self.generation;
        let head = self.head(message, facts, client, now);
        let client = head.client;
        let plan = generation.policy.plan(&head);
        let inspection = plan.bypass.is_none().then(|| self.inspect(message, &plan, begin));
        let verdict = generation.policy.decide(&head, &plan, inspection.as_ref());
        let elapsed = begin.elapsed();
        self.count(case, &verdict, &plan, elapsed);
        let trace = self.call.traceparent.as_ref().and_then(|v| v.to_str().ok()).and_then(TraceParent::parse);
        Judged {
            leg: self.call.leg.code(),
            request_id: self.call.request_id.as_str(),
            connector: self.call.connector.as_str(),
            client,
            method: facts.method,
            host: &facts.host,
            path: &facts.path.text,
            application: plan.application,
            blocking: self.call.blocking,
            trace,
            bypass: plan.bypass,
            verdict: &verdict,
            inspection: inspection.as_ref(),
            bytes,
            elapsed,
        }
        .emit(&self.telemetry);
        (verdict, plan)
    }

    fn inspect(&self, message: &Message<'_>, plan: &Plan, begin: Instant) -> Inspection {
        let limit = begin + plan.time_limit;
        // The connector stops waiting then: a verdict on what has been inspected beats none.
        let limit = self.call.answer_by.map_or(limit, |answer_by| limit.min(answer_by));
        let stop = || Instant::now() >= limit;
        let how = engine::InspectionOptions {
            limits: plan.limits.clone(),
            parsing: ParseOptions {
                parsers_off: plan.parsers_off,
                parsers_off_at: &plan.parsers_off_at,
                ..ParseOptions::default()
            },
            explain: false,
            skip_libinjection: !plan.libdetection,
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
        message.anomalies.push(AnomalyKind::BadChunk);
    }
    message::append_trailers(chunked.trailers, message);
}

/// Milliseconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use weir_core::model::SkipReason;
    use weir_runtime::telemetry::{Metrics, logs::AccessLog};

    fn job() -> Job {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "message/http"),
            ("inspector-request-id", "r-1"),
            ("inspector-client", "203.0.113.9"),
            ("inspector-connector", "test/1"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let policy = weir_policy::Policy::compile(&Default::default(), None).unwrap();
        let ruleset = weir_core::ruleset::compile::compile(&[]).unwrap();
        let generation = Generation::new(Arc::new(ruleset), policy, Default::default(), Default::default(), true);
        Job {
            call: Call::parse(Leg::Request, &headers).unwrap(),
            body: Bytes::from_static(b"GET /a%2e/b?c=d HTTP/1.1\r\nHost: h\r\n\r\n"),
            generation: Arc::new(generation),
            access: Arc::default(),
            keys: Arc::new(Keys::new(&[]).unwrap()),
            telemetry: Arc::new(Telemetry { metrics: Metrics::unregistered(), access: AccessLog::Off.into() }),
            recorder: None,
        }
    }

    #[test]
    fn a_call_is_answered_before_its_deadline_with_what_was_inspected() {
        let mut job = job();
        let long = [&b"POST / HTTP/1.1\r\nHost: h\r\n\r\n"[..], &b"some text, ".repeat(10_000)].concat();
        job.body = Bytes::from(long);
        let not_inspected = |job: &Job| {
            let message = message::request(&job.body);
            let facts = facts(&message);
            let plan = job.generation.policy.plan(&job.head(&message, &facts, job.call.client, 0));
            let gaps = job.inspect(&message, &plan, Instant::now()).not_inspected;
            gaps.iter().map(|gap| gap.reason).collect::<Vec<_>>()
        };
        job.call.answer_by = Some(Instant::now());
        assert_eq!(not_inspected(&job), [SkipReason::TimeLimit]);
        job.call.answer_by = Some(Instant::now() + std::time::Duration::from_secs(60));
        assert_eq!(not_inspected(&job), []);
    }

    #[test]
    fn a_panic_is_answered_500_and_counted_and_the_next_call_is_judged() {
        let job = job();
        let answer = job.guarded::<()>(|| panic!("a defect"));
        assert_eq!(answer, Err(Refusal::Internal));
        assert_eq!(Refusal::Internal.status(), 500);
        assert_eq!(job.telemetry.metrics.panics.get(), 1);
        assert!(job.run().is_ok());
    }

    #[test]
    fn only_what_signatures_read_is_wanted_of_a_response() {
        let mut job = job();
        let mut wanted = |zones: Option<&str>| {
            let text = zones.map(|zones| {
                format!("- id: infoleak.x\n  attack: infoleak\n  about: x\n  zones: [{zones}]\n  pattern: 'secret'\n  confidence: high\n  positive: ['secret']\n  negative: ['x']\n")
            });
            let files: Vec<_> = text.into_iter().map(|text| ("x.yaml".to_owned(), text)).collect();
            let ruleset = weir_core::ruleset::compile::compile(&files).unwrap();
            let policy = weir_policy::Policy::compile(&Default::default(), None).unwrap();
            let generation = Generation::new(Arc::new(ruleset), policy, Default::default(), Default::default(), true);
            job.generation = Arc::new(generation);
            let message = message::request(&job.body);
            let facts = facts(&message);
            let mut plan = job.generation.policy.plan(&job.head(&message, &facts, job.call.client, 0));
            let inspected = [job.wanted(&plan, false), job.wanted(&plan, true)];
            plan.bypass = Some(weir_policy::Bypass::ModeOff);
            (inspected, [job.wanted(&plan, false), job.wanted(&plan, true)])
        };
        let bypassed = [Wanted::Nothing, Wanted::Head];
        assert_eq!(wanted(None), ([Wanted::Nothing, Wanted::Head], bypassed));
        assert_eq!(wanted(Some("query")), ([Wanted::Nothing, Wanted::Head], bypassed));
        assert_eq!(wanted(Some("response_header")), ([Wanted::Head; 2], bypassed));
        assert_eq!(wanted(Some("response_body")), ([Wanted::Body; 2], bypassed));
    }

    #[test]
    fn a_copy_gets_the_context_of_its_request() {
        let job = job();
        let token = job.accept().unwrap().context.unwrap();
        let context = context::open(&job.keys, token.to_str().unwrap(), now()).unwrap();
        let seen = (&context.request_id[..], &context.method[..], &context.host[..], &context.path[..], context.hit);
        assert_eq!(seen, (&b"r-1"[..], &b"GET"[..], &b"h"[..], &b"/a%2e/b"[..], None));
    }
}
