//! The JSON form of a message, for callers that have no raw bytes: its words and lines go through the same checks as
//! those of the raw form, so that both forms give the same verdict.

use super::call::Leg;
use super::refusal::Refusal;
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

/// Text of the JSON, borrowed where it holds no escape.
#[derive(Default, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn protocol() -> Text<'static> {
    Text("HTTP/1.1".into())
}

type Bytes<'a> = Cow<'a, [u8]>;

/// A message in pieces.
#[derive(Debug)]
pub struct Pieces<'a> {
    start: Start<'a>,
    headers: Vec<(Bytes<'a>, Bytes<'a>)>,
    /// Header lines beyond those that become a header each.
    rest: Vec<u8>,
    body: Vec<u8>,
}

#[derive(Debug)]
enum Start<'a> {
    Request { method: Bytes<'a>, target: Bytes<'a>, protocol: Bytes<'a> },
    Response { protocol: Bytes<'a>, status: u16 },
}

/// The head that `message`, which came in an envelope, would have had.
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

/// Takes the message in `json` apart.
pub fn read(leg: Leg, json: &[u8]) -> Result<Pieces<'_>, Refusal> {
    let envelope: Envelope<'_> =
        serde_json::from_slice(json).map_err(|error| Refusal::BadJson(format!("envelope: {error}")))?;
    let (start, headers, body) = match (leg, envelope.request, envelope.response) {
        (Leg::Request, Some(Request { method, target, protocol, headers, body_base64 }), None) => {
            let (method, target, protocol) = (method.bytes()?, target.bytes()?, protocol.bytes()?);
            (Start::Request { method, target, protocol }, headers, body_base64)
        }
        (Leg::Response, None, Some(Response { status, protocol, headers, body_base64 })) => {
            (Start::Response { protocol: protocol.bytes()?, status }, headers, body_base64)
        }
        (leg, ..) => return Err(Refusal::BadJson(format!("envelope: exactly one member, `{}`", leg.code()))),
    };
    let body = base64::engine::general_purpose::STANDARD
        .decode(body.0.as_bytes())
        .map_err(|error| Refusal::BadJson(format!("envelope: body_base64: {error}")))?;
    let mut headers = headers.into_iter().map(|(name, value)| Ok((name.bytes()?, value.bytes()?)));
    let first = headers.by_ref().take(MAX_HEADER_LINES).collect::<Result<_, Refusal>>()?;
    let mut rest = Vec::new();
    for header in headers {
        let (name, value) = header?;
        [&name, &b": "[..], &value, b"\r\n"].iter().for_each(|part| rest.extend_from_slice(part));
    }
    Ok(Pieces { start, headers: first, rest, body })
}

impl Pieces<'_> {
    /// The message.
    pub fn message(&self) -> Message<'_> {
        let headers = self.headers.iter().map(|(name, value)| (&name[..], &value[..]));
        let mut message = match &self.start {
            Start::Request { method, target, protocol } => {
                message::from_parts(method, target, protocol, headers, &self.body)
            }
            Start::Response { protocol, status } => {
                message::response_from_parts(protocol, *status, headers, &self.body)
            }
        };
        if !self.rest.is_empty() {
            message::rest_of_head(&self.rest, &mut message);
        }
        message
    }

    /// About the bytes of the message.
    pub fn bytes(&self) -> usize {
        let start = match &self.start {
            Start::Request { method, target, protocol } => method.len() + target.len() + protocol.len(),
            Start::Response { protocol, .. } => protocol.len(),
        };
        start + self.headers.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>() + self.rest.len() + self.body.len()
    }
}

impl<'a> Text<'a> {
    /// Code points U+0000 to U+00FF stand for bytes. CR and LF are refused: they would end the line that holds them,
    /// and no gateway has a message with them inside a target or a header.
    fn bytes(self) -> Result<Bytes<'a>, Refusal> {
        let bad = |why: &str| Refusal::BadJson(format!("envelope: {why} in the head"));
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
        let pieces = read(Leg::Request, json.as_bytes()).unwrap();
        let raw = b"POST /a?b=%31 HTTP/1.0\r\nHost: x\r\nA: \xe9\r\na: 2\r\n\r\nhi";
        assert_eq!(format!("{:?}", pieces.message()), format!("{:?}", message::request(raw)));
        let json = r#"{"response":{"status":200,"headers":[["A","b"]]}}"#;
        let pieces = read(Leg::Response, json.as_bytes()).unwrap();
        let raw = b"HTTP/1.1 200 \r\nA: b\r\n\r\n";
        assert_eq!(format!("{:?}", pieces.message()), format!("{:?}", message::response(raw)));
    }

    #[test]
    fn heads_without_end_take_the_same_form() {
        let lines: Vec<_> = (0..MAX_HEADER_LINES + 3).map(|n| [format!("A{n}"), "v".to_owned()]).collect();
        let raw: String = lines.iter().map(|[name, value]| format!("{name}: {value}\r\n")).collect();
        let raw = format!("GET / HTTP/1.1\r\n{raw}\r\n");
        let json = serde_json::json!({"request": {"method": "GET", "target": "/", "headers": lines}}).to_string();
        let pieces = read(Leg::Request, json.as_bytes()).unwrap();
        let (one, other) = (message::request(raw.as_bytes()), pieces.message());
        assert_eq!((one.headers, one.oddities), (other.headers, other.oddities));
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
            assert!(matches!(read(Leg::Request, json.as_bytes()), Err(Refusal::BadJson(_))), "{json}");
        }
    }
}
