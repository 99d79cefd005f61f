//! CrowdSec's AppSec protocol: a bouncer sends the client's request with its headers and its body, describes method,
//! target, host and client in headers of its own, and refuses the request if the response is 403. Described in
//! `docs/crowdsec.md`.

use super::api_error::ApiError;
use super::call::{CallHeaders, HeaderText, TRACEPARENT, address};
use super::described_request::{DescribedRequest, is_of_subrequest, required};
use super::verdict_response::{ATTACK, VERDICT, VerdictResponse};
use axum::body::Body;
use bytes::Bytes;
use http::request::Parts as Head;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use weir_core::model::BodyState;

/// The path of the protocol. Bouncers that have a host and no path call `/`.
pub const APPSEC: &str = "/v1/crowdsec/appsec";
/// Paths of CrowdSec's local API with which bouncers check their key.
pub const DECISIONS: &str = "/v1/decisions";
/// The same, for bouncers that read all decisions.
pub const DECISIONS_STREAM: &str = "/v1/decisions/stream";

/// Begins the headers of the protocol.
const PREFIX: &str = "x-crowdsec-appsec-";
const CLIENT: &str = "x-crowdsec-appsec-ip";
const TARGET: &str = "x-crowdsec-appsec-uri";
const HOST: &str = "x-crowdsec-appsec-host";
const METHOD: &str = "x-crowdsec-appsec-verb";
const KEY: &str = "x-crowdsec-appsec-api-key";
const USER_AGENT: &str = "x-crowdsec-appsec-user-agent";
const VERSION: &str = "x-crowdsec-appsec-http-version";
const TRANSACTION: &str = "x-crowdsec-appsec-transaction-id";
/// Key of a bouncer at the local API.
const LOCAL_API_KEY: &str = "x-api-key";
/// Under this name the bouncer's own `User-Agent` is inspected: it is the client's where a bouncer does not replace it.
const SENT_USER_AGENT: &[u8] = b"x-sent-user-agent: ";

const CONNECTOR: &str = "crowdsec-appsec/1";
const COUNTED_AS: &str = "crowdsec";

/// Which call of a bouncer a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// A client request to inspect.
    AppSec,
    /// All decisions, or those on an address.
    Decisions,
}

impl Call {
    /// The call that `head` is, if a bouncer sent it.
    pub fn of(head: &Head) -> Option<Call> {
        match head.uri.path() {
            APPSEC => Some(Call::AppSec),
            "/" if head.headers.contains_key(CLIENT) => Some(Call::AppSec),
            DECISIONS | DECISIONS_STREAM => Some(Call::Decisions),
            _ => None,
        }
    }

    /// Label of metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Call::AppSec => "crowdsec_appsec",
            Call::Decisions => "other",
        }
    }

    /// The key that the bouncer sent.
    pub fn key(self, headers: &HeaderMap) -> Option<&[u8]> {
        let name = match self {
            Call::AppSec => KEY,
            Call::Decisions => LOCAL_API_KEY,
        };
        headers.get(name).map(HeaderValue::as_bytes)
    }

    /// The response to a call that gets no verdict: bouncers know 401 and 500, and the local API 403.
    pub fn refused(self, error: &ApiError) -> Response<Body> {
        let authenticated = !matches!(error, ApiError::Unauthenticated | ApiError::Network);
        match (self, authenticated) {
            (Call::AppSec, false) => json(StatusCode::UNAUTHORIZED, "null"),
            (Call::Decisions, false) => json(StatusCode::FORBIDDEN, r#"{"message":"access forbidden"}"#),
            (_, true) => json(StatusCode::INTERNAL_SERVER_ERROR, "null"),
        }
    }
}

