//! The target `wire`, apart from the others because it needs the node: see [`wire`].

use crate::targets::inspect_and_compare;
use weir_core::parse::message;
use weir_node::http_inspector::{call, envelope};

/// A call of the http_inspector API: a byte whose lowest bit chooses between request and response, header lines, an
/// empty line and the body. Required headers that the input lacks are added. The call is read as the service reads it,
/// and its message inspected.
pub fn wire(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let direction = if choice & 1 == 0 { call::Direction::Request } else { call::Direction::Response };
    let (head, body) = match rest.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (&rest[..end], &rest[end + 2..]),
        None => (rest, &b""[..]),
    };
    let Ok(call) = call::CallHeaders::parse(direction, &call_headers(head)) else { return };
    match (call.format, direction) {
        (call::MessageFormat::Raw, call::Direction::Request) => inspect_and_compare(&message::request(body)),
        (call::MessageFormat::Raw, call::Direction::Response) => inspect_and_compare(&message::response(body)),
        (call::MessageFormat::Envelope, direction) => {
            let Ok(parts) = envelope::read(direction, body) else { return };
            let message = parts.message();
            assert!(message.body.len() <= parts.bytes());
            assert!(envelope::head(&message).ends_with(b"\r\n\r\n"));
            inspect_and_compare(&message);
        }
    }
}

/// The well-formed header lines in `head`, and every required header that they lack.
fn call_headers(head: &[u8]) -> http::HeaderMap {
    let mut headers = http::HeaderMap::new();
    for line in head.split(|&b| b == b'\n').take(64) {
        let Some(colon) = line.iter().position(|&b| b == b':') else { continue };
        let name = http::HeaderName::from_bytes(&line[..colon]);
        let value = http::HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    for (name, value) in [
        ("content-type", "message/http"),
        ("inspector-request-id", "f-1"),
        ("inspector-client", "203.0.113.9"),
        ("inspector-connector", "fuzz/1"),
    ] {
        headers.entry(name).or_insert(http::HeaderValue::from_static(value));
    }
    headers
}
