use super::*;
use crate::parse::testing::messages::{extract_message, extract_message_within, extract_raw};
use AnomalyKind as K;
use proptest::prelude::*;

fn lines(raw: &str) -> (Vec<String>, Vec<K>) {
    let message = request(raw.as_bytes());
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    let mut out = vec![format!("{} {} {}", text(message.method), text(message.target), text(message.protocol))];
    out.extend(message.headers.iter().map(|h| format!("{}: {}", text(h.name), text(h.value))));
    out.push(text(message.body));
    (out, message.anomalies)
}

#[test]
fn splits_heads_good_and_bad() {
    const GET: &str = "GET / HTTP/1.1";
    for (raw, want, anomalies) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\nbody", vec![GET, "Host: h", "body"], vec![]),
        ("\r\nGET / HTTP/1.1\r\n\r\n", vec![GET, ""], vec![]),
        ("GET / HTTP/1.1\nHost: h\n\nbody", vec![GET, "Host: h", "body"], vec![K::BareLineEnd]),
        ("GET / HTTP/1.1\r\nHost: h\r\n", vec![GET, "Host: h", ""], vec![K::TruncatedHead]),
        ("GET / HTTP/1.1\r\nHost: h", vec![GET, "Host: h", ""], vec![K::TruncatedHead]),
        ("GET / HTTP/1.1", vec![GET, ""], vec![K::TruncatedHead]),
        ("", vec!["  ", ""], vec![K::BadRequestLine, K::TruncatedHead]),
        ("GET /\r\n\r\n", vec!["GET / ", ""], vec![K::BadRequestLine]),
        ("GET  /a  HTTP/1.1\r\n\r\n", vec!["GET /a HTTP/1.1", ""], vec![K::BadRequestLine]),
        ("GET /a b c HTTP/1.1\r\n\r\n", vec!["GET /a b c HTTP/1.1", ""], vec![K::BadRequestLine]),
        ("GET /a b\r\n\r\n", vec!["GET /a b ", ""], vec![K::BadRequestLine]),
        ("GET\t/\tHTTP/1.1\r\n\r\n", vec![GET, ""], vec![K::BadRequestLine]),
        ("GET / HTTP/1.1\r\nA : b\r\n\r\n", vec![GET, "A: b", ""], vec![K::SpaceBeforeColon]),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", vec![GET, "no colon: ", ""], vec![K::BadHeader]),
        ("GET / HTTP/1.1\r\n: v\r\n\r\n", vec![GET, ": v", ""], vec![K::BadHeader]),
        ("GET / HTTP/1.1\r\n A: v\r\n\r\n", vec![GET, "A: v", ""], vec![K::BadHeader]),
        ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\td\r\n\r\n", vec![GET, "A: b\r\n c\r\n\td", ""], vec![K::ObsFold]),
        ("GET / HTTP/1.1\r\nA:\r\n c\r\n \r\n\r\n", vec![GET, "A: c", ""], vec![K::ObsFold]),
        ("GET / HTTP/1.1\r\nA: b\rB: c\r\n\r\n", vec![GET, "A: b\rB: c", ""], vec![K::BareLineEnd]),
        ("GET / HTTP/1.1\r\nA: b\0c\x07\r\n\r\n", vec![GET, "A: b\0c\x07", ""], vec![K::NulByte, K::ControlByte]),
        ("GET / HTTP/1.1\r\nA\0: b\r\n\r\n", vec![GET, "A\0: b", ""], vec![K::BadHeader, K::NulByte]),
    ] {
        let (got, odd) = lines(raw);
        assert_eq!(got, want, "{raw:?}");
        assert_eq!(odd, anomalies, "{raw:?}");
    }
}

