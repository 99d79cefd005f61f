//! `[percent]`: a value that is percent-encoded again (double encoding, `%uXXXX`), and the path of the target.

use super::{Applicability, Candidate, Emitter, ParseError, Parsed};
use crate::model::{AnomalyKind, ByteClasses, ParserSet, Segment, Tag, Zone};
use crate::normalize::js_escape;
use crate::normalize::percent::{Plus, decode};
use std::borrow::Cow;

/// Layers of encoding that ordinary clients produce, as for a URL in a parameter of a URL. More are an anomaly.
const ORDINARY_LAYERS: usize = 2;

/// Values with a `%`, and cookies with a `+`, which servers that decode cookies read as a space. Declared forms and
/// Cookie headers are not decoded here but field by field.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    if value.is_declared(ParserSet::COOKIE) || value.is_media(&["application/x-www-form-urlencoded"]) {
        return Applicability::No;
    }
    let plus = value.tag == Tag::Cookie && value.classes.intersects(ByteClasses::PLUS);
    Applicability::sniffed(value.classes.intersects(ByteClasses::PERCENT) || plus)
}

/// Emits the decoded value at `[percent]`. Within a ladder of HTML references only the last step is decoded, or the forms
/// of two ladders would multiply; each step is inspected. Servers always decode the path, so its raw form is covered. Other
/// values may reach the application undecoded, so both forms are inspected.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    em.pass(value.bytes)?;
    if value.tag == Tag::Htmljs && js_escape::has_reference_or_escape(value.bytes) {
        return Err(ParseError::NotApplicable);
    }
    let plus = if value.tag == Tag::Cookie { Plus::Space } else { Plus::Keep };
    let Cow::Owned(decoded) = decode(value.bytes, plus) else { return Err(ParseError::NotApplicable) };
    let decoded = em.copy(&decoded)?;
    let layers = em.percent_layers() + 1;
    if layers > ORDINARY_LAYERS {
        em.anomaly(AnomalyKind::DeepEncoding);
    }
    em.child(Segment::plain(Tag::Percent), decoded)?;
    Ok(if value.zone.intersects(Zone::PATH) { Parsed::Covered } else { Parsed::Added })
}
