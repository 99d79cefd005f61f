//! Block pages: a rule made by the API of the control plane reaches the node, and its reply the blocked client.

use crate::WEIR;
use serde_json::{Value, json};
use std::io::{BufReader, Write};
use std::net::TcpStream;
use weir_testkit::control_plane::ControlPlane;
use weir_testkit::eventually;
use weir_testkit::http::read;
use weir_testkit::node::call;

/// The answer of the node to an attack on `host` by a client that accepts `accept`.
fn blocked(both: &ControlPlane, host: &str, accept: &str) -> Value {
    let mut stream = TcpStream::connect(both.node.unwrap()).unwrap();
    let attack = format!("GET /etc/passwd HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(&call("/v1/requests", &[], attack.as_bytes())).unwrap();
    let answer = read(&mut BufReader::new(stream)).unwrap();
    assert_eq!(answer.header("inspector-verdict"), Some("block"), "{answer:?}");
    answer.json()["reply"].clone()
}

fn header<'r>(reply: &'r Value, name: &str) -> Option<&'r str> {
    let all = reply["headers"].as_array().unwrap();
    all.iter().find(|field| field[0] == name).and_then(|field| field[1].as_str())
}

#[test]
fn a_block_page_made_by_the_api_reaches_blocked_clients() {
    let both = WEIR.all_in_one(&[]);
    let browser = both.login();
    let default = json!("{\"error\": {\"code\": 403, \"message\": \"request blocked\"}}");
    assert_eq!(blocked(&both, "shop.example", "text/html")["body"], default);
    let rule = |status: u16| {
        json!({"rule": {"type": "block_reply", "status": status, "headers": {"Retry-After": "60"},
            "body_html": "<h1>${host}</h1><p>${request_id}", "body_json": "{\"id\": \"${request_id}\"}",
            "action": [{"type": "equal", "point": ["header", "HOST"], "value": "shop.example"}]}})
    };
    let refused = browser.send("POST", "/api/v1/rules", &rule(200));
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.json().to_string().contains("a status from 400 to 599"), "{refused:?}");
    let made = browser.send("POST", "/api/v1/rules", &rule(451));
    assert_eq!(made.status, 201, "{made:?}");
    let html = eventually("the page of the rule", || {
        Some(blocked(&both, "shop.example", "text/html")).filter(|reply| reply["status"] == 451)
    });
    let body = html["body"].as_str().unwrap();
    assert!(body.starts_with("<h1>shop.example</h1><p>") && body.len() > 25, "{html}");
    assert_eq!(header(&html, "content-type"), Some("text/html; charset=utf-8"));
    assert_eq!((header(&html, "retry-after"), header(&html, "cache-control")), (Some("60"), Some("no-store")));
    assert!(header(&html, "content-security-policy").is_some_and(|csp| csp.contains("default-src 'none'")));
    let json = blocked(&both, "shop.example", "*/*");
    assert_eq!(header(&json, "content-type"), Some("application/json"));
    assert!(json["body"].as_str().unwrap().starts_with("{\"id\": \""), "{json}");
    assert_eq!(blocked(&both, "other.example", "text/html")["body"], default, "the rule is for one host");
    let exported = browser.get("/api/v1/policy/export");
    let text = String::from_utf8(exported.body).unwrap();
    assert!(text.contains("block_reply") && text.contains("body_html"), "{text}");
}
