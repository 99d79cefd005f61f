use crate::WEIR;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use weir_testkit::node::Node;
use weir_testkit::{PATIENCE, until};

const FIN: u32 = 1;
const ABORT: u32 = 2;
const DEFAULT_BODY: &str = r#"{"error": {"code": 403, "message": "request blocked"}}"#;
const HELLO: u8 = 1;
const DISCONNECT: u8 = 2;
const NOTIFY: u8 = 3;
const FRAGMENT: u8 = 0;
const AGENT_HELLO: u8 = 101;
const AGENT_DISCONNECT: u8 = 102;
const ACK: u8 = 103;

fn varint(mut number: usize, to: &mut Vec<u8>) {
    if number < 240 {
        return to.push(number as u8);
    }
    to.push(number as u8 | 0xf0);
    number = (number - 240) >> 4;
    while number >= 128 {
        to.push(number as u8 | 0x80);
        number = (number - 128) >> 7;
    }
    to.push(number as u8);
}

fn text(bytes: &[u8]) -> Vec<u8> {
    let mut to = Vec::new();
    varint(bytes.len(), &mut to);
    to.extend_from_slice(bytes);
    to
}

fn item(name: &str, value: &[u8]) -> Vec<u8> {
    [&text(name.as_bytes())[..], value].concat()
}

fn string(value: &str) -> Vec<u8> {
    [&[8][..], &text(value.as_bytes())].concat()
}

/// The message about a request of 203.0.113.9.
fn message(method: &str, target: &str, body: &[u8], more: &[Vec<u8>]) -> Vec<u8> {
    message_with(method, target, body, body.len(), more)
}

/// The same with only `body` of a body of `announced` bytes.
fn message_with(method: &str, target: &str, body: &[u8], announced: usize, more: &[Vec<u8>]) -> Vec<u8> {
    let headers = format!(
        "host: example.com\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {announced}\r\n\r\n"
    );
    let mut size = vec![5];
    varint(announced, &mut size);
    let items = [
        item("method", &string(method)),
        item("target", &string(target)),
        item("version", &string("1.1")),
        item("src", &[6, 203, 0, 113, 9]),
        item("headers", &string(&headers)),
        item("body", &[&[9][..], &text(body)].concat()),
        item("body_size", &size),
    ];
    let count = (items.len() + more.len()) as u8;
    [&text(b"check-request")[..], &[count], &items.concat(), &more.concat()].concat()
}

struct Frame {
    kind: u8,
    stream: u8,
    rest: Vec<u8>,
}

impl Frame {
    fn has(&self, name: &str, value: &[u8]) -> bool {
        let wanted = item(name, value);
        self.rest.windows(wanted.len()).any(|window| window == wanted)
    }

    fn status(&self) -> u8 {
        assert_eq!(self.kind, AGENT_DISCONNECT);
        let name = text(b"status-code");
        let at = self.rest.windows(name.len()).position(|window| window == name).expect("a status code");
        self.rest[at + name.len() + 1]
    }
}

struct Client(UnixStream);

impl Client {
    fn connect(socket: &Path) -> Client {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client(stream)
    }

    /// A connection on which frames of at most `size` bytes were agreed.
    fn open(socket: &Path, size: usize) -> Client {
        let mut client = Client::connect(socket);
        client.hello("2.0", size, false);
        let hello = client.receive().expect("AGENT-HELLO");
        assert_eq!(hello.kind, AGENT_HELLO);
        assert!(hello.has("version", &string("2.0")));
        assert!(hello.has("capabilities", &string("pipelining,fragmentation")));
        client
    }

    fn hello(&mut self, version: &str, size: usize, check: bool) {
        self.hello_with(version, size, "pipelining,async", check);
    }

    fn hello_with(&mut self, version: &str, size: usize, capabilities: &str, check: bool) {
        let mut number = vec![3];
        varint(size, &mut number);
        let items = [
            item("supported-versions", &string(version)),
            item("max-frame-size", &number),
            item("capabilities", &string(capabilities)),
            item("engine-id", &string("6f1a4b0e-7d5f-4a31-9f4d-1d2f6a3c9b70")),
            item("healthcheck", &[if check { 0x11 } else { 1 }]),
        ];
        self.send(HELLO, FIN, 0, &items.concat());
    }

