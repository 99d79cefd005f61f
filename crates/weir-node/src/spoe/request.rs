//! From the arguments of a message to the request that they describe.

use super::values::{Message, Value, string};
use crate::http_inspector::DescribedRequest;
use crate::http_inspector::api_error::ApiError;
use crate::http_inspector::call::{self, CallHeaders, HeaderText};
use http::HeaderValue;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use weir_core::model::{BodyState, Scheme};

/// Name of the connector in events and logs, and of its coverage.
const CONNECTOR: &str = "haproxy-spoe/1";
const COUNTED_AS: &str = "haproxy";
/// Longest deadline, in milliseconds.
const MAX_DEADLINE: i64 = 60_000;

/// The arguments that are read. `None`: HAProxy's configuration does not send it; [`Value::Null`]: this request has none.
#[derive(Debug, Default)]
struct Arguments<'a> {
    method: Option<Value<'a>>,
    target: Option<Value<'a>>,
    path: Option<Value<'a>>,
    query: Option<Value<'a>>,
    version: Option<Value<'a>>,
    src: Option<Value<'a>>,
    headers: Option<Value<'a>>,
    body: Option<Value<'a>>,
    body_size: Option<Value<'a>>,
    ssl: Option<Value<'a>>,
    id: Option<Value<'a>>,
    key: Option<Value<'a>>,
    service: Option<Value<'a>>,
    route: Option<Value<'a>>,
    application: Option<Value<'a>>,
    deadline: Option<Value<'a>>,
}

impl<'a> Arguments<'a> {
    fn of(message: Message<'a>) -> Result<(Arguments<'a>, &'a [u8]), ApiError> {
        let (mut all, mut unknown) = (Arguments::default(), false);
        let rest = message.arguments(|name, value| match all.slot(name) {
            Some(slot) => *slot = Some(value),
            None => unknown = true,
        });
        let rest = rest.ok_or(ApiError::BadHeader("message", "malformed arguments"))?;
        if unknown { Err(ApiError::BadHeader("message", "an argument with an unknown name")) } else { Ok((all, rest)) }
    }

    fn slot(&mut self, name: &[u8]) -> Option<&mut Option<Value<'a>>> {
        Some(match name {
            b"method" => &mut self.method,
            b"target" => &mut self.target,
            b"path" => &mut self.path,
            b"query" => &mut self.query,
            b"version" => &mut self.version,
            b"src" => &mut self.src,
            b"headers" => &mut self.headers,
            b"body" => &mut self.body,
            b"body_size" => &mut self.body_size,
            b"ssl" => &mut self.ssl,
            b"id" => &mut self.id,
            b"key" => &mut self.key,
            b"service" => &mut self.service,
            b"route" => &mut self.route,
            b"application" => &mut self.application,
            b"deadline" => &mut self.deadline,
            _ => return None,
        })
    }
}

/// Reads the payload of a message, of which HAProxy sends at most `max_frame` bytes in a frame.
pub fn read(payload: &[u8], max_frame: usize) -> Result<DescribedRequest, ApiError> {
    let message = Message::first(payload).ok_or(ApiError::MissingHeader("message"))?;
    let (all, rest) = Arguments::of(message)?;
    if !rest.is_empty() {
        return Err(ApiError::BadHeader("message", "more than one in a frame"));
    }
    let method = all.method.and_then(Value::bytes).ok_or(ApiError::MissingHeader("method"))?;
    let headers = all.headers.ok_or(ApiError::MissingHeader("headers"))?;
    let (line_version, protocol) = version(all.version)?;
    let body = all.body.and_then(Value::bytes).unwrap_or_default();
    let mut bytes = Vec::with_capacity(payload.len() + 64);
    single_line(method, &mut bytes);
    bytes.push(b' ');
    target(&all, method, &mut bytes);
    [b" HTTP/", line_version, b"\r\n"].iter().for_each(|part| bytes.extend_from_slice(part));
    let head = Head::write(headers, &mut bytes)?;
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    let may_be_cut = !head.length && payload.len() >= max_frame / 2;
    let call = CallHeaders {
        scheme: if all.ssl == Some(Value::Bool(true)) { Scheme::Https } else { Scheme::Http },
        protocol,
        body: body_state(&all, method, body, &head, may_be_cut),
        answer_by: answer_by(all.deadline)?,
        service: name(all.service)?,
        route: name(all.route)?,
        application: application(all.application)?,
        traceparent: head.trace,
        ..CallHeaders::described(CONNECTOR, client(all.src)?, HeaderText::request_id(all.id.and_then(Value::bytes))?)
    };
    let key = all.key.and_then(Value::bytes).map(<[u8]>::to_vec);
    Ok(DescribedRequest { call, message: bytes.into(), body_bytes: body.len(), key, counted_as: COUNTED_AS })
}

/// What the headers say about the rest of the request.
#[derive(Debug, Default)]
struct Head {
    /// A `Content-Length`.
    length: bool,
    /// A `Transfer-Encoding`.
    encoded: bool,
    trace: Option<HeaderValue>,
}

