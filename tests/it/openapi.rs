use crate::node::Node;
use weir::http_inspector::service::ROUTES;

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
    let source = include_str!("../../src/http_inspector/call.rs");
    let node = Node::start(&[]);
    let mut required = 0;
    for parameter in described["paths"]["/v1/requests"]["post"]["parameters"].as_array().unwrap() {
        let name = parameter["name"].as_str().unwrap();
        assert!(source.contains(&format!("\"{}\"", name.to_ascii_lowercase())), "{name} is described but not read");
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
    use weir::http_inspector::refusal::{Refusal, Shed};
    let described: serde_json::Value = serde_json::from_slice(&weir::app::openapi()).unwrap();
    let refusals = [
        Refusal::ContentType,
        Refusal::MissingHeader("a"),
        Refusal::BadHeader("a", "b"),
        Refusal::BadJson(String::new()),
        Refusal::BodyBroken,
        Refusal::BodyTimeout,
        Refusal::Unauthenticated,
        Refusal::Network,
        Refusal::Host,
        Refusal::Method("POST"),
        Refusal::TooLarge(1),
        Refusal::Overloaded(Shed::Queue, Duration::from_secs(1)),
        Refusal::Internal,
    ];
    for refusal in refusals {
        for path in ["/v1/requests", "/v1/responses"] {
            let status = refusal.status().as_u16().to_string();
            let answers = &described["paths"][path]["post"]["responses"];
            assert!(answers[&status]["content"]["application/problem+json"].is_object(), "{path} {status}");
        }
    }
}
