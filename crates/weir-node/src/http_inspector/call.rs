//! The headers of a call, checked and typed.

mod fields;

use super::refusal::Refusal;
use fields::{Fields, NAMES, Name, address};
use http::{HeaderMap, HeaderValue};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use weir_core::model::{BodyState, Scheme};

/// Longest request id.
const MAX_ID: usize = 64;
/// Longest product token, service, route or application name.
const MAX_NAME: usize = 256;

/// W3C trace context.
const TRACEPARENT: &str = "traceparent";

/// Which part of the exchange a call carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// The client's request.
    Request,
    /// The upstream's response.
    Response,
}

impl Leg {
    /// `request` or `response`: the `msgtype` and a metric label.
    pub const fn code(self) -> &'static str {
        match self {
            Leg::Request => "request",
            Leg::Response => "response",
        }
    }
}

/// How the message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `message/http`: its bytes.
    Raw,
    /// `application/json`: the envelope.
    Envelope,
}

/// A checked header value; cheap to keep beyond the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token(HeaderValue);

impl Token {
    /// The text: visible ASCII.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The value, to be sent back.
    pub fn value(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// The headers of a call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Part of the exchange.
    pub leg: Leg,
    /// How the message is written.
    pub form: Form,
    /// `Inspector-Request-Id`.
    pub request_id: Token,
    /// `Inspector-Client`.
    pub client: IpAddr,
    /// `Inspector-Peer`.
    pub peer: Option<IpAddr>,
    /// `Inspector-Connector`.
    pub connector: Token,
    /// `Inspector-Scheme`.
    pub scheme: Scheme,
    /// `Inspector-Protocol`.
    pub protocol: Option<Token>,
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
    /// From `Inspector-Deadline`: when to answer, with what has been inspected until then.
    pub answer_by: Option<Instant>,
    /// `Inspector-Service`.
    pub service: Option<Token>,
    /// `Inspector-Route`.
    pub route: Option<Token>,
    /// `Inspector-Application`.
    pub application: Option<i64>,
    /// `Inspector-Context`, on response legs.
    pub context: Option<Token>,
    /// `Inspector-Consumer`, on response legs.
    pub consumer: Option<Token>,
    /// `traceparent`, not checked yet.
    pub traceparent: Option<HeaderValue>,
}

impl Call {
    /// Reads the headers of a call.
    pub fn parse(leg: Leg, headers: &HeaderMap) -> Result<Call, Refusal> {
        let fields = Fields::of(headers)?;
        let form = form(leg, &fields)?;
        let request_id = fields.required(Name::RequestId)?;
        if !is_id(request_id.as_bytes()) {
            return Err(Refusal::BadHeader(Name::RequestId.shown(), "1 to 64 of A-Z a-z 0-9 _ -"));
        }
        let client = address(fields.required(Name::Client)?).ok_or(not_an_address(Name::Client))?;
        let connector = fields.required(Name::Connector)?;
        if !is_product(connector.as_bytes()) {
            return Err(Refusal::BadHeader(Name::Connector.shown(), "a product and its version: `kong-lua/1.0.0`"));
        }
        let call = Call {
            leg,
            form,
            request_id: Token(request_id.clone()),
            client,
            peer: peer(&fields)?,
            connector: Token(connector.clone()),
            scheme: scheme(&fields)?,
            protocol: fields.name(Name::Protocol)?,
            rebuilt: fields.word(Name::Head, "`raw` or `rebuilt`", &["raw", "rebuilt"])? == 1,
            chunked: fields.word(Name::Framing, "`decoded` or `raw`", &["decoded", "raw"])? == 1,
            body: body(&fields)?,
            blocking: fields.word(Name::Blocking, "`true` or `false`", &["true", "false"])? == 0,
            attempt: attempt(&fields)?,
            answer_by: deadline(&fields)?.map(|deadline| Instant::now() + time_to_answer(deadline)),
            service: fields.name(Name::Service)?,
            route: fields.name(Name::Route)?,
            application: application(&fields)?,
            context: fields.name_up_to(Name::Context, super::context::MAX_TOKEN)?,
            consumer: fields.name(Name::Consumer)?,
            traceparent: headers.get(TRACEPARENT).cloned(),
        };
        Ok(call)
    }
}

fn not_an_address(name: Name) -> Refusal {
    Refusal::BadHeader(name.shown(), "an IP address, with or without port")
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

fn form(leg: Leg, fields: &Fields<'_>) -> Result<Form, Refusal> {
    let value = fields.required(Name::ContentType)?;
    let mut parts = value.as_bytes().split(|&b| b == b';').map(<[u8]>::trim_ascii);
    let essence = parts.next().unwrap_or_default();
    if essence.eq_ignore_ascii_case(b"application/json") {
        return Ok(Form::Envelope);
    }
    if !essence.eq_ignore_ascii_case(b"message/http") {
        return Err(Refusal::ContentType);
    }
    for part in parts {
        let mut pair = part.splitn(2, |&b| b == b'=');
        let name = pair.next().unwrap_or_default();
        let value = pair.next().unwrap_or_default();
        if name.eq_ignore_ascii_case(b"msgtype") {
            let value = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
            if !value.eq_ignore_ascii_case(leg.code().as_bytes()) {
                return Err(Refusal::ContentType);
            }
        }
    }
    Ok(Form::Raw)
}

fn peer(fields: &Fields<'_>) -> Result<Option<IpAddr>, Refusal> {
    let Some(value) = fields.optional(Name::Peer) else { return Ok(None) };
    address(value).map(Some).ok_or(not_an_address(Name::Peer))
}

fn scheme(fields: &Fields<'_>) -> Result<Scheme, Refusal> {
    let at = fields.word(Name::Scheme, "`http` or `https`", &["http", "https"])?;
    Ok(if at == 1 { Scheme::Https } else { Scheme::Http })
}

fn attempt(fields: &Fields<'_>) -> Result<u8, Refusal> {
    let Some(value) = fields.optional(Name::Attempt) else { return Ok(1) };
    let number = value.to_str().ok().and_then(|t| t.parse().ok()).filter(|n| *n > 0);
    number.ok_or(Refusal::BadHeader(Name::Attempt.shown(), "a number from 1 to 255"))
}

/// Longest time that a connector may wait.
const MAX_DEADLINE: Duration = Duration::from_secs(60);

fn deadline(fields: &Fields<'_>) -> Result<Option<Duration>, Refusal> {
    let Some(value) = fields.optional(Name::Deadline) else { return Ok(None) };
    let deadline = value.to_str().ok().and_then(|text| text.parse().ok()).map(Duration::from_millis);
    let deadline = deadline.filter(|deadline| !deadline.is_zero() && *deadline <= MAX_DEADLINE);
    deadline.map(Some).ok_or(Refusal::BadHeader(Name::Deadline.shown(), "milliseconds from 1 to 60000"))
}

/// How long to inspect for a connector that waits for `deadline`: the rest is for the record of the hit and the way back.
fn time_to_answer(deadline: Duration) -> Duration {
    deadline.saturating_sub((deadline / 5).clamp(Duration::from_millis(1), Duration::from_millis(50)))
}

fn application(fields: &Fields<'_>) -> Result<Option<i64>, Refusal> {
    let Some(value) = fields.optional(Name::Application) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|t| t.parse().ok());
    number.map(Some).ok_or(Refusal::BadHeader(Name::Application.shown(), "a whole number"))
}

/// `complete`, `prefix; sent=N; total=M` (or `total=unknown`), `unread; reason=TOKEN`.
fn body(fields: &Fields<'_>) -> Result<BodyState, Refusal> {
    const WANT: Refusal = Refusal::BadHeader(
        "Inspector-Body",
        "`complete`, `prefix; sent=N; total=M|unknown` or `unread; reason=stream|upgrade|too_large|error`",
    );
    let Some(value) = fields.optional(Name::Body) else { return Ok(BodyState::Complete) };
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

    fn parse(change: &[(&'static str, &str)]) -> Result<Call, Refusal> {
        Call::parse(Leg::Request, &headers(change))
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let call = parse(&[]).unwrap();
        assert_eq!(call.request_id.as_str(), "abc-1");
        assert_eq!(call.client.to_string(), "203.0.113.9");
        assert!(call.blocking && !call.rebuilt && !call.chunked);
        assert_eq!((call.body, call.attempt, call.form), (BodyState::Complete, 1, Form::Raw));
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
            ("inspector-attempt", "0"),
            ("inspector-deadline", "0"),
            ("inspector-deadline", "60001"),
            ("inspector-deadline", "1s"),
            ("inspector-application", "shop"),
            ("inspector-service", "\u{e9}"),
        ];
        for &(name, value) in cases {
            match parse(&[(name, value)]) {
                Err(Refusal::BadHeader(shown, _)) => assert!(shown.eq_ignore_ascii_case(name), "{name}: {shown}"),
                other => panic!("{name}: {value}: {other:?}"),
            }
        }
        for name in ["inspector-request-id", "inspector-client", "inspector-connector", "content-type"] {
            assert!(matches!(parse(&[(name, "")]), Err(Refusal::MissingHeader(_))), "{name}");
        }
        for kind in ["text/plain", "message/http; msgtype=response", "message/httpx"] {
            assert_eq!(parse(&[("content-type", kind)]).err(), Some(Refusal::ContentType));
        }
        let mut twice = headers(&[]);
        twice.append("inspector-client", HeaderValue::from_static("10.0.0.1"));
        let refused = Call::parse(Leg::Request, &twice).err();
        assert_eq!(refused, Some(Refusal::BadHeader("Inspector-Client", "given more than once")));
    }

    #[test]
    fn bodies_are_declared() {
        let state = |text| parse(&[("inspector-body", text)]).unwrap().body;
        assert_eq!(state("prefix; sent=10; total=unknown"), BodyState::Prefix);
        assert_eq!(state("prefix;sent=10;total=20"), BodyState::Prefix);
        assert_eq!(state("unread; reason=stream"), BodyState::Unread);
    }
}
