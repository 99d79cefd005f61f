//! The headers of an API call, validated and typed.

mod fields;

use super::api_error::ApiError;
pub use fields::address;
use fields::{Fields, HeaderName, NAMES};
use http::{HeaderMap, HeaderValue};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use weir_core::model::{AnomalyKind, BodyState, Scheme};

/// What an id is made of, for errors.
const ID: &str = "1 to 64 of A-Z a-z 0-9 _ -";
/// Longest request id.
const MAX_ID: usize = 64;
/// Longest product token, service, route or application name.
const MAX_NAME: usize = 256;

/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// The id of a call, which its answer repeats.
pub const CALL_ID: &str = "inspector-call-id";

/// Which message of the exchange a call carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The client's request.
    Request,
    /// The upstream's response.
    Response,
}

impl Direction {
    /// `request` or `response`: the `msgtype` and a metric label.
    pub const fn code(self) -> &'static str {
        match self {
            Direction::Request => "request",
            Direction::Response => "response",
        }
    }
}

/// Format of the message in the body of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageFormat {
    /// `message/http`: its bytes.
    Raw,
    /// `application/json`: the envelope.
    Envelope,
}

/// A validated header value; cheap to keep beyond the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderText(HeaderValue);

impl HeaderText {
    /// `text`, which must be visible ASCII.
    pub fn from_static(text: &'static str) -> Self {
        Self(HeaderValue::from_static(text))
    }

    /// The id that a proxy `sent` for a request, if it is one; otherwise a new id.
    pub fn request_id(sent: Option<&[u8]>) -> Result<Self, ApiError> {
        let sent = sent.filter(|id| is_id(id)).and_then(|id| std::str::from_utf8(id).ok());
        Self::try_from(sent.map_or_else(new_id, str::to_owned))
    }

