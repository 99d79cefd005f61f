//! Responses of HTTP/1.1, read byte for byte as they are on the wire.

use std::io::{self, BufRead};

/// A response; names of headers in lower case.
#[derive(Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// As many bytes as `Content-Length` says.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header called `name` (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Reads the next response. It is an error if it breaks off, or if the connection ends before it.
    pub fn read(stream: &mut impl BufRead) -> io::Result<Response> {
        let first = line(stream)?;
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
        let mut headers = Vec::new();
        loop {
            let line = line(stream)?;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut response = Response { status, headers, body: Vec::new() };
        let length = response.header("content-length").map_or(0, |length| length.parse().unwrap());
        response.body.resize(length, 0);
        stream.read_exact(&mut response.body)?;
        Ok(response)
    }
}

/// Reads the next response; none at the end of the connection.
pub fn read(stream: &mut impl BufRead) -> Option<Response> {
    Response::read(stream).ok()
}

fn broken() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    line.strip_suffix("\r\n").map(str::to_owned).ok_or_else(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_read_one_after_the_other_and_a_broken_one_is_an_error() {
        let mut stream =
            &b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\n{}HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 2"[..];
        let first = Response::read(&mut stream).unwrap();
        assert_eq!((first.status, first.header("x-a"), first.json()), (200, Some("b"), serde_json::json!({})));
        assert_eq!(Response::read(&mut stream).unwrap().status, 204);
        assert!(Response::read(&mut stream).is_err());
        assert!(read(&mut &b""[..]).is_none());
    }
}
