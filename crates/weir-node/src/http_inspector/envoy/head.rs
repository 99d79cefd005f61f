//! The head of a message as Envoy's filters describe it: pseudo headers and headers, in lower case.

use super::proto::{HeaderMap, HeaderValue};
use crate::http_inspector::api_error::ApiError;
use crate::http_inspector::call;
use std::net::IpAddr;
use weir_core::model::{AnomalyKind, Scheme};

/// Headers that Envoy adds to a list of addresses with `use_remote_address`.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// Headers of the connection between client and Envoy: the message that is inspected has no framing.
const FRAMING: &[&str] = &["transfer-encoding", "connection", "keep-alive", "proxy-connection"];
/// Headers that only a client can have sent, and that claim what only a proxy can know.
const FOREIGN: &[&str] =
    &["x-forwarded-method", "x-forwarded-uri", "x-original-method", "x-original-uri", "x-original-url"];

/// The head of a request or response.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// Start line and header lines, without the empty line at the end.
    pub lines: Vec<u8>,
    /// Bytes of the start line and the host.
    pub intro: usize,
    /// Method of a request.
    pub method: Vec<u8>,
    /// Scheme of a request.
    pub scheme: Scheme,
    /// The last address of `X-Forwarded-For`, if it is one.
    pub forwarded_for: Option<IpAddr>,
    /// `Content-Length`, if it is a number.
    pub length: Option<u64>,
    /// The rest of the message is a stream without an end to wait for: an upgrade, `CONNECT`, server-sent events.
    pub endless: bool,
    /// Anomalies of the way in which the message was sent.
    pub anomalies: Vec<AnomalyKind>,
}

/// What differs between the heads that the two filters send.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadOptions<'h> {
    /// Address of Envoy's peer, if it is known: then it is no forwarded address.
    pub source: Option<IpAddr>,
    /// A header of the filter itself.
    pub own: Option<&'h str>,
}

impl Head {
    /// The head of the request with `headers`.
    pub fn request(headers: &HeaderMap, options: HeadOptions<'_>) -> Result<Self, ApiError> {
        let pseudo = |name| pseudo_header(headers, name).unwrap_or_default();
        let (method, path) = (pseudo(":method"), pseudo(":path"));
        let scheme = match pseudo(":scheme") {
            b"https" | b"wss" => Scheme::Https,
            _ => Scheme::Http,
        };
        let connect = method == b"CONNECT";
        let target = if connect && path.is_empty() { pseudo(":authority") } else { path };
        if http::Method::from_bytes(method).is_err() {
            return Err(ApiError::BadHeader(":method", "a method"));
        }
        let mut head = Self { method: method.to_vec(), scheme, ..Self::default() };
        for (part, name) in [(method, ":method"), (b" ", ""), (target, ":path"), (b" HTTP/1.1\r\n", "")] {
            head.push(part, name)?;
        }
        if let Some(authority) = pseudo_header(headers, ":authority") {
            head.line("host", authority)?;
        }
        head.intro = head.lines.len();
        head.headers(headers, options)?;
        head.endless = connect || headers.named("upgrade").next().is_some();
        let foreign = headers.headers.iter().any(|header| FOREIGN.contains(&header.key.as_str()));
        head.anomalies.extend(foreign.then_some(AnomalyKind::ConflictingForward));
        Ok(head)
    }

    /// The head of the response with `headers`.
    pub fn response(headers: &HeaderMap) -> Result<Self, ApiError> {
        let status = pseudo_header(headers, ":status").unwrap_or_default();
        if http::StatusCode::from_bytes(status).is_err() {
            return Err(ApiError::BadHeader(":status", "a status"));
        }
        let mut head = Self::default();
        for part in [b"HTTP/1.1 ", status, b" \r\n"] {
            head.lines.extend_from_slice(part);
        }
        head.intro = head.lines.len();
        head.headers(headers, HeadOptions::default())?;
        let stream = |kind: &[u8]| {
            let kind = kind.to_ascii_lowercase();
            kind.starts_with(b"text/event-stream") || kind.starts_with(b"application/grpc")
        };
        head.endless = status == b"101" || headers.named("content-type").any(stream);
        Ok(head)
    }

    /// Adds trailers, which are inspected like headers.
    pub fn trailers(&mut self, trailers: &HeaderMap) -> Result<(), ApiError> {
        trailers.headers.iter().try_for_each(|header| self.line(&header.key, header.bytes()))
    }

    /// Leaves the start line and the host: for trailers that come after the rest was inspected.
    pub fn keep_intro(&mut self) {
        self.lines.truncate(self.intro);
    }

    /// The head as a message without a body.
    pub fn alone(&self) -> Vec<u8> {
        let mut message = Vec::with_capacity(self.lines.len() + 2);
        for line in self.lines.split_inclusive(|&byte| byte == b'\n') {
            if !line.starts_with(b"content-length: ") {
                message.extend_from_slice(line);
            }
        }
        message.extend_from_slice(b"\r\n");
        message
    }

    fn headers(&mut self, headers: &HeaderMap, options: HeadOptions<'_>) -> Result<(), ApiError> {
        let last = headers.headers.iter().rposition(|header| header.key == FORWARDED_FOR);
        for (at, header) in headers.headers.iter().enumerate() {
            let (name, value) = (header.key.as_str(), header.bytes());
            if name.starts_with(':') || FRAMING.contains(&name) || options.own == Some(name) {
                continue;
            }
            match name {
                FORWARDED_FOR if Some(at) == last => self.forwarded(value, options.source)?,
                // Envoy keeps `host` as `:authority`.
                "host" if headers.named(":authority").next().is_some() => {}
                _ => self.line(name, value)?,
            }
            if name == "content-length" {
                self.length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            }
        }
        Ok(())
    }

