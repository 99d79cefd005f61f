//! Connections that only take up room: they end, and meanwhile others are answered.

use crate::fleet::{Fleet, Options};
use crate::http::{PATIENCE, until};
use crate::part::Part;
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Connections of a listener; half of them for one address.
const MOST: usize = 8;
const ONE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    stream
}

/// A connection that has sent `bytes`, where the other side takes them.
fn sent(from: Ipv4Addr, to: SocketAddr, bytes: &[u8]) -> Option<TcpStream> {
    let mut stream = connect(from, to);
    stream.write_all(bytes).ok().map(|()| stream)
}

/// Whether a call is answered.
fn is_answered(from: Ipv4Addr, to: SocketAddr) -> bool {
    let call = b"GET /nothing HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n";
    let Some(mut stream) = sent(from, to, call) else { return false };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = [0; 8];
    stream.read_exact(&mut bytes).is_ok() && bytes == *b"HTTP/1.1"
}

/// Whether the other side has ended `stream`. Where it has not, one more byte of a head that never ends is sent.
fn is_over(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 4096]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            stream.write_all(b"a").is_err()
        }
        Err(_) => true,
    }
}

fn ended(part: &Part, reason: &str) -> u64 {
    part.counted("weir_listener_connections_ended_total", &format!("reason=\"{reason}\""))
}

/// Takes every place that one address gets with heads that never end; then waits for their end, and for that of others.
fn beset(part: &Part) {
    let (told, mut slow) = (|| part.told(), Vec::new());
    let take_places = || {
        slow.extend(sent(ONE, part.api, b"GET / HTTP/1.1\r\nX-Slow: a"));
        ended(part, "full_for_address") > 0
    };
    until("places to be taken", take_places, told);
    assert!(is_answered(OTHER, part.api), "another client is answered\n{}", part.told());
    let all_over = || {
        slow.retain_mut(|stream| !is_over(stream));
        slow.is_empty()
    };
    until("the end of slow heads", all_over, told);
    assert!(ended(part, "silent") >= 1, "{}", part.told());
    let call = "GET /nothing HTTP/1.1\r\nHost: weir\r\n\r\n";
    // A call, and then nothing.
    let mut idle = sent(ONE, part.api, call.as_bytes()).unwrap();
    until("the end of an idle connection", || matches!(idle.read(&mut [0; 4096]), Ok(0)), told);
    assert!(ended(part, "idle") >= 1);
    // A call, and then a head that never ends.
    let mut second = sent(ONE, part.api, format!("{call}GET / HTTP/1.1\r\nX-Slow: ").as_bytes()).unwrap();
    until("the end of a slow second head", || is_over(&mut second), told);
    assert!(is_answered(ONE, part.api));
}

#[test]
fn slow_clients_of_the_control_plane_end_and_others_are_answered() {
    beset(&slow_fleet().control_plane);
}

#[test]
fn slow_clients_of_the_aggregation_end_and_others_are_answered() {
    let mut fleet = slow_fleet();
    fleet.aggregation.start();
    fleet.aggregation.ready();
    beset(&fleet.aggregation);
}

fn slow_fleet() -> Fleet {
    let most = format!("load.max_connections={MOST}");
    let all = [most.as_str(), "load.header_timeout=2s", "load.idle_timeout=3s"];
    let mut fleet = Fleet::new(&Options { all: &all, ..Options::default() });
    fleet.control_plane.start();
    fleet.control_plane.ready();
    fleet
}
