//! Splits `message/http` bytes into a [`Message`], and reports anomalies of the message as a whole.
//!
//! Nothing is rejected here: whatever a client managed to send is inspected. [`request`] and [`from_parts`] run the same
//! checks on each word and line, so that both wire forms of a request give equal messages.

mod check;

pub use check::check;

use crate::model::{AnomalyKind, ByteClasses, Header, Message, MessageKind};
use memchr::{memchr, memrchr2};

/// Lines of a head that become a header each. The rest of a longer head becomes the value of one header without a name,
/// so that memory stays near the size of the input and everything is inspected.
pub const MAX_HEADER_LINES: usize = 16_384;

/// Splits a raw request: the head ends at the first empty line, and all remaining bytes are the body.
pub fn request(raw: &[u8]) -> Message<'_> {
    let mut message = Message { kind: MessageKind::Request, ..Message::default() };
    let mut lines = Lines::new(raw);
    let first = lines.start_line(&mut message.anomalies);
    let (method, rest) = first.split_at(first.iter().position(|b| is_blank(*b)).unwrap_or(first.len()));
    let rest = rest.get(1..).unwrap_or_default();
    let at = memrchr2(b' ', b'\t', rest).filter(|&at| is_http(&rest[at + 1..]));
    let (target, protocol) = at.map_or((rest, &b""[..]), |at| (&rest[..at], &rest[at + 1..]));
    request_line(&mut message, method, target, protocol);
    if memchr(b'\t', first).is_some() {
        note(&mut message.anomalies, AnomalyKind::BadRequestLine);
    }
    lines.headers(&mut message);
    message
}

/// Splits a raw response.
pub fn response(raw: &[u8]) -> Message<'_> {
    let mut message = Message { kind: MessageKind::Response, ..Message::default() };
    let mut lines = Lines::new(raw);
    let first = lines.start_line(&mut message.anomalies);
    let mut words = first.splitn(3, |&b| is_blank(b));
    let protocol = words.next().unwrap_or_default();
    let status = words.next().unwrap_or_default();
    let status = std::str::from_utf8(status).ok().filter(|s| s.len() == 3).and_then(|s| s.parse().ok());
    status_line(&mut message, protocol, status.unwrap_or_default());
    lines.headers(&mut message);
    message
}

/// A request from words and lines that are already split, as in the JSON form of a call. If the same request can be
/// written as `message/http`, [`request`] gives an equal message.
pub fn from_parts<'a>(
    method: &'a [u8],
    target: &'a [u8],
    protocol: &'a [u8],
    headers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    body: &'a [u8],
) -> Message<'a> {
    let mut message = Message { kind: MessageKind::Request, body, ..Message::default() };
    request_line(&mut message, method, target, protocol);
    headers.into_iter().for_each(|(name, value)| header(&mut message, name, value));
    message
}

/// A response from words and lines that are already split.
pub fn response_from_parts<'a>(
    protocol: &'a [u8],
    status: u16,
    headers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    body: &'a [u8],
) -> Message<'a> {
    let mut message = Message { kind: MessageKind::Response, body, ..Message::default() };
    status_line(&mut message, protocol, status);
    headers.into_iter().for_each(|(name, value)| header(&mut message, name, value));
    message
}

/// Appends the lines of a head past [`MAX_HEADER_LINES`], as one value without a name.
pub fn push_rest_of_head<'a>(lines: &'a [u8], message: &mut Message<'a>) {
    note(&mut message.anomalies, AnomalyKind::TooManyHeaders);
    message.headers.push(Header { name: b"", value: trim_value(lines) });
}

/// Appends the trailer section of a chunked body (RFC 9112 §7.1.2) to the headers.
pub fn append_trailers<'a>(section: &'a [u8], message: &mut Message<'a>) {
    let mut lines = Lines::new(section);
    let mut within = Message { body: message.body, ..Message::default() };
    lines.headers(&mut within);
    message.headers.append(&mut within.headers);
    within
        .anomalies
        .into_iter()
        .filter(|&k| k != AnomalyKind::TruncatedHead)
        .for_each(|k| note(&mut message.anomalies, k));
}

