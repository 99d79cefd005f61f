//! Prototype pollution by parameter and member names: `__proto__[x]=1`, `{"constructor": {"prototype": {}}}`.
//!
//! Code that merges client data into an object follows these names to the prototype that all objects share (CWE-1321).

use super::{Detector, Match, Samples, Subject};
use crate::model::{AttackType, ByteClassFilter, ByteClasses, Confidence, Key, Zone};

/// The detector.
pub const DETECTOR: Detector = Detector {
    name: "mass_assignment.prototype",
    attack: AttackType::MassAssignment,
    about: "A parameter or member name that leads to the prototype all objects share (CWE-1321).",
    zones: Zone::NAME,
    filter: FILTER,
    run: prototype,
    samples: SAMPLES,
};

/// Samples of [`prototype`].
const SAMPLES: Samples = Samples {
    positive: &[
        "__proto__",
        "__proto__[admin]",
        "user[__proto__][admin]",
        "a.__proto__.b",
        "constructor[prototype][admin]",
        "constructor.prototype.admin",
        "x[constructor][prototype]",
    ],
    negative: &[
        "constructor",
        "prototype",
        "proto",
        "my__proto__col",
        "constructorprototype",
        "prototype.constructor_id",
    ],
};

/// Only names with letters can match.
const FILTER: ByteClassFilter = ByteClassFilter::any(ByteClasses::ALPHA);

/// Bytes between the steps of a name.
const SEPARATORS: ByteClasses = ByteClasses::LBRACKET.with(ByteClasses::RBRACKET).with(ByteClasses::DOT);
const PROTO: &[u8] = b"__proto__";
const PROTOTYPE: &[u8] = b"prototype";

/// The step to a prototype in a parameter's or member's name.
fn prototype(subject: &Subject<'_>) -> Option<Match> {
    let text = subject.bytes;
    let certain = |start: usize, end: usize| Match { confidence: Confidence::High, start, end };
    if !subject.classes.intersects(SEPARATORS) {
        // The name has one step, as most names do.
        let found = text.trim_ascii() == PROTO || text == PROTOTYPE && is_below_constructor(subject);
        return found.then(|| certain(0, text.len()));
    }
    let mut before: &[u8] = b"";
    let mut start = 0;
    for part in text.split(|b| matches!(b, b'[' | b']' | b'.')) {
        let end = start + part.len();
        let word = part.trim_ascii();
        if word == PROTO || (word == PROTOTYPE && before == b"constructor") {
            return Some(certain(start, end));
        }
        if !word.is_empty() {
            before = word;
        }
        start = end + 1;
    }
    None
}

/// Whether the name is a member of a member called `constructor`.
fn is_below_constructor(subject: &Subject<'_>) -> bool {
    let above = subject.ancestors().nth(1);
    above.is_some_and(|segment| segment.key == Key::Name(b"constructor"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PointId, PointTree, Segment, Tag, Value};

    #[test]
    fn nested_members_are_found_by_their_points() {
        let mut tree = PointTree::new();
        let outer = tree.child(PointId::ROOT, Segment::named(Tag::Hash, b"constructor"));
        let point = tree.child(outer, Segment::plain(Tag::HashName));
        let bytes = b"prototype";
        let value = Value::new(point, bytes, Zone::NAME);
        assert!(prototype(&Subject::new(bytes, value.classes, &value, &tree)).is_some());
    }
}
