//! Well-known attacks behind the encodings and containers that hide them: each is found, or reported as not inspected.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use std::io::Write as _;
use std::sync::OnceLock;
use weir::engine::{Plan, Scratch, inspect};
use weir::model::{AttackType, Inspection};
use weir::parse::message;
use weir::ruleset::{Ruleset, builtin, compile};

const SQLI: &str = "1' UNION SELECT login,password FROM users-- -";
const XSS: &str = "<script>alert(document.cookie)</script>";
const PTRAV: &str = "../../../../etc/passwd";

fn look(raw: &[u8]) -> Inspection {
    static RULESET: OnceLock<Ruleset> = OnceLock::new();
    let ruleset = RULESET.get_or_init(|| compile::compile(&builtin::files()).expect("built-in rules compile"));
    inspect(&message::request(raw), ruleset, &Plan::default(), &mut Scratch::default(), &|| false)
}

/// A request with a body.
fn post(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let headers: String =
        headers.split('\n').filter(|line| !line.is_empty()).map(|line| format!("{line}\r\n")).collect();
    let head = format!("POST / HTTP/1.1\r\nHost: shop.example\r\n{headers}\r\n");
    [head.as_bytes(), body.as_ref()].concat()
}

fn typed(media: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    post(&format!("Content-Type: {media}"), body)
}

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: shop.example\r\n\r\n").into_bytes()
}