/// Sets the words of the request line, and reports their anomalies.
fn request_line<'a>(message: &mut Message<'a>, method: &'a [u8], target: &'a [u8], protocol: &'a [u8]) {
    message.method = method;
    message.target = trim_blanks(target);
    message.protocol = protocol;
    let bad = method.is_empty()
        || !method.iter().all(|&b| is_token(b))
        || message.target.is_empty()
        || message.target.len() != target.len()
        || ByteClasses::of(target).intersects(ByteClasses::BLANK)
        || !is_known_http(protocol);
    if bad {
        note(&mut message.anomalies, AnomalyKind::BadRequestLine);
    }
    for word in [method, protocol] {
        if memchr(0, word).is_some() {
            note(&mut message.anomalies, AnomalyKind::NulByte);
        }
    }
}

/// Sets the words of the status line. An invalid status stays 0.
fn status_line<'a>(message: &mut Message<'a>, protocol: &'a [u8], status: u16) {
    message.protocol = protocol;
    match status {
        100..=999 if is_known_http(protocol) => message.status = status,
        _ => note(&mut message.anomalies, AnomalyKind::BadStatusLine),
    }
}

/// Appends a header, and reports its anomalies.
fn header<'a>(message: &mut Message<'a>, name: &'a [u8], value: &'a [u8]) {
    let trimmed = trim_blanks(name);
    if name.last().is_some_and(|&b| is_blank(b)) {
        note(&mut message.anomalies, AnomalyKind::SpaceBeforeColon);
    }
    if trimmed.is_empty() || name.first().is_some_and(|&b| is_blank(b)) || !trimmed.iter().all(|&b| is_token(b)) {
        note(&mut message.anomalies, AnomalyKind::BadHeader);
    }
    if ByteClasses::of(value).intersects(ByteClasses::CONTROL.with(ByteClasses::NEWLINE)) {
        note_value(value, &mut message.anomalies);
    }
    if memchr(0, name).is_some() {
        note(&mut message.anomalies, AnomalyKind::NulByte);
    }
    message.headers.push(Header { name: trimmed, value: trim_value(value) });
}

/// Reports control bytes and line ends within a header value.
#[cold]
fn note_value(value: &[u8], anomalies: &mut Vec<AnomalyKind>) {
    for (at, &b) in value.iter().enumerate() {
        let folds = || value.get(at + 1).is_some_and(|&b| is_blank(b));
        match b {
            0 => note(anomalies, AnomalyKind::NulByte),
            b'\t' => {}
            b'\r' if value.get(at + 1) == Some(&b'\n') => {}
            b'\n' => {
                let bare = at == 0 || value[at - 1] != b'\r';
                if folds() {
                    note(anomalies, AnomalyKind::ObsFold);
                }
                if bare || !folds() {
                    note(anomalies, AnomalyKind::BareLineEnd);
                }
            }
            b'\r' => note(anomalies, AnomalyKind::BareLineEnd),
            b if b.is_ascii_control() => note(anomalies, AnomalyKind::ControlByte),
            _ => {}
        }
    }
}

fn note(anomalies: &mut Vec<AnomalyKind>, kind: AnomalyKind) {
    if !anomalies.contains(&kind) {
        anomalies.push(kind);
    }
}

fn is_blank(b: u8) -> bool {
    b == b' ' || b == b'\t'
}

/// A byte of a token (RFC 9110 §5.6.2).
fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

fn is_http(word: &[u8]) -> bool {
    word.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"HTTP/"))
}

/// `HTTP/1.1`, or `HTTP/2` as gateways write it for versions without a request line.
fn is_known_http(word: &[u8]) -> bool {
    matches!(word, b"HTTP/1.1" | b"HTTP/1.0" | b"HTTP/2.0" | b"HTTP/2" | b"HTTP/3.0" | b"HTTP/3")
}

