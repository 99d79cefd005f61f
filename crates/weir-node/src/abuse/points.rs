//! The values of a request at the points that rules name.

use super::values::{MAX_VALUE, is_named};
use bumpalo::Bump;
use std::borrow::Cow;
use weir_core::model::point::{OwnedKey, PatternItem};
use weir_core::model::{
    BodyState, Budget, FormId, Key, Limits, Message, PointId, PointPattern, PointTree, Segment, Stop, Tag, Value,
};
use weir_core::parse::extract::{ParseOptions, ScratchBuffers, extract_with_buffers};
use weir_core::parse::visitor::ValueVisitor;

/// Values of one point that are read: a request may hold a batch of attempts. Of more, the first ones and the last one.
const MAX_AT_POINT: usize = 256;

/// The values at one point, in the order of the message.
pub(super) type AtPoint = Vec<Cow<'static, [u8]>>;

/// The values at each of `points` in the order of the message, found in one pass over it, and whether all of the message was
/// read.
pub(super) fn at_points(message: &Message<'_>, points: &[&PointPattern], limits: &Limits) -> (Vec<AtPoint>, bool) {
    let bump = Bump::new();
    let never = || false;
    let budget = Budget::new(0, &never);
    let mut find = Find { points, found: Vec::new() };
    let (options, buffers) = (ParseOptions::default(), ScratchBuffers::default());
    let extracted = extract_with_buffers(message, &options, limits, &budget, &bump, buffers, &mut find);
    let is_whole = message.body_state == BodyState::Complete && extracted.notes.skipped.is_empty();
    let mut values = vec![Vec::new(); points.len()];
    for (point, value) in find.found {
        let values: &mut AtPoint = &mut values[point];
        values.truncate(MAX_AT_POINT - 1);
        values.push(Cow::Owned(value[..value.len().min(MAX_VALUE)].to_vec()));
    }
    (values, is_whole)
}

struct Find<'p, 'a> {
    points: &'p [&'p PointPattern],
    /// Numbers of points, and what was there.
    found: Vec<(usize, &'a [u8])>,
}

impl<'a> ValueVisitor<'a> for Find<'_, 'a> {
    fn visit(&mut self, value: &Value<'a>, tree: &PointTree<'a>) -> Result<(), Stop> {
        for (number, point) in self.points.iter().enumerate() {
            if is_at(point, tree, value.point) {
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

/// Whether a value is at `point`, or in a list there: many upstreams take `{"user": ["al"]}` for `{"user": "al"}`.
fn is_at(point: &PointPattern, tree: &PointTree<'_>, id: PointId) -> bool {
    let mut at = id;
    loop {
        if is_exactly_at(point, tree, at) {
            return true;
        }
        match tree.segment(at) {
            Some(Segment { tag: Tag::Array | Tag::Pollution, .. }) => at = tree.parent(at),
            _ => return false,
        }
    }
}

fn is_exactly_at(point: &PointPattern, tree: &PointTree<'_>, id: PointId) -> bool {
    let mut have = tree.ancestors(id);
    point.0.iter().rev().all(|want| have.next().is_some_and(|have| is_step(want, have))) && have.next().is_none()
}

/// Whether upstreams may take `have` for the step that a rule says: names are read in any case by some (`{"User": ...}` by Go
/// and .NET).
fn is_step(want: &PatternItem, have: Segment<'_>) -> bool {
    want.tag == have.tag
        && match (&want.key, have.key) {
            (None, _) | (Some(OwnedKey::None), Key::None) => true,
            (Some(OwnedKey::Name(want)), Key::Name(have)) => is_named(have, want.as_bytes()),
            (Some(OwnedKey::Index(want)), Key::Index(have)) => *want == have,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_core::parse::message;

    fn at(point: &str, content_type: &str, body: &str) -> Vec<String> {
        let raw = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Type: {content_type}\r\n\r\n{body}");
        let point = serde_json::from_str(point).unwrap();
        let other = serde_json::from_str(r#"[["post"],["json_doc"],["hash","none"]]"#).unwrap();
        let (found, is_whole) = at_points(&message::request(raw.as_bytes()), &[&other, &point], &Limits::default());
        assert!(is_whole && found[0].is_empty(), "{body}");
        found[1].iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }

    #[test]
    fn an_account_is_found_in_every_form_that_upstreams_take() {
        let json = r#"[["post"],["json_doc"],["hash","user"]]"#;
        for (body, want) in [
            (r#"{"user":"al"}"#, vec!["al"]),
            (r#"{"user":"al","user":"bo"}"#, vec!["al", "bo"]),
            (r#"{"User":"al"}"#, vec!["al"]),
            (r#"{"\u0075ser":"al"}"#, vec!["al"]),
            (r#"{"user":["al"]}"#, vec!["al"]),
            (r#"{"user":{"name":"al"}}"#, vec![]),
            (r#"{"users":"al"}"#, vec![]),
        ] {
            assert_eq!(at(json, "application/json", body), want, "{body}");
        }
        let form = r#"[["post"],["form_urlencoded","user"]]"#;
        for body in ["user=al", "USER=al", "%75ser=al", "user[]=al", "+user=al"] {
            assert_eq!(at(form, "application/x-www-form-urlencoded", body), ["al"], "{body}");
        }
    }

    #[test]
    fn a_batch_is_read_to_a_bound() {
        let items: Vec<String> = (0..1_000).map(|n| format!(r#"{{"user":"u{n}"}}"#)).collect();
        let body = format!("[{}]", items.join(","));
        let found = at(r#"[["post"],["json_doc"],["array_all"],["hash","user"]]"#, "application/json", &body);
        assert_eq!((found.len(), &*found[0], &*found[MAX_AT_POINT - 1]), (MAX_AT_POINT, "u0", "u999"));
    }
}
