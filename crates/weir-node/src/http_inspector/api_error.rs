//! Errors of the API, returned as RFC 9457 problems. They reveal nothing internal.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use std::borrow::Cow;
use std::time::Duration;

/// Why a call was shed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShedReason {
    /// Calls in progress.
    Calls,
    /// Bytes of calls in memory.
    BufferedBytes,
    /// Large messages waiting for a thread, or the time one may wait.
    Queue,
    /// Out-of-band copies waiting.
    BackgroundQueue,
    /// Scheduling delay of the runtime.
    Lag,
}

impl ShedReason {
    /// Stable code, a metric label.
    pub const fn code(self) -> &'static str {
        match self {
            ShedReason::Calls => "calls",
            ShedReason::BufferedBytes => "buffered_bytes",
            ShedReason::Queue => "queue",
            ShedReason::BackgroundQueue => "background_queue",
            ShedReason::Lag => "lag",
        }
    }
}

/// Why a call gets no verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiError {
    /// The content type is not one that the API accepts.
    ContentType,
    /// A header of the call is missing.
    MissingHeader(&'static str),
    /// A header of the call is malformed or repeated.
    BadHeader(&'static str, &'static str),
    /// The JSON of the call is malformed.
    BadJson(String),
    /// The query of a subrequest's URL is malformed.
    BadQuery(String),
    /// The framing of a call with many copies is malformed.
    BadBatch(&'static str),
    /// A message of Envoy is malformed, or out of order.
    BadMessage(&'static str),
    /// The body ended early or its framing is broken.
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
    /// Method not allowed; the allowed ones.
    Method(&'static str),
    /// The call is larger than this many bytes.
    TooLarge(usize),
    /// The call was shed because of load, and when to retry.
    Overloaded(ShedReason, Duration),
    /// No verdict within `connector.app_reply_timeout`; the status configured for this case.
    ReplyTimeout(u16),
    /// A defect of the node.
    Internal,
}

impl ApiError {
    /// Stable code: end of the problem type, a metric label.
    pub const fn code(&self) -> &'static str {
        match self {
            ApiError::ContentType => "content-type",
            ApiError::MissingHeader(_) => "missing-header",
            ApiError::BadHeader(..) => "bad-header",
            ApiError::BadJson(_) => "bad-json",
            ApiError::BadQuery(_) => "bad-query",
            ApiError::BadBatch(_) => "bad-batch",
            ApiError::BadMessage(_) => "bad-message",
            ApiError::BodyBroken => "body-broken",
            ApiError::BodyTimeout => "body-timeout",
            ApiError::Unauthenticated => "unauthenticated",
            ApiError::Network => "network",
            ApiError::Host => "host",
            ApiError::NotFound => "not-found",
            ApiError::Method(_) => "method",
            ApiError::TooLarge(_) => "too-large",
            ApiError::Overloaded(..) => "overloaded",
            ApiError::ReplyTimeout(_) => "reply-timeout",
            ApiError::Internal => "internal",
        }
    }

    /// Status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            ApiError::ContentType
            | ApiError::MissingHeader(_)
            | ApiError::BadHeader(..)
            | ApiError::BadJson(_)
            | ApiError::BadQuery(_)
            | ApiError::BadBatch(_)
            | ApiError::BadMessage(_)
            | ApiError::BodyBroken => StatusCode::BAD_REQUEST,
            ApiError::Unauthenticated => StatusCode::UNAUTHORIZED,
            ApiError::Network | ApiError::Host => StatusCode::FORBIDDEN,
            ApiError::NotFound => StatusCode::NOT_FOUND,
            ApiError::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            ApiError::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            ApiError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            ApiError::Overloaded(..) => StatusCode::SERVICE_UNAVAILABLE,
            ApiError::ReplyTimeout(status) => {
                StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            ApiError::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    const fn title(&self) -> &'static str {
        match self {
            ApiError::ContentType => "Unknown content type",
            ApiError::MissingHeader(_) => "A header is missing",
            ApiError::BadHeader(..) => "A header is malformed",
            ApiError::BadJson(_) => "The JSON body is malformed",
            ApiError::BadQuery(_) => "The query is malformed",
            ApiError::BadBatch(_) => "The batch is malformed",
            ApiError::BadMessage(_) => "A message is malformed",
            ApiError::BodyBroken => "The body is incomplete",
            ApiError::BodyTimeout => "The body did not arrive in time",
            ApiError::Unauthenticated => "The connector is not authenticated",
            ApiError::Network => "The network is not allowed",
            ApiError::Host => "The host is not allowed",
            ApiError::NotFound => "No such resource",
            ApiError::Method(_) => "Method not allowed",
            ApiError::TooLarge(_) => "The call is too large",
            ApiError::Overloaded(..) => "Overloaded",
            ApiError::ReplyTimeout(_) => "No verdict in time",
            ApiError::Internal => "Internal error",
        }
    }

    /// What is wrong and what would be right.
    pub fn detail(&self) -> Cow<'static, str> {
        match self {
            ApiError::ContentType => "use message/http with the msgtype of this path, or application/json".into(),
            ApiError::MissingHeader(name) => format!("{name} is required").into(),
            ApiError::BadHeader(name, why) => format!("{name}: {why}").into(),
            ApiError::BadJson(why) | ApiError::BadQuery(why) => why.clone().into(),
            ApiError::BadBatch(why) | ApiError::BadMessage(why) => (*why).into(),
            ApiError::BodyBroken => "the connection ended or the framing broke before the end of the body".into(),
            ApiError::BodyTimeout => "the body took longer than allowed".into(),
            ApiError::Unauthenticated => "send `Authorization: Bearer KEY` or a client certificate".into(),
            ApiError::Network => "the address of the caller is not in connector.allowed_networks".into(),
            ApiError::Host => "the host of the request does not match connector.allowed_hosts".into(),
            ApiError::NotFound => "see /openapi.json".into(),
            ApiError::Method(allow) => format!("use {allow}").into(),
            ApiError::TooLarge(max) => format!("the limit is {max} bytes").into(),
            ApiError::Overloaded(shed, _) => format!("exhausted: {}", shed.code()).into(),
            ApiError::ReplyTimeout(_) => "connector.app_reply_timeout was exceeded".into(),
            ApiError::Internal => "see the log of the node".into(),
        }
    }

    /// Code of the exhausted resource, if the call was shed.
    pub fn shed(&self) -> Option<&'static str> {
        if let ApiError::Overloaded(shed, _) = self { Some(shed.code()) } else { None }
    }

    /// Whether the connection can no longer be used.
    pub fn ends_connection(&self) -> bool {
        matches!(self, ApiError::BodyBroken | ApiError::BodyTimeout)
    }

    /// The response to a proxy that passes it on to the client: a status that no proxy takes as permission or as the
    /// client's fault, and no details.
    pub fn bare_response(&self) -> Response<Body> {
        let status = match self.status() {
            status if status.is_server_error() || status == StatusCode::PAYLOAD_TOO_LARGE => status,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let body = format!(
            "{{\"error\": {{\"code\": {}, \"message\": \"the request could not be inspected\"}}}}",
            status.as_u16()
        );
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let ApiError::Overloaded(_, after) = self {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        response
    }

    /// The HTTP response.
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
            ApiError::Overloaded(_, after) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
            }
            ApiError::Method(allow) => {
                headers.insert(header::ALLOW, HeaderValue::from_static(allow));
            }
            ApiError::Unauthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"weir\""));
            }
            _ => {}
        }
        response
    }
}
