//! The parts of a key, as a request has them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use smallvec::SmallVec;
use std::borrow::Cow;
use weir_core::model::{DecodedHead, Message};
use weir_core::normalize::percent;

/// Values of one part that count: a client that repeats a name cannot know which of them the upstream reads.
const MAX_VALUES: usize = 4;
/// Longest value kept; of longer ones this many bytes count.
pub(super) const MAX_VALUE: usize = 1_024;
/// Longest bearer token whose claims are read.
const MAX_TOKEN: usize = 8_192;

/// The values of one part; none if the request has none.
pub(super) type PartValues<'v> = SmallVec<[Cow<'v, [u8]>; 1]>;

pub(super) fn push<'v>(values: &mut PartValues<'v>, value: impl Into<Cow<'v, [u8]>>) {
    let value = match value.into() {
        Cow::Borrowed(value) => Cow::Borrowed(&value[..value.len().min(MAX_VALUE)]),
        Cow::Owned(mut value) => {
            value.truncate(MAX_VALUE);
            Cow::Owned(value)
        }
    };
    if values.contains(&value) {
        return;
    }
    if values.len() < MAX_VALUES {
        values.push(value);
    } else if let Some(last) = values.last_mut() {
        // The first ones and the last one: what upstreams take of repeated names.
        *last = value;
    }
}

pub(super) fn header<'v>(message: &Message<'v>, name: &str) -> PartValues<'v> {
    let mut values = PartValues::new();
    let is_credentials = name.eq_ignore_ascii_case("authorization");
    for value in message.headers_named(name) {
        if is_credentials { push(&mut values, credentials(value)) } else { push(&mut values, value.trim_ascii()) }
    }
    values
}

/// Credentials in one spelling: the case of the scheme and the number of spaces behind it say nothing (RFC 9110 §11.4).
fn credentials(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    let Some(end) = value.iter().position(u8::is_ascii_whitespace) else { return Cow::Borrowed(value) };
    let (scheme, rest) = (&value[..end], value[end..].trim_ascii_start());
    if end + 1 + rest.len() == value.len() && !scheme.iter().any(u8::is_ascii_uppercase) {
        return Cow::Borrowed(value);
    }
    Cow::Owned([&scheme.to_ascii_lowercase()[..], rest].join(&b' '))
}

pub(super) fn cookie<'v>(message: &Message<'v>, name: &str) -> PartValues<'v> {
    let mut values = PartValues::new();
    for line in message.headers_named("cookie") {
        for pair in line.split(|&byte| byte == b';') {
            let Some(equals) = memchr::memchr(b'=', pair) else { continue };
            if pair[..equals].trim_ascii() == name.as_bytes() {
                push(&mut values, cookie_value(&pair[equals + 1..]));
            }
        }
    }
    values
}

/// A value of a cookie in one spelling: many upstreams remove quotes around it and decode it, so that one session could be
/// written in many ways.
pub(super) fn cookie_value(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    let inner = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
    percent::decode(inner, percent::Plus::Keep)
}

pub(super) fn query<'v>(head: &'v DecodedHead<'_>, name: &'v str) -> PartValues<'v> {
    let mut values = PartValues::new();
    let named = head.query.iter().filter(|(other, _)| is_named(other, name.as_bytes()));
    named.for_each(|(_, value)| push(&mut values, &**value));
    values
}

/// Whether upstreams may take `name` for the name that a rule says: some read names in any case, PHP removes space before
/// them.
pub(super) fn is_named(name: &[u8], said: &[u8]) -> bool {
    name.trim_ascii_start().eq_ignore_ascii_case(said)
}

/// Segment `number` of the path, the last one included.
pub(super) fn segment<'v>(head: &'v DecodedHead<'_>, number: u32) -> PartValues<'v> {
    let mut values = PartValues::new();
    for path in head.paths() {
        let mut segments = path.text.split(|&byte| byte == b'/').filter(|segment| !segment.is_empty());
        if let Some(segment) = segments.nth(number as usize) {
            push(&mut values, segment);
        }
    }
    values
}

