//! From the bytes of a call to its verdict: parse, plan, inspect, decide. Runs on a worker of the runtime, or in the
//! pool for large messages.

mod behaviour;
mod preview;
mod report;
mod span;

use self::span::{SpanClock, VerdictParts};
use super::api_error::ApiError;
use super::call::{CallHeaders, Direction, MessageFormat};
use super::context::{self, ContextFields, ContextKeys, ExchangeContext};
use super::envelope;
use super::verdict_response::{Accepted, VerdictResponse, Wanted};
use crate::abuse::{Abuse, AbuseCheck};
use crate::crowdsec::Decided;
use crate::events::{PendingRecord, Recorder};
use crate::generation::Generation;
use crate::traces::Traces;
use bytes::Bytes;
use http::HeaderValue;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use weir_core::model::{DecodedHead, Header, Inspection, Message, Zone};
use weir_core::parse::chunked::{self, Chunked};
use weir_core::parse::{facts::facts, message};
use weir_policy::client::Client;
use weir_policy::inspection::set_decoded_body;
use weir_policy::{Plan, RequestContext, Verdict};
use weir_protocol::redact::masked_path;
use weir_runtime::clock::now_millis;
use weir_runtime::serve::Caller;
use weir_runtime::telemetry::{Telemetry, TraceParent, VerdictEvent};

/// A call and everything that its verdict depends on.
pub struct InspectionJob {
    /// Headers of the call.
    pub call: CallHeaders,
    /// Its body.
    pub body: Bytes,
    /// Who called.
    pub caller: Caller,
    /// Rules and policy.
    pub generation: Arc<Generation>,
    /// Hosts that are accepted.
    pub access: Arc<super::AccessRules>,
    /// ContextKeys of contexts.
    pub keys: Arc<ContextKeys>,
    /// Metrics and access log.
    pub telemetry: Arc<Telemetry>,
    /// Records malicious requests, if configured.
    pub recorder: Option<Arc<Recorder>>,
    /// Behaviour over many requests.
    pub abuse: Arc<Abuse>,
    /// Lists of CrowdSec.
    pub decided: Arc<Decided>,
    /// Spans of verdicts, if they are exported.
    pub traces: Option<Arc<Traces>>,
    /// What counting the request showed, once it was counted.
    pub checked: OnceLock<AbuseCheck>,
}

/// A verdict for the connector, to be sent once its record is in the spool.
pub struct InspectionOutcome {
    /// The response.
    pub response: VerdictResponse,
    /// The record being written.
    pub record: Option<PendingRecord>,
}

/// One message while its verdict is made.
struct MessageContext<'c, 'a> {
    message: &'c Message<'a>,
    facts: &'c DecodedHead<'a>,
    client: IpAddr,
    /// Milliseconds since 1970.
    now: u64,
    /// Bytes of the message as received.
    bytes: usize,
    /// Bytes of its head.
    head: usize,
    /// Context of the request, for a response.
    request_context: Option<&'c ExchangeContext>,
}

impl InspectionJob {
    /// Inspects the message and decides on it.
    pub fn run(&self) -> Result<InspectionOutcome, ApiError> {
        let clock = SpanClock::start(self.traces.is_some());
        self.guarded(|| {
            self.with_message(|message, bytes| match self.call.direction {
                Direction::Request => self.request(message, bytes, clock),
                Direction::Response => Ok(self.response(message, bytes, clock)),
            })
        })
    }

    /// Checks an out-of-band copy before it is queued, as far as its caller must know: format of the call, host.
    /// Returns the context for the response, in which no attack is known yet.
    pub fn accept(&self) -> Result<Accepted, ApiError> {
        self.guarded(|| {
            self.with_message(|mut message, _| {
                if self.call.direction == Direction::Response {
                    return Ok(Accepted::default());
                }
                self.apply_call_headers(&mut message);
                let client = self.client(&message);
                let (facts, now) = (self.facts(&message, &client)?, now_millis());
                let mut plan = self.generation.policy.plan(&self.policy_request(&message, &facts, client.address, now));
                let check = self.check(&self.request_view(&message, &facts, client.address, now), &mut plan);
                let context = self.seal(&facts, plan.application, None, now, check);
                // Whether the request is malicious is not known yet: then its status would be wanted.
                Ok(Accepted { context, wanted: Some(self.wanted(&plan, self.recorder.is_some())) })
            })
        })
    }

