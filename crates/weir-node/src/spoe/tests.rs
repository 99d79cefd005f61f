use super::assembly::Assembly;
use super::frame::{Frame, FrameReader, Ids, Kind, MAX_FRAME, MAX_HELLO, Problem};
use super::hello::{self, Agreement};
use super::request;
use super::values::{Message, Value};
use crate::http_inspector::DescribedRequest;
use crate::http_inspector::admission::Admission;
use crate::http_inspector::api_error::ApiError;
use crate::http_inspector::config::LoadLimits;
use bytes::Bytes;
use proptest::prelude::*;
use spop::{StatusCode, TypedData, encode_varint_into};
use std::sync::Arc;
use weir_core::model::{BodyState, Scheme};
use weir_runtime::telemetry::{Metrics, Telemetry, logs::AccessLog};

const FRAME: usize = 16380;

fn text(bytes: &[u8]) -> Vec<u8> {
    let mut to = Vec::new();
    encode_varint_into(bytes.len() as u64, &mut to);
    to.extend_from_slice(bytes);
    to
}

/// A string or binary value with any bytes.
fn data(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind][..], &text(bytes)].concat()
}

fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    data(8, bytes.as_ref())
}

fn typed(value: impl Into<TypedData>) -> Vec<u8> {
    let mut to = Vec::new();
    value.into().to_bytes(&mut to);
    to
}

fn payload(arguments: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut to = [text(b"check-request"), vec![arguments.len() as u8]].concat();
    for (name, value) in arguments {
        to.extend_from_slice(&text(name.as_bytes()));
        to.extend_from_slice(value);
    }
    to
}

fn frame(kind: u8, flags: u32, ids: Ids, payload: &[u8]) -> Vec<u8> {
    let mut to = vec![kind];
    to.extend_from_slice(&flags.to_be_bytes());
    encode_varint_into(ids.stream, &mut to);
    encode_varint_into(ids.frame, &mut to);
    to.extend_from_slice(payload);
    [&(to.len() as u32).to_be_bytes()[..], &to].concat()
}

const IDS: Ids = Ids { stream: 3, frame: 700 };
const NULL: [u8; 1] = [0];

fn post(headers: &[u8], body: &[u8], size: i64) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("method", string("POST")),
        ("target", string(b"/a?b=\xff")),
        ("version", string("1.1")),
        ("src", typed(std::net::Ipv4Addr::new(203, 0, 113, 9))),
        ("headers", string(headers)),
        ("body", data(9, body)),
        ("body_size", typed(size)),
    ]
}