    /// The text: visible ASCII.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The value, to be returned to the caller.
    pub fn value(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl TryFrom<String> for HeaderText {
    type Error = ApiError;

    fn try_from(text: String) -> Result<Self, ApiError> {
        let visible = text.len() <= MAX_NAME && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let value = HeaderValue::try_from(text).ok().filter(|_| visible);
        value
            .map(Self)
            .ok_or_else(|| ApiError::BadQuery(format!("a name: at most {MAX_NAME} visible ASCII characters")))
    }
}

/// A new request id.
pub fn new_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

/// The headers of a call.
#[derive(Clone, Debug)]
pub struct CallHeaders {
    /// Which message of the exchange.
    pub direction: Direction,
    /// Format of the message in the body of a call.
    pub format: MessageFormat,
    /// `Inspector-Request-Id`.
    pub request_id: HeaderText,
    /// `Inspector-Client`.
    pub client: IpAddr,
    /// `Inspector-Peer`.
    pub peer: Option<IpAddr>,
    /// `Inspector-Connector`.
    pub connector: HeaderText,
    /// `Inspector-Scheme`.
    pub scheme: Scheme,
    /// `Inspector-Protocol`.
    pub protocol: Option<HeaderText>,
    /// `Inspector-Head: rebuilt`.
    pub rebuilt: bool,
    /// `Inspector-Framing: raw`.
    pub chunked: bool,
    /// `Inspector-Body`.
    pub body: BodyState,
    /// `Inspector-Blocking`.
    pub blocking: bool,
    /// `Inspector-Attempt`.
    pub attempt: u8,
    /// `Inspector-Purpose: test`: nothing is recorded or counted as traffic.
    pub test: bool,
    /// From `Inspector-Deadline`: when to answer, with what has been inspected until then.
    pub answer_by: Option<Instant>,
    /// `Inspector-Service`.
    pub service: Option<HeaderText>,
    /// `Inspector-Route`.
    pub route: Option<HeaderText>,
    /// `Inspector-Application`.
    pub application: Option<i64>,
    /// `Inspector-Context`, on response legs.
    pub context: Option<HeaderText>,
    /// `Inspector-Consumer`, on response legs.
    pub consumer: Option<HeaderText>,
    /// `traceparent`, not validated yet.
    pub traceparent: Option<HeaderValue>,
    /// Anomalies of the way in which the message was sent.
    pub anomalies: Vec<AnomalyKind>,
}

impl CallHeaders {
    /// The call about a request of `client` that a proxy describes in a protocol of its own, and not by these headers: a
    /// rebuilt request, whose verdict the proxy waits for. `connector` names the protocol, `request_id` is the proxy's.
    pub fn described(connector: &'static str, client: IpAddr, request_id: HeaderText) -> CallHeaders {
        CallHeaders {
            direction: Direction::Request,
            format: MessageFormat::Raw,
            request_id,
            client,
            peer: None,
            connector: HeaderText::from_static(connector),
            scheme: Scheme::Http,
            protocol: None,
            rebuilt: true,
            chunked: false,
            body: BodyState::Complete,
            blocking: true,
            attempt: 1,
            test: false,
            answer_by: None,
            service: None,
            route: None,
            application: None,
            context: None,
            consumer: None,
            traceparent: None,
            anomalies: Vec::new(),
        }
    }

    /// Validates the headers of a call.
    pub fn parse(direction: Direction, headers: &HeaderMap) -> Result<CallHeaders, ApiError> {
        let fields = Fields::of(headers)?;
        let format = format(direction, &fields)?;
        let request_id = fields.required(HeaderName::RequestId)?;
        if !is_id(request_id.as_bytes()) {
            return Err(ApiError::BadHeader(HeaderName::RequestId.shown(), ID));
        }
        if fields.optional(HeaderName::CallId).is_some_and(|id| !is_id(id.as_bytes())) {
            return Err(ApiError::BadHeader(HeaderName::CallId.shown(), ID));
        }
        let client = address(fields.required(HeaderName::Client)?).ok_or(not_an_address(HeaderName::Client))?;
        let connector = fields.required(HeaderName::Connector)?;
        if !is_product(connector.as_bytes()) {
            return Err(ApiError::BadHeader(
                HeaderName::Connector.shown(),
                "a product and its version: `kong-lua/1.0.0`",
            ));
        }
        let call = CallHeaders {
            direction,
            format,
            request_id: HeaderText(request_id.clone()),
            client,
            peer: peer(&fields)?,
            connector: HeaderText(connector.clone()),
            scheme: scheme(&fields)?,
            protocol: fields.name(HeaderName::Protocol)?,
            rebuilt: fields.word(HeaderName::Head, "`raw` or `rebuilt`", &["raw", "rebuilt"])? == 1,
            chunked: fields.word(HeaderName::Framing, "`decoded` or `raw`", &["decoded", "raw"])? == 1,
            body: body(&fields)?,
            blocking: fields.word(HeaderName::Blocking, "`true` or `false`", &["true", "false"])? == 0,
            attempt: attempt(&fields)?,
            test: fields.word(HeaderName::Purpose, "`traffic` or `test`", &["traffic", "test"])? == 1,
            answer_by: deadline(&fields)?.map(|deadline| Instant::now() + time_to_answer(deadline)),
            service: fields.name(HeaderName::Service)?,
            route: fields.name(HeaderName::Route)?,
            application: application(&fields)?,
            context: fields.name_up_to(HeaderName::Context, super::context::MAX_TOKEN)?,
            consumer: fields.name(HeaderName::Consumer)?,
            traceparent: headers.get(TRACEPARENT).cloned(),
            anomalies: Vec::new(),
        };
        Ok(call)
    }
}

fn not_an_address(name: HeaderName) -> ApiError {
    ApiError::BadHeader(name.shown(), "an IP address, with or without port")
}

/// The id that the sender of a call gave it, which the answer repeats: the sender sees by it that an answer belongs to the
/// call, and not to another one that it sent on the same connection.
pub fn call_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut given = headers.get_all(CALL_ID).iter();
    given.next().filter(|id| given.next().is_none() && is_id(id.as_bytes()))
}

/// The headers of a call that are read, by the names that the API documents.
pub fn headers_read() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(_, shown)| *shown).chain([TRACEPARENT])
}

/// Whether `id` may be a request id.
pub fn is_id(id: &[u8]) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// Whether `text` is a product token with a version (RFC 9110 §10.1.5).
pub fn is_product(text: &[u8]) -> bool {
    let token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    let mut halves = text.splitn(2, |&b| b == b'/');
    let both = [halves.next().unwrap_or_default(), halves.next().unwrap_or_default()];
    text.len() <= MAX_NAME && both.iter().all(|half| !half.is_empty() && half.iter().all(token))
}

