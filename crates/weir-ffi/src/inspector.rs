//! The verdict on one request, as a node would give it.

use crate::error::InspectorError;
use crate::generation::{Generation, InspectorSettings};
use arc_swap::ArcSwap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use weir_core::model::{BodyState, DecodedHead, Message, Scheme, SkipReason};
use weir_core::parse::{chunked, message};
use weir_policy::client::Client;
use weir_policy::inspection::set_decoded_body;
use weir_policy::{Plan, Reply, RequestContext, Source, Verdict};
use weir_protocol::hit::HitDirection;
use weir_protocol::record::{InspectedMessage, hit, is_hit};

/// Bytes of a message that are accepted: its body is decoded up to here, and inspected up to a much smaller cap.
pub const MAX_MESSAGE: usize = 16 << 20;
/// Bytes of a head that are accepted. Gateways have a bound of tens of KiB themselves.
pub const MAX_HEAD: usize = 256 << 10;
/// Bytes of a body in a record, as by default in a node.
const MAX_RECORDED_BODY: usize = 8 << 10;
/// Name of this library in records, as a connector has one.
const CONNECTOR: &str = concat!("weir-ffi/", env!("CARGO_PKG_VERSION"));

/// A request to be inspected.
#[derive(Clone, Copy, Debug)]
pub struct RequestInput<'r> {
    /// Head and body as in HTTP/1.1 (`message/http`).
    pub message: &'r [u8],
    /// How much of the body is in `message`.
    pub body: BodyState,
    /// Whether the body is in the chunked coding still.
    pub chunked: bool,
    /// The gateway's peer; headers of trusted proxies may name another client.
    pub peer: IpAddr,
    /// Scheme that the client used.
    pub scheme: Scheme,
    /// Id of the request, for the reply and the record.
    pub request_id: &'r str,
    /// Application id; `None` if the gateway knows none.
    pub application: Option<i64>,
    /// Time until the caller needs the verdict, if that is less than the setting.
    pub time_limit: Option<Duration>,
}

impl Default for RequestInput<'_> {
    fn default() -> Self {
        Self {
            message: b"",
            body: BodyState::Complete,
            chunked: false,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            scheme: Scheme::Http,
            request_id: "",
            application: None,
            time_limit: None,
        }
    }
}

/// What the gateway shall do with a request.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What the client gets; `None` if the request passes.
    pub reply: Option<Reply>,
    /// It passes only because of its mode, or because the gateway may not block.
    pub would_block: bool,
    /// Why parts were not inspected, each reason once.
    pub not_inspected: Vec<SkipReason>,
    /// Bytes of the body beyond the cap.
    pub bytes_left: usize,
    /// The masked record of a malicious request (JSON, `weir_protocol::Hit`, without an id); empty for any other.
    pub hit: Vec<u8>,
    /// Number of the rules and policy that decided.
    pub generation: u64,
}

/// Rules and policy that any number of threads use at the same time, and that a reload swaps as a whole.
#[derive(Debug)]
pub struct Inspector {
    current: ArcSwap<Generation>,
    swaps: AtomicU64,
}

impl Inspector {
    /// Compiles rules and policy. Takes some hundred milliseconds with the rules that ship with weir.
    pub fn new(settings: &InspectorSettings<'_>) -> Result<Self, InspectorError> {
        let first = Generation::new(settings)?;
        Ok(Self { swaps: AtomicU64::new(first.number), current: ArcSwap::from_pointee(first) })
    }

    /// Compiles rules and policy anew and swaps them; returns the number of the new ones. Requests in progress keep theirs.
    /// After an error the old ones stay in use.
    pub fn reload(&self, settings: &InspectorSettings<'_>) -> Result<u64, InspectorError> {
        let mut next = Generation::new(settings)?;
        next.number = self.swaps.fetch_add(1, Ordering::Relaxed) + 1;
        let number = next.number;
        self.current.store(Arc::new(next));
        Ok(number)
    }

    /// Number of the rules and policy in use.
    pub fn generation(&self) -> u64 {
        self.current.load().number
    }