    fn send(&mut self, kind: u8, flags: u32, stream: u8, payload: &[u8]) {
        let head = [&[kind][..], &flags.to_be_bytes(), &[stream, 1]].concat();
        let length = (head.len() + payload.len()) as u32;
        self.0.write_all(&[&length.to_be_bytes()[..], &head, payload].concat()).unwrap();
    }

    /// The next frame; `None` once the node closed the connection.
    fn receive(&mut self) -> Option<Frame> {
        let mut length = [0; 4];
        match self.0.read_exact(&mut length) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return None,
            read => read.unwrap(),
        }
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut frame).unwrap();
        assert_eq!(&frame[1..5], FIN.to_be_bytes());
        Some(Frame { kind: frame[0], stream: frame[5], rest: frame[7..].to_vec() })
    }

    fn ask(&mut self, payload: &[u8]) -> Frame {
        self.send(NOTIFY, FIN, 9, payload);
        let ack = self.receive().expect("an ACK");
        assert_eq!((ack.kind, ack.stream), (ACK, 9));
        ack
    }
}

fn node(sets: &[&str]) -> (Node, PathBuf, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("spoe.sock");
    let address = format!("spoe.address=unix:{}", socket.display());
    (WEIR.node(&[&[&address[..]], sets].concat()), socket, directory)
}

