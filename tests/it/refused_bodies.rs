//! Bodies that are refused while they are being sent: the client sees why, and can go on.

use crate::WEIR;
use std::io::{BufReader, Write};
use std::net::TcpStream;
use weir_testkit::http::read;
use weir_testkit::node::call;
use weir_testkit::{ControlPlane, PATIENCE};

const BENIGN: &[u8] = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n";

#[test]
fn refused_bodies_are_read_so_that_the_connection_goes_on() {
    let node = WEIR.node(&["connector.max_call_bytes=1MiB", "connector.auth.keys=0123456789abcdef"]);
    let key = ("Authorization", "Bearer 0123456789abcdef");
    let mut stream = BufReader::new(node.connect());
    let large = vec![b'x'; 1_500_000];
    let chunked = {
        let mut bytes = call("/v1/requests", &[key, ("Transfer-Encoding", "chunked")], b"");
        let text = String::from_utf8(std::mem::take(&mut bytes)).unwrap().replace("Content-Length: 0\r\n", "");
        [text.as_bytes(), format!("{:x}\r\n", large.len()).as_bytes(), &large, b"\r\n0\r\n\r\n"].concat()
    };
    let calls = [
        (413, call("/v1/requests", &[key], &large)),
        (413, chunked),
        (401, call("/v1/requests", &[], &large)),
        (400, call("/v1/requests", &[key, ("Inspector-Client", "")], &large)),
        (404, call("/v2", &[key], &large)),
    ];
    for (status, bytes) in calls {
        stream.get_mut().write_all(&bytes).unwrap();
        let answer = read(&mut stream).expect("an answer");
        assert_eq!((answer.status, answer.header("connection")), (status, None));
        stream.get_mut().write_all(&call("/v1/requests", &[key], BENIGN)).unwrap();
        assert_eq!(read(&mut stream).expect("the same connection serves the next call").status, 204, "after {status}");
    }
}

#[test]
fn who_waits_for_100_gets_the_refusal_at_once() {
    let node = WEIR.node(&["connector.auth.keys=0123456789abcdef"]);
    let mut stream = BufReader::new(node.connect());
    let bytes = call("/v1/requests", &[("Expect", "100-continue")], &[b'x'; 1000]);
    stream.get_mut().write_all(&bytes[..bytes.len() - 1000]).unwrap();
    assert_eq!(read(&mut stream).unwrap().status, 401);
}

fn connect(cp: &ControlPlane) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(cp.api).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    BufReader::new(stream)
}

#[test]
fn a_body_that_the_control_plane_refuses_is_read_so_that_the_answer_is_seen() {
    let cp = WEIR.control_plane(&[]);
    let mut stream = connect(&cp);
    let large = vec![b' '; 8 << 20];
    let length = format!("Content-Length: {}\r\n\r\n", large.len());
    let chunked = format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", large.len());
    for (status, line, framing, end) in [
        (413, "POST /api/v1/session", &length, ""),
        (413, "POST /api/v1/session", &chunked, "\r\n0\r\n\r\n"),
        (401, "POST /api/v1/rules", &length, ""),
        (404, "POST /nothing", &length, ""),
    ] {
        let head = format!("{line} HTTP/1.1\r\nHost: cp\r\nContent-Type: application/json\r\n{framing}");
        // Sent as a whole before anything is read, as simple clients do.
        stream.get_mut().write_all(&[head.as_bytes(), &large, end.as_bytes()].concat()).unwrap();
        let answer = read(&mut stream).unwrap_or_else(|| panic!("{line}: no answer"));
        assert_eq!((answer.status, answer.header("connection")), (status, None), "{line}: {answer:?}");
    }
    stream.get_mut().write_all(b"GET /api/v1/me HTTP/1.1\r\nHost: cp\r\n\r\n").unwrap();
    assert_eq!(read(&mut stream).expect("the same connection serves the next call").status, 401);
}

#[test]
fn a_body_without_end_ends_the_connection() {
    let cp = WEIR.control_plane(&[]);
    let mut stream = connect(&cp);
    let head = b"POST /nothing HTTP/1.1\r\nHost: cp\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.get_mut().write_all(head).unwrap();
    let chunk = [b"10000\r\n", &[b'x'; 0x10000][..], b"\r\n"].concat();
    // Far more than is thrown away and than a connection buffers.
    let taken = (0..4096).take_while(|_| stream.get_mut().write_all(&chunk).is_ok()).count();
    assert!(taken < 4096, "all was taken");
}