fn format(direction: Direction, fields: &Fields<'_>) -> Result<MessageFormat, ApiError> {
    let value = fields.required(HeaderName::ContentType)?;
    let mut parts = value.as_bytes().split(|&b| b == b';').map(<[u8]>::trim_ascii);
    let essence = parts.next().unwrap_or_default();
    if essence.eq_ignore_ascii_case(b"application/json") {
        return Ok(MessageFormat::Envelope);
    }
    if !essence.eq_ignore_ascii_case(b"message/http") {
        return Err(ApiError::ContentType);
    }
    for part in parts {
        let mut pair = part.splitn(2, |&b| b == b'=');
        let name = pair.next().unwrap_or_default();
        let value = pair.next().unwrap_or_default();
        if name.eq_ignore_ascii_case(b"msgtype") {
            let value = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
            if !value.eq_ignore_ascii_case(direction.code().as_bytes()) {
                return Err(ApiError::ContentType);
            }
        }
    }
    Ok(MessageFormat::Raw)
}

fn peer(fields: &Fields<'_>) -> Result<Option<IpAddr>, ApiError> {
    let Some(value) = fields.optional(HeaderName::Peer) else { return Ok(None) };
    address(value).map(Some).ok_or(not_an_address(HeaderName::Peer))
}

fn scheme(fields: &Fields<'_>) -> Result<Scheme, ApiError> {
    let at = fields.word(HeaderName::Scheme, "`http` or `https`", &["http", "https"])?;
    Ok(if at == 1 { Scheme::Https } else { Scheme::Http })
}

fn attempt(fields: &Fields<'_>) -> Result<u8, ApiError> {
    let Some(value) = fields.optional(HeaderName::Attempt) else { return Ok(1) };
    let number = value.to_str().ok().and_then(|t| t.parse().ok()).filter(|n| *n > 0);
    number.ok_or(ApiError::BadHeader(HeaderName::Attempt.shown(), "a number from 1 to 255"))
}

/// Longest time that a connector may wait.
const MAX_DEADLINE: Duration = Duration::from_secs(60);

fn deadline(fields: &Fields<'_>) -> Result<Option<Duration>, ApiError> {
    let Some(value) = fields.optional(HeaderName::Deadline) else { return Ok(None) };
    let deadline = value.to_str().ok().and_then(|text| text.parse().ok()).map(Duration::from_millis);
    let deadline = deadline.filter(|deadline| !deadline.is_zero() && *deadline <= MAX_DEADLINE);
    deadline.map(Some).ok_or(ApiError::BadHeader(HeaderName::Deadline.shown(), "milliseconds from 1 to 60000"))
}

/// How long to inspect for a connector that waits for `deadline`: the rest is for storing the hit and returning the verdict.
pub fn time_to_answer(deadline: Duration) -> Duration {
    deadline.saturating_sub((deadline / 5).clamp(Duration::from_millis(1), Duration::from_millis(50)))
}

fn application(fields: &Fields<'_>) -> Result<Option<i64>, ApiError> {
    let Some(value) = fields.optional(HeaderName::Application) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|t| t.parse().ok());
    number.map(Some).ok_or(ApiError::BadHeader(HeaderName::Application.shown(), "a whole number"))
}