#[test]
fn haproxy_gets_verdicts_as_variables() {
    let (mut node, socket, _directory) = node(&[]);
    let mut client = Client::open(&socket, 16380);
    let pass = client.ask(&message("GET", "/a?b=1", b"", &[]));
    assert!(pass.has("verdict", &string("pass")) && !pass.has("body", &string(DEFAULT_BODY)));
    for block in [
        message("GET", "/../../etc/passwd", b"", &[]),
        message("POST", "/", b"id=1' UNION SELECT password FROM users-- x", &[]),
    ] {
        let ack = client.ask(&block);
        assert!(ack.has("verdict", &string("block")) && ack.has("body", &string(DEFAULT_BODY)));
        assert!(ack.has("content_type", &string("application/json")));
    }
    let route = [item("route", &string("web"))];
    client.ask(&message("POST", "/", b"a=b", &route));
    assert_eq!(node.metric(r#"coverage_requests_total{route="web",inspected="full",reason="complete"}"#), 1.0);
    assert_eq!(node.metric(r#"http_connector_messages_seen_total{type="spoe"}"#), 4.0);
    // A frame that is no message is answered without a verdict, and the connection stays usable.
    assert!(client.ask(b"\x01x\x00").has("error", &string("missing-header")));
    assert!(client.ask(&message("GET", "/", b"", &[])).has("verdict", &string("pass")));
    node.signal("TERM");
    assert_eq!(client.receive().expect("AGENT-DISCONNECT").status(), 0);
    assert!(client.receive().is_none());
    assert_eq!(node.wait(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn messages_are_pipelined_and_each_gets_its_ack() {
    let (_node, socket, _directory) = node(&[]);
    let mut client = Client::open(&socket, 16380);
    let bodies = [&b"a=b"[..], &[b'x'; 15_000], b"id=1' UNION SELECT password FROM users-- x"];
    for stream in 0..200u8 {
        client.send(NOTIFY, FIN, stream, &message("POST", "/", bodies[usize::from(stream) % 3], &[]));
    }
    let mut seen = [false; 200];
    for _ in 0..200 {
        let ack = client.receive().expect("an ACK");
        assert!(!std::mem::replace(&mut seen[usize::from(ack.stream)], true));
        let verdict = if ack.stream % 3 == 2 { "block" } else { "pass" };
        assert!(ack.has("verdict", &string(verdict)), "{}", ack.stream);
    }
}

#[test]
fn a_message_in_fragments_is_inspected_as_a_whole() {
    let (_node, socket, _directory) = node(&[]);
    let mut client = Client::open(&socket, 256);
    let body = [&[b'x'; 1000][..], b"&id=1' UNION SELECT password FROM users-- x"].concat();
    let message = message("POST", "/", &body, &[]);
    let parts: Vec<_> = message.chunks(200).collect();
    for (at, part) in parts.iter().enumerate() {
        let flags = if at + 1 == parts.len() { FIN } else { 0 };
        client.send(if at == 0 { NOTIFY } else { FRAGMENT }, flags, 9, part);
    }
    let ack = client.receive().expect("an ACK");
    assert!(ack.has("verdict", &string("block")), "the attack is in the last fragments");
    client.send(NOTIFY, 0, 9, parts[0]);
    client.send(FRAGMENT, FIN | ABORT, 9, b"");
    assert!(client.ask(&message_get()).has("verdict", &string("pass")), "a withdrawn message gets no ACK");
    client.send(NOTIFY, 0, 9, parts[0]);
    client.send(NOTIFY, FIN, 8, parts[0]);
    assert_eq!(client.receive().expect("AGENT-DISCONNECT").status(), 11);
}

/// As HAProxy 3.1 and later: no fragments, one frame a message, several under way, and a body that was cut to fit.
#[test]
fn an_engine_without_fragments_sends_what_fits_a_frame() {
    let (node, socket, _directory) = node(&[]);
    let mut client = Client::connect(&socket);
    client.hello_with("2.0", 16384, "pipelining", false);
    assert_eq!(client.receive().expect("AGENT-HELLO").kind, AGENT_HELLO);
    let route = [item("route", &string("web"))];
    // `body=req.body,bytes(0,8000)` of a body of 100,000 bytes.
    let cut = |start: &[u8]| {
        let body = [start, &vec![b'x'; 8_000 - start.len()]].concat();
        message_with("POST", "/", &body, 100_000, &route)
    };
    let (pass, block) = (cut(b"a=b&y="), cut(b"id=1' UNION SELECT password FROM users-- &y="));
    for (stream, part) in [&pass, &block, &pass].into_iter().enumerate() {
        client.send(NOTIFY, FIN, stream as u8, part);
    }
    for _ in 0..3 {
        let ack = client.receive().expect("an ACK");
        let verdict = if ack.stream == 1 { "block" } else { "pass" };
        assert!(ack.kind == ACK && ack.has("verdict", &string(verdict)), "{}", ack.stream);
    }
    assert_eq!(node.metric(r#"coverage_requests_total{route="web",inspected="partial",reason="prefix"}"#), 3.0);
    // HAProxy never sends one that does not fit. An engine that does gets the reason.
    client.send(NOTIFY, FIN, 1, &message("POST", "/", &[b'x'; 20_000], &[]));
    assert_eq!(client.receive().expect("AGENT-DISCONNECT").status(), 3);
}

fn message_get() -> Vec<u8> {
    [&text(b"m")[..], &[3], &item("method", &string("GET")), &item("src", &[0]), &item("headers", &[0])].concat()
}

#[test]
fn what_breaks_the_protocol_is_told_why() {
    let (_node, socket, _directory) = node(&[]);
    let status = |act: &dyn Fn(&mut Client)| {
        let mut client = Client::connect(&socket);
        act(&mut client);
        let status = loop {
            let frame = client.receive().expect("AGENT-DISCONNECT");
            if frame.kind == AGENT_DISCONNECT {
                break frame.status();
            }
        };
        assert!(client.receive().is_none(), "it is closed");
        status
    };
    assert_eq!(status(&|client| client.hello("1.0", 16380, false)), 8);
    assert_eq!(status(&|client| client.hello("2.0", 100, false)), 9);
    assert_eq!(status(&|client| client.send(NOTIFY, FIN, 1, b"")), 4);
    assert_eq!(status(&|client| client.0.write_all(&[255; 4]).unwrap()), 3);
    assert_eq!(status(&|client| client.hello("2.0", 16380, true)), 0, "a health check");
    assert_eq!(
        status(&|client| {
            client.hello("2.0", 16380, false);
            client.send(NOTIFY, FIN, 1, &[0; 16400]);
        }),
        3
    );
    assert_eq!(
        status(&|client| {
            client.hello("2.0", 16380, false);
            client.send(DISCONNECT, FIN, 0, &item("status-code", &[3, 0]));
        }),
        0
    );
}

#[test]
fn a_configured_key_is_asked_for() {
    let (node, socket, _directory) = node(&["connector.auth.keys=0123456789abcdef"]);
    let mut client = Client::open(&socket, 16380);
    let ack = client.ask(&message("GET", "/", b"", &[]));
    assert!(ack.has("error", &string("unauthenticated")) && !ack.has("verdict", &string("pass")));
    let key = [item("key", &string("0123456789abcdef"))];
    assert!(client.ask(&message("GET", "/", b"", &key)).has("verdict", &string("pass")));
    until("the refusal is logged", || node.log().contains("unauthenticated"));
    assert!(!node.log().contains("0123456789abcdef"));
}
