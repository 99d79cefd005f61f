//! Calls over loopback, and the wait for something.

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use weir_testkit::Response;

/// Longest wait for anything: a debug build on a busy machine, and waits between tries that double.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A connection that is kept open.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(at: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&at, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection(BufReader::new(stream)))
    }

    /// Sends `head` lines and `body`, and reads the whole answer. An answer that breaks off is an error.
    pub fn call(&mut self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
        let mut out = format!("{line} HTTP/1.1\r\nHost: weir\r\nContent-Length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| out.push_str(&format!("{name}: {value}\r\n")));
        out.push_str("\r\n");
        self.0.get_mut().write_all(&[out.as_bytes(), body].concat())?;
        Response::read(&mut self.0)
    }
}

/// One call on a connection of its own.
pub fn call(at: SocketAddr, line: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
    Connection::open(at)?.call(line, headers, body)
}

/// Waits until `done`, at most [`PATIENCE`]; then fails with what `why` returns.
pub fn until(what: &str, mut done: impl FnMut() -> bool, why: impl Fn() -> String) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}\n{}", why());
        std::thread::sleep(Duration::from_millis(50));
    }
}
