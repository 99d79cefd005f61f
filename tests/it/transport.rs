use crate::WEIR;
use crate::pki::{Authority, Client};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::io::{BufReader, Read, Write};
use std::time::Duration;
use weir_testkit::http::read;
use weir_testkit::node::call;
use weir_testkit::{PATIENCE, Program, until};

const BENIGN: &[u8] = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n";
const ATTACK: &[u8] = b"GET /etc/passwd HTTP/1.1\r\nHost: example.com\r\n\r\n";

fn set(key: &str, path: &std::path::Path) -> String {
    format!("connector.{key}={}", path.display())
}

#[test]
fn a_new_certificate_is_used_without_a_restart_and_a_bad_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let (cert, key) = first.issue(directory.path(), "node", "node.test");
    let node = WEIR.node(&[&set("tls_cert", &cert), &set("tls_key", &key)]);
    let mut kept = BufReader::new(Client::new(&first, None).connect(node.api).unwrap());
    let ask = |client: &Client| Some(client.call(node.api, &call("/v1/requests", &[], ATTACK)).ok()??.status);
    assert_eq!(ask(&Client::new(&first, None)), Some(200));
    assert_eq!(ask(&Client::new(&second, None)), None);

    second.issue(directory.path(), "node", "node.test");
    until("the new certificate is shown", || ask(&Client::new(&second, None)) == Some(200));
    assert_eq!(ask(&Client::new(&first, None)), None);
    assert!(node.metric("tls_reloads_total") >= 1.0);
    kept.get_mut().write_all(&call("/v1/requests", &[], BENIGN)).unwrap();
    assert_eq!(read(&mut kept).unwrap().status, 204, "a connection of before goes on");

    std::fs::write(&cert, "garbage").unwrap();
    node.signal("HUP");
    until("the bad file is refused", || node.log().contains("reload rejected"));
    assert_eq!(ask(&Client::new(&second, None)), Some(200));
}

#[test]
fn a_control_plane_takes_up_a_new_certificate() {
    for start in [Program::control_plane, Program::all_in_one] {
        let directory = tempfile::tempdir().unwrap();
        let (first, second) = (Authority::new("first"), Authority::new("second"));
        let (cert, key) = first.issue(directory.path(), "console", "node.test");
        let cert = format!("control_plane.tls_cert={}", cert.display());
        let key = format!("control_plane.tls_key={}", key.display());
        let cp = start(&WEIR, &[&cert, &key]);
        let asked = b"GET /login HTTP/1.1\r\nHost: console\r\n\r\n";
        let ask = |authority: &Authority| Some(Client::new(authority, None).call(cp.api, asked).ok()??.status);
        assert_eq!((ask(&first), ask(&second)), (Some(200), None));
        second.issue(directory.path(), "console", "node.test");
        until("the new certificate is shown", || ask(&second) == Some(200));
        assert_eq!(ask(&first), None);
    }
}

#[test]
fn client_certificates_are_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, stranger) = (Authority::new("ours"), Authority::new("stranger"));
    let (cert, key) = authority.issue(directory.path(), "node", "node.test");
    let ca = authority.write(directory.path(), "ca");
    let sets = [set("tls_cert", &cert), set("tls_key", &key), set("auth.client_ca", &ca)];
    let node = WEIR.node(&[&sets[0], &sets[1], &sets[2]]);
    let ask = |from: Option<&Authority>| {
        let client = Client::new(&authority, from.map(|from| from.issue_key("connector")));
        client.call(node.api, &call("/v1/requests", &[], BENIGN)).ok().flatten().map(|answer| answer.status)
    };
    assert_eq!(ask(Some(&authority)), Some(204));
    assert_eq!(ask(None), None, "without a certificate there is no connection");
    assert_eq!(ask(Some(&stranger)), None, "nor with one of a stranger");
    until("failed handshakes are counted", || node.metric("tls_handshake_failures_total") >= 2.0);
}

#[test]
fn a_key_does_where_there_is_no_client_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let (cert, key) = authority.issue(directory.path(), "node", "node.test");
    let ca = authority.write(directory.path(), "ca");
    let sets = [set("tls_cert", &cert), set("tls_key", &key), set("auth.client_ca", &ca)];
    let node = WEIR.node(&[&sets[0], &sets[1], &sets[2], "connector.auth.keys=0123456789abcdef"]);
    let ask = |certificate: bool, key: &str| {
        let client = Client::new(&authority, certificate.then(|| authority.issue_key("connector")));
        client.call(node.api, &call("/v1/requests", &[("Authorization", key)], BENIGN)).unwrap().unwrap().status
    };
    let right = "Bearer 0123456789abcdef";
    assert_eq!([ask(true, ""), ask(false, right), ask(false, ""), ask(false, "Bearer x")], [204, 204, 401, 401]);
}

/// Sends requests over h2 until the node says goodbye; answers the statuses.
async fn h2_until_goodbye<S>(stream: S) -> Vec<u16>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake::<_, _, Full<bytes::Bytes>>(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let request = http::Request::post("http://node/v1/requests")
            .header("content-type", "message/http")
            .header("inspector-request-id", "h2")
            .header("inspector-client", "203.0.113.9")
            .header("inspector-connector", "test/1")
            .body(Full::from(ATTACK))
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        statuses.push(answer.status().as_u16());
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(body.starts_with(b"{\"verdict\":\"block\""));
    }
    // The sender still stands: only the node can end the connection, and without GOAWAY that would be an error.
    connection.await.unwrap().expect("the connection ends in order");
    assert!(sender.ready().await.is_err());
    statuses
}