/// The client request that a bouncer describes.
pub fn read(head: &Head, body: &Bytes) -> Result<DescribedRequest, ApiError> {
    let headers = &head.headers;
    let method = required(headers, METHOD)?.as_bytes();
    if Method::from_bytes(method).is_err() {
        return Err(ApiError::BadHeader("X-Crowdsec-Appsec-Verb", "a method"));
    }
    let client = address(required(headers, CLIENT)?);
    let (version, protocol) = version(headers);
    let mut message = Vec::with_capacity(512 + body.len());
    let target = required(headers, TARGET)?.as_bytes();
    for part in [method, b" ", target, b" HTTP/", version, b"\r\nhost: ", required(headers, HOST)?.as_bytes(), b"\r\n"]
    {
        message.extend_from_slice(part);
    }
    let agent = headers.get(USER_AGENT).filter(|agent| !agent.is_empty());
    for (name, value) in headers.iter().filter(|(name, _)| !is_own(name)) {
        match agent {
            Some(agent) if name == header::USER_AGENT => {
                if agent != value {
                    line(SENT_USER_AGENT, value, &mut message);
                }
            }
            _ => {
                message.extend_from_slice(name.as_str().as_bytes());
                line(b": ", value, &mut message);
            }
        }
    }
    if let Some(agent) = agent {
        line(b"user-agent: ", agent, &mut message);
    }
    message.extend_from_slice(b"\r\n");
    message.extend_from_slice(body);
    let client = client.ok_or(ApiError::BadHeader("X-Crowdsec-Appsec-Ip", "an IP address"))?;
    let id = HeaderText::request_id(headers.get(TRANSACTION).map(HeaderValue::as_bytes))?;
    let call = CallHeaders {
        protocol,
        body: body_state(method, body),
        traceparent: headers.get(TRACEPARENT).cloned(),
        ..CallHeaders::described(CONNECTOR, client, id)
    };
    Ok(DescribedRequest { call, message: message.into(), body_bytes: body.len(), key: None, counted_as: COUNTED_AS })
}