fn read(arguments: &[(&'static str, Vec<u8>)]) -> DescribedRequest {
    request::read(&payload(arguments), FRAME).unwrap()
}

fn refused(arguments: &[(&'static str, Vec<u8>)]) -> ApiError {
    request::read(&payload(arguments), FRAME).unwrap_err()
}

#[test]
fn a_request_is_rebuilt_byte_for_byte() {
    let mut arguments = post(b"host: shop.example\r\nx: \xfe\r\ncontent-length: 4\r\n\r\n", b"a=\x00\xff", 4);
    arguments.push(("ssl", typed(true)));
    arguments.push(("route", string("web")));
    arguments.push(("application", string("7")));
    arguments.push(("id", string("abc-1")));
    arguments.push(("key", string("secret")));
    let asked = read(&arguments);
    assert_eq!(
        &asked.message[..],
        b"POST /a?b=\xff HTTP/1.1\r\nhost: shop.example\r\nx: \xfe\r\ncontent-length: 4\r\n\r\na=\x00\xff"
    );
    let call = &asked.call;
    assert_eq!((call.client.to_string().as_str(), call.scheme), ("203.0.113.9", Scheme::Https));
    assert_eq!((call.body, call.application, call.request_id.as_str()), (BodyState::Complete, Some(7), "abc-1"));
    assert_eq!(asked.key.as_deref(), Some(&b"secret"[..]));
}

#[test]
fn binary_headers_and_a_path_with_a_query_say_the_same() {
    let lines = [text(b"host"), text(b"a"), text(b"x"), text(b"1\r\nevil: 1"), text(b""), text(b"")].concat();
    let asked = read(&[
        ("method", string("GET")),
        ("path", string("/p q")),
        ("query", string("x=1")),
        ("version", string("2.0")),
        ("src", typed("::1".parse::<std::net::Ipv6Addr>().unwrap())),
        ("headers", data(9, &lines)),
    ]);
    assert_eq!(&asked.message[..], b"GET /p%20q?x=1 HTTP/1.1\r\nhost: a\r\nx: 1  evil: 1\r\n\r\n");
    assert_eq!(asked.call.protocol.as_ref().map(|p| p.as_str()), Some("HTTP/2"));
    assert_eq!(asked.call.body, BodyState::Complete);
    let options =
        [("method", string("OPTIONS")), ("target", NULL.to_vec()), ("src", NULL.to_vec()), ("headers", NULL.to_vec())];
    assert_eq!(&read(&options).message[..], b"OPTIONS * HTTP/1.1\r\n\r\n");
}

#[test]
fn a_cut_body_is_a_prefix() {
    let state = |headers: &[u8], body: &[u8], size| read(&post(headers, body, size)).call.body;
    let length = b"content-length: 20000\r\n\r\n";
    assert_eq!(state(length, &[b'a'; 15000], 20000), BodyState::Prefix);
    assert_eq!(state(b"content-length: 15000\r\n\r\n", &[b'a'; 15000], 15000), BodyState::Complete);
    assert_eq!(state(length, b"", 20000), BodyState::Unread);
    let chunked = b"transfer-encoding: chunked\r\n\r\n";
    assert_eq!(state(chunked, b"abc", 3), BodyState::Complete);
    assert_eq!(state(chunked, &[b'a'; 15000], 15000), BodyState::Prefix, "it may go on");
    assert_eq!(state(chunked, b"", 0), BodyState::Unread);
    assert_eq!(state(b"\r\n", b"", 0), BodyState::Complete);
    let mut without = post(b"host: a\r\n\r\n", b"", 0);
    without.truncate(5);
    assert_eq!(read(&without).call.body, BodyState::Unread);
}

#[test]
fn what_is_missing_or_unknown_is_refused() {
    for name in ["method", "src", "headers"] {
        let arguments: Vec<_> = post(b"\r\n", b"", 0).into_iter().filter(|(other, _)| *other != name).collect();
        assert_eq!(refused(&arguments), ApiError::MissingHeader(name));
    }
    let with = |name, value| [post(b"\r\n", b"", 0), vec![(name, value)]].concat();
    for (name, value) in [
        ("metod", string("GET")),
        ("version", string("9")),
        ("src", string("1.2.3.4")),
        ("deadline", string("0")),
        ("application", string("x")),
        ("headers", data(9, b"\x09x")),
        ("service", string("\u{e4}")),
    ] {
        let error = refused(&with(name, value));
        assert!(matches!(error, ApiError::BadHeader(..) | ApiError::BadQuery(_)), "{name}: {error:?}");
    }
    let two = [payload(&post(b"\r\n", b"", 0)), payload(&[])].concat();
    assert!(request::read(&two, FRAME).is_err());
}

fn hello(items: &[(&str, TypedData)]) -> Result<Agreement, StatusCode> {
    let mut to = Vec::new();
    for (name, value) in items {
        to.extend_from_slice(&text(name.as_bytes()));
        value.to_bytes(&mut to);
    }
    hello::negotiate(&to)
}

#[test]
fn negotiation_agrees_or_gives_the_status_code() {
    let good = [
        ("supported-versions", TypedData::from("1.0, 2.0")),
        ("max-frame-size", TypedData::UInt32(16380)),
        ("capabilities", TypedData::from("pipelining,async")),
        ("healthcheck", TypedData::Bool(true)),
    ];
    assert_eq!(hello(&good), Ok(Agreement { max_frame: 16380, health_check: true }));
    assert_eq!(hello(&good[1..]), Err(StatusCode::NoVersion));
    assert_eq!(hello(&[good[0].clone(), good[2].clone()]), Err(StatusCode::NoFrameSize));
    assert_eq!(hello(&good[..2]), Err(StatusCode::NoCapabilities));
    let with = |name: &'static str, value: TypedData| {
        let items = good.iter().map(|item| if item.0 == name { (name, value.clone()) } else { item.clone() });
        hello(&items.collect::<Vec<_>>())
    };
    assert_eq!(with("supported-versions", TypedData::from("1.0")), Err(StatusCode::BadVersion));
    assert_eq!(with("max-frame-size", TypedData::UInt32(255)), Err(StatusCode::BadFrameSize));
    assert_eq!(with("max-frame-size", TypedData::UInt32(u32::MAX)).unwrap().max_frame, MAX_FRAME);
    assert_eq!(hello::negotiate(b"\x05abc"), Err(StatusCode::Invalid));
}

fn assembly(load: LoadLimits, max: usize) -> Assembly {
    let telemetry = Telemetry { metrics: Metrics::unregistered(), access: AccessLog::Off.into() };
    Assembly::new(Arc::new(Admission::new(load, Arc::new(telemetry))), max)
}

fn parsed(kind: u8, flags: u32, ids: Ids, payload: &[u8]) -> Frame {
    Frame::parse(Bytes::from(frame(kind, flags, ids, payload)).slice(4..)).unwrap().unwrap()
}

#[test]
fn fragments_are_joined() {
    let mut assembly = assembly(LoadLimits::default(), 100);
    assert!(assembly.add(parsed(3, 0, IDS, b"ab")).unwrap().is_none());
    assert!(assembly.is_incomplete());
    assert!(assembly.add(parsed(0, 0, IDS, b"cd")).unwrap().is_none());
    let (ids, message) = assembly.add(parsed(0, 1, IDS, b"ef")).unwrap().unwrap();
    assert_eq!((ids, &message.unwrap().0[..]), (IDS, &b"abcdef"[..]));
    assert!(!assembly.is_incomplete());
    // A message that HAProxy withdraws gets no ACK.
    assembly.add(parsed(3, 0, IDS, b"ab")).unwrap();
    assert!(assembly.add(parsed(0, 3, IDS, b"")).unwrap().is_none());
    assert!(!assembly.is_incomplete());
}

#[test]
fn fragments_out_of_order_end_the_connection() {
    let other = Ids { stream: 4, ..IDS };
    let mut alone = assembly(LoadLimits::default(), 100);
    assert_eq!(alone.add(parsed(0, 1, IDS, b"x")).err(), Some(StatusCode::FrameIdNotFound));
    for second in [parsed(3, 1, other, b"x"), parsed(0, 1, other, b"x")] {
        let mut assembly = assembly(LoadLimits::default(), 100);
        assembly.add(parsed(3, 0, IDS, b"ab")).unwrap();
        assert_eq!(assembly.add(second).err(), Some(StatusCode::InterlacedFrames));
    }
}

#[test]
fn a_message_beyond_a_limit_is_read_to_its_end_without_being_kept() {
    for (load, max, want) in [
        (LoadLimits::default(), 3, "too-large"),
        (LoadLimits { buffered_bytes: 3, ..LoadLimits::default() }, 100, "overloaded"),
        (LoadLimits { calls: 0, ..LoadLimits::default() }, 100, "overloaded"),
    ] {
        let mut assembly = assembly(load, max);
        assembly.add(parsed(3, 0, IDS, b"ab")).unwrap();
        assembly.add(parsed(0, 0, IDS, b"cd")).unwrap();
        let (ids, message) = assembly.add(parsed(0, 1, IDS, b"ef")).unwrap().unwrap();
        assert_eq!((ids, message.err().map(|error| error.code())), (IDS, Some(want)));
    }
}

async fn frames(bytes: &[u8], max: usize) -> (Vec<Frame>, Problem) {
    let mut reader = FrameReader::new(bytes);
    reader.max = max;
    let mut all = Vec::new();
    loop {
        match reader.next().await {
            Ok(frame) => all.push(frame),
            Err(problem) => return (all, problem),
        }
    }
}

#[tokio::test]
async fn frames_are_split_and_unknown_ones_skipped() {
    let bytes = [frame(3, 1, IDS, b"one"), frame(9, 1, IDS, b"unknown"), frame(2, 1, Ids::default(), b"")].concat();
    let (all, problem) = frames(&bytes, MAX_HELLO).await;
    assert_eq!(all.iter().map(|frame| frame.kind).collect::<Vec<_>>(), [Kind::Notify, Kind::Disconnect]);
    assert_eq!((all[0].ids, &all[0].payload[..]), (IDS, &b"one"[..]));
    assert!(matches!(problem, Problem::Gone(_)));
    let (all, problem) = frames(&frame(3, 1, IDS, &[0; 300]), 300).await;
    assert!(all.is_empty() && matches!(problem, Problem::Status(StatusCode::TooBig)));
    let (_, problem) = frames(&[0, 0, 0, 2, 3, 0], 300).await;
    assert!(matches!(problem, Problem::Status(StatusCode::Invalid)));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, max in 1usize..5000) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (all, _) = runtime.block_on(frames(&bytes, max));
        prop_assert!(all.iter().map(|frame| frame.payload.len() + 7).sum::<usize>() <= bytes.len());
        let _refused = hello::negotiate(&bytes);
        let _refused = request::read(&bytes, FRAME);
    }

    #[test]
    fn any_damage_to_a_message_is_read_or_refused(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let mut bytes = payload(&post(b"host: a\r\ncontent-length: 3\r\n\r\n", b"abc", 3));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(cut.index(bytes.len() + 1));
        if let Ok(asked) = request::read(&bytes, FRAME) {
            prop_assert!(asked.message.len() <= 3 * bytes.len() + 64);
        }
    }

    #[test]
    fn every_value_that_the_library_writes_is_read(text: String, data: Vec<u8>, int: i64, flag: bool) {
        let values = [
            typed(TypedData::String(text.clone())),
            typed(TypedData::Binary(data.clone())),
            typed(int),
            typed(flag),
        ];
        let payload = payload(&values.map(|value| ("x", value)));
        let mut seen = Vec::new();
        let rest = Message::first(&payload).unwrap().arguments(|_, value| seen.push(value));
        prop_assert_eq!(rest, Some(&b""[..]));
        prop_assert_eq!(seen, [
            Value::Text(text.as_bytes()), Value::Binary(&data), Value::Int(int), Value::Bool(flag),
        ]);
    }
}
