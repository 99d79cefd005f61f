//! Tables of messages with secrets in them, and the promise that none survives.

use super::masking_buffer::MAX_HEAD;
use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bumpalo::Bump;
use proptest::prelude::*;
use std::io::Write as _;
use weir_core::model::{Budget, Limits};
use weir_core::parse::extract::{ParseOptions, extract};
use weir_core::parse::message;

/// Masks a raw request with all of its body kept.
fn mask_raw(raw: &[u8], sensitive: &[&PointPattern]) -> (Vec<u8>, bool, u64) {
    let message = message::request(raw);
    let (head, body) = raw.split_at(raw.len() - message.body.len());
    let input = MaskInput { kind: MessageKind::Request, head, body, max_body: 64 << 10, sensitive, attacked: &[] };
    let masked = mask(&input);
    (masked.raw, masked.withheld, masked.bytes_cut)
}

fn text(raw: &str) -> String {
    String::from_utf8(mask_raw(raw.as_bytes(), &[]).0).unwrap()
}

fn post(media: &str, body: &str) -> String {
    format!("POST /x HTTP/1.1\r\nHost: a.example\r\nContent-Type: {media}\r\n\r\n{body}")
}

/// The masked body of a request with `body`.
fn body(media: &str, body: &str) -> String {
    let raw = text(&post(media, body));
    raw.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn heads_are_masked_in_place() {
    let got = text(
        "GET /a?q=<script>alert(1)</script>&api_key=k-123456&t%6Fken=s%65cret1 HTTP/1.1\r\nHost: a.example\r\n\
         Authorization: Bearer abcdefgh\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\nX-Api-Key: my key 77\r\n\
         Cookie: sid=abc; theme=\"dark;x\"\r\nCookie: b=2\r\nX-Note: card 4111 1111 1111 1111\r\nX-Trace: plain\r\n\r\n",
    );
    let want = "GET /a?q=<script>alert(1)</script>&api_key=********&t%6Fken=********* HTTP/1.1\r\nHost: a.example\r\n\
         Authorization: Bearer ********\r\nProxy-Authorization: Basic ************\r\nX-Api-Key: *********\r\n\
         Cookie: sid=***; theme=*****;**\r\nCookie: b=*\r\nX-Note: card *******************\r\nX-Trace: plain\r\n\r\n";
    assert_eq!(got, want);
}

#[test]
fn responses_are_masked_too() {
    let raw = b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=abc123; Path=/; HttpOnly\r\nContent-Type: application/json\r\n\r\n{\"access_token\":\"tok-123456\"}";
    let message = message::response(raw);
    let (head, body) = raw.split_at(raw.len() - message.body.len());
    let input = MaskInput { kind: MessageKind::Response, head, body, max_body: 1024, sensitive: &[], attacked: &[] };
    let masked = mask(&input);
    let want = "HTTP/1.1 200 OK\r\nSet-Cookie: sid=******; Path=/; HttpOnly\r\nContent-Type: application/json\r\n\r\n{\"access_token\":\"**********\"}";
    assert_eq!(String::from_utf8(masked.raw).unwrap(), want);
    assert!(!masked.withheld);
}

#[test]
fn bodies_are_masked_in_place_and_stay_readable() {
    let json = "application/json";
    for (media, given, want) in [
        (json, r#"{"user":"bob","password":"hunter2","n":1}"#, r#"{"user":"bob","password":"*******","n":1}"#),
        (
            json,
            r#"{"p\u0061ssword":"hu\"nt\u0065r2","q":"1 or 1=1"}"#,
            r#"{"p\u0061ssword":"**************","q":"1 or 1=1"}"#,
        ),
        (
            json,
            r#"{"card":{"number":4111111111111111,"cvv":123}}"#,
            r#"{"card":{"number":1111111111111111,"cvv":111}}"#,
        ),
        (json, r#"{"credentials":{"a":["x1","y"],"b":-2.5}}"#, r#"{"credentials":{"a":["**","*"],"b":-1.1}}"#),
        (json, r#"{"token":null,"secret":true,"a":"b"}"#, r#"{"token":null,"secret":true,"a":"b"}"#),
        ("text/plain", r#"{"password":"hunter2"}"#, r#"{"password":"*******"}"#),
        ("application/x-www-form-urlencoded", "a=1&passwd=h%20u&pin=1234", "a=1&passwd=*****&pin=****"),
        ("", "a=1&passwd=hunter2", "a=1&passwd=*******"),
        (
            "application/xml",
            "<r><password>hunter2</password><a token=\"t0k&amp;n\"/><b>x</b></r>",
            "<r><password>*******</password><a token=\"*********\"/><b>x</b></r>",
        ),
        ("application/xml", "<r><password>h&#117;nter2</password></r>", "<r><password>************</password></r>"),
        (
            json,
            r#"{"query":"mutation { login(password: \"hunter2\") { id } }"}"#,
            r#"{"query":"mutation { login(password: \"*******\") { id } }"}"#,
        ),
        (json, r#"{"a":"x y password=hunter2 z"}"#, r#"{"a":"x y password=******* z"}"#),
        ("application/x-www-form-urlencoded", "q=a%20token%3Dhunter2%20b", "q=a%20token%3D*******%20b"),
        (json, r#"{"a":"\u0070assword=hunter2 <script>"}"#, r#"{"a":"\u0070assword=******* <script>"}"#),
        (
            "text/plain",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0",
            "*********************************************",
        ),
    ] {
        assert_eq!(body(media, given), want, "{media}: {given}");
    }
}

#[test]
fn multipart_fields_are_masked() {
    let given = "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nhunter2\r\n--b\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\n<script>\r\n--b--\r\n";
    assert_eq!(body("multipart/form-data; boundary=b", given), given.replace("hunter2", "*******"));
}

#[test]
fn values_with_encoded_secrets_are_masked_whole() {
    let inner = STANDARD.encode(r#"{"user":"bob","password":"hunter2"}"#);
    let given = format!(r#"{{"a":"{inner}","q":"<script>"}}"#);
    let want = format!(r#"{{"a":"{}","q":"<script>"}}"#, "*".repeat(inner.len()));
    assert_eq!(body("application/json", &given), want);
    let number = STANDARD.encode(r#"{"user":"bob","pin":4711}"#);
    let got = text(&format!("GET /?a={number}&q=1 HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(got.starts_with(&format!("GET /?a={}&q=1 ", "*".repeat(number.len()))), "{got}");
    let harmless = STANDARD.encode("<script>alert(1)</script>");
    let given = format!(r#"{{"a":"{harmless}"}}"#);
    assert_eq!(body("application/json", &given), given);
}

#[test]
fn a_compressed_body_is_withheld_if_it_holds_a_secret() {
    for (content, withheld) in [("q=<script>&x=1", false), ("q=<script>&password=hunter2", true)] {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(content.as_bytes()).unwrap();
        let gzip = gzip.finish().unwrap();
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n";
        let raw = [head.as_bytes(), &gzip].concat();
        let (masked, was, bytes_cut) = mask_raw(&raw, &[]);
        assert_eq!((was, bytes_cut), (withheld, if withheld { gzip.len() as u64 } else { 0 }), "{content}");
        assert_eq!(masked, if withheld { head.as_bytes() } else { &raw });
    }
}

#[test]
fn points_of_rules_are_masked() {
    let pattern = |text: &str| serde_json::from_str::<PointPattern>(text).unwrap();
    for (rule, raw, want) in [
        (r#"[["path",1]]"#, "GET /users/4711/x?a=1 HTTP/1.1\r\n\r\n", "GET /users/****/x?a=1 HTTP/1.1\r\n\r\n"),
        (r#"[["get","name"]]"#, "GET /?name=J%6Fe&b=1 HTTP/1.1\r\n\r\n", "GET /?name=*****&b=1 HTTP/1.1\r\n\r\n"),
        (r#"[["header","X-User"]]"#, "GET / HTTP/1.1\r\nx-user: joe\r\n\r\n", "GET / HTTP/1.1\r\nx-user: ***\r\n\r\n"),
        (
            r#"[["post"],["json_doc"],["hash","u"],["array",1]]"#,
            "POST / HTTP/1.1\r\n\r\n{\"u\":[1,22,\"x\"]}",
            "POST / HTTP/1.1\r\n\r\n{\"u\":[1,11,\"x\"]}",
        ),
        (
            r#"[["post"],["xml"],["xml_tag","r"],["xml_tag","n"]]"#,
            "POST / HTTP/1.1\r\nContent-Type: text/xml\r\n\r\n<r><n>joe</n><m>x</m></r>",
            "POST / HTTP/1.1\r\nContent-Type: text/xml\r\n\r\n<r><n>***</n><m>x</m></r>",
        ),
        (
            r#"[["post"],["json_doc"],["hash","a"],["base64"],["json_doc"],["hash","u"]]"#,
            "POST / HTTP/1.1\r\n\r\n{\"a\":\"eyJ1Ijoiam9lIn0=\"}",
            "POST / HTTP/1.1\r\n\r\n{\"a\":\"****************\"}",
        ),
    ] {
        let rule = pattern(rule);
        let (masked, withheld, _) = mask_raw(raw.as_bytes(), &[&rule]);
        assert_eq!((String::from_utf8(masked).unwrap().as_str(), withheld), (want, false));
    }
}

#[test]
fn a_secret_is_masked_wherever_it_stands() {
    let raw = b"GET /hunter2x/a?password=hunter2x HTTP/1.1\r\nReferer: http://a/?x=HUNTER2X\r\n\r\n";
    let message = message::request(raw);
    let point: PointPath = serde_json::from_str(r#"[["get","a_hunter2x"]]"#).unwrap();
    let secret: PointPath = serde_json::from_str(r#"[["get","password"]]"#).unwrap();
    let input = MaskInput {
        kind: MessageKind::Request,
        head: raw,
        body: message.body,
        max_body: 0,
        sensitive: &[],
        attacked: &[&point],
    };
    let masked = mask(&input);
    assert!(!String::from_utf8_lossy(&masked.raw).to_lowercase().contains("hunter2"));
    assert_eq!(masked.text("/hunter2x/a"), "/********/a");
    assert_eq!(masked.fragment(&point, "nter2x' or 1=1"), "******' or 1=1");
    assert_eq!(masked.fragment(&secret, "anything"), "****");
    assert_eq!(masked.point(&point).to_string(), "[get,'a_********']");
}

#[test]
fn an_attack_does_not_hide_itself_behind_a_telling_name() {
    let raw = b"GET /?q=<script>alert(1)</script>&token=<script>alert(1)</script> HTTP/1.1\r\n\r\n";
    let attacked: PointPath = serde_json::from_str(r#"[["get","token"]]"#).unwrap();
    let input = MaskInput {
        kind: MessageKind::Request,
        head: raw,
        body: b"",
        max_body: 0,
        sensitive: &[],
        attacked: &[&attacked],
    };
    let raw = String::from_utf8(mask(&input).raw).unwrap();
    assert!(raw.starts_with("GET /?q=<script>alert(1)</script>&token=*********"), "{raw}");
}

#[test]
fn what_is_kept_is_bounded_and_no_half_secret_is() {
    let long = format!("GET /?a={} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
    let (masked, ..) = mask_raw(long.as_bytes(), &[]);
    assert!(masked.len() <= MAX_HEAD + 4);
    let given = format!("{}&note=4111 1111 1111 1111", "x".repeat(100));
    let raw = post("text/plain", &given);
    let (head, body) = raw.as_bytes().split_at(raw.len() - given.len());
    for max_body in 90..130 {
        let input = MaskInput { kind: MessageKind::Request, head, body, max_body, sensitive: &[], attacked: &[] };
        let masked = mask(&input);
        assert_eq!(masked.raw.len() - head.len(), max_body.min(body.len()));
        assert_eq!(masked.bytes_cut as usize, body.len().saturating_sub(max_body));
        assert!(!masked.raw.contains(&b'4'), "{max_body}");
    }
}

/// Bodies that try to make this code slow, or to leave secrets unmasked.
#[test]
fn hostile_bodies_are_bounded() {
    let many = (0..4000).map(|n| format!("a%{:02x}=%41", 0x41 + n % 20)).collect::<Vec<_>>().join("&");
    let nested = (0..12).fold(r#"{"password":"hunter2"}"#.to_owned(), |inner, _| STANDARD.encode(inner));
    let secrets = (0..1500).map(|n| format!("p%61ss=%73ecret{n}")).collect::<Vec<_>>().join("&");
    let deep = format!("{}\"password\":\"hunter2\"", "{\"a\":".repeat(3000));
    for given in [many, nested, secrets, deep, "[".repeat(16_000), "<a>".repeat(5000), "\\u0070assword=".repeat(1000)] {
        for media in ["application/json", "application/x-www-form-urlencoded", "text/plain"] {
            let (masked, ..) = mask_raw(post(media, &given).as_bytes(), &[]);
            assert!(!String::from_utf8_lossy(&masked).contains("hunter2"));
        }
    }
}

/// Ways to write a secret into a message.
fn place(way: usize, secret: &str) -> String {
    let percent: String = secret.bytes().map(|b| format!("%{b:02X}")).collect();
    let json = serde_json::to_string(secret).unwrap();
    let unicode: String = secret.chars().map(|c| format!("\\u{:04x}", c as u32)).collect();
    let xml = secret.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let base64 = |text: String| STANDARD.encode(text);
    let part = |name: &str, text: &str| {
        format!("--bb\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n--bb--\r\n")
    };
    match way {
        0 => format!("GET /?q=1&password={percent} HTTP/1.1\r\nHost: a\r\n\r\n"),
        1 => format!("GET /a HTTP/1.1\r\nHost: a\r\nX-Auth-Token: {percent}\r\nCookie: a={percent}; b=1\r\n\r\n"),
        2 => post("application/json", &format!(r#"{{"a":[1,{{"client_secret":{json}}}]}}"#)),
        3 => post("application/json", &format!(r#"{{"secret":"{unicode}"}}"#)),
        4 => post("application/xml", &format!("<a><b password=\"{xml}\">x</b></a>")),
        5 => post("application/xml", &format!("<a><x:passwd z='1'>{xml}</x:passwd></a>")),
        6 => post("multipart/form-data; boundary=bb", &part("access_token", secret)),
        7 => post(
            "application/x-www-form-urlencoded",
            &format!("x={}", base64(format!(r#"{{"pwd":{json}}}"#)).replace('+', "%2B")),
        ),
        8 => post(
            "application/json",
            &format!(r#"{{"x":{}}}"#, serde_json::to_string(&format!(r#"{{"api_key":{json}}}"#)).unwrap()),
        ),
        9 => post(
            "application/json",
            &format!(r#"{{"x":"{}"}}"#, base64(format!("a=1&b={}", base64(format!(r#"{{"ssn":{json}}}"#))))),
        ),
        10 => post("multipart/form-data; boundary=bb", &part("data", &format!(r#"{{"token":{json}}}"#))),
        11 => post("text/plain", &base64(format!(r#"{{"password":{json}}}"#))),
        12 => format!(
            "GET /?x={} HTTP/1.1\r\nHost: a\r\n\r\n",
            base64(format!(r#"{{"password":{json}}}"#)).replace('+', "%2B")
        ),
        _ => post("application/json", &format!(r#"{{"password":{json},"log":{json}}}"#)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// However a secret is written, neither it nor any encoding of it that an inspection would undo survives.
    #[test]
    fn no_secret_survives(way in 0usize..14, secret in "[A-Za-z0-9$&<>%+\"\\\\/]{6,24}[0-9][A-Z]") {
        let raw = place(way, &secret);
        let (masked, ..) = mask_raw(raw.as_bytes(), &[]);
        let shown = String::from_utf8_lossy(&masked).into_owned();
        prop_assert!(!shown.contains(&secret), "{}: {}", way, shown);
        let message = message::request(&masked);
        let bump = Bump::new();
        let limits = Limits::default();
        let budget = Budget::new(limits.work, &|| false);
        let extracted = extract(&message, &ParseOptions::default(), &limits, &budget, &bump);
        for value in &extracted.values {
            prop_assert!(memchr::memmem::find(value.bytes, secret.as_bytes()).is_none(), "{}: {}", way, shown);
        }
    }

    #[test]
    fn any_bytes_are_fine(head in proptest::collection::vec(any::<u8>(), 0..300), body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let input = MaskInput { kind: MessageKind::Request, head: &head, body: &body, max_body: 100, sensitive: &[], attacked: &[] };
        let masked = mask(&input);
        prop_assert!(masked.raw.len() <= head.len() + 100);
        let kept = masked.raw.len() - head.len();
        prop_assert_eq!(masked.bytes_cut as usize + kept, body.len());
    }
}
