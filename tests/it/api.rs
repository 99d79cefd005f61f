use crate::WEIR;
use base64::Engine as _;
use weir_testkit::{Response, until};

const ATTACK: &[u8] = b"GET /etc/passwd HTTP/1.1\r\nHost: example.com\r\n\r\n";
const BENIGN: &[u8] = b"GET /products?id=7 HTTP/1.1\r\nHost: example.com\r\n\r\n";
const REPLY: &str = r#"{"error": {"code": 403, "message": "request blocked"}}"#;

#[test]
fn an_attack_is_blocked_with_the_exact_reply_and_a_benign_request_passes() {
    let node = WEIR.node(&[]);
    let blocked = node.inspect(ATTACK);
    assert_eq!((blocked.status, blocked.header("inspector-verdict")), (200, Some("block")));
    let json = blocked.json();
    assert_eq!(json["reply"]["body"], REPLY);
    assert_eq!(json["reply"]["status"], 403);
    assert_eq!(json["request_id"], "test-1");
    assert_eq!(json["attacks"][0]["type"], "ptrav");
    let passed = node.inspect(BENIGN);
    assert_eq!((passed.status, passed.header("inspector-verdict")), (204, Some("pass")), "{passed:?}");
    assert!(passed.body.is_empty() && passed.header("inspector-context").is_some());
}

type Written<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a [u8]);

