//! Reads requests from common formats, each into raw `message/http` bytes.

mod curl;
mod har;
mod jsonl;

use std::fmt;

/// Longest input read from one file, in bytes.
pub const MAX_INPUT: u64 = 256 << 20;

/// The form of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// Detected from the content.
    Auto,
    /// One raw HTTP/1 request.
    Http,
    /// An HTTP archive as exported by browsers (HAR 1.2).
    Har,
    /// curl command lines, one or more, lines continued by `\`.
    Curl,
    /// One request a line, as JSON.
    Jsonl,
}

/// A request read from a file, and what the file says about it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sample {
    /// Raw `message/http` bytes.
    pub raw: Vec<u8>,
    /// Name within the file, if it has one.
    pub id: Option<String>,
    /// Where it is from, if the file says so.
    pub source: Option<String>,
    /// Its label (`benign` or an attack class), if it has one.
    pub class: Option<String>,
    /// How far its source can be trusted to be ordinary traffic, if it says so.
    pub tier: Option<String>,
    /// Where its payload is, such as `query`, if it says so.
    pub place: Option<String>,
}

/// An input that cannot be read as requests.
#[derive(Debug, thiserror::Error)]
#[error("{}{message}", Line(*line))]
pub struct ReadError {
    /// Line of the input, from 1; 0 for the input as a whole.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl ReadError {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

/// `line 3: `; nothing for line 0.
struct Line(usize);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, "line {}: ", self.0) }
    }
}

/// The request of line `number` of a file of JSON lines.
pub fn json_line(number: usize, line: &[u8]) -> Result<Sample, ReadError> {
    jsonl::sample(number, line)
}

/// Reads every request of `input`.
pub fn read(input: &[u8], form: Form) -> Result<Vec<Sample>, ReadError> {
    if input.trim_ascii().is_empty() {
        return Err(ReadError::new(0, "the input is empty"));
    }
    match if form == Form::Auto { detect(input) } else { form } {
        Form::Har => har::read(input),
        Form::Curl => curl::read(input),
        Form::Jsonl => jsonl::read(input),
        Form::Http | Form::Auto => Ok(vec![Sample { raw: http(input), ..Sample::default() }]),
    }
}

fn detect(input: &[u8]) -> Form {
    let start = input.trim_ascii_start();
    let first_line = start.split(|&b| b == b'\n').next().unwrap_or_default();
    if start.starts_with(b"{") {
        let whole_line = serde_json::from_slice::<serde::de::IgnoredAny>(first_line).is_ok();
        let archive = memchr::memmem::find(&start[..start.len().min(4096)], b"\"log\"").is_some();
        return if archive && (!whole_line || serde_json::from_slice::<har::Archive>(first_line).is_ok()) {
            Form::Har
        } else {
            Form::Jsonl
        };
    }
    if start.starts_with(b"curl ") || start.starts_with(b"$ curl ") { Form::Curl } else { Form::Http }
}

/// A hand-written request often has bare LF in its head; the head's line ends are left as they are, for they matter,
/// but a request typed without the final empty line gets one.
fn http(input: &[u8]) -> Vec<u8> {
    let mut raw = input.to_vec();
    let has_end = memchr::memmem::find(input, b"\r\n\r\n").or_else(|| memchr::memmem::find(input, b"\n\n")).is_some();
    if !has_end {
        let end: &[u8] = if raw.ends_with(b"\n") { b"\r\n" } else { b"\r\n\r\n" };
        raw.extend_from_slice(end);
    }
    raw
}

/// Puts a request together.
fn compose(method: &str, target: &str, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let mut raw = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
    for (name, value) in headers {
        raw.extend_from_slice(name.as_bytes());
        raw.extend_from_slice(b": ");
        raw.extend_from_slice(value.as_bytes());
        raw.extend_from_slice(b"\r\n");
    }
    let framed = headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding"));
    if !body.is_empty() && !framed {
        raw.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    raw.extend_from_slice(b"\r\n");
    raw.extend_from_slice(body);
    raw
}

/// Splits an absolute URL into authority and target; a relative one has no authority.
fn split_url(url: &str) -> (Option<&str>, String) {
    let rest = url.split_once("://").map(|(_, rest)| rest);
    let Some(rest) = rest else { return (None, url.to_string()) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let target = target.split('#').next().unwrap_or_default();
    let slash = if target.starts_with('/') { "" } else { "/" };
    (Some(authority.rsplit('@').next().unwrap_or(authority)), format!("{slash}{target}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_forms_apart() {
        for (input, form) in [
            ("GET / HTTP/1.1\r\n\r\n", Form::Http),
            ("curl http://x/", Form::Curl),
            ("{\"method\":\"GET\",\"path\":\"/\"}\n{}", Form::Jsonl),
            ("{\n \"log\": {\"entries\": []}}", Form::Har),
            ("{\"log\": {\"entries\": []}}", Form::Har),
        ] {
            assert_eq!(detect(input.as_bytes()), form, "{input}");
        }
    }

    #[test]
    fn completes_a_typed_head() {
        assert_eq!(http(b"GET / HTTP/1.1\nHost: x\n"), b"GET / HTTP/1.1\nHost: x\n\r\n");
        assert_eq!(http(b"GET / HTTP/1.1"), b"GET / HTTP/1.1\r\n\r\n");
    }

    #[test]
    fn splits_urls() {
        assert_eq!(split_url("http://u:p@h:1?q#f"), (Some("h:1"), "/?q".into()));
        assert_eq!(split_url("/only/path"), (None, "/only/path".into()));
    }

    #[test]
    fn an_empty_input_is_an_error() {
        assert!(read(b" \n", Form::Auto).is_err());
    }
}
