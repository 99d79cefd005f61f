//! The parts of a key, as a request has them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bumpalo::Bump;
use smallvec::SmallVec;
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization as _;
use weir_core::model::{
    BodyState, Budget, DecodedHead, FormId, Limits, Message, PointId, PointPattern, PointTree, Stop, Value,
};
use weir_core::normalize::percent;
use weir_core::parse::extract::{ParseOptions, ScratchBuffers, extract_with_buffers};
use weir_core::parse::visitor::ValueVisitor;

/// Values of one part that count: a client that repeats a name cannot know which of them the upstream reads.
const MAX_VALUES: usize = 4;
/// Longest value kept; of longer ones this many bytes count.
const MAX_VALUE: usize = 1_024;
/// Longest bearer token whose claims are read.
const MAX_TOKEN: usize = 8_192;

/// The values of one part; none if the request has none.
pub(super) type PartValues<'v> = SmallVec<[Cow<'v, [u8]>; 1]>;

fn push<'v>(values: &mut PartValues<'v>, value: impl Into<Cow<'v, [u8]>>) {
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

/// An account in one spelling: most upstreams compare accounts without regard to case, width and space around them, and
/// databases often without regard to accents.
pub(super) fn folded(value: &[u8]) -> Vec<u8> {
    if value.is_ascii() {
        return value.trim_ascii().to_ascii_lowercase();
    }
    let text = String::from_utf8_lossy(value);
    let lower: String = text.nfkd().filter(|c| !is_unseen(*c)).flat_map(char::to_lowercase).collect();
    lower.trim().as_bytes().to_vec()
}

/// Accents, and invisible characters, which upstreams often remove: soft hyphen, zero-width characters, marks of
/// direction.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

pub(super) fn query<'v>(head: &'v DecodedHead<'_>, name: &'v str) -> PartValues<'v> {
    let mut values = PartValues::new();
    head.query_values(name.as_bytes()).for_each(|value| push(&mut values, value));
    values
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
        let Some((scheme, token)) = line.split_at_checked(7) else { continue };
        if !scheme.eq_ignore_ascii_case(b"bearer ") || token.len() > MAX_TOKEN {
            continue;
        }
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

/// The values at each of `points`, found in one pass over the message, and whether all of the message was read.
pub(super) fn at_points<'v>(
    message: &Message<'v>,
    points: &[&PointPattern],
    limits: &Limits,
) -> (Vec<PartValues<'v>>, bool) {
    let bump = Bump::new();
    let never = || false;
    let budget = Budget::new(0, &never);
    let mut find = Find { points, found: Vec::new() };
    let (options, buffers) = (ParseOptions::default(), ScratchBuffers::default());
    let extracted = extract_with_buffers(message, &options, limits, &budget, &bump, buffers, &mut find);
    let is_whole = message.body_state == BodyState::Complete && extracted.notes.skipped.is_empty();
    let mut values = vec![PartValues::new(); points.len()];
    find.found.into_iter().for_each(|(point, value)| push(&mut values[point], value));
    let owned = |value: Cow<'_, [u8]>| Cow::Owned(value.into_owned());
    (values.into_iter().map(|values| values.into_iter().map(owned).collect()).collect(), is_whole)
}

struct Find<'p, 'a> {
    points: &'p [&'p PointPattern],
    /// Numbers of points, and what was there.
    found: Vec<(usize, &'a [u8])>,
}

impl<'a> ValueVisitor<'a> for Find<'_, 'a> {
    fn visit(&mut self, value: &Value<'a>, tree: &PointTree<'a>) -> Result<(), Stop> {
        for (number, point) in self.points.iter().enumerate() {
            if point.covers_node(tree, value.point) && point.is(&tree.path(value.point)) {
                self.found.push((number, value.bytes));
            }
        }
        Ok(())
    }

    fn reached_again(&mut self, _: FormId, _: PointId, _: &PointTree<'a>) {}

    fn position(&self) -> usize {
        self.found.len()
    }

    fn rollback(&mut self, position: usize) {
        self.found.truncate(position);
    }
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
        let point = serde_json::from_str(r#"[["post"],["json_doc"],["hash","user"]]"#).unwrap();
        let other = serde_json::from_str(r#"[["post"],["json_doc"],["hash","none"]]"#).unwrap();
        let (found, is_whole) = at_points(&message, &[&other, &point], &Limits::default());
        assert!(is_whole);
        assert_eq!(found.into_iter().map(text).collect::<Vec<_>>(), [vec![], vec!["al", "bo"]]);
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
        for text in [
            "jose",
            " JOSE ",
            "Jos\u{e9}",
            "jose\u{301}",
            "\u{ff2a}\u{ff4f}se",
            "jo\u{200b}se\u{a0}",
            "\u{feff}jo\u{17f}e",
        ] {
            assert_eq!(String::from_utf8(folded(text.as_bytes())).unwrap(), "jose", "{text:?}");
        }
        assert_eq!(folded("\u{130}D".as_bytes()), b"id", "a dotted capital I");
        assert_ne!(folded("\u{65e5}\u{672c}".as_bytes()), folded("\u{65e5}\u{6728}".as_bytes()));
        assert_ne!(folded(b"\xff\x80x"), folded(b"y"));
    }

    #[test]
    fn many_repetitions_keep_the_first_and_the_last() {
        let values: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let headers = values.iter().map(|value| Header { name: b"x", value: value.as_bytes() }).collect();
        let found = header(&Message { headers, ..Message::default() }, "X");
        assert_eq!(found.iter().map(|value| &**value).collect::<Vec<_>>(), [&b"0"[..], b"1", b"2", b"99"]);
    }
}
