//! What passes as JSON passes in the other forms in which clients send the same document: compressed, as CBOR, in UTF-16.

use serde_json::{Value, json};
use std::io::Write as _;
use std::sync::OnceLock;
use weir_core::engine::{InspectionOptions, Scratch, inspect};
use weir_core::model::Inspection;
use weir_core::parse::message;
use weir_core::ruleset::{Ruleset, builtin, compile};

/// Manifests and notes whose fields hold commands, addresses and markup, as such documents do.
fn documents() -> Vec<Value> {
    let command = |name: &str, text: &str| {
        json!({"kind": "Job", "name": name, "spec": {"containers": [{"name": name, "command": ["sh", "-c"],
            "args": [text], "env": [{"name": "HOME", "value": "/root"}]}], "restart": false, "retries": 3}})
    };
    let mut all = vec![
        command("collect", "mkdir -p /tmp/out && date > /tmp/out/started && ls -l /tmp/out"),
        command("report", "grep -c error app.log | sort | uniq -c"),
        json!({"title": "Links", "items": [{"href": "https://shop.example/a?b=c&d=e", "text": "Ham & eggs (50 %)"}]}),
        json!({"title": "Notes", "body": "First line\nsecond line; third\n\n    echo done\n\nMore words follow.\n"}),
    ];
    for n in 0..60 {
        all.push(json!({"id": n, "at": format!("2026-03-{:02}", 1 + n % 28), "price": f64::from(n) * 1.17,
            "tags": ["new", "sale"], "path": format!("/img/{n}.png"), "note": "about 10 % & more; see (1) or [2]".repeat(n as usize % 7)}));
    }
    all
}

fn cbor_head(major: u8, n: usize, out: &mut Vec<u8>) {
    match n {
        0..=23 => out.push(major << 5 | n as u8),
        24..=255 => out.extend([major << 5 | 24, n as u8]),
        _ => out.extend([major << 5 | 25, (n >> 8) as u8, n as u8]),
    }
}

fn cbor(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0xf6),
        Value::Bool(yes) => out.push(0xf4 + u8::from(*yes)),
        Value::Number(n) => match n.as_u64() {
            Some(n) => cbor_head(0, n as usize, out),
            None => {
                out.push(0xfb);
                out.extend(n.as_f64().expect("a number").to_be_bytes());
            }
        },
        Value::String(text) => {
            cbor_head(3, text.len(), out);
            out.extend(text.as_bytes());
        }
        Value::Array(items) => {
            cbor_head(4, items.len(), out);
            items.iter().for_each(|item| cbor(item, out));
        }
        Value::Object(members) => {
            cbor_head(5, members.len(), out);
            for (name, member) in members {
                cbor(&Value::String(name.clone()), out);
                cbor(member, out);
            }
        }
    }
}

fn as_cbor(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    cbor(value, &mut out);
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

fn sent(headers: &str, body: &[u8]) -> Inspection {
    static RULES: OnceLock<Ruleset> = OnceLock::new();
    let rules =
        RULES.get_or_init(|| compile::compile(&builtin::files()).unwrap_or_else(|errors| panic!("{}", errors[0])));
    let head = format!("POST /api HTTP/1.1\r\nHost: a.example\r\n{headers}\r\n\r\n");
    let raw = [head.as_bytes(), body].concat();
    inspect(&message::request(&raw), rules, &InspectionOptions::default(), &mut Scratch::default(), &|| false)
}

const JSON: &str = "Content-Type: application/json";

#[test]
fn what_passes_as_json_passes_in_every_form() {
    for document in documents() {
        let text = document.to_string();
        let forms: [(&str, &str, Vec<u8>); 5] = [
            ("plain", JSON, text.clone().into_bytes()),
            ("gzip", "Content-Type: application/json\r\nContent-Encoding: gzip", gzip(text.as_bytes())),
            ("zlib", "Content-Type: application/json\r\nContent-Encoding: deflate", zlib(text.as_bytes())),
            ("cbor", "Content-Type: application/cbor", as_cbor(&document)),
            ("utf-16", "Content-Type: application/json; charset=utf-16", utf16(&text)),
        ];
        for (name, headers, body) in forms {
            let found = sent(headers, &body);
            assert!(found.attacks().is_empty(), "{name}: {text}: {:?}", found.findings);
            assert!(found.not_inspected.is_empty(), "{name}: {text}: {:?}", found.not_inspected);
        }
    }
}

#[test]
fn an_attack_is_found_in_every_form() {
    for attack in ["1' union select password from users-- ", "<script>alert(1)</script>", ";cat /etc/passwd"] {
        let document = json!({"id": 7, "name": attack, "list": ["a", "b"]});
        let text = document.to_string();
        for (headers, body) in [
            ("Content-Type: application/json\r\nContent-Encoding: gzip", gzip(text.as_bytes())),
            ("Content-Type: application/cbor", as_cbor(&document)),
            ("Content-Type: application/json; charset=utf-16", utf16(&text)),
        ] {
            assert!(!sent(headers, &body).attacks().is_empty(), "{headers}: {attack}");
        }
    }
}

/// A receiver that reads the body as text sees the letters that say how long the texts are, too.
#[test]
fn an_attack_over_several_texts_is_found() {
    let texts = ["<scri", "t>alert(document.", "ookie)</script>"];
    let body = [&[0x9f, 0x65][..], texts[0].as_bytes(), b"p", texts[1].as_bytes()].concat();
    // `p` says that 16 bytes follow.
    let body = [&body[..8 + 16], b"c", &[b'o'; 3], texts[2].as_bytes(), &[0xff]].concat();
    assert!(!sent("Content-Type: application/cbor", &body).attacks().is_empty());
}