/// Requests that can be written in both forms: method, target, headers (code points stand for bytes), body.
const BOTH_FORMS: &[Written<'_>] = &[
    ("GET", "/etc/passwd", &[], b""),
    ("GET", "/products?id=7", &[], b""),
    ("POST", "/files", &[("Content-Type", "application/json")], br#"{"file":"../../../../etc/passwd"}"#),
    ("POST", "/f", &[("Content-Type", "application/x-www-form-urlencoded")], b"q=1%27+UNION+SELECT+a%2Cb+FROM+users--"),
    ("GET", "/?id=1' UNION SELECT password FROM users--", &[], b""),
    ("GET", "/a", &[("X-A", "1"), ("x-a", "<script>alert(1)</script>"), ("X-A", "\u{e9}\u{ff}")], b""),
    ("GET", "/a", &[("Cookie", "a=b; c=../../../etc/passwd")], b""),
    ("GET", "/a", &[("Transfer-Encoding", "chunked"), ("Content-Length", "3")], b"abc"),
    ("GET", "/a", &[("Host", "other")], b""),
    (
        "POST",
        "/m",
        &[("Content-Type", "multipart/form-data; boundary=b")],
        b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n$(cat /etc/shadow)\r\n--b--\r\n",
    ),
    ("P\u{1}ST", "/%zz", &[("A ", "b")], b"\x00\xff"),
];

#[test]
fn both_forms_give_the_same_verdict() {
    let node = WEIR.node(&[]);
    let latin = |text: &str| text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect::<Vec<u8>>();
    let mut blocked = 0;
    for (method, target, headers, body) in BOTH_FORMS {
        let mut all = vec![("Host", "example.com")];
        all.extend(headers.iter());
        let mut raw = latin(&format!("{method} {target} HTTP/1.1\r\n"));
        all.iter().for_each(|(name, value)| raw.extend(latin(&format!("{name}: {value}\r\n"))));
        raw.extend_from_slice(b"\r\n");
        raw.extend_from_slice(body);
        let body = base64::engine::general_purpose::STANDARD.encode(body);
        let envelope = serde_json::json!({"request": {"method": method, "target": target, "protocol": "HTTP/1.1",
            "headers": all, "body_base64": body}});
        let json = [("Content-Type", "application/json")];
        let (one, other) = (node.inspect(&raw), node.call("/v1/requests", &json, envelope.to_string().as_bytes()));
        let seen = |answer: &Response| (answer.status, answer.header("inspector-attack").map(str::to_owned));
        assert_eq!((seen(&one), &one.body), (seen(&other), &other.body), "{method} {target}");
        blocked += usize::from(one.status == 200);
    }
    assert!(blocked >= 7 && blocked < BOTH_FORMS.len(), "{blocked}");
}

#[test]
fn monitoring_passes_and_tells_the_attack() {
    let node = WEIR.node(&["route_config.wallarm_mode=monitoring"]);
    let answer = node.inspect(ATTACK);
    assert_eq!((answer.status, answer.header("inspector-attack")), (204, Some("ptrav")));
}

#[test]
fn copies_are_accepted_with_a_context_and_the_response_leg_stands_alone() {
    let node = WEIR.node(&[]);
    let json = br#"{"request":{"method":"GET","target":"/etc/passwd","headers":[["Host","example.com"]]}}"#;
    let copies: [(&str, &[u8]); 2] = [("message/http", ATTACK), ("application/json", json)];
    for (number, (kind, body)) in copies.into_iter().enumerate() {
        let copy = node.call("/v1/requests", &[("Inspector-Blocking", "false"), ("Content-Type", kind)], body);
        assert_eq!((copy.status, copy.header("inspector-verdict")), (202, Some("accepted")));
        let context = copy.header("inspector-context").expect("a context").to_owned();
        let headers = [("Inspector-Context", context.as_str()), ("Content-Type", "message/http; msgtype=response")];
        let answer = node.call("/v1/responses", &headers, b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello");
        assert_eq!((answer.status, answer.header("inspector-verdict")), (204, Some("pass")), "{answer:?}");
        assert_eq!(node.metric("http_inspector_contexts_total{state=\"valid\"}"), (number + 1) as f64);
    }
}

#[test]
fn many_copies_of_responses_are_taken_one_by_one() {
    let node = WEIR.node(&["connector.auth.keys=0123456789abcdef"]);
    let leaking = "HTTP/1.1 500 x\r\n\r\nTraceback (most recent call last):";
    let copy = |id: &str, response: &str| {
        format!(
            "POST /v1/responses HTTP/1.1\r\nInspector-Request-Id: {id}\r\nInspector-Client: 203.0.113.9\r\n\
             Content-Length: {}\r\n\r\n{response}",
            response.len()
        )
    };
    let key = ("Authorization", "Bearer 0123456789abcdef");
    let ask = |headers: &[(&str, &str)], body: &str| {
        let kind = ("Content-Type", "application/http; msgtype=request");
        node.call("/v1/responses", &[&[kind], headers].concat(), body.as_bytes())
    };
    let body = [copy("r-1", leaking), copy("not an id", "HTTP/1.1 200 OK\r\n\r\n"), copy("r-3", leaking)].concat();
    let answer = ask(&[key], &body);
    assert_eq!((answer.status, answer.header("inspector-verdict")), (202, Some("accepted")), "{answer:?}");
    let results = serde_json::json!([{"status": 202}, {"status": 400, "problem": "bad-header"}, {"status": 202}]);
    assert_eq!(answer.json()["results"], results);
    assert_eq!(node.metric("http_connector_messages_seen_total{type=\"response\"}"), 3.0);
    let judged = || node.metric("http_inspector_contexts_total{state=\"missing\"}");
    until("the copies are judged", || judged() == 2.0);
    assert_eq!(ask(&[], &body).status, 401);
    let answer = ask(&[key], &body[..body.len() - 1]);
    assert_eq!((answer.status, answer.json()["type"].as_str()), (400, Some("urn:weir:problem:bad-batch")));
    // Requests are never taken together.
    let answer = node.call("/v1/requests", &[key, ("Content-Type", "application/http")], body.as_bytes());
    assert_eq!((answer.status, answer.json()["type"].as_str()), (400, Some("urn:weir:problem:content-type")));
}

#[test]
fn malformed_copies_are_refused_and_not_accepted() {
    let node = WEIR.node(&["connector.allowed_hosts=*.example.com,example.com"]);
    let blocking = ("Inspector-Blocking", "false");
    let large = format!("{{\"request\":{{\"method\":\"GET\",\"target\":\"/{}\"}}}}", "x".repeat(100_000));
    for json in ["{", "{}", r#"{"request":{"method":"GET","target":"/","headers":[],"body_base64":"!"}}"#, &large] {
        let answer = node.call("/v1/requests", &[blocking, ("Content-Type", "application/json")], json.as_bytes());
        assert_eq!((answer.status, answer.header("inspector-verdict")), (400, None));
    }
    let answer = node.call("/v1/requests", &[blocking], b"GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
    assert_eq!((answer.status, answer.header("inspector-verdict")), (403, None));
}

#[test]
fn coverage_is_shown_by_route_and_reason() {
    let node = WEIR.node(&[]);
    let report = |requests: u32| {
        let json = serde_json::json!({"instance": "gw-1", "worker": 0, "connector": "kong-lua/1.0.0", "node": "n:5000",
            "breaker": "closed", "coverage": [{"route": "shop", "inspected": "partial", "reason": "prefix",
            "requests": requests, "bytes_inspected": 100, "bytes_uninspected": 7}],
            "dropped": [{"leg": "response", "reason": "queue_full", "count": 2}]});
        node.call("/v1/coverage", &[("Content-Type", "application/json")], json.to_string().as_bytes())
    };
    assert_eq!((report(3).status, report(5).status), (204, 204));
    let of = "{route=\"shop\",inspected=\"partial\",reason=\"prefix\"}";
    assert_eq!(node.metric(&format!("coverage_requests_total{of}")), 5.0);
    assert_eq!(node.metric(&format!("coverage_bytes_uninspected_total{of}")), 7.0);
    assert_eq!(node.metric("coverage_dropped_total{leg=\"response\",reason=\"queue_full\"}"), 2.0);
    assert_eq!(node.metric("coverage_breakers{state=\"closed\"}"), 1.0);
}

#[test]
fn refusals_are_problems_without_a_verdict() {
    let node = WEIR.node(&["connector.max_call_bytes=64KiB", "connector.allowed_hosts=*.example.com,example.com"]);
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
    let node = WEIR.node(&["connector.auth.keys=0123456789abcdef-new,0123456789abcdef-old"]);
    for (value, status) in
        [("Bearer 0123456789abcdef-new", 204), ("Bearer 0123456789abcdef-old", 204), ("Bearer wrong", 401), ("", 401)]
    {
        assert_eq!(node.call("/v1/requests", &[("Authorization", value)], BENIGN).status, status, "{value}");
    }
}
