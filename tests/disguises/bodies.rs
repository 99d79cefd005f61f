//! Compressed and binary bodies, and character sets.

use crate::codecs::*;
use crate::run::*;

const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn compressed() {
    const ROWS: &[Row] = &[
        ("gzip", |p| Sent::body(FORM, gzip(format!("id={}", query(p)))).and("Content-Encoding", "gzip")),
        ("gzip, undeclared", |p| Sent::body(FORM, gzip(format!("id={}", query(p))))),
        ("gzip members", |p| {
            Sent::body(FORM, [gzip("a=1&b="), gzip(query(p))].concat()).and("Content-Encoding", "gzip")
        }),
        ("zlib", |p| Sent::body(FORM, zlib(format!("id={}", query(p)))).and("Content-Encoding", "deflate")),
        ("bare deflate", |p| Sent::body(FORM, deflate(format!("id={}", query(p)))).and("Content-Encoding", "deflate")),
        ("brotli", |p| Sent::body(FORM, brotli(format!("id={}", query(p)))).and("Content-Encoding", "br")),
        ("zstd", |p| {
            Sent::body(FORM, zstd::encode_all(query(p).as_bytes(), 3).unwrap()).and("Content-Encoding", "zstd")
        }),
        ("twice", |p| Sent::body(FORM, gzip(gzip(format!("id={}", query(p))))).and("Content-Encoding", "gzip, gzip")),
        ("two lines", |p| {
            let body = brotli(gzip(format!("id={}", query(p))));
            Sent::body(FORM, body).and("Content-Encoding", "gzip").and("Content-Encoding", "br")
        }),
        ("claimed", |p| Sent::body(FORM, format!("id={}", query(p))).and("Content-Encoding", "gzip")),
        ("claimed deflate", |p| Sent::body(FORM, format!("id={}", query(p))).and("Content-Encoding", "deflate")),
        ("claimed br", |p| Sent::body(FORM, format!("id={}", query(p))).and("Content-Encoding", "br")),
        ("claimed twice, applied once", |p| {
            Sent::body(FORM, gzip(format!("id={}", query(p)))).and("Content-Encoding", "gzip, gzip")
        }),
        ("other coding than claimed", |p| {
            Sent::body(FORM, gzip(format!("id={}", query(p)))).and("Content-Encoding", "br")
        }),
        ("unknown coding", |p| Sent::body(FORM, format!("id={}", query(p))).and("Content-Encoding", "none")),
        ("cut short", |p| {
            let mut body = gzip(format!("id={}{}", query(p), "&pad=1".repeat(20)));
            body.truncate(body.len() - 8);
            Sent::body(FORM, body).and("Content-Encoding", "gzip")
        }),
        ("text behind", |p| {
            let mut body = gzip("a=1");
            body.extend(format!("&id={}", query(p)).bytes());
            Sent::body(FORM, body).and("Content-Encoding", "gzip")
        }),
        ("zstd, stored", |p| {
            Sent::body(FORM, zstd_stored(&format!("id={}", query(p)))).and("Content-Encoding", "zstd")
        }),
        ("brotli, stored", |p| {
            Sent::body(FORM, brotli_stored(&format!("id={}", query(p)))).and("Content-Encoding", "br")
        }),
        ("two codings", |p| {
            Sent::body(FORM, gzip(zlib(format!("id={}", query(p))))).and("Content-Encoding", "deflate, gzip")
        }),
    ];
    check(ROWS, &[SQLI, XSS]);
}

