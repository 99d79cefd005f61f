//! Verdicts as HTTP responses. A pass allocates nothing but its context.

use axum::body::Body;
use base64::Engine as _;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use weir_policy::{self, Action, Reply};

/// `pass`, `block` or `accepted`: distinguishes a verdict from the response of an intermediary.
pub const VERDICT: HeaderName = HeaderName::from_static("inspector-verdict");
/// Attack types of a message that passes although attacks were found.
pub const ATTACK: HeaderName = HeaderName::from_static("inspector-attack");
/// The token that the connector sends with the response of the same exchange.
pub const CONTEXT: HeaderName = HeaderName::from_static("inspector-context");
/// What the node wants of the response, and that it takes many copies in one call.
pub const RESPONSE: HeaderName = HeaderName::from_static("inspector-response");
/// W3C trace context, as received.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// How much of the response to a request the node has a use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing: no copy is to be sent.
    Nothing,
    /// Status, headers and the number of bytes.
    Head,
    /// The body too.
    Body,
}

impl Wanted {
    fn value(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Wanted::Nothing => "none; batch",
            Wanted::Head => "head; batch",
            Wanted::Body => "body; batch",
        })
    }
}

/// A verdict with everything that its HTTP response contains.
#[derive(Debug)]
pub struct VerdictResponse {
    /// What the gateway shall do.
    pub action: Action,
    /// Types of the attacks found.
    pub attacks: Option<HeaderValue>,
    /// Token for the response of the same exchange.
    pub context: Option<HeaderValue>,
    /// Which part of the response the node has a use for, on a request.
    pub wanted: Option<Wanted>,
    /// JSON body of a `block`.
    pub body: Vec<u8>,
    /// What the client gets on a `block`.
    pub reply: Option<Reply>,
}

#[derive(Serialize)]
struct BlockBody<'a> {
    verdict: &'static str,
    request_id: &'a str,
    reason: Option<&'static str>,
    mode: &'static str,
    attacks: Vec<AttackEntry<'a>>,
    reply: ReplyEntry<'a>,
}

#[derive(Serialize)]
struct AttackEntry<'a> {
    r#type: &'static str,
    point: &'a weir_core::model::PointPath,
    rule: &'a str,
}

#[derive(Serialize)]
struct ReplyEntry<'a> {
    status: u16,
    headers: &'a [(String, String)],
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl VerdictResponse {
    /// The response for `verdict`.
    pub fn new(request_id: &str, verdict: &weir_policy::Verdict, context: Option<HeaderValue>) -> Self {
        let reply = verdict.block_reply();
        let body = reply.as_ref().map_or_else(Vec::new, |reply| block(request_id, verdict, reply));
        Self { action: verdict.action, attacks: attack_types(verdict), context, wanted: None, body, reply }
    }

    /// The answer that says which part of the response the node has a use for.
    pub fn wanting(self, wanted: Wanted) -> Self {
        Self { wanted: Some(wanted), ..self }
    }

    /// The HTTP response; `trace` is the trace context of the call.
    pub fn into_http(self, trace: Option<HeaderValue>) -> Response<Body> {
        let blocked = self.action == Action::Block;
        let mut response = Response::new(if blocked { Body::from(self.body) } else { Body::empty() });
        let headers = response.headers_mut();
        if blocked {
            headers.insert(VERDICT, HeaderValue::from_static("block"));
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        } else {
            headers.insert(VERDICT, HeaderValue::from_static("pass"));
            if let Some(attacks) = self.attacks {
                headers.insert(ATTACK, attacks);
            }
            if let Some(wanted) = self.wanted {
                headers.insert(RESPONSE, wanted.value());
            }
        }
        if let Some(context) = self.context {
            headers.insert(CONTEXT, context);
        }
        if let Some(trace) = trace {
            headers.insert(TRACEPARENT, trace);
        }
        *response.status_mut() = if blocked { StatusCode::OK } else { StatusCode::NO_CONTENT };
        response
    }
}

/// What the caller of an out-of-band copy gets.
#[derive(Debug, Default)]
pub struct Accepted {
    /// Token for the response of the same exchange.
    pub context: Option<HeaderValue>,
    /// Which part of the response the node has a use for.
    pub wanted: Option<Wanted>,
}

/// The response to an out-of-band copy.
pub fn accepted(accepted: Accepted, trace: Option<HeaderValue>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    let headers = response.headers_mut();
    headers.insert(VERDICT, HeaderValue::from_static("accepted"));
    if let Some(context) = accepted.context {
        headers.insert(CONTEXT, context);
    }
    if let Some(wanted) = accepted.wanted {
        headers.insert(RESPONSE, wanted.value());
    }
    if let Some(trace) = trace {
        headers.insert(TRACEPARENT, trace);
    }
    response
}

#[derive(Serialize)]
struct Taken {
    results: Vec<TakenCopy>,
}

#[derive(Serialize)]
struct TakenCopy {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'static str>,
}

/// The answer to many copies: for each its status, and the code of the problem where there is one.
pub fn taken(copies: &[(StatusCode, Option<&'static str>)]) -> Response<Body> {
    let results = copies.iter().map(|&(status, problem)| TakenCopy { status: status.as_u16(), problem }).collect();
    let text = serde_json::to_vec(&Taken { results }).expect("plain data");
    let mut response = accepted(Accepted::default(), None);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.body_mut() = Body::from(text);
    response
}

fn attack_types(verdict: &weir_policy::Verdict) -> Option<HeaderValue> {
    if verdict.attacks.is_empty() {
        return None;
    }
    let codes: Vec<_> = verdict.attacks.iter().map(|attack| attack.code()).collect();
    HeaderValue::try_from(codes.join(",")).ok()
}

fn block(request_id: &str, verdict: &weir_policy::Verdict, reply: &Reply) -> Vec<u8> {
    let text = std::str::from_utf8(&reply.body).ok();
    let findings = verdict.findings.iter().filter(|f| f.decisive);
    let block = BlockBody {
        verdict: "block",
        request_id,
        reason: verdict.reason.map(|reason| reason.code()),
        mode: verdict.mode.code(),
        attacks: findings.map(|f| AttackEntry { r#type: f.attack.code(), point: &f.point, rule: &f.rule }).collect(),
        reply: ReplyEntry {
            status: reply.status,
            headers: &reply.headers,
            body: text,
            body_base64: text.is_none().then(|| base64::engine::general_purpose::STANDARD.encode(&reply.body)),
        },
    };
    serde_json::to_vec(&block).expect("plain data")
}
