use crate::node::{Node, call, read};
use crate::stub::until;
use std::io::{BufReader, Write};
use std::net::TcpStream;

const BENIGN: &[u8] = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n";
const ATTACK: &[u8] = b"GET /etc/passwd HTTP/1.1\r\nHost: example.com\r\n\r\n";

#[test]
fn a_connection_ends_after_its_share_of_calls() {
    let node = Node::start(&["connector.per_connection_limits.max_requests=3"]);
    let mut stream = BufReader::new(node.connect());
    for n in 1..=3 {
        stream.get_mut().write_all(&call("/v1/requests", &[], BENIGN)).unwrap();
        let answer = read(&mut stream).unwrap();
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("connection"), (n == 3).then_some("close"), "call {n}");
    }
    assert!(read(&mut stream).is_none());
}

#[test]
fn more_calls_than_allowed_are_shed() {
    let node = Node::start(&["load.max_concurrent_calls=1"]);
    // The interim answer shows that the call is under way.
    let mut slow = BufReader::new(node.connect());
    let bytes = call("/v1/requests", &[("Expect", "100-continue")], BENIGN);
    let (head, body) = bytes.split_at(bytes.len() - BENIGN.len());
    slow.get_mut().write_all(head).unwrap();
    assert_eq!(read(&mut slow).unwrap().status, 100);
    let shed = node.judge(BENIGN);
    assert_eq!(shed.status, 503);
    assert_eq!((shed.header("retry-after"), shed.header("inspector-verdict")), (Some("1"), None));
    slow.get_mut().write_all(body).unwrap();
    assert_eq!(read(&mut slow).unwrap().status, 204);
    assert_eq!(node.judge(BENIGN).status, 204);
}

#[test]
fn calls_under_way_are_answered_on_sigterm() {
    let mut node = Node::start(&[]);
    let mut stream = BufReader::new(node.connect());
    // The interim answer shows that the call is under way.
    let bytes = call("/v1/requests", &[("Expect", "100-continue")], ATTACK);
    let (head, body) = bytes.split_at(bytes.len() - ATTACK.len());
    stream.get_mut().write_all(head).unwrap();
    assert_eq!(read(&mut stream).unwrap().status, 100);
    node.signal("TERM");
    until("the node does not listen any more", || TcpStream::connect(node.api).is_err());
    stream.get_mut().write_all(body).unwrap();
    let answer = read(&mut stream).unwrap();
    assert_eq!((answer.status, answer.header("inspector-verdict")), (200, Some("block")));
    assert_eq!(node.wait(), Some(0));
}

#[test]
fn accepted_copies_are_judged_before_the_node_is_gone() {
    let mut node = Node::start(&["http_inspector.workers=1", "load.background_queue=100"]);
    let body = format!("{{\"a\":[{}\"/etc/passwd\"]}}", "\"x y z\",".repeat(8_000));
    let raw = format!("POST / HTTP/1.1\r\nHost: example.com\r\nContent-Type: application/json\r\n\r\n{body}");
    for n in 0..6 {
        let id = format!("copy-{n}");
        let headers = [("Inspector-Blocking", "false"), ("Inspector-Request-Id", id.as_str())];
        assert_eq!(node.call("/v1/requests", &headers, raw.as_bytes()).status, 202);
    }
    node.signal("TERM");
    assert_eq!(node.wait(), Some(0));
    until("every copy has its line in the log", || {
        let log = node.log();
        (0..6).all(|n| {
            let id = format!("\"request_id\":\"copy-{n}\"");
            log.lines().any(|line| line.contains(&id) && line.contains("\"attacks\":\"ptrav"))
        })
    });
}

#[test]
fn a_reload_takes_good_rules_and_keeps_the_last_good_on_a_bad_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("weir.yaml");
    std::fs::write(&file, "version: 4\nmode: connector-server\nroute_config:\n  wallarm_mode: monitoring\n").unwrap();
    let node = Node::start_with(&["--config", file.to_str().unwrap()], &[]);
    assert_eq!(node.judge(ATTACK).status, 204);
    std::fs::write(&file, "version: 4\nmode: connector-server\nroute_config:\n  wallarm_mode: block\n").unwrap();
    until("the new mode holds", || node.judge(ATTACK).status == 200);
    std::fs::write(&file, "route_config: [broken\n").unwrap();
    node.signal("HUP");
    until("the file is refused", || node.metric("application_config_reload_errors_total") >= 1.0);
    assert_eq!(node.judge(ATTACK).status, 200);
}
