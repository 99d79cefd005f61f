use crate::node::{Node, call, read};
use std::io::{BufReader, Write};
use std::time::{Duration, Instant};

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
    let mut slow = node.connect();
    let bytes = call("/v1/requests", &[], BENIGN);
    slow.write_all(&bytes[..bytes.len() - 1]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let shed = loop {
        let answer = node.judge(BENIGN);
        if answer.status == 503 {
            break answer;
        }
        assert!(Instant::now() < deadline, "never shed");
    };
    assert_eq!((shed.header("retry-after"), shed.header("inspector-verdict")), (Some("1"), None));
    slow.write_all(&bytes[bytes.len() - 1..]).unwrap();
    assert_eq!(read(&mut BufReader::new(slow)).unwrap().status, 204);
    assert_eq!(node.judge(BENIGN).status, 204);
}

#[test]
fn calls_under_way_are_answered_on_sigterm() {
    let mut node = Node::start(&[]);
    let mut stream = node.connect();
    let bytes = call("/v1/requests", &[], ATTACK);
    stream.write_all(&bytes[..bytes.len() - 5]).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    node.signal("TERM");
    std::thread::sleep(Duration::from_millis(200));
    stream.write_all(&bytes[bytes.len() - 5..]).unwrap();
    let answer = read(&mut BufReader::new(stream)).unwrap();
    assert_eq!((answer.status, answer.header("inspector-verdict")), (200, Some("block")));
    assert_eq!(node.wait(), Some(0));
}

#[test]
fn a_reload_takes_good_rules_and_keeps_the_last_good_on_a_bad_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("weir.yaml");
    std::fs::write(&file, "version: 4\nmode: connector-server\nroute_config:\n  wallarm_mode: monitoring\n").unwrap();
    let node = Node::start_with(&["--config", file.to_str().unwrap()], &[]);
    assert_eq!(node.judge(ATTACK).status, 204);
    std::fs::write(&file, "version: 4\nmode: connector-server\nroute_config:\n  wallarm_mode: block\n").unwrap();
    until(|| node.judge(ATTACK).status == 200);
    std::fs::write(&file, "route_config: [broken\n").unwrap();
    node.signal("HUP");
    std::thread::sleep(Duration::from_millis(800));
    assert_eq!(node.judge(ATTACK).status, 200);
}

fn until(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !done() {
        assert!(Instant::now() < deadline, "it did not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}
