use crate::WEIR;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};
use weir_testkit::http::Response;
use weir_testkit::node::Node;
use weir_testkit::until;

const KEY: &str = "0123456789abcdef";

/// What a bouncer sends about a request of 203.0.113.9.
fn ask(node: &Node, path: &str, target: &str, key: &str, body: &[u8]) -> Response {
    let headers = [
        ("X-Crowdsec-Appsec-Ip", "203.0.113.9"),
        ("X-Crowdsec-Appsec-Uri", target),
        ("X-Crowdsec-Appsec-Host", "shop.example"),
        ("X-Crowdsec-Appsec-Verb", "POST"),
        ("X-Crowdsec-Appsec-Api-Key", key),
        ("X-Crowdsec-Appsec-User-Agent", "curl/8"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let mut stream = node.connect();
    let mut text = format!("POST {path} HTTP/1.1\r\nHost: weir\r\nContent-Length: {}\r\n", body.len());
    headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
    stream.write_all(&[text.as_bytes(), b"\r\n", body].concat()).unwrap();
    weir_testkit::http::read(&mut BufReader::new(stream)).expect("a response")
}

fn get(node: &Node, method: &str, path: &str, key: &str) -> Response {
    let mut stream = node.connect();
    let text = format!("{method} {path} HTTP/1.1\r\nHost: weir\r\nX-Api-Key: {key}\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).unwrap();
    weir_testkit::http::Response::read(&mut BufReader::new(stream)).expect("a response")
}

#[test]
fn a_bouncer_gets_actions() {
    let node = WEIR.node(&[&format!("connector.auth.keys={KEY}")]);
    for path in ["/", "/v1/crowdsec/appsec"] {
        let pass = ask(&node, path, "/a?b=1", KEY, b"a=b");
        assert_eq!((pass.status, &pass.body[..]), (200, &br#"{"action":"allow","http_status":200}"#[..]));
        let attack = b"id=1' UNION SELECT password FROM users-- x";
        for (target, body) in [("/", &attack[..]), ("/../../etc/passwd", b"a=b")] {
            let block = ask(&node, path, target, KEY, body);
            assert_eq!((block.status, &block.body[..]), (403, &br#"{"action":"ban","http_status":403}"#[..]));
        }
        assert_eq!(ask(&node, path, "/", "wrong", b"").status, 401);
    }
    assert_eq!(node.metric(r#"coverage_requests_total{route="crowdsec",inspected="full",reason="complete"}"#), 6.0);
}

#[test]
fn the_key_of_a_bouncer_is_checked_as_by_the_local_api() {
    let node = WEIR.node(&[&format!("connector.auth.keys={KEY}")]);
    for (path, body) in [
        ("/v1/decisions?ip=203.0.113.9", &b"null"[..]),
        ("/v1/decisions/stream?startup=true", br#"{"deleted":[],"new":[]}"#),
    ] {
        let found = get(&node, "GET", path, KEY);
        assert_eq!((found.status, &found.body[..]), (200, body));
        assert_eq!(get(&node, "GET", path, "wrong").status, 403);
    }
    assert_eq!(get(&node, "POST", "/v1/decisions", KEY).status, 500);
}

/// A local API with these answers in turn, each once the test lets it; and the heads of the requests that it got.
fn local_api(answers: Vec<(&'static str, String)>) -> (String, Sender<()>, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let ((asked, requests), (go, gate)) = (channel(), channel());
    std::thread::spawn(move || {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
            gate.recv().unwrap();
            asked.send(head).unwrap();
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).unwrap();
        }
    });
    (url, go, requests)
}

fn decision(id: u8, value: &str, scope: &str) -> String {
    format!(
        r#"{{"duration":"3h59m59.5s","id":{id},"origin":"cscli","scenario":"manual","scope":"{scope}","type":"ban","value":"{value}"}}"#
    )
}

#[test]
fn decisions_of_the_local_api_are_lists_and_end_one_by_one() {
    let both = format!("{},{}", decision(1, "203.0.113.9", "Ip"), decision(2, "203.0.113.0/24", "Range"));
    let ended = |id, value, scope| ("200 OK", format!(r#"{{"deleted":[{}],"new":null}}"#, decision(id, value, scope)));
    let (url, go, requests) = local_api(vec![
        ("403 Forbidden", r#"{"message":"access forbidden"}"#.into()),
        ("200 OK", format!(r#"{{"deleted":null,"new":[{both}]}}"#)),
        ended(1, "203.0.113.9", "Ip"),
        ended(2, "203.0.113.0/24", "Range"),
    ]);
    let url = format!("crowdsec.lapi_url={url}/");
    let node = WEIR.node(&[&url, &format!("crowdsec.lapi_key={KEY}"), "crowdsec.update_interval=1s"]);
    let harmless = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n";
    let decisions = || node.metric("crowdsec_decisions");
    go.send(()).unwrap();
    go.send(()).unwrap();
    until("both decisions are in force", || decisions() == 2.0);
    assert_eq!(node.inspect(harmless).status, 200, "a block is an answer with a body");
    go.send(()).unwrap();
    until("one has ended", || decisions() == 1.0);
    assert_eq!(node.inspect(harmless).status, 200, "the other is in force");
    go.send(()).unwrap();
    until("both have ended", || decisions() == 0.0);
    assert_eq!(node.inspect(harmless).status, 204);
    let asked: Vec<String> = requests.try_iter().collect();
    let startup: Vec<bool> = asked.iter().map(|head| head.contains("/v1/decisions/stream?startup=true&")).collect();
    assert_eq!(startup, [true, true, false, false], "{asked:?}");
    assert!(asked.iter().all(|head| head.contains(&format!("x-api-key: {KEY}"))));
    assert!(asked.iter().all(|head| head.contains("&dedup=false")), "{asked:?}");
    assert!(!node.log().contains(KEY));
}