#[tokio::test]
async fn h2_is_spoken_with_prior_knowledge_and_ends_with_goaway() {
    let node = WEIR.node(&["connector.per_connection_limits.max_requests=3"]);
    let stream = tokio::net::TcpStream::connect(node.api).await.unwrap();
    let statuses = tokio::time::timeout(PATIENCE, h2_until_goodbye(stream)).await.unwrap();
    assert_eq!(statuses, [200, 200, 200]);
    assert_eq!(node.metric("http_connector_connections_ended_total{reason=\"limit\"}"), 1.0);
}

#[tokio::test]
async fn h2_is_chosen_by_alpn() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let (cert, key) = authority.issue(directory.path(), "node", "node.test");
    let limit = "connector.per_connection_limits.max_requests=3";
    let node = WEIR.node(&[&set("tls_cert", &cert), &set("tls_key", &key), limit]);
    let stream = tokio::net::TcpStream::connect(node.api).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Client::new(&authority, None).config(&[b"h2"]));
    let stream = connector.connect("node.test".try_into().unwrap(), stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let statuses = tokio::time::timeout(PATIENCE, h2_until_goodbye(stream)).await.unwrap();
    assert_eq!(statuses, [200, 200, 200]);
}

#[tokio::test]
async fn idle_h2_connections_get_goaway_when_the_node_stops() {
    let mut node = WEIR.node(&[]);
    let stream = tokio::net::TcpStream::connect(node.api).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake::<_, _, Full<bytes::Bytes>>(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("http://node/openapi.json").body(Full::default()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.into_body().collect().await.unwrap();
    node.signal("TERM");
    tokio::time::timeout(PATIENCE, connection).await.unwrap().unwrap().expect("GOAWAY and an orderly end");
    assert!(sender.ready().await.is_err());
    assert_eq!(node.wait(), Some(0));
}

#[test]
fn idle_connections_are_closed() {
    let node = WEIR.node(&["load.idle_timeout=200ms", "load.header_timeout=10m"]);
    let mut stream = BufReader::new(node.connect());
    stream.get_mut().write_all(&call("/v1/requests", &[], BENIGN)).unwrap();
    assert_eq!(read(&mut stream).unwrap().status, 204);
    assert_eq!(stream.read(&mut [0]).expect("closed, not left open"), 0);
    assert_eq!(node.metric("http_connector_connections_ended_total{reason=\"idle\"}"), 1.0);
}

/// Whether a call on `stream` is answered: a busy machine may send its head too late.
fn is_answered(stream: &mut BufReader<std::net::TcpStream>) -> bool {
    let sent = stream.get_mut().write_all(&call("/v1/requests", &[], BENIGN));
    sent.is_ok() && read(stream).is_some_and(|answer| answer.status == 204)
}

#[test]
fn idle_connections_outlive_the_time_for_a_head() {
    let node = WEIR.node(&["load.header_timeout=1s", "load.idle_timeout=10m"]);
    until("a connection that was idle answers", || {
        let mut stream = BufReader::new(node.connect());
        if !is_answered(&mut stream) {
            return false;
        }
        std::thread::sleep(Duration::from_secs(2));
        is_answered(&mut stream)
    });
}

#[test]
fn a_further_head_has_the_time_for_a_head() {
    let node = WEIR.node(&["load.header_timeout=1s", "load.idle_timeout=10m"]);
    until("a connection is ended over its second head", || {
        let mut stream = BufReader::new(node.connect());
        let answered = is_answered(&mut stream);
        // It idles when the head begins.
        std::thread::sleep(Duration::from_millis(1500));
        if answered && stream.get_mut().write_all(b"POST /v1/requests HTTP/1.1\r\nHost: n").is_ok() {
            // Longer than the node waits for the head, shorter than it lets connections idle.
            assert!(matches!(stream.read(&mut [0]), Ok(0)), "closed, not left open");
        }
        node.metric("http_connector_connections_ended_total{reason=\"head\"}") > 0.0
    });
}

#[test]
fn heads_that_do_not_come_end_the_connection() {
    let node = WEIR.node(&["load.header_timeout=200ms"]);
    let mut silent = node.connect();
    let mut slow_head = node.connect();
    slow_head.write_all(b"POST /v1/requests HTTP/1.1\r\nHost: n").unwrap();
    for (name, stream) in [("silent", &mut silent), ("half a head", &mut slow_head)] {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{name}: {}", String::from_utf8_lossy(&rest));
    }
}

#[test]
fn bodies_that_do_not_come_end_the_connection() {
    // A busy machine may take longer for the head than a short limit on it allows.
    let node = WEIR.node(&["load.header_timeout=10m", "load.body_timeout=200ms"]);
    let mut slow_body = BufReader::new(node.connect());
    let bytes = call("/v1/requests", &[], BENIGN);
    slow_body.get_mut().write_all(&bytes[..bytes.len() - 1]).unwrap();
    let answer = read(&mut slow_body).unwrap();
    assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
    assert!(read(&mut slow_body).is_none());
}
