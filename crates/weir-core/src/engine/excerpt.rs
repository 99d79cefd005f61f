//! Of a form that was decoded more than once: the parts that decoding changed.
//!
//! A value that is encoded many times over has a form for each layer. Each is scanned, since an attack may exist in one of
//! them alone; but behind the first layer, which applications do undo, only where the form differs from the one before.
//! Otherwise a few escapes at the ends of a long value would multiply what its middle costs.

use crate::model::changes::widened;
use crate::model::{PointTree, Tag, Value};

/// Bytes on each side of a change that are scanned with it.
const CONTEXT: usize = 512;
/// Bytes at the start of the form that come first, so that what follows is not taken for the start of a value.
const HEAD: usize = 128;
/// Layers of recoding whose forms are scanned as a whole.
const WHOLE_LAYERS: usize = 1;

/// The changed parts of `value` with what is around them, if that is much less than all of it.
pub(super) fn of_changes(value: &Value<'_>, tree: &PointTree<'_>) -> Option<Vec<u8>> {
    let changes = value.changes?;
    let layer = |tag| matches!(tag, Tag::Percent | Tag::Htmljs | Tag::Charset | Tag::Base64 | Tag::Hex);
    let layers = tree.ancestors(value.point).take_while(|segment| layer(segment.tag)).count();
    if layers <= WHOLE_LAYERS {
        return None;
    }
    let length = value.bytes.len();
    let mut parts: Vec<_> = widened(changes, CONTEXT, length).collect();
    match parts.first_mut() {
        Some(first) if first.start <= HEAD => first.start = 0,
        _ => parts.insert(0, 0..HEAD.min(length)),
    }
    let total: usize = parts.iter().map(|part| part.len() + 1).sum();
    (total <= length / 4 * 3).then(|| {
        let mut out = Vec::with_capacity(total);
        for part in parts {
            out.extend_from_slice(&value.bytes[part]);
            out.push(b' ');
        }
        out.pop();
        out
    })
}

#[cfg(test)]
mod tests {
    use crate::engine::{InspectionOptions, Scratch, inspect};
    use crate::parse::message::request;

    fn ladder(layers: usize, middle: &str) -> String {
        format!(
            "POST / HTTP/1.1\r\nContent-Type: text/plain\r\n\r\n%{}41{middle}%{}41",
            "25".repeat(layers),
            "25".repeat(layers)
        )
    }

    #[test]
    fn layers_at_the_ends_do_not_multiply_the_middle() {
        let rules = crate::ruleset::compile::compile(&crate::ruleset::builtin::files()).unwrap();
        let middle = "some words||&&".repeat(600);
        let work = |layers: usize| {
            let raw = ladder(layers, &middle);
            inspect(&request(raw.as_bytes()), &rules, &InspectionOptions::default(), &mut Scratch::default(), &|| false)
                .work
        };
        let [none, two, seven] = [0, 2, 7].map(work);
        // Each layer is decoded and looked through for the next one, but not inspected whole again.
        assert!((seven - two) / 5 < none / 3, "{none}, {two}, {seven}");
    }

    #[test]
    fn an_attack_under_many_layers_is_found_in_a_long_value() {
        let rules = crate::ruleset::compile::compile(&crate::ruleset::builtin::files()).unwrap();
        let padding = "some words of a text, ".repeat(400);
        for layers in 0..6 {
            let escape = |byte: &str| format!("%{}{byte}", "25".repeat(layers));
            let attack = format!("1{q} union select password from users where name={q}a", q = escape("27"));
            let raw = ladder(layers, &format!("{padding}{attack}{padding}"));
            let found = inspect(
                &request(raw.as_bytes()),
                &rules,
                &InspectionOptions::default(),
                &mut Scratch::default(),
                &|| false,
            );
            assert!(!found.attacks().is_empty(), "{layers} layers");
        }
    }
}