/// `complete`, `prefix; sent=N; total=M` (or `total=unknown`), `unread; reason=TOKEN`.
fn body(fields: &Fields<'_>) -> Result<BodyState, ApiError> {
    const WANT: ApiError = ApiError::BadHeader(
        "Inspector-Body",
        "`complete`, `prefix; sent=N; total=M|unknown` or `unread; reason=stream|upgrade|too_large|error`",
    );
    let Some(value) = fields.optional(HeaderName::Body) else { return Ok(BodyState::Complete) };
    let text = value.to_str().map_err(|_| WANT)?;
    let mut parts = text.split(';').map(str::trim);
    let state = match parts.next() {
        Some("complete") => BodyState::Complete,
        Some("prefix") => BodyState::Prefix,
        Some("unread") => BodyState::Unread,
        _ => return Err(WANT),
    };
    for part in parts {
        let (name, value) = part.split_once('=').ok_or(WANT)?;
        let number = !value.is_empty() && value.len() <= 19 && value.bytes().all(|b| b.is_ascii_digit());
        let fits = match (state, name) {
            (BodyState::Prefix, "sent") => number,
            (BodyState::Prefix, "total") => number || value == "unknown",
            (BodyState::Unread, "reason") => matches!(value, "stream" | "upgrade" | "too_large" | "error"),
            _ => false,
        };
        if !fits {
            return Err(WANT);
        }
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(change: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in [
            ("content-type", "message/http; msgtype=request"),
            ("inspector-request-id", "abc-1"),
            ("inspector-client", "203.0.113.9:51234"),
            ("inspector-connector", "kong-lua/1.0.0"),
        ] {
            map.insert(name, HeaderValue::from_str(value).unwrap());
        }
        for &(name, value) in change {
            if value.is_empty() {
                map.remove(name);
            } else {
                map.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
        }
        map
    }

    fn parse(change: &[(&'static str, &str)]) -> Result<CallHeaders, ApiError> {
        CallHeaders::parse(Direction::Request, &headers(change))
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let call = parse(&[]).unwrap();
        assert_eq!(call.request_id.as_str(), "abc-1");
        assert_eq!(call.client.to_string(), "203.0.113.9");
        assert!(call.blocking && !call.rebuilt && !call.chunked && !call.test);
        assert_eq!((call.body, call.attempt, call.format), (BodyState::Complete, 1, MessageFormat::Raw));
    }

    #[test]
    fn the_id_of_a_call_is_returned_if_it_is_one() {
        let id = |change: &[(&'static str, &str)]| call_id(&headers(change)).cloned();
        assert_eq!(id(&[]), None);
        assert_eq!(id(&[("inspector-call-id", "Ab-9_")]), Some(HeaderValue::from_static("Ab-9_")));
        for bad in ["a b", "a\u{e9}", &"x".repeat(65)] {
            assert_eq!(id(&[("inspector-call-id", bad)]), None);
        }
        let mut twice = headers(&[("inspector-call-id", "a")]);
        twice.append("inspector-call-id", HeaderValue::from_static("a"));
        assert_eq!(call_id(&twice), None);
    }

    #[test]
    fn clients_in_every_form() {
        for (text, want) in [
            ("203.0.113.9", "203.0.113.9"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(parse(&[("inspector-client", text)]).unwrap().client.to_string(), want);
        }
    }

    #[test]
    fn malformed_calls_name_the_header() {
        let long = "x".repeat(65);
        let cases: &[(&'static str, &str)] = &[
            ("inspector-request-id", &long),
            ("inspector-request-id", "a b"),
            ("inspector-call-id", &long),
            ("inspector-call-id", "a b"),
            ("inspector-client", "unknown"),
            ("inspector-client", "1.2.3.4:99999"),
            ("inspector-client", "[1.2.3.4]"),
            ("inspector-peer", "x"),
            ("inspector-connector", "kong"),
            ("inspector-connector", "kong/"),
            ("inspector-scheme", "ftp"),
            ("inspector-head", "cooked"),
            ("inspector-framing", "chunked"),
            ("inspector-body", "some"),
            ("inspector-body", "prefix; sent=x"),
            ("inspector-body", "complete; sent=1"),
            ("inspector-body", "unread; reason=why"),
            ("inspector-blocking", "maybe"),
            ("inspector-purpose", "attack"),
            ("inspector-attempt", "0"),
            ("inspector-deadline", "0"),
            ("inspector-deadline", "60001"),
            ("inspector-deadline", "1s"),
            ("inspector-application", "shop"),
            ("inspector-service", "\u{e9}"),
        ];
        for &(name, value) in cases {
            match parse(&[(name, value)]) {
                Err(ApiError::BadHeader(shown, _)) => assert!(shown.eq_ignore_ascii_case(name), "{name}: {shown}"),
                other => panic!("{name}: {value}: {other:?}"),
            }
        }
        for name in ["inspector-request-id", "inspector-client", "inspector-connector", "content-type"] {
            assert!(matches!(parse(&[(name, "")]), Err(ApiError::MissingHeader(_))), "{name}");
        }
        for kind in ["text/plain", "message/http; msgtype=response", "message/httpx"] {
            assert_eq!(parse(&[("content-type", kind)]).err(), Some(ApiError::ContentType));
        }
        let mut twice = headers(&[]);
        twice.append("inspector-client", HeaderValue::from_static("10.0.0.1"));
        let refused = CallHeaders::parse(Direction::Request, &twice).err();
        assert_eq!(refused, Some(ApiError::BadHeader("Inspector-Client", "given more than once")));
    }

    #[test]
    fn bodies_are_declared() {
        let state = |text| parse(&[("inspector-body", text)]).unwrap().body;
        assert_eq!(state("prefix; sent=10; total=unknown"), BodyState::Prefix);
        assert_eq!(state("prefix;sent=10;total=20"), BodyState::Prefix);
        assert_eq!(state("unread; reason=stream"), BodyState::Unread);
    }
}