fn trim_blanks(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_blank(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_blank(*last)
    {
        text = rest;
    }
    text
}

/// Removes white space at both ends, and folded lines there that hold nothing else.
fn trim_value(value: &[u8]) -> &[u8] {
    let mut text = trim_blanks(value);
    while let Some(rest) = text.strip_suffix(b"\n").map(|t| t.strip_suffix(b"\r").unwrap_or(t)) {
        text = trim_blanks(rest);
    }
    while let Some(rest) = text.strip_prefix(b"\r\n").or_else(|| text.strip_prefix(b"\n")) {
        text = trim_blanks(rest);
    }
    text
}

/// Reads a head line by line.
struct Lines<'a> {
    raw: &'a [u8],
    at: usize,
}

/// One line of a head.
struct Line<'a> {
    text: &'a [u8],
    /// Where the text ends in the input.
    end: usize,
    /// The line ended with a bare LF.
    bare: bool,
    /// The input ended before the line did.
    open: bool,
}

impl<'a> Lines<'a> {
    fn new(raw: &'a [u8]) -> Self {
        Self { raw, at: 0 }
    }

    fn next(&mut self) -> Line<'a> {
        let start = self.at;
        let rest = &self.raw[start..];
        let (line, open) = memchr(b'\n', rest).map_or((rest, true), |end| (&rest[..end], false));
        self.at += line.len() + usize::from(!open);
        let text = if open { line } else { line.strip_suffix(b"\r").unwrap_or(line) };
        Line { text, end: start + text.len(), bare: !open && text.len() == line.len(), open }
    }

    /// The first line. An empty line before it is skipped, as servers do (RFC 9112 §2.2).
    fn start_line(&mut self, anomalies: &mut Vec<AnomalyKind>) -> &'a [u8] {
        let mut line = self.next();
        if line.text.is_empty() && !line.open {
            line = self.next();
        }
        if line.bare {
            note(anomalies, AnomalyKind::BareLineEnd);
        }
        if memchr(b'\r', line.text).is_some() {
            note(anomalies, AnomalyKind::BareLineEnd);
        }
        line.text
    }

    /// Reads the header lines up to the empty line, and the body after it.
    fn headers(&mut self, message: &mut Message<'a>) {
        loop {
            let start = self.at;
            let mut line = self.next();
            if line.text.is_empty() {
                break self.end(line, message);
            }
            if message.headers.len() >= MAX_HEADER_LINES {
                return self.rest(start, message);
            }
            let mut any_bare = line.bare;
            while !line.open && self.raw.get(self.at).is_some_and(|&b| is_blank(b)) {
                line = self.next();
                any_bare |= line.bare;
            }
            if any_bare {
                note(&mut message.anomalies, AnomalyKind::BareLineEnd);
            }
            split_line(&self.raw[start..line.end], message);
            if line.open {
                break note(&mut message.anomalies, AnomalyKind::TruncatedHead);
            }
        }
    }

    fn end(&mut self, line: Line<'a>, message: &mut Message<'a>) {
        if line.open {
            note(&mut message.anomalies, AnomalyKind::TruncatedHead);
        }
        if line.bare {
            note(&mut message.anomalies, AnomalyKind::BareLineEnd);
        }
        message.body = &self.raw[self.at..];
    }

    /// Keeps all lines from `start` to the empty line as one value.
    fn rest(&mut self, start: usize, message: &mut Message<'a>) {
        self.at = start;
        loop {
            let before = self.at;
            let line = self.next();
            if line.text.is_empty() || line.open {
                let end = if line.open { self.at } else { before };
                push_rest_of_head(&self.raw[start..end], message);
                return self.end(line, message);
            }
        }
    }
}

/// Splits a line, with its folds, at the first colon. A line without a colon becomes a name, so that it is inspected.
fn split_line<'a>(line: &'a [u8], message: &mut Message<'a>) {
    match memchr(b':', line) {
        Some(at) => header(message, &line[..at], &line[at + 1..]),
        None => {
            note(&mut message.anomalies, AnomalyKind::BadHeader);
            header(message, line, b"");
        }
    }
}

#[cfg(test)]
mod tests;
