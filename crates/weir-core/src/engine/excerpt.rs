//! Of a form that was decoded more than once: the parts that decoding changed.
//!
//! A value that is encoded many times over has a form for each layer. Each is scanned, since an attack may exist in one of
//! them alone; but behind the first layer, which applications do undo, only where the form differs from the one before.
//! Otherwise a few escapes at the ends of a long value would multiply what its middle costs.

use crate::model::changes::widened;
use crate::model::{PointTree, Value};

/// Bytes on each side of a change that are scanned with it.
const CONTEXT: usize = 128;
/// Bytes at the start of the form that come first, so that what follows is not taken for the start of a value.
const HEAD: usize = 128;
/// Layers of recoding whose forms are scanned as a whole.
const WHOLE_LAYERS: usize = 1;

/// The changed parts of `value` with what is around them, if that is much less than all of it.
pub(super) fn of_changes(value: &Value<'_>, tree: &PointTree<'_>) -> Option<Vec<u8>> {
    let changes = value.changes?;
    if tree.recodings(value.point) <= WHOLE_LAYERS {
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
    use crate::model::{Budget, Inspection, Limits, Value};
    use crate::parse::extract::{ParseOptions, extract};
    use crate::parse::message::request;
    use bumpalo::Bump;

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

    fn inspected(text: &str) -> Inspection {
        let rules = crate::ruleset::compile::compile(&crate::ruleset::builtin::files()).unwrap();
        let raw = format!("POST / HTTP/1.1\r\nContent-Type: text/plain\r\n\r\n{text}");
        inspect(&request(raw.as_bytes()), &rules, &InspectionOptions::default(), &mut Scratch::default(), &|| false)
    }

    /// What two decodings change apart from each other is in the form of one of them already.
    #[test]
    fn a_form_of_two_decodings_is_compared_with_the_one_that_is_most_like_it() {
        let text = format!("%42 {}", "some words of a text that goes on, \\u0041 ".repeat(400));
        let raw = format!("POST / HTTP/1.1\r\nContent-Type: text/plain\r\n\r\n{text}");
        let (options, limits, never, bump) = (ParseOptions::default(), Limits::default(), || false, Bump::new());
        let budget = Budget::new(0, &never);
        let extracted = extract(&request(raw.as_bytes()), &options, &limits, &budget, &bump);
        let twice = |value: &&Value<'_>| extracted.tree.recodings(value.point) == 2;
        let forms: Vec<_> = extracted.values.iter().filter(twice).collect();
        assert!(!forms.is_empty());
        for form in forms {
            assert!(form.changes.is_some_and(|changes| changes.len() == 1), "{:?}", form.changes);
        }
    }

    #[test]
    fn an_attack_that_two_decodings_make_together_is_found_in_a_long_value() {
        let padding = "some words of a text, \\u0041 ".repeat(200);
        let attack = "1%27 \\u0075nion \\u0073elect password from users where name=%27a";
        for text in
            [format!("{padding}{attack}{padding}"), format!("%42{padding}{attack}"), format!("{attack}{padding}")]
        {
            assert!(!inspected(&text).attacks().is_empty(), "{text}");
        }
    }

    /// What decoding left alone was judged as a part of the document. The decoded form is another value, no document as a whole.
    #[test]
    fn code_that_a_document_shows_is_no_attack_in_its_decoded_form() {
        let padding = "A line of a text about how machines are installed, which goes on for some time.\n".repeat(8);
        let notes = |dot: &str| {
            format!(
                "Notes\n\n{padding}\n    {dot} /etc/os-release\n    echo done\n\n{padding}Ham &amp; eggs\n{padding}"
            )
        };
        assert!(inspected(&notes(".")).attacks().is_empty());
        assert!(!inspected(&notes("&#46;")).attacks().is_empty());
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
