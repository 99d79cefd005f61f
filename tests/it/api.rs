use crate::node::Node;
use base64::Engine as _;

const ATTACK: &[u8] = b"GET /etc/passwd HTTP/1.1\r\nHost: example.com\r\n\r\n";
const BENIGN: &[u8] = b"GET /products?id=7 HTTP/1.1\r\nHost: example.com\r\n\r\n";
const REPLY: &str = r#"{"error": {"code": 403, "message": "request blocked"}}"#;

#[test]
fn an_attack_is_blocked_with_the_exact_reply_and_a_benign_request_passes() {
    let node = Node::start(&[]);
    let blocked = node.judge(ATTACK);
    assert_eq!((blocked.status, blocked.header("inspector-verdict")), (200, Some("block")));
    let json = blocked.json();
    assert_eq!(json["reply"]["body"], REPLY);
    assert_eq!(json["reply"]["status"], 403);
    assert_eq!(json["request_id"], "test-1");
    assert_eq!(json["attacks"][0]["type"], "ptrav");
    let passed = node.judge(BENIGN);
    assert_eq!((passed.status, passed.header("inspector-verdict")), (204, Some("pass")), "{passed:?}");
    assert!(passed.body.is_empty() && passed.header("inspector-context").is_some());
}

#[test]
fn both_forms_give_the_same_verdict() {
    let node = Node::start(&[]);
    let body = base64::engine::general_purpose::STANDARD.encode(r#"{"file":"../../../../etc/passwd"}"#);
    for (target, body) in [("/etc/passwd", ""), ("/products?id=7", ""), ("/files", body.as_str())] {
        let decoded = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
        let raw = [
            format!("POST {target} HTTP/1.1\r\nHost: example.com\r\nContent-Type: application/json\r\n\r\n").as_bytes(),
            &decoded,
        ]
        .concat();
        let envelope = serde_json::json!({"request": {"method": "POST", "target": target, "protocol": "HTTP/1.1",
            "headers": [["Host", "example.com"], ["Content-Type", "application/json"]], "body_base64": body}});
        let json = [("Content-Type", "application/json")];
        let (one, other) = (node.judge(&raw), node.call("/v1/requests", &json, envelope.to_string().as_bytes()));
        assert_eq!((one.status, &one.body), (other.status, &other.body), "{target}");
    }
}

#[test]
fn monitoring_passes_and_tells_the_attack() {
    let node = Node::start(&["route_config.wallarm_mode=monitoring"]);
    let answer = node.judge(ATTACK);
    assert_eq!((answer.status, answer.header("inspector-attack")), (204, Some("ptrav")));
}

#[test]
fn copies_are_accepted_and_the_response_leg_stands_alone() {
    let node = Node::start(&[]);
    let copy = node.call("/v1/requests", &[("Inspector-Blocking", "false")], ATTACK);
    assert_eq!((copy.status, copy.header("inspector-verdict")), (202, Some("accepted")));
    let context = node.judge(BENIGN).header("inspector-context").unwrap().to_owned();
    let headers = [("Inspector-Context", context.as_str()), ("Content-Type", "message/http; msgtype=response")];
    let answer = node.call("/v1/responses", &headers, b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello");
    assert_eq!((answer.status, answer.header("inspector-verdict")), (204, Some("pass")), "{answer:?}");
}

#[test]
fn refusals_are_problems_without_a_verdict() {
    let node = Node::start(&["connector.max_call_bytes=64KiB", "connector.allowed_hosts=*.example.com,example.com"]);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(node.call("/v1/requests", &[("traceparent", trace)], BENIGN).header("traceparent"), Some(trace));
    let big = vec![b'x'; 70_000];
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], u16, &'a str);
    let cases: &[Case<'_>] = &[
        ("/v1/requests", &[("Inspector-Client", "")], BENIGN, 400, "missing-header"),
        ("/v1/requests", &[("Inspector-Request-Id", "a b")], BENIGN, 400, "bad-header"),
        ("/v1/requests", &[("Content-Type", "text/plain")], BENIGN, 400, "content-type"),
        ("/v1/requests", &[("Content-Type", "application/json")], b"{", 400, "bad-json"),
        ("/v1/requests", &[], &big, 413, "too-large"),
        ("/v1/requests", &[], b"GET / HTTP/1.1\r\nHost: other.test\r\n\r\n", 403, "host"),
        ("/v1/coverage", &[], b"{}", 400, "bad-json"),
        ("/v2", &[], b"", 404, "not-found"),
        ("/openapi.json", &[], b"", 405, "method"),
    ];
    for (path, headers, body, status, code) in cases {
        let answer = node.call(path, headers, body);
        assert_eq!((answer.status, answer.header("inspector-verdict")), (*status, None), "{code}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.json()["type"], format!("urn:weir:problem:{code}"));
        assert_eq!(answer.json()["status"], *status);
    }
}

#[test]
fn keys_are_asked_for_and_two_are_valid() {
    let node = Node::start(&["connector.auth.keys=0123456789abcdef-new,0123456789abcdef-old"]);
    for (value, status) in
        [("Bearer 0123456789abcdef-new", 204), ("Bearer 0123456789abcdef-old", 204), ("Bearer wrong", 401), ("", 401)]
    {
        assert_eq!(node.call("/v1/requests", &[("Authorization", value)], BENIGN).status, status, "{value}");
    }
}
