use crate::WEIR;
use std::io::{BufReader, Write};
use std::net::TcpStream;
use weir_testkit::http::read;
use weir_testkit::node::call;
use weir_testkit::{PATIENCE, free_port, until};

const BENIGN: &[u8] = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n";
const ATTACK: &[u8] = b"GET /etc/passwd HTTP/1.1\r\nHost: example.com\r\n\r\n";

#[test]
fn a_connection_ends_after_its_share_of_calls() {
    let node = WEIR.node(&["connector.per_connection_limits.max_requests=3"]);
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
    let node = WEIR.node(&["load.max_concurrent_calls=1"]);
    // The interim answer shows that the call is under way.
    let mut slow = BufReader::new(node.connect());
    let bytes = call("/v1/requests", &[("Expect", "100-continue")], BENIGN);
    let (head, body) = bytes.split_at(bytes.len() - BENIGN.len());
    slow.get_mut().write_all(head).unwrap();
    assert_eq!(read(&mut slow).unwrap().status, 100);
    let shed = node.inspect(BENIGN);
    assert_eq!(shed.status, 503);
    assert_eq!((shed.header("retry-after"), shed.header("inspector-verdict")), (Some("1"), None));
    slow.get_mut().write_all(body).unwrap();
    assert_eq!(read(&mut slow).unwrap().status, 204);
    assert_eq!(node.inspect(BENIGN).status, 204);
}

#[test]
fn calls_under_way_are_answered_on_sigterm() {
    let mut node = WEIR.node(&[]);
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
fn a_second_signal_ends_the_process_at_once() {
    let mut node = WEIR.node(&["load.drain_timeout=10m", "load.body_timeout=10m"]);
    let mut stream = BufReader::new(node.connect());
    let bytes = call("/v1/requests", &[("Expect", "100-continue")], ATTACK);
    stream.get_mut().write_all(&bytes[..bytes.len() - ATTACK.len()]).unwrap();
    assert_eq!(read(&mut stream).unwrap().status, 100, "the call is under way");
    node.signal("TERM");
    until("the node does not listen any more", || TcpStream::connect(node.api).is_err());
    let begin = std::time::Instant::now();
    node.signal("INT");
    assert_eq!(node.wait(), Some(3), "the call under way is left unanswered");
    assert!(begin.elapsed() < PATIENCE / 2, "it took {:?}", begin.elapsed());
}

#[test]
fn accepted_copies_are_judged_before_the_node_is_gone() {
    let mut node = WEIR.node(&["http_inspector.workers=1", "load.background_queue=100"]);
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
    let node = WEIR.node_with(&["--config", file.to_str().unwrap()], &[]);
    assert_eq!(node.inspect(ATTACK).status, 204);
    std::fs::write(&file, "version: 4\nmode: connector-server\nroute_config:\n  wallarm_mode: block\n").unwrap();
    until("the new mode holds", || node.inspect(ATTACK).status == 200);
    std::fs::write(&file, "route_config: [broken\n").unwrap();
    node.signal("HUP");
    until("the file is refused", || node.metric("application_config_reload_errors_total") >= 1.0);
    assert_eq!(node.inspect(ATTACK).status, 200);
}

/// By default a write beyond it ends the process.
#[test]
fn a_limit_on_the_size_of_files_costs_records_and_not_the_node() {
    let data = tempfile::tempdir().unwrap();
    let sets = [
        format!("data_dir={}", data.path().display()),
        "events.enabled=true".into(),
        "api.host=127.0.0.1".into(),
        format!("api.port={}", free_port()),
        "api.use_ssl=false".into(),
        "api.token=of-no-control-plane".into(),
    ];
    let node = WEIR.node(&sets.iter().map(String::as_str).collect::<Vec<_>>());
    let limited = std::process::Command::new("prlimit").args(["--fsize=20000", "--pid", &node.pid()]).status();
    assert!(limited.is_ok_and(|status| status.success()), "prlimit of util-linux");
    let mut sent = 0;
    until("records are dropped", || {
        sent += 1;
        let attack = format!("GET /{sent}/etc/passwd HTTP/1.1\r\nHost: shop.example\r\n\r\n");
        assert_eq!(node.inspect(attack.as_bytes()).status, 200);
        node.metric("events_dropped_total{spool=\"events\",reason=\"disk_full\"}") > 0.0
    });
}

#[test]
fn a_reload_beside_a_control_plane_names_nothing_that_did_not_change() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("weir.log");
    let both = WEIR.all_in_one(&[&format!("log.log_file={}", file.display())]);
    let log = || std::fs::read_to_string(&file).unwrap_or_default();
    let signal = std::process::Command::new("kill").args(["-HUP", &both.pid().to_string()]).status().unwrap();
    assert!(signal.success());
    until("the configuration is read again", || log().contains("\"reloaded\""));
    assert!(!log().contains("take effect after a restart"), "{}", log());
}

#[test]
fn a_reload_changes_keys_and_logs_and_names_what_needs_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("weir.yaml");
    let write = |key: &str, more: &str| {
        std::fs::write(&file, format!("connector: {{auth: {{keys: [{key}]}}}}\n{more}")).unwrap();
    };
    write("0123456789abcdef-old", "log: {access_log: {enabled: false}}\n");
    let node = WEIR.node_with(&["--config", file.to_str().unwrap()], &[]);
    let ask = |key: &str, id: &str| {
        let key = format!("Bearer {key}");
        node.call("/v1/requests", &[("Authorization", &key), ("Inspector-Request-Id", id)], BENIGN)
    };
    let context = ask("0123456789abcdef-old", "before").header("inspector-context").unwrap().to_owned();
    write("0123456789abcdef-new", "log: {access_log: {verbose: true}, level: info}\nload: {queue: 7}\n");
    until("the new key is valid", || ask("0123456789abcdef-new", "after").status == 204);
    until("the access log is written", || node.log().contains("\"request_id\":\"after\""));
    assert!(!node.log().contains("\"request_id\":\"before\""));
    until("the restart is named", || node.log().contains("\"keys\":\"load\""));
    let headers = [
        ("Authorization", "Bearer 0123456789abcdef-new"),
        ("Inspector-Context", context.as_str()),
        ("Content-Type", "message/http; msgtype=response"),
    ];
    assert_eq!(node.call("/v1/responses", &headers, b"HTTP/1.1 200 OK\r\n\r\n").status, 204);
    assert_eq!(node.metric("http_inspector_contexts_total{state=\"forged\"}"), 1.0);
}