fn escape(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

/// Every disguise: what it is called, the attack that it hides, and the request.
type Case = (&'static str, AttackType, Vec<u8>);

#[track_caller]
fn all_are_found(cases: Vec<Case>) {
    let mut missed = Vec::new();
    for (name, attack, raw) in cases {
        let got = look(&raw);
        if !got.attacks().contains(&attack) && got.not_inspected.is_empty() {
            missed.push(format!("{name}: {:?} {:?}", got.findings, got.anomalies));
        }
    }
    assert!(missed.is_empty(), "missed:\n{}", missed.join("\n"));
}

use AttackType::{Ptrav, Sqli, Xss};

#[test]
fn the_bare_attacks_are_found() {
    all_are_found(vec![
        ("sqli", Sqli, get(&format!("/?a={}", escape(SQLI)))),
        ("xss", Xss, get(&format!("/?a={}", escape(XSS)))),
        ("ptrav", Ptrav, get(&format!("/?a={}", escape(PTRAV)))),
    ]);
    let harmless = look(&get("/?a=1&b=hello+world"));
    assert!(harmless.findings.is_empty() && harmless.not_inspected.is_empty(), "{harmless:?}");
}

#[test]
fn escapes() {
    let double = escape(SQLI).replace('%', "%25");
    let unicode: String = XSS.chars().map(|c| format!("%u{:04x}", c as u32)).collect();
    let entities: String = XSS.bytes().map(|b| format!("&#x{b:x};")).collect();
    let decimal: String = XSS.bytes().map(|b| format!("&#{b};")).collect();
    let hex: String = SQLI.bytes().map(|b| format!("{b:02x}")).collect();
    let script: String = XSS.bytes().map(|b| format!("\\x{b:02x}")).collect();
    let wide: String = XSS.bytes().map(|b| format!("\\u{b:04x}")).collect();
    all_are_found(vec![
        ("double percent", Sqli, get(&format!("/?a={double}"))),
        ("triple percent", Sqli, get(&format!("/?a={}", double.replace('%', "%25")))),
        ("%u", Xss, get(&format!("/?a={unicode}"))),
        ("overlong", Ptrav, get("/?a=..%c0%af..%c0%af..%c0%afetc%c0%afpasswd")),
        ("overlong, three octets", Ptrav, get("/?a=..%e0%80%af..%e0%80%af..%e0%80%afetc%e0%80%afpasswd")),
        ("path parameters", Ptrav, get("/static/..;x=1/..;/..;/..;/etc/passwd")),
        ("a path parameter's value", Sqli, get(&format!("/a;x={}", escape(SQLI)))),
        ("HTML entities", Xss, get(&format!("/?a={}", escape(&entities)))),
        ("decimal entities", Xss, get(&format!("/?a={}", escape(&decimal)))),
        ("JS \\x", Xss, get(&format!("/?a={}", escape(&script)))),
        ("JS \\u", Xss, get(&format!("/?a={}", escape(&wide)))),
        ("hex", Sqli, get(&format!("/?a=0x{hex}"))),
        ("base64", Sqli, get(&format!("/?a={}", URL_SAFE_NO_PAD.encode(SQLI)))),
        ("quoted cookie", Sqli, post("Cookie: a=b; c=\"1' UNION SELECT login,password FROM users-- -\"", "")),
        ("escaped cookie", Sqli, post(&format!("Cookie: a=\"{}\"", escape(SQLI)), "")),
        ("brackets", Sqli, get(&format!("/?a[b][]={}", escape(SQLI)))),
    ]);
}

#[test]
fn multipart_bodies() {
    let form = |body: String| typed("multipart/form-data; boundary=x", body);
    let part = |headers: &str, content: &str| form(format!("--x\r\n{headers}\r\n\r\n{content}\r\n--x--\r\n"));
    let named = "Content-Disposition: form-data; name=\"a\"";
    let quoted: String = SQLI.bytes().map(|b| format!("={b:02X}")).collect();
    let inner = format!("--y\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\n{SQLI}\r\n--y--\r\n");
    all_are_found(vec![
        ("plain", Sqli, part(named, SQLI)),
        ("line feeds only", Sqli, form(format!("--x\n{named}\n\n{SQLI}\n--x--\n"))),
        ("folded header", Sqli, part("Content-Disposition: form-data;\r\n name=\"a\"", SQLI)),
        ("filename*", Ptrav, part(&format!("{named}; filename*=UTF-8''{}", escape(PTRAV)), "x")),
        ("two dispositions", Sqli, part(&format!("{named}; filename=\"a.png\"\r\n{named}"), SQLI)),
        ("quoted-printable", Sqli, part(&format!("{named}\r\nContent-Transfer-Encoding: quoted-printable"), &quoted)),
        ("base64", Sqli, part(&format!("{named}\r\nContent-Transfer-Encoding: base64"), &STANDARD.encode(SQLI))),
        ("nested", Sqli, part(&format!("{named}\r\nContent-Type: multipart/mixed; boundary=y"), &inner)),
        ("no closing delimiter", Sqli, form(format!("--x\r\n{named}\r\n\r\n{SQLI}"))),
        ("undeclared", Sqli, typed("text/plain", format!("--x\r\n{named}\r\n\r\n{SQLI}\r\n--x--\r\n"))),
        ("the name", Sqli, part(&format!("Content-Disposition: form-data; name=\"{SQLI}\""), "x")),
    ]);
}

#[test]
fn json_and_graphql() {
    let json = |body: String| typed("application/json", body);
    let wide: String = SQLI.bytes().map(|b| format!("\\u{b:04x}")).collect();
    let object = format!("{{\"a\":\"{SQLI}\"}}");
    let graphql = |query: &str| json(serde_json::json!({ "query": query }).to_string());
    let token = |claims: &str| {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode("{\"alg\":\"HS256\"}"), URL_SAFE_NO_PAD.encode(claims))
    };
    all_are_found(vec![
        ("member", Sqli, json(object.clone())),
        ("first of two", Sqli, json(format!("{{\"a\":\"{SQLI}\",\"a\":\"x\"}}"))),
        ("last of two", Sqli, json(format!("{{\"a\":\"x\",\"a\":\"{SQLI}\"}}"))),
        ("\\u", Sqli, json(format!("{{\"a\":\"{wide}\"}}"))),
        ("the name", Sqli, json(format!("{{\"{SQLI}\":1}}"))),
        ("byte order mark", Sqli, json(format!("\u{feff}{object}"))),
        ("lines", Sqli, typed("application/x-ndjson", format!("{{\"a\":1}}\n{object}\n"))),
        ("undeclared lines", Sqli, typed("text/plain", format!("{{\"a\":1}}\n{object}\n"))),
        ("garbage behind", Sqli, json(format!("{{\"a\":1}} {SQLI}"))),
        ("cut", Sqli, json(format!("{{\"a\":\"{SQLI}"))),
        (
            "in base64 in a form",
            Sqli,
            typed("application/x-www-form-urlencoded", format!("d={}", escape(&STANDARD.encode(&object)))),
        ),
        ("in a string", Sqli, json(serde_json::json!({ "a": object }).to_string())),
        (
            "GraphQL variable",
            Sqli,
            json(serde_json::json!({"query": "query($a:ID){u(id:$a){n}}", "variables": {"a": SQLI}}).to_string()),
        ),
        ("GraphQL argument", Sqli, graphql(&format!("{{u(id:\"{SQLI}\"){{n}}}}"))),
        ("GraphQL alias", Sqli, graphql(&format!("{{a:u(id:1){{n}} b:u(id:\"{SQLI}\"){{n}}}}"))),
        (
            "GraphQL batch",
            Sqli,
            json(format!(
                "[{{\"query\":\"{{a}}\"}},{}]",
                serde_json::json!({"query": format!("{{u(id:\"{SQLI}\"){{n}}}}")})
            )),
        ),
        ("GraphQL GET", Sqli, get(&format!("/graphql?query={}", escape(&format!("{{u(id:\"{SQLI}\"){{n}}}}"))))),
        ("GraphQL block string", Sqli, typed("application/graphql", format!("{{u(id:\"\"\"{SQLI}\"\"\"){{n}}}}"))),
        ("JWT claim", Sqli, post(&format!("Authorization: Bearer {}", token(&object)), "")),
        ("JWT claim in a query", Sqli, get(&format!("/?t={}", token(&object)))),
    ]);
}

#[test]
fn xml_documents() {
    let xml = |body: String| typed("application/xml", body);
    let entities: String = SQLI.bytes().map(|b| format!("&#x{b:x};")).collect();
    let document = format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?><a>{SQLI}</a>");
    let little: Vec<u8> = document.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = document.encode_utf16().flat_map(u16::to_be_bytes).collect();
    all_are_found(vec![
        ("text", Sqli, xml(format!("<a>{SQLI}</a>"))),
        ("CDATA", Sqli, xml(format!("<a><![CDATA[{SQLI}]]></a>"))),
        ("split by CDATA", Sqli, xml("<a>1' UNI<![CDATA[ON SEL]]>ECT login,password FROM users-- -</a>".to_owned())),
        ("split by a comment", Sqli, xml("<a>1' UNI<!-- -->ON SELECT login,password FROM users-- -</a>".to_owned())),
        ("references", Sqli, xml(format!("<a>{entities}</a>"))),
        ("attribute", Sqli, xml(format!("<a b=\"{SQLI}\"/>"))),
        ("attribute, references", Sqli, xml(format!("<a b=\"{entities}\"/>"))),
        ("instruction", Sqli, xml(format!("<a><?p {SQLI}?></a>"))),
        ("declared entity", Sqli, xml(format!("<!DOCTYPE a [<!ENTITY e \"{SQLI}\">]><a>&e;</a>"))),
        ("UTF-16LE", Sqli, typed("application/xml", &little)),
        ("UTF-16BE", Sqli, typed("application/xml", &big)),
        ("UTF-16LE with a mark", Sqli, typed("application/xml", [b"\xff\xfe", &little[..]].concat())),
        ("UTF-16BE with a mark", Sqli, typed("application/xml", [b"\xfe\xff", &big[..]].concat())),
        ("undeclared", Sqli, typed("text/plain", format!("<a><![CDATA[{SQLI}]]></a>"))),
        ("cut", Sqli, xml(format!("<a>{SQLI}"))),
    ]);
}

/// What the codings make of `body`.
fn gzip(body: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(body).unwrap();
    out.finish().unwrap()
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(body).unwrap();
    out.finish().unwrap()
}

fn deflate(body: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(body).unwrap();
    out.finish().unwrap()
}

#[test]
fn content_codings() {
    let body = format!("a={}", escape(SQLI));
    let coded = |coding: &str, body: Vec<u8>| {
        post(&format!("Content-Type: application/x-www-form-urlencoded\nContent-Encoding: {coding}"), body)
    };
    let plain = body.as_bytes();
    // One uncompressed block of Zstandard (RFC 8878 §3.1.1).
    let zstd = {
        let block = (((plain.len() as u32) << 3) | 1).to_le_bytes();
        [&b"\x28\xb5\x2f\xfd\x20"[..], &[plain.len() as u8], &block[..3], plain].concat()
    };
    // One uncompressed meta-block of Brotli (RFC 7932 §9.2), and the empty last one.
    let brotli = {
        let head = ((plain.len() as u32 - 1) << 4) | (1 << 20);
        [&head.to_le_bytes()[..3], plain, b"\x03"].concat()
    };
    all_are_found(vec![
        ("gzip", Sqli, coded("gzip", gzip(plain))),
        ("zlib", Sqli, coded("deflate", zlib(plain))),
        ("raw deflate", Sqli, coded("deflate", deflate(plain))),
        ("zstd", Sqli, coded("zstd", zstd)),
        ("br", Sqli, coded("br", brotli)),
        ("gzip twice", Sqli, coded("gzip, gzip", gzip(&gzip(plain)))),
        ("two codings", Sqli, coded("deflate, gzip", gzip(&zlib(plain)))),
        (
            "two lines",
            Sqli,
            post(
                "Content-Type: application/x-www-form-urlencoded\nContent-Encoding: deflate\nContent-Encoding: gzip",
                gzip(&zlib(plain)),
            ),
        ),
        ("claimed, not applied", Sqli, coded("gzip", plain.to_vec())),
        ("claimed br, not applied", Sqli, coded("br", plain.to_vec())),
        ("applied, not claimed", Sqli, typed("application/x-www-form-urlencoded", gzip(plain))),
        ("claimed br, is gzip", Sqli, coded("br", gzip(plain))),
        ("unknown", Sqli, coded("x-none", plain.to_vec())),
        (
            "cut gzip",
            Sqli,
            coded("gzip", {
                let mut cut = gzip(plain);
                cut.truncate(cut.len() - 8);
                cut
            }),
        ),
    ]);
}

#[test]
fn character_sets() {
    let text = |charset: &str, body: Vec<u8>| typed(&format!("text/plain; charset={charset}"), body);
    let wide: Vec<u8> = SQLI.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = SQLI.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let four: Vec<u8> = SQLI.chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
    let seven = "+ADw-script+AD4-alert(document.cookie)+ADw-/script+AD4-";
    all_are_found(vec![
        ("UTF-16LE", Sqli, text("utf-16le", wide.clone())),
        ("UTF-16BE", Sqli, text("utf-16be", big)),
        ("UTF-16 by its mark", Sqli, typed("text/plain", [b"\xff\xfe", &wide[..]].concat())),
        ("UTF-32LE", Sqli, text("utf-32le", four.clone())),
        ("UTF-32 by its mark", Sqli, typed("text/plain", [b"\xff\xfe\0\0", &four[..]].concat())),
        ("UTF-7", Xss, text("utf-7", seven.into())),
        ("UTF-7 in a query", Xss, get(&format!("/?a={}", escape(seven)))),
    ]);
}

#[test]
fn binary_formats() {
    let field = |number: u8, body: &[u8]| [&[number << 3 | 2, body.len() as u8][..], body].concat();
    let nested = field(1, &field(2, &field(3, SQLI.as_bytes())));
    let frame = |flag: u8, body: &[u8]| [&[flag, 0, 0, 0, body.len() as u8][..], body].concat();
    let web = [frame(0, &nested), frame(0x80, b"grpc-status: 0\r\n")].concat();
    let pieces = STANDARD.encode(&web[..10]) + &STANDARD.encode(&web[10..]);
    let msgpack = [&[0x81, 0xa1, b'a', 0xd9, SQLI.len() as u8][..], SQLI.as_bytes()].concat();
    let state = [&[0xff, 0x01, 0x05, SQLI.len() as u8][..], SQLI.as_bytes()].concat();
    all_are_found(vec![
        ("protobuf", Sqli, typed("application/x-protobuf", &nested)),
        ("undeclared protobuf", Sqli, typed("application/octet-stream", &nested)),
        ("gRPC", Sqli, typed("application/grpc", frame(0, &nested))),
        ("gRPC+proto", Sqli, typed("application/grpc+proto", frame(0, &nested))),
        ("compressed gRPC", Sqli, typed("application/grpc", frame(1, &gzip(&nested)))),
        ("gRPC-Web", Sqli, typed("application/grpc-web", &web)),
        ("gRPC-Web+proto", Sqli, typed("application/grpc-web+proto", &web)),
        (
            "gRPC-Web trailers",
            Sqli,
            typed("application/grpc-web+proto", frame(0x80, format!("a: {SQLI}\r\n").as_bytes())),
        ),
        ("gRPC-Web text", Sqli, typed("application/grpc-web-text", STANDARD.encode(&web))),
        ("gRPC-Web text in pieces", Sqli, typed("application/grpc-web-text+proto", pieces)),
        ("msgpack", Sqli, typed("application/msgpack", &msgpack)),
        ("undeclared msgpack", Sqli, typed("application/octet-stream", &msgpack)),
        (
            "view state",
            Sqli,
            typed("application/x-www-form-urlencoded", format!("__VIEWSTATE={}", escape(&STANDARD.encode(state)))),
        ),
    ]);
}
