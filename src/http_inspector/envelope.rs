//! The JSON form of a message, for callers that have no raw octets. It is written out as raw octets and goes the way of
//! the raw form from there, so that both forms give the same verdict by construction.

use super::call::Leg;
use super::refusal::Refusal;
use base64::Engine as _;
use serde::Deserialize;

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
    method: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    target: std::borrow::Cow<'a, str>,
    #[serde(borrow, default = "protocol")]
    protocol: std::borrow::Cow<'a, str>,
    headers: Vec<(String, String)>,
    #[serde(default)]
    body_base64: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Response<'a> {
    status: u16,
    #[serde(borrow, default = "protocol")]
    protocol: std::borrow::Cow<'a, str>,
    headers: Vec<(String, String)>,
    #[serde(default)]
    body_base64: String,
}

fn protocol() -> std::borrow::Cow<'static, str> {
    "HTTP/1.1".into()
}

/// The raw octets of the message in `json`.
pub fn to_raw(leg: Leg, json: &[u8]) -> Result<Vec<u8>, Refusal> {
    let envelope: Envelope<'_> =
        serde_json::from_slice(json).map_err(|error| Refusal::BadJson(format!("envelope: {error}")))?;
    let mut raw = Vec::with_capacity(json.len());
    match (leg, envelope.request, envelope.response) {
        (Leg::Request, Some(request), None) => {
            let line = [&request.method, " ", &request.target, " ", &request.protocol];
            write(&mut raw, &line, &request.headers, &request.body_base64)?;
        }
        (Leg::Response, None, Some(response)) => {
            let status = response.status.to_string();
            write(&mut raw, &[&response.protocol, " ", &status, " "], &response.headers, &response.body_base64)?;
        }
        (leg, ..) => return Err(Refusal::BadJson(format!("envelope: exactly one member, `{}`", leg.code()))),
    }
    Ok(raw)
}

fn write(raw: &mut Vec<u8>, line: &[&str], headers: &[(String, String)], body: &str) -> Result<(), Refusal> {
    line.iter().try_for_each(|part| octets(raw, part))?;
    raw.extend_from_slice(b"\r\n");
    for (name, value) in headers {
        octets(raw, name)?;
        raw.extend_from_slice(b": ");
        octets(raw, value)?;
        raw.extend_from_slice(b"\r\n");
    }
    raw.extend_from_slice(b"\r\n");
    let engine = base64::engine::general_purpose::STANDARD;
    let decoded = engine.decode_vec(body, raw);
    decoded.map_err(|error| Refusal::BadJson(format!("envelope: body_base64: {error}")))
}

/// Code points U+0000 to U+00FF stand for octets. CR and LF are refused: they would end the line that holds them, and
/// no gateway has a message with them inside a target or a header.
fn octets(raw: &mut Vec<u8>, text: &str) -> Result<(), Refusal> {
    for c in text.chars() {
        match u8::try_from(c) {
            Ok(b'\r' | b'\n') => return Err(Refusal::BadJson("envelope: CR or LF in the head".into())),
            Ok(octet) => raw.push(octet),
            Err(_) => return Err(Refusal::BadJson("envelope: a code point above U+00FF in the head".into())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn becomes_the_raw_form() {
        let json = r#"{"request":{"method":"POST","target":"/a?b=%31","protocol":"HTTP/1.0",
            "headers":[["Host","x"],["A","\u00e9"],["a","2"]],"body_base64":"aGk="}}"#;
        let raw = to_raw(Leg::Request, json.as_bytes()).unwrap();
        assert_eq!(raw, b"POST /a?b=%31 HTTP/1.0\r\nHost: x\r\nA: \xe9\r\na: 2\r\n\r\nhi");
        let json = r#"{"response":{"status":200,"headers":[]}}"#;
        assert_eq!(to_raw(Leg::Response, json.as_bytes()).unwrap(), b"HTTP/1.1 200 \r\n\r\n");
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
            assert!(matches!(to_raw(Leg::Request, json.as_bytes()), Err(Refusal::BadJson(_))), "{json}");
        }
    }
}