impl Head {
    /// Writes the lines of `headers`: `req.hdrs` is text, `req.hdrs_bin` names and values with their lengths.
    fn write(headers: Value<'_>, to: &mut Vec<u8>) -> Result<Head, ApiError> {
        let mut head = Head::default();
        match headers {
            Value::Null => {}
            Value::Text(text) => {
                let text = text.strip_suffix(b"\r\n\r\n").or(text.strip_suffix(b"\r\n")).unwrap_or(text);
                for line in text.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)) {
                    let colon = line.iter().position(|&byte| byte == b':');
                    let (name, value) = colon.map_or((line, &b""[..]), |at| (&line[..at], &line[at + 1..]));
                    head.note(name, value);
                }
                if !text.is_empty() {
                    to.extend_from_slice(text);
                    to.extend_from_slice(b"\r\n");
                }
            }
            Value::Binary(mut list) => {
                let malformed = || ApiError::BadHeader("headers", "malformed");
                while !list.is_empty() {
                    let (rest, name) = string(list).ok_or_else(malformed)?;
                    let (rest, value) = string(rest).ok_or_else(malformed)?;
                    list = rest;
                    if name.is_empty() && value.is_empty() {
                        break;
                    }
                    head.note(name, value);
                    single_line(name, to);
                    to.extend_from_slice(b": ");
                    single_line(value, to);
                    to.extend_from_slice(b"\r\n");
                }
            }
            _ => return Err(ApiError::BadHeader("headers", "`req.hdrs` or `req.hdrs_bin`")),
        }
        Ok(head)
    }

    fn note(&mut self, name: &[u8], value: &[u8]) {
        self.length |= name.eq_ignore_ascii_case(b"content-length");
        self.encoded |= name.eq_ignore_ascii_case(b"transfer-encoding");
        if name.eq_ignore_ascii_case(call::TRACEPARENT.as_bytes()) {
            self.trace = HeaderValue::from_bytes(value.trim_ascii()).ok();
        }
    }
}

/// Writes `text` without line breaks: in a frame of the proxy they would begin lines that the client did not send.
fn single_line(text: &[u8], to: &mut Vec<u8>) {
    to.extend(text.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
}

fn target(all: &Arguments<'_>, method: &[u8], to: &mut Vec<u8>) {
    let bytes = |value: Option<Value<'_>>| value.and_then(Value::bytes).map(<[u8]>::to_vec).filter(|b| !b.is_empty());
    match (bytes(all.target).or_else(|| bytes(all.path)), method) {
        (Some(target), _) => escaped(&target, to),
        // `path` and `pathq` have no value for `*`.
        (None, b"OPTIONS") => to.push(b'*'),
        (None, _) => to.push(b'/'),
    }
    if all.target.is_none()
        && let Some(query) = bytes(all.query)
    {
        to.push(b'?');
        escaped(&query, to);
    }
}

/// Writes a target, which has neither spaces nor line breaks: HAProxy lets neither pass.
fn escaped(target: &[u8], to: &mut Vec<u8>) {
    for &byte in target {
        match byte {
            b'\r' => to.extend_from_slice(b"%0D"),
            b'\n' => to.extend_from_slice(b"%0A"),
            b' ' => to.extend_from_slice(b"%20"),
            byte => to.push(byte),
        }
    }
}

/// The version for the request line, and the protocol where it is not HTTP/1.
fn version(value: Option<Value<'_>>) -> Result<(&'static [u8], Option<HeaderText>), ApiError> {
    match value.and_then(Value::bytes) {
        Some(b"1.0") => Ok((b"1.0", None)),
        None | Some(b"1.1") => Ok((b"1.1", None)),
        Some(b"2.0" | b"2") => Ok((b"1.1", Some(HeaderText::from_static("HTTP/2")))),
        Some(b"3.0" | b"3") => Ok((b"1.1", Some(HeaderText::from_static("HTTP/3")))),
        Some(_) => Err(ApiError::BadHeader("version", "a version of HTTP: `req.ver`")),
    }
}

fn client(src: Option<Value<'_>>) -> Result<IpAddr, ApiError> {
    match src {
        Some(Value::Ip(address)) => Ok(address),
        // A client on a Unix socket has none.
        Some(Value::Null) => Ok(IpAddr::from([127, 0, 0, 1])),
        Some(_) => Err(ApiError::BadHeader("src", "an address: `src`")),
        None => Err(ApiError::MissingHeader("src")),
    }
}

/// How much of the body was sent. HAProxy does not say that it cut a body, but what length was announced; a body without
/// one that takes up much of a buffer may continue beyond it.
fn body_state(all: &Arguments<'_>, method: &[u8], body: &[u8], head: &Head, may_be_cut: bool) -> BodyState {
    let whole = all.body_size.and_then(Value::int);
    if body.is_empty() {
        let announced = head.encoded || (head.length && whole != Some(0));
        let without = matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"DELETE" | b"CONNECT");
        let unread = announced || (all.body.is_none() && !without);
        return if unread { BodyState::Unread } else { BodyState::Complete };
    }
    let cut = whole.is_none_or(|size| size != i64::try_from(body.len()).unwrap_or(i64::MAX));
    if cut || may_be_cut { BodyState::Prefix } else { BodyState::Complete }
}

fn name(value: Option<Value<'_>>) -> Result<Option<HeaderText>, ApiError> {
    let text = value.and_then(Value::bytes).filter(|text| !text.is_empty());
    text.map(|text| HeaderText::try_from(String::from_utf8_lossy(text).into_owned())).transpose()
}

fn application(value: Option<Value<'_>>) -> Result<Option<i64>, ApiError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.int().map(Some).ok_or(ApiError::BadHeader("application", "a whole number")),
    }
}

fn answer_by(value: Option<Value<'_>>) -> Result<Option<Instant>, ApiError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let ms = value.int().filter(|ms| (1..=MAX_DEADLINE).contains(ms));
            let ms = ms.ok_or(ApiError::BadHeader("deadline", "milliseconds from 1 to 60000"))?;
            Ok(Some(Instant::now() + call::time_to_answer(Duration::from_millis(ms.unsigned_abs()))))
        }
    }
}
