//! `[htmljs]`: HTML character references and escapes of JavaScript and CSS, decoded. The input itself is inspected too,
//! because not every receiver decodes it.

use super::{Applicability, Candidate, Emitter, ParseError, Parsed};
use crate::model::{ByteClasses, Segment, Tag};
use crate::normalize::{hex, html_entities, js_escape, percent};
use std::borrow::Cow;

/// Values of at least three bytes with a `&` or a backslash.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    Applicability::sniffed(
        value.classes.intersects(ByteClasses::AMP.with(ByteClasses::BACKSLASH)) && value.bytes.len() > 2,
    )
}

/// Emits the decoded forms that differ from the value: references and JavaScript escapes decoded together, and
/// references and CSS escapes. Within a ladder of percent-encodings only the last step is decoded, or the forms of two
/// ladders would multiply; each step is inspected.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    em.pass(value.bytes)?;
    if value.tag == Tag::Percent && percent::has_escape(value.bytes) {
        return Err(ParseError::NotApplicable);
    }
    let html = html_entities::decode(value.bytes);
    let js = js_escape::js(&html);
    let css = js_escape::css(&html);
    let changed = matches!(html, Cow::Owned(_)) || matches!(js, Cow::Owned(_));
    // If the escapes decode to something other than text, they are not CSS but, for example, `\01` of a regular expression.
    // Behind a first layer of references and escapes there is no style sheet any more.
    let styled = value.tag != Tag::Htmljs
        && matches!(css, Cow::Owned(_))
        && css != js
        && (!hex::is_ascii_text(value.bytes) || hex::is_ascii_text(&css));
    if !changed && !styled {
        return Err(ParseError::NotApplicable);
    }
    for text in [changed.then_some(&js), styled.then_some(&css)].into_iter().flatten() {
        let text = em.copy(text)?;
        em.child(Segment::plain(Tag::Htmljs), text)?;
    }
    Ok(Parsed::Added)
}

#[cfg(test)]
mod tests {
    use super::super::testing::parse_body;
    use proptest::prelude::*;

    #[test]
    fn decodes_what_a_browser_decodes() {
        for (text, want) in [
            ("&lt;script&gt;alert\\u00281)", "<script>alert(1)"),
            ("<a href=&#106avascript&colon;x>", "<a href=javascript:x>"),
            (r"\6a avascript:", "javascript:"),
            (r"&bsol;x61lert", "alert"),
        ] {
            let parsed = parse_body("text/plain", text.as_bytes());
            parsed.has("[post][htmljs]", want);
            assert!(!parsed.covered("[post]"));
        }
    }

    #[test]
    fn emits_nothing_if_nothing_changes() {
        for text in ["a & b", r"C:\Users\me", r"^\d+\s$", "fish&chips"] {
            assert!(!parse_body("text/plain", text.as_bytes()).has_point("[post][htmljs]"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in r"[&#x0-9a-f;\\u{}]{0,60}") {
            parse_body("text/plain", text.as_bytes());
        }
    }
}