#[test]
fn binary() {
    const ROWS: &[Row] = &[
        ("msgpack", |p| Sent::body("application/msgpack", msgpack(p))),
        ("msgpack, undeclared", |p| Sent::body("application/octet-stream", msgpack(p))),
        ("plain text that a map of MessagePack comes before", |p| {
            Sent::body("text/plain", [b"\x81\xa1a\x01", p.as_bytes()].concat())
        }),
        ("plain text declared as MessagePack", |p| Sent::body("application/msgpack", p)),
        ("cbor", |p| Sent::body("application/cbor", cbor(p))),
        ("cbor, undeclared", |p| Sent::body("application/octet-stream", cbor(p))),
        ("cbor, embedded", |p| {
            let item = cbor(p);
            Sent::body("application/cbor", [&[0xd8, 24, 0x58, item.len() as u8], &item[..]].concat())
        }),
        ("protobuf", |p| Sent::body("application/x-protobuf", field(2, &field(1, p.as_bytes())))),
        ("protobuf, undeclared", |p| Sent::body("application/octet-stream", field(2, &field(1, p.as_bytes())))),
        ("grpc", |p| Sent::body("application/grpc", frame(0, &field(1, p.as_bytes())))),
        ("grpc, compressed", |p| Sent::body("application/grpc", frame(1, &gzip(field(1, p.as_bytes()))))),
        ("grpc-web", |p| Sent::body("application/grpc-web+proto", frame(0, &field(1, p.as_bytes())))),
        ("grpc-web trailers", |p| {
            let body = [frame(0, &field(1, b"a")), frame(0x80, format!("x-user: {p}\r\n").as_bytes())].concat();
            Sent::body("application/grpc-web", body)
        }),
        ("grpc-web-text", |p| Sent::body("application/grpc-web-text", base64(frame(0, &field(1, p.as_bytes()))))),
        ("grpc-web-text in pieces", |p| {
            let body = base64(frame(0, &field(1, b"a"))) + &base64(frame(0, &field(1, p.as_bytes())));
            Sent::body("application/grpc-web-text+proto", body)
        }),
        ("grpc json", |p| Sent::body("application/grpc+json", frame(0, format!("{{\"a\":{}}}", json(p)).as_bytes()))),
        ("viewstate", |p| {
            let state = [&b"\xff\x01\x05"[..], &[p.len() as u8], p.as_bytes()].concat();
            Sent::body(FORM, format!("__VIEWSTATE={}", query(&base64(state))))
        }),
        ("between NULs", |p| Sent::body("application/octet-stream", format!("\0\0{p}\0\0"))),
        ("grpc+proto", |p| Sent::body("application/grpc+proto", frame(0, &field(1, p.as_bytes())))),
        ("grpc-web, message and trailers", |p| {
            let body = [frame(0, &field(1, p.as_bytes())), frame(0x80, b"grpc-status: 0\r\n")].concat();
            Sent::body("application/grpc-web", body)
        }),
        ("grpc-web, trailers alone", |p| {
            Sent::body("application/grpc-web+proto", frame(0x80, format!("a: {p}\r\n").as_bytes()))
        }),
        ("grpc-web-text in pieces of a frame", |p| {
            let web = frame(0, &field(1, p.as_bytes()));
            Sent::body("application/grpc-web-text+proto", base64(&web[..10]) + &base64(&web[10..]))
        }),
    ];
    check(ROWS, &[SQLI, XSS]);
}

#[test]
fn character_sets() {
    const ROWS: &[Row] = &[
        ("UTF-7", |p| Sent::body("text/plain; charset=utf-7", utf7(p))),
        ("UTF-16LE", |p| Sent::body("text/plain; charset=utf-16le", utf16(p, true))),
        ("UTF-16BE", |p| Sent::body("text/plain; charset=utf-16be", utf16(p, false))),
        ("UTF-16LE, marked", |p| Sent::body("text/plain", [b"\xff\xfe".to_vec(), utf16(p, true)].concat())),
        ("UTF-32LE", |p| Sent::body("text/plain; charset=utf-32le", utf32le(p))),
        ("UTF-32LE, marked", |p| Sent::body("text/plain", [b"\xff\xfe\0\0".to_vec(), utf32le(p)].concat())),
    ];
    check(ROWS, &[SQLI, XSS]);
}

/// Types and codings that a client may declare for any body.
const DECLARED: &[(&str, &[&str])] = &[
    (
        "Content-Type",
        &[
            "application/json",
            "application/x-ndjson",
            "application/xml",
            "application/soap+xml",
            "application/graphql",
            "application/msgpack",
            "application/cbor",
            "application/x-protobuf",
            "application/grpc",
            "application/grpc-web+proto",
            "application/grpc-web-text",
            "application/octet-stream",
            "application/zip",
            "application/csp-report",
            "image/png",
            "image/svg+xml",
            "message/rfc822",
            "multipart/form-data",
            "multipart/form-data; boundary=x",
            "text/html",
            "text/plain; charset=utf-7",
            "text/plain; charset=utf-16",
            "text/plain; charset=ibm037",
            "text/plain; charset=unknown",
            "*/*",
        ],
    ),
    ("Content-Encoding", &["gzip", "deflate", "br", "zstd", "compress", "gzip, br", "unknown", "aws-chunked"]),
];

/// A receiver that reads a body as text does so whatever is declared. Some of these texts are valid in one of the formats.
#[test]
fn no_declared_type_or_coding_hides_a_text() {
    const TEXTS: &[&[u8]] = &[
        SQLI.as_bytes(),
        b"; cat /etc/passwd",
        b"|id",
        b"; pwd",
        b"& ls -l /home/*",
        b"/var/adm",
        b"\") or (\"1\"=\"1",
        b"!!python/object/apply:os.system [\"id\"]",
        b"<!--#exec cmd='id'-->",
        b"\x81\xa1a\x01; cat /etc/passwd",
    ];
    let mut hidden = Vec::new();
    for text in TEXTS {
        assert!(!Sent::body("text/plain", *text).look().attacks().is_empty(), "{}", text.escape_ascii());
        for (name, values) in DECLARED {
            for value in *values {
                let sent = Sent { target: b"/".to_vec(), headers: vec![], body: text.to_vec() }.and(name, value);
                let got = sent.look();
                if got.attacks().is_empty() {
                    hidden.push(format!("{name}: {value}: {}", text.escape_ascii()));
                }
            }
        }
    }
    assert!(hidden.is_empty(), "{} hidden:\n{}", hidden.len(), hidden.join("\n"));
}