/// The verdict for the bouncer, which makes the reply to the client itself.
pub fn verdict(response: &VerdictResponse) -> Response<Body> {
    let Some(reply) = &response.reply else {
        let mut pass = json(StatusCode::OK, r#"{"action":"allow","http_status":200}"#);
        pass.headers_mut().insert(VERDICT, HeaderValue::from_static("pass"));
        if let Some(attacks) = &response.attacks {
            pass.headers_mut().insert(ATTACK, attacks.clone());
        }
        return pass;
    };
    let mut block = json(StatusCode::FORBIDDEN, format!(r#"{{"action":"ban","http_status":{}}}"#, reply.status));
    block.headers_mut().insert(VERDICT, HeaderValue::from_static("block"));
    block
}

/// What a bouncer reads that asks for decisions: none, so it refuses no request.
pub fn no_decisions(path: &str) -> Response<Body> {
    json(StatusCode::OK, if path == DECISIONS_STREAM { r#"{"deleted":[],"new":[]}"# } else { "null" })
}

fn json(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn line(name: &[u8], value: &HeaderValue, to: &mut Vec<u8>) {
    [name, value.as_bytes(), b"\r\n"].iter().for_each(|part| to.extend_from_slice(part));
}

/// Whether a header belongs to this call and not to the client's request.
fn is_own(name: &header::HeaderName) -> bool {
    name.as_str().starts_with(PREFIX) || is_of_subrequest(name)
}

fn version(headers: &HeaderMap) -> (&'static [u8], Option<HeaderText>) {
    match headers.get(VERSION).map(HeaderValue::as_bytes) {
        Some(b"10" | b"1.0") => (b"1.0", None),
        Some(b"20" | b"2" | b"2.0") => (b"1.1", Some(HeaderText::from_static("HTTP/2"))),
        Some(b"30" | b"3" | b"3.0") => (b"1.1", Some(HeaderText::from_static("HTTP/3"))),
        _ => (b"1.1", None),
    }
}

/// Bouncers do not say whether a request without a body had one.
fn body_state(method: &[u8], body: &Bytes) -> BodyState {
    let without = matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"DELETE");
    if without || !body.is_empty() { BodyState::Complete } else { BodyState::Unread }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    const HEADERS: &[(&str, &str)] =
        &[(CLIENT, "203.0.113.9"), (TARGET, "/a?b=%31"), (HOST, "shop.example"), (METHOD, "POST"), (KEY, "k")];

    fn head(path: &str, headers: &[(&str, &str)]) -> Head {
        let mut request = Request::builder().method("POST").uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn message(more: &[(&str, &str)], body: &'static [u8]) -> (DescribedRequest, String) {
        let asked = read(&head("/", &[HEADERS, more].concat()), &Bytes::from_static(body)).unwrap();
        let text = String::from_utf8(asked.message.to_vec()).unwrap();
        (asked, text)
    }

    #[test]
    fn the_client_request_is_rebuilt() {
        let more = [
            ("host", "weir:5000"),
            ("user-agent", "crowdsec-nginx-bouncer/v1"),
            ("cookie", "a=b"),
            ("content-length", "3"),
            (USER_AGENT, "curl/8"),
            (VERSION, "20"),
            (TRANSACTION, "0197f4a2-0000-7000-8000-000000000001"),
        ];
        let (asked, text) = message(&more, b"x=1");
        assert_eq!(
            text,
            "POST /a?b=%31 HTTP/1.1\r\nhost: shop.example\r\nx-sent-user-agent: crowdsec-nginx-bouncer/v1\r\n\
             cookie: a=b\r\nuser-agent: curl/8\r\n\r\nx=1"
        );
        let call = &asked.call;
        assert_eq!((call.client.to_string().as_str(), call.body), ("203.0.113.9", BodyState::Complete));
        assert_eq!(call.request_id.as_str(), "0197f4a2-0000-7000-8000-000000000001");
        assert_eq!(call.protocol.as_ref().map(|protocol| protocol.as_str()), Some("HTTP/2"));
    }

    #[test]
    fn the_same_user_agent_is_one_header_and_none_is_none() {
        assert_eq!(message(&[("user-agent", "a"), (USER_AGENT, "a")], b"").1.matches("user-agent").count(), 1);
        assert!(!message(&[], b"").1.contains("user-agent"));
        assert!(message(&[("user-agent", "a")], b"").1.contains("\r\nuser-agent: a\r\n"));
    }

    #[test]
    fn a_body_that_may_be_missing_counts_as_not_inspected() {
        assert_eq!(message(&[], b"").0.call.body, BodyState::Unread);
        let get: Vec<_> = HEADERS.iter().map(|&(n, v)| (n, if n == METHOD { "GET" } else { v })).collect();
        assert_eq!(read(&head("/", &get), &Bytes::new()).unwrap().call.body, BodyState::Complete);
    }

    #[test]
    fn what_describes_the_request_occurs_once() {
        for name in [CLIENT, TARGET, HOST, METHOD] {
            let without: Vec<_> = HEADERS.iter().copied().filter(|(other, _)| *other != name).collect();
            assert_eq!(read(&head("/", &without), &Bytes::new()).err(), Some(ApiError::MissingHeader(name)));
            let twice = [HEADERS, &[(name, "x")]].concat();
            assert!(matches!(read(&head("/", &twice), &Bytes::new()), Err(ApiError::BadHeader(..))), "{name}");
        }
    }

    #[test]
    fn calls_are_told_apart() {
        assert_eq!(Call::of(&head("/", HEADERS)), Some(Call::AppSec));
        assert_eq!(Call::of(&head(APPSEC, &[])), Some(Call::AppSec));
        assert_eq!(Call::of(&head("/v1/decisions?ip=1.2.3.4", &[])), Some(Call::Decisions));
        assert_eq!(Call::of(&head("/", &[])), None);
        assert_eq!(Call::of(&head("/v1/decisions/x", &[])), None);
    }

    #[test]
    fn refusals_have_the_statuses_that_bouncers_know() {
        assert_eq!(Call::AppSec.refused(&ApiError::Unauthenticated).status(), 401);
        assert_eq!(Call::AppSec.refused(&ApiError::TooLarge(1)).status(), 500);
        assert_eq!(Call::Decisions.refused(&ApiError::Unauthenticated).status(), 403);
    }
}
