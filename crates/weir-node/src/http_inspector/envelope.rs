//! The JSON envelope of a message, for callers that do not have its raw bytes. Its parts go through the same checks as
//! those of a raw message, so that both formats give the same verdict.

use super::api_error::ApiError;
use super::call::Direction;
use base64::Engine as _;
use serde::Deserialize;
use std::borrow::Cow;
use weir_core::model::{Message, MessageKind};
use weir_core::parse::message::{self, MAX_HEADER_LINES};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    request: Option<Request<'a>>,
    #[serde(borrow)]
    response: Option<Response<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request<'a> {
    #[serde(borrow)]
    method: Text<'a>,
    #[serde(borrow)]
    target: Text<'a>,
    #[serde(borrow, default = "protocol")]
    protocol: Text<'a>,
    #[serde(borrow)]
    headers: Vec<(Text<'a>, Text<'a>)>,
    #[serde(borrow, default)]
    body_base64: Text<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Response<'a> {
    status: u16,
    #[serde(borrow, default = "protocol")]
    protocol: Text<'a>,
    #[serde(borrow)]
    headers: Vec<(Text<'a>, Text<'a>)>,
    #[serde(borrow, default)]
    body_base64: Text<'a>,
}

/// JSON text, borrowed if it contains no escape.
#[derive(Default, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn protocol() -> Text<'static> {
    Text("HTTP/1.1".into())
}

type Bytes<'a> = Cow<'a, [u8]>;

/// The parts of a message.
#[derive(Debug)]
pub struct EnvelopeMessage<'a> {
    start: StartLine<'a>,
    headers: Vec<(Bytes<'a>, Bytes<'a>)>,
    /// Header lines above the limit on headers.
    rest: Vec<u8>,
    body: Vec<u8>,
}

