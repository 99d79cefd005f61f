use crate::WEIR;
use std::io::{BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use weir_testkit::PATIENCE;
use weir_testkit::http::read;
use weir_testkit::node::call;

const ATTACK: &[u8] = b"GET /etc/passwd HTTP/1.1\r\nHost: example.com\r\n\r\n";
const KEY: &str = "0123456789abcdef";

fn status(socket: &Path, headers: &[(&str, &str)]) -> u16 {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&call("/v1/requests", headers, ATTACK)).unwrap();
    read(&mut BufReader::new(stream)).expect("a response").status
}

#[test]
fn a_node_serves_a_unix_socket_and_the_key_applies() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("node.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap()); // a stale one
    let address = format!("connector.address=unix:{}", socket.display());
    let key = format!("connector.auth.keys={KEY}");
    let sets = [&address, &key, "connector.unix_socket.mode=0600", "log.access_log.enabled=true"];
    let mut node = WEIR.node(&sets);
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(status(&socket, &[]), 401, "whoever may connect still needs the key");
    assert_eq!(status(&socket, &[("Authorization", &format!("Bearer {KEY}"))]), 200);
    weir_testkit::until("the access log names the caller", || {
        node.log().lines().any(|line| line.contains("\"verdict\":\"block\"") && line.contains("\"caller\":\"unix:"))
    });
    assert!(node.log().contains("\"peer\":\"unix:"), "{}", node.log());
    node.signal("TERM");
    assert_eq!(node.wait(), Some(0));
    assert!(!socket.exists(), "the socket goes with the node");
}
