//! Why a call gets no verdict, as an RFC 9457 problem. Nothing internal is told.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use std::borrow::Cow;
use std::time::Duration;

/// What was exhausted when a call was shed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// Calls under way.
    Calls,
    /// Bytes of calls in memory.
    BufferedBytes,
    /// Large messages waiting for a thread, or the time one may wait.
    Queue,
    /// Out-of-band copies waiting.
    BackgroundQueue,
    /// The runtime itself is behind.
    Lag,
}

impl Shed {
    /// Stable code, a metric label.
    pub const fn code(self) -> &'static str {
        match self {
            Shed::Calls => "calls",
            Shed::BufferedBytes => "buffered_bytes",
            Shed::Queue => "queue",
            Shed::BackgroundQueue => "background_queue",
            Shed::Lag => "lag",
        }
    }
}

/// Why a call gets no verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The content type is none of the API's.
    ContentType,
    /// A header of the call is missing.
    MissingHeader(&'static str),
    /// A header of the call is malformed or repeated.
    BadHeader(&'static str, &'static str),
    /// The JSON of the call is malformed.
    BadJson(String),
    /// The framing of a call with many copies is malformed.
    BadBatch(&'static str),
    /// The call broke off or its own framing is broken.
    BodyBroken,
    /// The call did not arrive in time.
    BodyTimeout,
    /// Neither a valid key nor a client certificate.
    Unauthenticated,
    /// The caller's network is not allowed.
    Network,
    /// The host of the inner request is not allowed.
    Host,
    /// No such path.
    NotFound,
    /// Another method is needed.
    Method(&'static str),
    /// The call is larger than this many bytes.
    TooLarge(usize),
    /// Load was shed.
    Overloaded(Shed, Duration),
    /// The answer would have come later than configured; the configured status.
    ReplyTimeout(u16),
    /// A defect of the node.
    Internal,
}

impl Refusal {
    /// Stable code: end of the problem type, a metric label.
    pub const fn code(&self) -> &'static str {
        match self {
            Refusal::ContentType => "content-type",
            Refusal::MissingHeader(_) => "missing-header",
            Refusal::BadHeader(..) => "bad-header",
            Refusal::BadJson(_) => "bad-json",
            Refusal::BadBatch(_) => "bad-batch",
            Refusal::BodyBroken => "body-broken",
            Refusal::BodyTimeout => "body-timeout",
            Refusal::Unauthenticated => "unauthenticated",
            Refusal::Network => "network",
            Refusal::Host => "host",
            Refusal::NotFound => "not-found",
            Refusal::Method(_) => "method",
            Refusal::TooLarge(_) => "too-large",
            Refusal::Overloaded(..) => "overloaded",
            Refusal::ReplyTimeout(_) => "reply-timeout",
            Refusal::Internal => "internal",
        }
    }

    /// Status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Refusal::ContentType
            | Refusal::MissingHeader(_)
            | Refusal::BadHeader(..)
            | Refusal::BadJson(_)
            | Refusal::BadBatch(_)
            | Refusal::BodyBroken => StatusCode::BAD_REQUEST,
            Refusal::Unauthenticated => StatusCode::UNAUTHORIZED,
            Refusal::Network | Refusal::Host => StatusCode::FORBIDDEN,
            Refusal::NotFound => StatusCode::NOT_FOUND,
            Refusal::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Refusal::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Overloaded(..) => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::ReplyTimeout(status) => StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            Refusal::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    const fn title(&self) -> &'static str {
        match self {
            Refusal::ContentType => "Unknown content type",
            Refusal::MissingHeader(_) => "A header is missing",
            Refusal::BadHeader(..) => "A header is malformed",
            Refusal::BadJson(_) => "The JSON body is malformed",
            Refusal::BadBatch(_) => "The batch is malformed",
            Refusal::BodyBroken => "The body broke off",
            Refusal::BodyTimeout => "The body did not arrive in time",
            Refusal::Unauthenticated => "The connector is not authenticated",
            Refusal::Network => "The network is not allowed",
            Refusal::Host => "The host is not allowed",
            Refusal::NotFound => "No such resource",
            Refusal::Method(_) => "Method not allowed",
            Refusal::TooLarge(_) => "The call is too large",
            Refusal::Overloaded(..) => "Overloaded",
            Refusal::ReplyTimeout(_) => "The verdict is late",
            Refusal::Internal => "Internal error",
        }
    }

    /// What is wrong and what would be right.
    pub fn detail(&self) -> Cow<'static, str> {
        match self {
            Refusal::ContentType => "use message/http with the msgtype of this path, or application/json".into(),
            Refusal::MissingHeader(name) => format!("{name} is required").into(),
            Refusal::BadHeader(name, why) => format!("{name}: {why}").into(),
            Refusal::BadJson(why) => why.clone().into(),
            Refusal::BadBatch(why) => (*why).into(),
            Refusal::BodyBroken => "the connection ended or the framing broke before the end of the body".into(),
            Refusal::BodyTimeout => "the body took longer than allowed".into(),
            Refusal::Unauthenticated => "send `Authorization: Bearer KEY` or a client certificate".into(),
            Refusal::Network => "the address of the caller is in none of connector.allowed_networks".into(),
            Refusal::Host => "the host of the request is none of connector.allowed_hosts".into(),
            Refusal::NotFound => "see /openapi.json".into(),
            Refusal::Method(allow) => format!("use {allow}").into(),
            Refusal::TooLarge(max) => format!("a call may have {max} bytes").into(),
            Refusal::Overloaded(shed, _) => format!("exhausted: {}", shed.code()).into(),
            Refusal::ReplyTimeout(_) => "connector.app_reply_timeout passed".into(),
            Refusal::Internal => "the node's log has more".into(),
        }
    }

    /// What was exhausted, where load was shed.
    pub fn shed(&self) -> Option<&'static str> {
        if let Refusal::Overloaded(shed, _) = self { Some(shed.code()) } else { None }
    }

    /// Whether the connection is of no use any more.
    pub fn ends_connection(&self) -> bool {
        matches!(self, Refusal::BodyBroken | Refusal::BodyTimeout)
    }

    /// The answer.
    pub fn response(&self) -> Response<Body> {
        let status = self.status();
        let problem = serde_json::json!({
            "type": format!("urn:weir:problem:{}", self.code()),
            "title": self.title(),
            "status": status.as_u16(),
            "detail": self.detail(),
        });
        let mut response = Response::new(Body::from(problem.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self {
            Refusal::Overloaded(_, after) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
            }
            Refusal::Method(allow) => {
                headers.insert(header::ALLOW, HeaderValue::from_static(allow));
            }
            Refusal::Unauthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"weir\""));
            }
            _ => {}
        }
        response
    }
}
