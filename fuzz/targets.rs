//! What each fuzz target does with its input. The targets themselves, and the test that replays the seeds on a stable
//! toolchain, only call these: nothing is switched off under fuzzing.

use std::cell::RefCell;
use std::sync::OnceLock;
use weir_core::engine::{InspectionOptions, Scratch, inspect};
use weir_core::model::{Header, Message, SkipReason};
use weir_core::normalize::VIEWS;
use weir_core::parse::{facts, message};
use weir_core::ruleset::{Ruleset, builtin, compile};

fn ruleset() -> &'static Ruleset {
    static RULES: OnceLock<Ruleset> = OnceLock::new();
    RULES.get_or_init(|| compile::compile(&builtin::files()).expect("built-in rules compile"))
}

thread_local! {
    /// Memory of all inspections of this thread, with the values that they made known.
    static USED: RefCell<Scratch> = RefCell::default();
}

/// Inspects, as an explanation and as a node does: what was inspected before must change nothing.
fn judge(message: &Message<'_>) {
    let plan = InspectionOptions { explain: true, ..InspectionOptions::default() };
    let inspection = inspect(message, ruleset(), &plan, &mut Scratch::default(), &|| false);
    serde_json::to_string(&inspection).expect("an inspection serialises");
    if inspection.not_inspected.iter().any(|gap| gap.reason == SkipReason::WorkLimit) {
        // What is known costs less work, so that more is seen.
        return;
    }
    for _ in 0..3 {
        let again = USED.with_borrow_mut(|used| inspect(message, ruleset(), &InspectionOptions::default(), used, &|| false));
        assert_eq!(again.findings, inspection.findings);
        assert_eq!((&again.anomalies, &again.not_inspected), (&inspection.anomalies, &inspection.not_inspected));
        assert_eq!((again.values, &again.uploads), (inspection.values, &inspection.uploads));
    }
}

/// A whole raw request: split, its facts read, inspected.
pub fn request(data: &[u8]) {
    let message = message::request(data);
    let _ = facts::facts(&message);
    judge(&message);
}

/// Media types and codings under which [`body`] offers its input.
const DECLARED: &[(&str, &str)] = &[
    ("content-type", "application/json"),
    ("content-type", "application/xml"),
    ("content-type", "application/x-www-form-urlencoded"),
    ("content-type", "multipart/form-data; boundary=x"),
    ("content-type", "application/graphql"),
    ("content-type", "application/grpc"),
    ("content-type", "application/msgpack"),
    ("content-type", "text/plain; charset=utf-16"),
    ("content-type", "text/plain; charset=utf-7"),
    ("content-encoding", "gzip"),
    ("content-encoding", "deflate"),
    ("content-encoding", "br"),
    ("content-encoding", "zstd"),
    ("x-none", ""),
];

/// A body under a declaration that the first byte chooses: every parser of values.
pub fn body(data: &[u8]) {
    let Some((&choice, body)) = data.split_first() else { return };
    let (name, value) = DECLARED[choice as usize % DECLARED.len()];
    judge(&Message {
        method: b"POST",
        target: b"/",
        protocol: b"HTTP/1.1",
        headers: vec![Header { name: name.as_bytes(), value: value.as_bytes() }],
        body,
        ..Message::default()
    });
}

/// Every normalisation; each must also be done after a few rounds on its own output, never grow without measure.
pub fn normalize(data: &[u8]) {
    for view in VIEWS {
        let mut text = data.to_vec();
        for _ in 0..4 {
            text = (view.run)(&text).into_owned();
            assert!(text.len() <= data.len() * 8 + 64, "view {} grows its input without measure", view.name);
        }
    }
}

/// A rule file: compiled or refused, never a panic, and every mistake has a place.
pub fn rules(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    if let Err(errors) = compile::compile(&[("fuzz.yaml".to_string(), text)]) {
        assert!(!errors.is_empty());
    }
}

/// A call of the http_inspector API: a byte whose lowest bit chooses the leg, header lines, an empty line and the
/// body. Headers that every call needs are there unless the input has them. Read as the service reads it, then judged.
#[cfg(feature = "node")]
pub fn wire(data: &[u8]) {
    use weir_node::http_inspector::{call, envelope};
    let Some((&choice, rest)) = data.split_first() else { return };
    let leg = if choice & 1 == 0 { call::Leg::Request } else { call::Leg::Response };
    let (head, body) = match rest.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (&rest[..end], &rest[end + 2..]),
        None => (rest, &b""[..]),
    };
    let Ok(call) = call::Call::parse(leg, &call_headers(head)) else { return };
    match (call.form, leg) {
        (call::Form::Raw, call::Leg::Request) => judge(&message::request(body)),
        (call::Form::Raw, call::Leg::Response) => judge(&message::response(body)),
        (call::Form::Envelope, leg) => {
            let Ok(pieces) = envelope::read(leg, body) else { return };
            let message = pieces.message();
            assert!(message.body.len() <= pieces.bytes());
            assert!(envelope::head(&message).ends_with(b"\r\n\r\n"));
            judge(&message);
        }
    }
}

/// The header lines in `head` that are well-formed, and those that no call goes without.
#[cfg(feature = "node")]
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