#[test]
fn splits_responses() {
    let message = response(b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\nx");
    assert_eq!((message.status, message.body, message.anomalies.len()), (404, &b"x"[..], 0));
    for raw in
        ["HTTP/1.1 40 x\r\n\r\n", "HTTP/1.1 +20 x\r\n\r\n", "ICY 200 OK\r\n\r\n", "\r\n\r\n", "HTTP/1.1 099\r\n\r\n"]
    {
        assert_eq!(response(raw.as_bytes()).anomalies[0], K::BadStatusLine, "{raw:?}");
    }
}

#[test]
fn contradictions_between_parts_are_anomalies() {
    for (head, kind, odd) in [
        ("Host: h\r\nContent-Length: 4", K::LengthMismatch, false),
        ("Host: h\r\nContent-Length: 5", K::LengthMismatch, true),
        ("Host: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked", K::ClTeConflict, true),
        ("Host: h\r\nContent-Length: 4\r\nContent-Length: 5", K::BadContentLength, true),
        ("Host: h\r\nContent-Length: 4\r\nContent-Length: 4", K::BadContentLength, false),
        ("Host: h\r\nContent-Length: 4\r\nContent-Length: 4", K::DuplicateHeader, true),
        ("Host: h\r\nContent-Length: +4", K::BadContentLength, true),
        ("Host: h\r\nContent-Length: 4, 4", K::BadContentLength, true),
        ("Host: h\r\nContent-Length: 99999999999999999999999", K::BadContentLength, true),
        ("Host: h\r\nContent-Length : 5", K::LengthMismatch, true),
        ("Host: h\r\nTransfer-Encoding: Chunked", K::BadTransferEncoding, false),
        ("Host: h\r\nTransfer-Encoding: xchunked", K::BadTransferEncoding, true),
        ("Host: h\r\nTransfer-Encoding: chunked, identity", K::BadTransferEncoding, true),
        ("Host: h\r\nTransfer-Encoding: chunked\r\ntransfer-encoding: x", K::BadTransferEncoding, true),
        ("Host: h\r\nTransfer-Encoding: \x0bchunked", K::BadTransferEncoding, true),
        ("Host: h\r\nHOST: h", K::DuplicateHost, true),
        ("Accept: x", K::MissingHost, true),
        ("Host: h", K::MissingHost, false),
        ("Host: h:80", K::BadHost, false),
        ("Host: [::1]:80", K::BadHost, false),
        ("Host: [::1", K::BadHost, true),
        ("Host: a b", K::BadHost, true),
        ("Host: a@b", K::BadHost, true),
        ("Host: a/b", K::BadHost, true),
        ("Host: a:b", K::BadHost, true),
        ("Host:", K::BadHost, true),
        ("Host: h\r\nContent-Type: a/b\r\ncontent-type: c/d", K::DuplicateHeader, true),
        ("Host: h\r\nAccept: a\r\nAccept: b", K::DuplicateHeader, false),
    ] {
        let parsed = extract_raw(format!("POST / HTTP/1.1\r\n{head}\r\n\r\nbody").as_bytes());
        assert_eq!(parsed.has_anomaly(kind), odd, "{head:?} {:?}", parsed.anomalies);
    }
    assert!(extract_raw(b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n").has_anomaly(K::DuplicateHost));
    assert!(!extract_raw(b"GET http://A:80/ HTTP/1.1\r\nHost: a:80\r\n\r\n").has_anomaly(K::DuplicateHost));
    assert!(extract_raw(b"get / HTTP/1.1\r\nHost: b\r\n\r\n").has_anomaly(K::UnknownMethod));
    assert!(
        extract_raw(b"GET / HTTP/1.0\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n")
            .has_anomaly(K::BadTransferEncoding)
    );
}

#[test]
fn an_ordinary_request_has_no_anomalies() {
    let parsed = extract_raw(
        b"POST /a/b.php?c=d%20e HTTP/1.1\r\nHost: example.com:8080\r\nUser-Agent: x/1 (y; z)\r\nAccept: */*\r\n\
          Cookie: a=b; c=\"d\"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\na=b&c=d",
    );
    assert_eq!((parsed.anomalies, parsed.skipped), (vec![], vec![]));
}

#[test]
fn all_of_many_headers_are_inspected() {
    let mut raw = b"GET / HTTP/1.1\r\nHost: h\r\n".to_vec();
    for number in 0..40_000 {
        raw.extend_from_slice(format!("X-{number}: v{number}\r\n").as_bytes());
    }
    raw.extend_from_slice(b"Evil: needle\r\n\r\nbody");
    let message = request(&raw);
    assert_eq!((message.headers.len(), message.body), (MAX_HEADER_LINES + 1, &b"body"[..]));
    let parsed = extract_message(&message);
    assert!(parsed.has_anomaly(K::TooManyHeaders) && parsed.inspects("v20000") && parsed.inspects("needle"));
    let few = crate::model::Limits { headers: 2, ..Default::default() };
    let parsed = extract_message_within(&request(b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\nC: d\r\n\r\n"), &few);
    assert!(parsed.has_anomaly(K::TooManyHeaders) && parsed.has("[header,'']=C: d\\x0a"), "{:?}", parsed.values);
}

#[test]
fn trailers_join_the_headers() {
    let mut message = request(b"POST / HTTP/1.1\r\nHost: h\r\n\r\n");
    append_trailers(b"X: ' or 1=1\r\nHost : g\r\n", &mut message);
    assert_eq!(message.headers.len(), 3);
    assert_eq!(message.anomalies, [K::SpaceBeforeColon]);
}

/// The message as `message/http`.
fn raw_of(message: &Message<'_>, headers: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut raw = [message.method, b" ", message.target, b" ", message.protocol, b"\r\n"].concat();
    for (name, value) in headers {
        [name, &b": "[..], value, b"\r\n"].iter().for_each(|part| raw.extend_from_slice(part));
    }
    [&raw[..], b"\r\n", message.body].concat()
}

proptest! {
    #[test]
    fn never_panics(raw: Vec<u8>) {
        extract_raw(&raw);
        response(&raw);
    }

    #[test]
    fn never_panics_on_heads(head in "(GET|[ A-Z]{0,3})[ \t]/[ a?=&%;#]{0,6} ?(HTTP/1.1)?(\r?\n([ A-Ca:\t\0]{0,3}:?[a \r]{0,4})){0,5}(\r\n)?\r\n") {
        extract_raw(head.as_bytes());
    }

    /// Both wire forms of a request give the same message with the same anomalies.
    #[test]
    fn raw_and_parts_are_equal(
        method in "[A-Zg!\u{7f}]{1,6}",
        target in "/[a-z?&=%;# \u{1}\u{ff}]{0,12}",
        protocol in "HTTP/1\\.[019]|HTTP/2",
        headers in proptest::collection::vec(("[Hh]ost ?|Content-Length|[A-Za \t\0é]{0,5}", "[a-z0-9 \t\0\u{7f}]{0,9}(\r\n?[ \t][a-z ]{0,3})?"), 0..6),
        body: Vec<u8>,
    ) {
        let headers: Vec<(Vec<u8>, Vec<u8>)> =
            headers.into_iter().map(|(n, v)| (n.into_bytes(), v.into_bytes())).collect();
        let pairs = headers.iter().map(|(n, v)| (&n[..], &v[..]));
        let parts = from_parts(method.as_bytes(), target.as_bytes(), protocol.as_bytes(), pairs, &body);
        // A header that begins with a blank continues the header before it in the raw form, so the forms would differ.
        prop_assume!(headers.iter().all(|(n, _)| !n.starts_with(b" ") && !n.starts_with(b"\t")));
        // `parts` holds the target trimmed; the raw form needs it as it was given.
        let written = Message { target: target.as_bytes(), ..parts.clone() };
        let raw = raw_of(&written, &headers);
        let whole = request(&raw);
        prop_assert_eq!(whole.method, parts.method);
        prop_assert_eq!(whole.target, parts.target);
        prop_assert_eq!(whole.protocol, parts.protocol);
        prop_assert_eq!(&whole.headers, &parts.headers);
        prop_assert_eq!(whole.body, parts.body);
        let (mut a, mut b) = (whole.anomalies.clone(), parts.anomalies.clone());
        a.sort();
        b.sort();
        prop_assert_eq!(a, b);
        let (whole, parts) = (extract_message(&whole), extract_message(&parts));
        prop_assert_eq!(whole.values, parts.values);
    }
}