#[derive(Debug)]
enum StartLine<'a> {
    Request { method: Bytes<'a>, target: Bytes<'a>, protocol: Bytes<'a> },
    Response { protocol: Bytes<'a>, status: u16 },
}

/// The head that `message`, received in an envelope, would have had as raw bytes.
pub fn head(message: &Message<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let status = message.status.to_string();
    let first: [&[u8]; 3] = match message.kind {
        MessageKind::Request => [message.method, message.target, message.protocol],
        MessageKind::Response => [message.protocol, status.as_bytes(), b""],
    };
    out.extend_from_slice(&first.join(&b' '));
    out.extend_from_slice(b"\r\n");
    for header in &message.headers {
        for part in [header.name, b": ", header.value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Parses the envelope `json`.
pub fn read(direction: Direction, json: &[u8]) -> Result<EnvelopeMessage<'_>, ApiError> {
    let envelope: Envelope<'_> =
        serde_json::from_slice(json).map_err(|error| ApiError::BadJson(format!("envelope: {error}")))?;
    let (start, headers, body) = match (direction, envelope.request, envelope.response) {
        (Direction::Request, Some(Request { method, target, protocol, headers, body_base64 }), None) => {
            let (method, target, protocol) = (method.bytes()?, target.bytes()?, protocol.bytes()?);
            (StartLine::Request { method, target, protocol }, headers, body_base64)
        }
        (Direction::Response, None, Some(Response { status, protocol, headers, body_base64 })) => {
            (StartLine::Response { protocol: protocol.bytes()?, status }, headers, body_base64)
        }
        (direction, ..) => {
            return Err(ApiError::BadJson(format!("envelope: exactly one member, `{}`", direction.code())));
        }
    };
    let body = base64::engine::general_purpose::STANDARD
        .decode(body.0.as_bytes())
        .map_err(|error| ApiError::BadJson(format!("envelope: body_base64: {error}")))?;
    let mut headers = headers.into_iter().map(|(name, value)| Ok((name.bytes()?, value.bytes()?)));
    let first = headers.by_ref().take(MAX_HEADER_LINES).collect::<Result<_, ApiError>>()?;
    let mut rest = Vec::new();
    for header in headers {
        let (name, value) = header?;
        [&name, &b": "[..], &value, b"\r\n"].iter().for_each(|part| rest.extend_from_slice(part));
    }
    Ok(EnvelopeMessage { start, headers: first, rest, body })
}

impl EnvelopeMessage<'_> {
    /// The message.
    pub fn message(&self) -> Message<'_> {
        let headers = self.headers.iter().map(|(name, value)| (&name[..], &value[..]));
        let mut message = match &self.start {
            StartLine::Request { method, target, protocol } => {
                message::from_parts(method, target, protocol, headers, &self.body)
            }
            StartLine::Response { protocol, status } => {
                message::response_from_parts(protocol, *status, headers, &self.body)
            }
        };
        if !self.rest.is_empty() {
            message::push_rest_of_head(&self.rest, &mut message);
        }
        message
    }

    /// Approximate size of the message in bytes.
    pub fn bytes(&self) -> usize {
        let start = match &self.start {
            StartLine::Request { method, target, protocol } => method.len() + target.len() + protocol.len(),
            StartLine::Response { protocol, .. } => protocol.len(),
        };
        start + self.headers.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>() + self.rest.len() + self.body.len()
    }
}

impl<'a> Text<'a> {
    /// Code points U+0000 to U+00FF stand for bytes. CR and LF are rejected: they would end the line that contains
    /// them, and no gateway has a message with them inside a target or a header.
    fn bytes(self) -> Result<Bytes<'a>, ApiError> {
        let bad = |why: &str| ApiError::BadJson(format!("envelope: {why} in the head"));
        if self.0.bytes().any(|b| b == b'\r' || b == b'\n') {
            return Err(bad("CR or LF"));
        }
        if self.0.is_ascii() {
            return Ok(match self.0 {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            });
        }
        let bytes = self.0.chars().map(|c| u8::try_from(c).map_err(|_| bad("a code point above U+00FF")));
        bytes.collect::<Result<Vec<u8>, _>>().map(Cow::Owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_message_of_the_raw_form() {
        let json = r#"{"request":{"method":"POST","target":"/a?b=%31","protocol":"HTTP/1.0",
            "headers":[["Host","x"],["A","\u00e9"],["a","2"]],"body_base64":"aGk="}}"#;
        let parts = read(Direction::Request, json.as_bytes()).unwrap();
        let raw = b"POST /a?b=%31 HTTP/1.0\r\nHost: x\r\nA: \xe9\r\na: 2\r\n\r\nhi";
        assert_eq!(format!("{:?}", parts.message()), format!("{:?}", message::request(raw)));
        let json = r#"{"response":{"status":200,"headers":[["A","b"]]}}"#;
        let parts = read(Direction::Response, json.as_bytes()).unwrap();
        let raw = b"HTTP/1.1 200 \r\nA: b\r\n\r\n";
        assert_eq!(format!("{:?}", parts.message()), format!("{:?}", message::response(raw)));
    }

    #[test]
    fn heads_without_end_take_the_same_form() {
        let lines: Vec<_> = (0..MAX_HEADER_LINES + 3).map(|n| [format!("A{n}"), "v".to_owned()]).collect();
        let raw: String = lines.iter().map(|[name, value]| format!("{name}: {value}\r\n")).collect();
        let raw = format!("GET / HTTP/1.1\r\n{raw}\r\n");
        let json = serde_json::json!({"request": {"method": "GET", "target": "/", "headers": lines}}).to_string();
        let parts = read(Direction::Request, json.as_bytes()).unwrap();
        let (one, other) = (message::request(raw.as_bytes()), parts.message());
        assert_eq!((one.headers, one.anomalies), (other.headers, other.anomalies));
    }

    #[test]
    fn malformed_envelopes_are_refused() {
        for json in [
            "",
            "{}",
            "[]",
            r#"{"request":{"method":"GET","target":"/","headers":[["a","\u0100"]]}}"#,
            r#"{"request":{"method":"GET","target":"/\r\nX: y","headers":[]}}"#,
            r#"{"request":{"method":"GET","target":"/","headers":[],"body_base64":"!"}}"#,
            r#"{"request":{"method":"GET","target":"/","headers":[],"extra":1}}"#,
            r#"{"response":{"status":200,"headers":[]}}"#,
        ] {
            assert!(matches!(read(Direction::Request, json.as_bytes()), Err(ApiError::BadJson(_))), "{json}");
        }
    }
}