    /// The list of addresses without the one that Envoy itself added.
    fn forwarded(&mut self, value: &[u8], source: Option<IpAddr>) -> Result<(), ApiError> {
        let (before, last) = match value.iter().rposition(|&byte| byte == b',') {
            Some(at) => (&value[..at], &value[at + 1..]),
            None => (&b""[..], value),
        };
        let address = http::HeaderValue::from_bytes(last.trim_ascii()).ok().as_ref().and_then(call::address);
        self.forwarded_for = address;
        let added = address.is_some() && (source.is_none() || source == address);
        match (added, before.trim_ascii()) {
            (false, _) => self.line(FORWARDED_FOR, value),
            (true, b"") => Ok(()),
            (true, before) => self.line(FORWARDED_FOR, before),
        }
    }

    fn line(&mut self, name: &str, value: &[u8]) -> Result<(), ApiError> {
        if name.is_empty() || name.bytes().any(|byte| byte <= b' ' || byte == b':' || byte == 0x7f) {
            return Err(ApiError::BadMessage("the name of a header is not a token"));
        }
        self.lines.extend_from_slice(name.as_bytes());
        self.lines.extend_from_slice(b": ");
        self.push(value, "header")?;
        self.lines.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Adds `part`. A line end inside it would begin another line: Envoy never sends one.
    fn push(&mut self, part: &[u8], name: &str) -> Result<(), ApiError> {
        if !name.is_empty() && part.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(ApiError::BadMessage("a value contains a line end or a zero byte"));
        }
        self.lines.extend_from_slice(part);
        Ok(())
    }
}

impl HeaderMap {
    /// The values of the headers `name`.
    pub fn named<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m [u8]> {
        self.headers.iter().filter(move |header| header.key == name).map(HeaderValue::bytes)
    }
}

/// The value of a pseudo header.
fn pseudo_header<'m>(headers: &'m HeaderMap, name: &'m str) -> Option<&'m [u8]> {
    headers.named(name).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&str, &str)]) -> HeaderMap {
        let header = |&(key, value): &(&str, &str)| HeaderValue {
            key: key.into(),
            raw_value: value.as_bytes().to_vec().into(),
            ..HeaderValue::default()
        };
        HeaderMap { headers: headers.iter().map(header).collect() }
    }

    const GET: &[(&str, &str)] =
        &[(":method", "GET"), (":path", "/a?b=%31"), (":authority", "shop.example"), (":scheme", "https")];

    fn request(more: &[(&str, &str)], source: Option<&str>) -> Head {
        let options = HeadOptions { source: source.map(|ip| ip.parse().unwrap()), own: None };
        Head::request(&map(&[GET, more].concat()), options).unwrap()
    }

    #[test]
    fn a_request_is_rebuilt() {
        let head = request(&[("transfer-encoding", "chunked"), ("x-a", "1"), ("content-length", "7")], None);
        assert_eq!(
            String::from_utf8(head.lines).unwrap(),
            "GET /a?b=%31 HTTP/1.1\r\nhost: shop.example\r\nx-a: 1\r\ncontent-length: 7\r\n"
        );
        assert_eq!((head.scheme, head.length, head.endless), (Scheme::Https, Some(7), false));
        assert!(request(&[("upgrade", "websocket")], None).endless);
    }

    #[test]
    fn only_the_address_that_envoy_added_is_taken_off_the_list() {
        let list = "198.51.100.7, 203.0.113.9";
        let lines = |source| String::from_utf8(request(&[("x-forwarded-for", list)], source).lines).unwrap();
        assert!(lines(Some("203.0.113.9")).contains("x-forwarded-for: 198.51.100.7\r\n"));
        assert!(lines(Some("192.0.2.1")).contains("x-forwarded-for: 198.51.100.7, 203.0.113.9\r\n"));
        assert!(lines(None).contains("x-forwarded-for: 198.51.100.7\r\n"));
        let head = request(&[("x-forwarded-for", "203.0.113.9")], None);
        assert!(!head.lines.windows(3).any(|part| part == b"x-f"));
        assert_eq!(head.forwarded_for, Some("203.0.113.9".parse().unwrap()));
    }

    #[test]
    fn values_cannot_add_lines() {
        for (name, value) in
            [("x-a", "1\r\nx-b: 2"), ("x-a", "a\0"), ("x a", "1"), ("", "1"), ("a\n", "1"), ("a:", "1")]
        {
            let headers = map(&[GET, &[(name, value)]].concat());
            let refused = Head::request(&headers, HeadOptions::default()).err();
            assert!(matches!(refused, Some(ApiError::BadMessage(_))), "{name:?}: {value:?}");
        }
        for headers in [&[(":method", "GET"), (":path", "/\n")][..], &[(":method", "G T"), (":path", "/")], &[]] {
            assert!(Head::request(&map(headers), HeadOptions::default()).is_err(), "{headers:?}");
        }
        assert!(Head::response(&map(&[(":status", "2 0")])).is_err());
    }

    #[test]
    fn a_claim_of_another_family_is_an_anomaly() {
        assert_eq!(request(&[("x-original-url", "/")], None).anomalies, [AnomalyKind::ConflictingForward]);
        assert_eq!(request(&[("x-a", "/")], None).anomalies, []);
    }

    #[test]
    fn streams_of_responses_are_told_by_their_head() {
        let endless = |headers| Head::response(&map(headers)).unwrap().endless;
        assert!(endless(&[(":status", "101")]));
        assert!(endless(&[(":status", "200"), ("content-type", "Text/Event-Stream; charset=utf-8")]));
        assert!(!endless(&[(":status", "200"), ("content-type", "text/html")]));
    }
}
