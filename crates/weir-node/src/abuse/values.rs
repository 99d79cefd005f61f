//! The parts of a key, as a request has them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bumpalo::Bump;
use weir_core::model::{Budget, DecodedHead, FormId, Limits, Message, PointId, PointPattern, PointTree, Stop, Value};
use weir_core::parse::extract::{ParseOptions, ScratchBuffers, extract_with_buffers};
use weir_core::parse::visitor::ValueVisitor;

/// Values of one part that count: a client that repeats a name cannot know which of them the upstream reads.
const MAX_VALUES: usize = 4;
/// Longest value kept; of longer ones this many bytes count.
const MAX_VALUE: usize = 1_024;
/// Longest bearer token whose claims are read.
const MAX_TOKEN: usize = 8_192;

/// The values of one part; none if the request has none.
pub(super) type PartValues = Vec<Vec<u8>>;

fn push(values: &mut PartValues, value: &[u8]) {
    let value = &value[..value.len().min(MAX_VALUE)];
    if values.iter().any(|known| known == value) {
        return;
    }
    if values.len() < MAX_VALUES {
        values.push(value.to_vec());
    } else if let Some(last) = values.last_mut() {
        // The first ones and the last one: what upstreams take of repeated names.
        *last = value.to_vec();
    }
}

pub(super) fn header(message: &Message<'_>, name: &str) -> PartValues {
    let mut values = PartValues::new();
    message.headers_named(name).for_each(|value| push(&mut values, value.trim_ascii()));
    values
}

pub(super) fn cookie(message: &Message<'_>, name: &str) -> PartValues {
    let mut values = PartValues::new();
    for line in message.headers_named("cookie") {
        for pair in line.split(|&byte| byte == b';') {
            let mut halves = pair.splitn(2, |&byte| byte == b'=');
            let is_it = halves.next().is_some_and(|have| have.trim_ascii() == name.as_bytes());
            if let (true, Some(value)) = (is_it, halves.next()) {
                push(&mut values, value.trim_ascii());
            }
        }
    }
    values
}

pub(super) fn query(head: &DecodedHead<'_>, name: &str) -> PartValues {
    let mut values = PartValues::new();
    head.query_values(name.as_bytes()).for_each(|value| push(&mut values, value));
    values
}

/// Segment `number` of the path, the last one included.
pub(super) fn segment(head: &DecodedHead<'_>, number: u32) -> PartValues {
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
pub(super) fn claim(message: &Message<'_>, name: &str) -> PartValues {
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
            Some(serde_json::Value::String(text)) => push(&mut values, text.as_bytes()),
            Some(serde_json::Value::Number(number)) => push(&mut values, number.to_string().as_bytes()),
            _ => {}
        }
    }
    values
}

/// The values at `point`.
pub(super) fn at_point(message: &Message<'_>, point: &PointPattern, limits: &Limits) -> PartValues {
    let bump = Bump::new();
    let never = || false;
    let budget = Budget::new(0, &never);
    let mut find = Find { point, values: PartValues::new() };
    let (options, buffers) = (ParseOptions::default(), ScratchBuffers::default());
    extract_with_buffers(message, &options, limits, &budget, &bump, buffers, &mut find);
    find.values
}

struct Find<'p> {
    point: &'p PointPattern,
    values: PartValues,
}

impl<'a> ValueVisitor<'a> for Find<'_> {
    fn visit(&mut self, value: &Value<'a>, tree: &PointTree<'a>) -> Result<(), Stop> {
        if self.point.covers_node(tree, value.point) && self.point.is(&tree.path(value.point)) {
            push(&mut self.values, value.bytes);
        }
        Ok(())
    }

    fn reached_again(&mut self, _: FormId, _: PointId, _: &PointTree<'a>) {}

    fn position(&self) -> usize {
        self.values.len()
    }

    fn rollback(&mut self, position: usize) {
        self.values.truncate(position);
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
            |values: PartValues| values.iter().map(|v| String::from_utf8_lossy(v).into_owned()).collect::<Vec<_>>();
        assert_eq!(text(cookie(&message, "sid")), ["s1", "s2"]);
        assert_eq!(text(query(&head, "q")), ["a", "b"]);
        assert_eq!(text(segment(&head, 2)), ["42"]);
        assert_eq!(text(segment(&head, 3)), [""; 0]);
        assert_eq!((text(claim(&message, "sub")), text(claim(&message, "n"))), (vec!["u-1".into()], vec!["7".into()]));
        assert_eq!(text(header(&message, "HOST")), ["h"]);
        let point = serde_json::from_str(r#"[["post"],["json_doc"],["hash","user"]]"#).unwrap();
        assert_eq!(text(at_point(&message, &point, &Limits::default())), ["al", "bo"]);
    }

    #[test]
    fn many_repetitions_keep_the_first_and_the_last() {
        let values: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let headers = values.iter().map(|value| Header { name: b"x", value: value.as_bytes() }).collect();
        let found = header(&Message { headers, ..Message::default() }, "X");
        assert_eq!(found, [&b"0"[..], b"1", b"2", b"99"]);
    }
}