    /// Inspects a request and decides on it.
    pub fn inspect(&self, input: &RequestInput<'_>) -> Result<Outcome, InspectorError> {
        let begin = Instant::now();
        accepted("message", input.message.len(), MAX_MESSAGE)?;
        let generation = self.current.load_full();
        let mut message = message::request(input.message);
        let head = input.message.len() - message.body.len();
        accepted("head of the message", head, MAX_HEAD)?;
        let framed = input.chunked && message.header("transfer-encoding").is_some();
        let decoded = framed.then(|| chunked::decode(message.body));
        decoded.iter().for_each(|decoded| set_decoded_body(decoded, &mut message));
        message.body_state = input.body;
        let bytes_left = cap(&mut message, generation.max_body);
        message.scheme = input.scheme;
        message.application = input.application.unwrap_or(-1);
        let case = Case { input, generation: &generation, message: &message, head, bytes_left };
        Ok(case.outcome(begin))
    }
}

/// Checks a length.
fn accepted(what: &'static str, bytes: usize, most: usize) -> Result<(), InspectorError> {
    if bytes > most { Err(InspectorError::TooLarge { what, bytes, most }) } else { Ok(()) }
}

/// Cuts the body to `most` bytes and returns how many are left out. The engine reports the cut as not inspected.
fn cap(message: &mut Message<'_>, most: usize) -> usize {
    let left = message.body.len().saturating_sub(most);
    if left > 0 {
        message.body = &message.body[..most];
        message.body_state = BodyState::Prefix;
    }
    left
}

/// One request while its verdict is made.
struct Case<'c, 'a> {
    input: &'c RequestInput<'c>,
    generation: &'c Generation,
    message: &'c Message<'a>,
    /// Bytes of its head.
    head: usize,
    /// Bytes of its body beyond the cap.
    bytes_left: usize,
}

impl Case<'_, '_> {
    fn outcome(&self, begin: Instant) -> Outcome {
        let Self { input, generation, message, .. } = *self;
        let client = generation.clients.find(input.peer, &message.headers);
        let facts = client.facts(message);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let context = RequestContext {
            message,
            facts: &facts,
            client: Some(client.address),
            source: Source::default(),
            now: now.as_secs(),
            blocking: generation.blocking,
            request_id: input.request_id,
        };
        let plan = generation.policy.plan(&context);
        let limit = plan.time_limit.min(generation.time_limit);
        let limit = begin + input.time_limit.map_or(limit, |given| limit.min(given));
        let inspection = plan.inspect(message, &generation.ruleset, &|| Instant::now() >= limit);
        let verdict = generation.policy.decide(&context, &plan, inspection.as_ref());
        let mut not_inspected = Vec::new();
        for gap in inspection.iter().flat_map(|inspection| &inspection.not_inspected) {
            if !not_inspected.contains(&gap.reason) {
                not_inspected.push(gap.reason);
            }
        }
        let hit = if is_hit(&verdict) { self.hit(&verdict, &plan, &client, &facts, now) } else { Vec::new() };
        Outcome {
            would_block: verdict.would_block,
            not_inspected,
            bytes_left: self.bytes_left,
            hit,
            generation: generation.number,
            reply: verdict.block_reply(),
        }
    }

    /// The masked record of the request.
    fn hit(&self, verdict: &Verdict, plan: &Plan, client: &Client, facts: &DecodedHead<'_>, now: Duration) -> Vec<u8> {
        let Self { input, generation, message, .. } = *self;
        let sensitive: Vec<_> = generation.policy.sensitive(plan, now.as_secs()).collect();
        let record = InspectedMessage {
            direction: HitDirection::Request,
            time: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            request_id: input.request_id,
            connector: CONNECTOR,
            attempt: 1,
            client: Some(client.address),
            peer: Some(input.peer),
            source: Source::default(),
            application: plan.application,
            service: "",
            route: "",
            consumer: "",
            method: facts.method,
            scheme: message.scheme.as_str(),
            host: &facts.host,
            path: &facts.path.text,
            protocol: &String::from_utf8_lossy(message.protocol),
            head: &input.message[..self.head],
            body: message.body,
            bytes: input.message.len(),
            verdict,
            sensitive: &sensitive,
            policy_serial: 0,
            response: None,
        };
        let (hit, _) = hit(&record, MAX_RECORDED_BODY);
        serde_json::to_vec(&hit).expect("plain data")
    }
}
