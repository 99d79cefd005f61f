use crate::WEIR;
use std::collections::BTreeSet;
use weir_node::http_inspector::call::headers_read;
use weir_node::http_inspector::coverage::{DIRECTIONS, REASONS};
use weir_node::http_inspector::service::ROUTES;
use weir_testkit::Response;

#[test]
fn the_description_is_served_and_names_every_route_and_no_other() {
    let served: serde_json::Value = serde_json::from_slice(&weir::app::openapi()).unwrap();
    let mut described: Vec<(String, String)> = Vec::new();
    for (path, item) in served["paths"].as_object().unwrap() {
        described.extend(item.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())));
    }
    let mut known: Vec<_> = ROUTES.iter().map(|(method, path)| (method.to_string(), path.to_string())).collect();
    described.sort();
    known.sort();
    assert_eq!(described, known);
}

#[test]
fn every_required_header_is_asked_for_and_every_described_one_is_read() {
    let described: serde_json::Value = serde_json::from_slice(&weir::app::openapi()).unwrap();
    let parameters = |path: &str| described["paths"][path]["post"]["parameters"].as_array().unwrap().clone();
    let all = [parameters("/v1/requests"), parameters("/v1/responses")].concat();
    let names: BTreeSet<&str> = all.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
    // The media type is described with the bodies that it is of.
    let read: BTreeSet<&str> = headers_read().filter(|name| *name != "Content-Type").collect();
    assert_eq!(names, read);
    let node = WEIR.node(&[]);
    let mut required = 0;
    for parameter in parameters("/v1/requests") {
        let name = parameter["name"].as_str().unwrap();
        if parameter["required"] == true {
            required += 1;
            let answer = node.call("/v1/requests", &[(name, "")], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(answer.status, 400, "{name}");
        }
    }
    assert_eq!(required, 3);
}

#[test]
fn every_status_of_a_refusal_is_described() {
    use std::time::Duration;
    use weir_node::http_inspector::api_error::{ApiError, ShedReason};
    let described: serde_json::Value = serde_json::from_slice(&weir::app::openapi()).unwrap();
    let errors = [
        ApiError::ContentType,
        ApiError::MissingHeader("a"),
        ApiError::BadHeader("a", "b"),
        ApiError::BadJson(String::new()),
        ApiError::BadBatch("a"),
        ApiError::BodyBroken,
        ApiError::BodyTimeout,
        ApiError::Unauthenticated,
        ApiError::Network,
        ApiError::Host,
        ApiError::Method("POST"),
        ApiError::TooLarge(1),
        ApiError::Overloaded(ShedReason::Queue, Duration::from_secs(1)),
        ApiError::Internal,
    ];
    for error in errors {
        for path in ["/v1/requests", "/v1/responses"] {
            let status = error.status().as_u16().to_string();
            let answers = &described["paths"][path]["post"]["responses"];
            assert!(answers[&status]["content"]["application/problem+json"].is_object(), "{path} {status}");
        }
    }
}

const RESPONSE: (&str, &str) = ("Content-Type", "message/http; msgtype=response");

/// Headers of HTTP itself, which a description need not tell.
const PLAIN: &[&str] = &["content-type", "content-length", "date", "connection"];

fn described() -> serde_json::Value {
    serde_json::from_slice(&weir::app::openapi()).unwrap()
}

#[test]
fn answers_carry_the_described_headers_and_no_other() {
    let node = WEIR.node(&["connector.auth.keys=0123456789abcdef", "connector.max_call_bytes=64KiB"]);
    let monitoring = WEIR.node(&["route_config.wallarm_mode=monitoring"]);
    let described = described();
    let key = ("Authorization", "Bearer 0123456789abcdef");
    let trace = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let attack = b"GET /etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n";
    let ask = |headers: &[(&str, &str)], body: &[u8]| node.call("/v1/requests", headers, body);
    let answers = [
        (204, ask(&[key, trace], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")),
        (200, ask(&[key, trace], attack)),
        (202, ask(&[key, trace, ("Inspector-Blocking", "false")], attack)),
        (204, monitoring.call("/v1/requests", &[trace], attack)),
        (400, ask(&[key, ("Inspector-Client", "")], attack)),
        (401, ask(&[], attack)),
        (413, ask(&[key], &[b'x'; 70_000])),
    ];
    for (status, answer) in &answers {
        assert_eq!(answer.status, *status, "{answer:?}");
        let text = status.to_string();
        let wanted = &described["paths"]["/v1/requests"]["post"]["responses"][&text]["headers"];
        let empty = serde_json::Map::new();
        let wanted = wanted.as_object().unwrap_or(&empty);
        for (name, _) in answer.headers.iter().filter(|(name, _)| !PLAIN.contains(&name.as_str())) {
            assert!(wanted.keys().any(|known| known.eq_ignore_ascii_case(name)), "{status} has {name}: undescribed");
        }
        for (name, about) in wanted {
            let there = answer.header(&name.to_ascii_lowercase()).is_some();
            assert!(there || about["required"] != true, "{status} lacks {name}");
        }
    }
    let has = |answer: &Response, name: &str| answer.header(name).is_some();
    assert!(has(&answers[0].1, "traceparent") && has(&answers[2].1, "inspector-context"));
    for (number, there) in [(0, true), (1, false), (2, true), (3, true)] {
        assert_eq!(has(&answers[number].1, "inspector-response"), there, "{number}");
    }
    assert!(has(&answers[3].1, "inspector-attack") && !has(&answers[0].1, "inspector-attack"));
    let answer = node.call("/openapi.json", &[], b"");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
}

#[test]
fn answers_name_the_call_to_which_they_belong() {
    let node = WEIR.node(&["connector.auth.keys=0123456789abcdef"]);
    let (id, key) = (("Inspector-Call-Id", "Ab-9_"), ("Authorization", "Bearer 0123456789abcdef"));
    let (request, response) = (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n");
    let copy = b"POST /v1/responses HTTP/1.1\r\nInspector-Request-Id: a\r\nInspector-Call-Id: own\r\n\
        Inspector-Client: 203.0.113.9\r\nContent-Length: 19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    let report = br#"{"instance":"i","connector":"kong-lua/1.0.0"}"#;
    let answers = [
        (204, node.call("/v1/requests", &[id, key], request)),
        (200, node.call("/v1/requests", &[id, key], b"GET /etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n")),
        (202, node.call("/v1/requests", &[id, key, ("Inspector-Blocking", "false")], request)),
        (401, node.call("/v1/requests", &[id], request)),
        (400, node.call("/v1/requests", &[id, key, ("Inspector-Client", "")], request)),
        (204, node.call("/v1/responses", &[id, key, RESPONSE], response)),
        (202, node.call("/v1/responses", &[id, key, ("Content-Type", "application/http")], copy)),
        (204, node.call("/v1/coverage", &[id, key], report)),
    ];
    for (number, (status, answer)) in answers.iter().enumerate() {
        assert_eq!(
            (answer.status, answer.header("inspector-call-id")),
            (*status, Some("Ab-9_")),
            "{number}: {answer:?}"
        );
    }
    let unnamed = node.call("/v1/requests", &[key], request);
    assert_eq!((unnamed.status, unnamed.header("inspector-call-id")), (204, None));
    let bad = node.call("/v1/requests", &[key, ("Inspector-Call-Id", "a b")], request);
    assert_eq!((bad.status, bad.header("inspector-call-id")), (400, None));
    let elsewhere = node.call("/v1/forward-auth/caddy", &[id, key], b"");
    assert_eq!(elsewhere.header("inspector-call-id"), None);
}

#[test]
fn reasons_and_legs_of_coverage_are_those_of_the_code() {
    let described = described();
    let items = |list: &str| &described["components"]["schemas"]["Coverage"]["properties"][list]["items"]["properties"];
    assert_eq!(items("coverage")["reason"]["examples"], serde_json::json!(REASONS));
    assert_eq!(items("dropped")["reason"]["examples"], serde_json::json!(REASONS));
    assert_eq!(items("dropped")["leg"]["examples"], serde_json::json!(DIRECTIONS));
}