    /// Catches a panic of `work`, which would be a defect of the node: it is counted and never becomes a verdict.
    fn guarded<T>(&self, work: impl FnOnce() -> Result<T, ApiError>) -> Result<T, ApiError> {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            self.telemetry.metrics.panics.inc();
            tracing::error!(request_id = self.call.request_id.as_str(), "panic while a call was inspected");
            Err(ApiError::Internal)
        })
    }

    /// Calls `then` with the message of the call and its size in bytes.
    fn with_message<T>(&self, then: impl FnOnce(Message<'_>, usize) -> Result<T, ApiError>) -> Result<T, ApiError> {
        match (self.call.format, self.call.direction) {
            (MessageFormat::Raw, Direction::Request) => then(message::request(&self.body), self.body.len()),
            (MessageFormat::Raw, Direction::Response) => then(message::response(&self.body), self.body.len()),
            (MessageFormat::Envelope, direction) => {
                let parts = envelope::read(direction, &self.body)?;
                then(parts.message(), parts.bytes())
            }
        }
    }

    fn request(&self, message: Message<'_>, bytes: usize, clock: SpanClock) -> Result<InspectionOutcome, ApiError> {
        let head = bytes.saturating_sub(message.body.len());
        let unchunked = self.unchunk(&message);
        let mut message = message;
        unchunked.iter().for_each(|chunked| set_decoded_body(chunked, &mut message));
        self.apply_call_headers(&mut message);
        let client = self.client(&message);
        let (facts, now) = (self.facts(&message, &client)?, now_millis());
        let context = MessageContext {
            message: &message,
            facts: &facts,
            client: client.address,
            now,
            bytes,
            head,
            request_context: None,
        };
        let (verdict, plan) = self.verdict(&context, clock);
        let record = self.record(&context, &verdict, &plan);
        let hit = record.as_ref().map(|record| *record.id.as_bytes());
        self.trail(&context, &verdict, &plan, record.as_ref());
        let sealed = self.seal(&facts, plan.application, hit, now, self.checked.get_or_init(AbuseCheck::default));
        let response = VerdictResponse::new(self.call.request_id.as_str(), &verdict, sealed);
        Ok(InspectionOutcome { response: response.wanting(self.wanted(&plan, hit.is_some())), record })
    }

    /// The decoded head of a request, with the host that a trusted proxy forwards.
    fn facts<'m>(&self, message: &Message<'m>, client: &Client) -> Result<DecodedHead<'m>, ApiError> {
        let facts = client.facts(message);
        if facts.hosts().all(|host| self.access.allows_host(host)) { Ok(facts) } else { Err(ApiError::Host) }
    }

    /// How much of the response is of use: what some signature reads, unless policy leaves the exchange out. A recorded
    /// request is completed with the status of its response.
    fn wanted(&self, plan: &Plan, recorded: bool) -> Wanted {
        let zones = if plan.bypass.is_some() { Zone::NONE } else { self.generation.ruleset.zones };
        let (head, body) = self.checked.get().map_or((false, false), |check| check.wanted);
        if body || zones.intersects(Zone::RESPONSE_BODY) {
            Wanted::Body
        } else if head || recorded || zones.intersects(Zone::RESPONSE_HEADER) {
            Wanted::Head
        } else {
            Wanted::Nothing
        }
    }

    fn seal(
        &self,
        facts: &DecodedHead<'_>,
        application: i64,
        hit: Option<[u8; 16]>,
        now: u64,
        check: &AbuseCheck,
    ) -> Option<HeaderValue> {
        let id = self.call.request_id.as_str().as_bytes();
        let fields = [id, facts.method, &facts.host, facts.raw_path()];
        let carried = &check.carried.to_bytes();
        let token = context::seal(&self.keys, &ContextFields { time: now, application, hit, fields, carried });
        HeaderValue::from_maybe_shared(Bytes::from(token)).ok()
    }

    fn response(&self, message: Message<'_>, bytes: usize, clock: SpanClock) -> InspectionOutcome {
        let now = now_millis();
        let request_context = self.request_context(now);
        let head = bytes.saturating_sub(message.body.len());
        let unchunked = self.unchunk(&message);
        let mut message = message;
        unchunked.iter().for_each(|chunked| set_decoded_body(chunked, &mut message));
        self.apply_call_headers(&mut message);
        let headers = request_context.as_ref().map(|c| vec![Header { name: b"host", value: &c.host }]);
        let request = Message {
            method: request_context.as_ref().map_or(b"", |c| &c.method),
            target: request_context.as_ref().map_or(b"", |c| &c.path),
            headers: headers.unwrap_or_default(),
            application: request_context.as_ref().map_or(message.application, |c| c.application),
            scheme: message.scheme,
            ..Message::default()
        };
        message.application = request.application;
        let (facts, client) = (facts(&request), self.call.client);
        let request_context = request_context.as_ref();
        let context = MessageContext { message: &message, facts: &facts, client, now, bytes, head, request_context };
        let (verdict, plan) = self.verdict(&context, clock);
        let record = self.record(&context, &verdict, &plan);
        self.update(&context);
        self.answered(&context, &plan);
        InspectionOutcome { response: VerdictResponse::new(self.call.request_id.as_str(), &verdict, None), record }
    }

    /// Opens the sealed context that the connector sent with a response.
    fn request_context(&self, now: u64) -> Option<ExchangeContext> {
        let (state, context) = match self.call.context.as_ref() {
            None => ("missing", None),
            Some(token) => match context::open(&self.keys, token.as_str(), now) {
                Ok(context) => ("valid", Some(context)),
                Err(context::ContextError::Forged) => ("forged", None),
                Err(context::ContextError::Expired) => ("expired", None),
            },
        };
        self.telemetry.metrics.contexts.get_or_create(&weir_runtime::telemetry::metrics::State { state }).inc();
        context
    }

    /// The body without its chunked framing, where the connector sent it framed.
    fn unchunk<'b>(&self, message: &Message<'b>) -> Option<Chunked<'b>> {
        let framed = self.call.chunked && message.header("transfer-encoding").is_some();
        framed.then(|| chunked::decode(message.body))
    }

    /// Sets what the connector says about the message beside its bytes.
    fn apply_call_headers(&self, message: &mut Message<'_>) {
        message.body_state = self.call.body;
        message.scheme = self.call.scheme;
        message.application = self.call.application.unwrap_or(-1);
        message.anomalies.extend(&self.call.anomalies);
    }

    /// The client, and the host that a trusted proxy forwards.
    fn client(&self, message: &Message<'_>) -> Client {
        self.generation.clients.find(self.call.client, &message.headers)
    }

    /// What the policy decides on.
    fn policy_request<'h, 'a>(
        &'h self,
        message: &'h Message<'a>,
        facts: &'h DecodedHead<'a>,
        client: IpAddr,
        now: u64,
    ) -> RequestContext<'h, 'a> {
        RequestContext {
            message,
            facts,
            client: Some(client),
            source: self.generation.source(Some(client)),
            now: now / 1000,
            blocking: self.generation.blocking && self.call.blocking,
            request_id: self.call.request_id.as_str(),
        }
    }

    fn verdict(&self, context: &MessageContext<'_, '_>, mut clock: SpanClock) -> (Verdict, Plan) {
        let begin = clock.parsed();
        let MessageContext { message, facts, client, now, bytes, .. } = *context;
        let generation = &self.generation;
        let request = self.policy_request(message, facts, client, now);
        let client = request.client;
        let mut plan = generation.policy.plan(&request);
        let excesses = match self.call.direction {
            Direction::Request => {
                &self.check(&self.request_view(message, facts, context.client, now), &mut plan).excesses[..]
            }
            Direction::Response => &[],
        };
        clock.planned();
        let inspection = self.inspect(message, &plan, begin);
        clock.inspected();
        let verdict = generation.policy.decide_with(&request, &plan, inspection.as_ref(), excesses);
        let elapsed = begin.elapsed();
        self.count(context, &verdict, &plan, elapsed);
        let trace = self.call.traceparent.as_ref().and_then(|v| v.to_str().ok()).and_then(TraceParent::parse);
        let shown = masked_path(&facts.path.text);
        let parsed = VerdictParts { method: facts.method, path: &shown, bytes, plan: &plan };
        self.trace(trace, clock, &parsed, &verdict, inspection.as_ref());
        VerdictEvent {
            leg: self.call.direction.code(),
            request_id: self.call.request_id.as_str(),
            connector: self.call.connector.as_str(),
            caller: self.caller,
            client,
            method: facts.method,
            host: &facts.host,
            path: &shown,
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

    fn inspect(&self, message: &Message<'_>, plan: &Plan, begin: Instant) -> Option<Inspection> {
        let limit = begin + plan.time_limit;
        // The connector stops waiting then: a verdict on what has been inspected so far is better than none.
        let limit = self.call.answer_by.map_or(limit, |answer_by| limit.min(answer_by));
        plan.inspect(message, &self.generation.ruleset, &|| Instant::now() >= limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abuse::AbuseSettings;
    use http::HeaderMap;
    use weir_core::model::SkipReason;
    use weir_runtime::telemetry::{Metrics, logs::AccessLog};

    fn job() -> InspectionJob {
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
        InspectionJob {
            call: CallHeaders::parse(Direction::Request, &headers).unwrap(),
            body: Bytes::from_static(b"GET /a%2e/b?c=d HTTP/1.1\r\nHost: h\r\n\r\n"),
            caller: Caller::Unix(0),
            generation: Arc::new(generation),
            access: Arc::default(),
            keys: Arc::new(ContextKeys::new(&[]).unwrap()),
            telemetry: Arc::new(Telemetry { metrics: Metrics::unregistered(), access: AccessLog::Off.into() }),
            recorder: None,
            decided: Arc::default(),
            traces: None,
            abuse: Arc::new(Abuse::new(&AbuseSettings { memory: 1 << 20, secrets: Vec::new(), shared: false })),
            checked: OnceLock::new(),
        }
    }

    #[test]
    fn a_call_is_answered_before_its_deadline_with_what_was_inspected() {
        let mut job = job();
        let long = [&b"POST / HTTP/1.1\r\nHost: h\r\n\r\n"[..], &b"some text, ".repeat(10_000)].concat();
        job.body = Bytes::from(long);
        let not_inspected = |job: &InspectionJob| {
            let message = message::request(&job.body);
            let facts = facts(&message);
            let plan = job.generation.policy.plan(&job.policy_request(&message, &facts, job.call.client, 0));
            let gaps = job.inspect(&message, &plan, Instant::now()).unwrap().not_inspected;
            gaps.iter().map(|gap| gap.reason).collect::<Vec<_>>()
        };
        job.call.answer_by = Some(Instant::now());
        assert_eq!(not_inspected(&job), [SkipReason::TimeLimit]);
        job.call.answer_by = Some(Instant::now() + std::time::Duration::from_secs(60));
        assert_eq!(not_inspected(&job), []);
    }

    #[test]
    fn a_panic_is_answered_500_and_counted_and_the_next_call_is_inspected() {
        let job = job();
        let answer = job.guarded::<()>(|| panic!("a defect"));
        assert_eq!(answer, Err(ApiError::Internal));
        assert_eq!(ApiError::Internal.status(), 500);
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
            let mut plan = job.generation.policy.plan(&job.policy_request(&message, &facts, job.call.client, 0));
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
        let context = context::open(&job.keys, token.to_str().unwrap(), now_millis()).unwrap();
        let seen = (&context.request_id[..], &context.method[..], &context.host[..], &context.path[..], context.hit);
        assert_eq!(seen, (&b"r-1"[..], &b"GET"[..], &b"h"[..], &b"/a%2e/b"[..], None));
    }
}
