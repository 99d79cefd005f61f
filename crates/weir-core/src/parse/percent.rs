//! `[percent]`: a value that is percent-encoded once more (double encoding, `%uXXXX`), and the path of the target.

use super::{Applicability, Candidate, Emitter, ParseError, Parsed};
use crate::model::{AnomalyKind, Chars, ParserSet, Segment, Tag, Zone};
use crate::normalize::percent::{Plus, decode};
use std::borrow::Cow;

/// Layers of encoding that ordinary clients produce: a URL in a parameter of a URL.
const ORDINARY_LAYERS: usize = 2;

/// Any value with a `%`, and cookies with a `+`, which servers that decode cookies take for a space. Declared forms and
/// Cookie headers are decoded field by field.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    if value.is_declared(ParserSet::COOKIE) || value.is_media(&["application/x-www-form-urlencoded"]) {
        return Applicability::No;
    }
    let plus = value.tag == Tag::Cookie && value.chars.meets(Chars::PLUS);
    Applicability::sniffed(value.chars.meets(Chars::PERCENT) || plus)
}

/// Emits the decoded value at `[percent]`. The path is always decoded by servers, so its raw form need not be looked at;
/// other values may reach code as they are, so both forms are.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    em.budget.spend(value.bytes.len())?;
    let plus = if value.tag == Tag::Cookie { Plus::Space } else { Plus::Keep };
    let Cow::Owned(decoded) = decode(value.bytes, plus) else { return Err(ParseError::NotApplicable) };
    let decoded = em.copy(&decoded)?;
    let layers = em.nesting(Tag::Percent) + em.nesting(Tag::Get) + em.nesting(Tag::FormUrlencoded) + 1;
    if layers > ORDINARY_LAYERS {
        em.anomaly(AnomalyKind::DeepEncoding);
    }
    em.child(Segment::plain(Tag::Percent), decoded)?;
    Ok(if value.zone.meets(Zone::PATH) { Parsed::Covered } else { Parsed::Added })
}