/// A claim of the bearer token; the signature is not verified.
pub(super) fn claim<'v>(message: &Message<'v>, name: &str) -> PartValues<'v> {
    let mut values = PartValues::new();
    for line in message.headers_named("authorization") {
        let line = credentials(line);
        let Some(token) = line.strip_prefix(b"bearer ").filter(|token| token.len() <= MAX_TOKEN) else { continue };
        let payload =
            token.split(|&byte| byte == b'.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part.trim_ascii()).ok());
        let claims = payload.and_then(|payload| serde_json::from_slice::<serde_json::Value>(&payload).ok());
        match claims.as_ref().and_then(|claims| claims.get(name)) {
            Some(serde_json::Value::String(text)) => push(&mut values, text.clone().into_bytes()),
            Some(serde_json::Value::Number(number)) => push(&mut values, number.to_string().into_bytes()),
            _ => {}
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_core::model::Header;
    use weir_core::parse::facts::facts;
    use weir_core::parse::message;

    #[test]
    fn every_part_is_found_and_repeated_names_count_all() {
        let token = format!("Bearer x.{}.y", URL_SAFE_NO_PAD.encode(br#"{"sub":"u-1","n":7}"#));
        let raw = format!(
            "POST /api/users/42?q=a&q=b HTTP/1.1\r\nHost: h\r\nCookie: a=1; sid=s1\r\nCookie: sid=s2\r\n\
             Authorization: {token}\r\nContent-Type: application/json\r\n\r\n{{\"user\":\"al\",\"user\":\"bo\"}}"
        );
        let message = message::request(raw.as_bytes());
        let head = facts(&message);
        let text =
            |values: PartValues<'_>| values.iter().map(|v| String::from_utf8_lossy(v).into_owned()).collect::<Vec<_>>();
        assert_eq!(text(cookie(&message, "sid")), ["s1", "s2"]);
        assert_eq!(text(query(&head, "q")), ["a", "b"]);
        assert_eq!(text(segment(&head, 2)), ["42"]);
        assert_eq!(text(segment(&head, 3)), [""; 0]);
        assert_eq!((text(claim(&message, "sub")), text(claim(&message, "n"))), (vec!["u-1".into()], vec!["7".into()]));
        assert_eq!(text(header(&message, "HOST")), ["h"]);
    }

    #[test]
    fn one_session_credential_or_account_has_one_spelling() {
        for text in ["sid=ab%2Fc", "sid=\"ab/c\"", "sid=%61%62%2fc", "sid= ab/c ", "x=1; sid=ab/c"] {
            let raw = format!("GET / HTTP/1.1\r\nCookie: {text}\r\n\r\n");
            let message = message::request(raw.as_bytes());
            assert_eq!(cookie(&message, "sid").to_vec(), [&b"ab/c"[..]], "{text}");
        }
        for text in ["Bearer T0k", "bearer T0k", "BEARER \t  T0k", " bEaReR\tT0k "] {
            let raw = format!("GET / HTTP/1.1\r\nAuthorization: {text}\r\nX-Api-Key: {text}\r\n\r\n");
            let message = message::request(raw.as_bytes());
            assert_eq!(header(&message, "AUTHORIZATION").to_vec(), [&b"bearer T0k"[..]], "{text}");
            assert_eq!(header(&message, "X-API-KEY").to_vec(), [text.trim().as_bytes()], "only where it says nothing");
        }
    }

    #[test]
    fn many_repetitions_keep_the_first_and_the_last() {
        let values: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let headers = values.iter().map(|value| Header { name: b"x", value: value.as_bytes() }).collect();
        let found = header(&Message { headers, ..Message::default() }, "X");
        assert_eq!(found.iter().map(|value| &**value).collect::<Vec<_>>(), [&b"0"[..], b"1", b"2", b"99"]);
    }
}
