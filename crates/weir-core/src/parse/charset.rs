//! `[charset]`: a value in a character set other than UTF-8, by declaration, byte order mark or pattern; UTF-7 and
//! overlong UTF-8, which need no declaration to reach a lenient decoder.

use super::{Applicability, Candidate, Emitter, ParseError, Parsed};
use crate::model::{AnomalyKind, Chars, Segment, Stop, Tag, Value, Zone};
use crate::normalize::charset::{self, Charset};
use std::borrow::Cow;

/// Values with a declared character set, and those with bytes that ASCII text has not, or a `+`.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    if value.tag == Tag::Charset {
        return Applicability::No;
    }
    if charset::declared(value.hint_media()).is_some() {
        return Applicability::Declared;
    }
    // In a form `+` is a space, and each field is looked at once that is undone.
    let plus = if value.is_media(&["application/x-www-form-urlencoded"]) { Chars::NONE } else { Chars::PLUS };
    Applicability::sniffed(value.chars.meets(Chars::HIGH.with(Chars::CONTROL).with(plus)))
}

/// Emits the text as UTF-8. The input is looked at as well, unless only a byte order mark was taken away.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    em.budget.spend(value.bytes.len())?;
    let declared = charset::declared(value.hint_media());
    let sniffed = charset::sniff(value.bytes);
    let wanted = match (sniffed, declared) {
        (Some((charset, mark)), _) => Some((charset, mark)),
        (None, Some(charset)) => Some((charset, 0)),
        (None, None) => None,
    };
    let mut emitted = false;
    let mut only_mark = false;
    if let Some((charset, mark)) = wanted {
        let decoded = charset::decode(&value.bytes[mark..], charset);
        let is_text = charset != Charset::Utf8 || !Value::looks_binary(value.bytes);
        if declared == Some(Charset::Unknown) || (declared == Some(charset) && decoded.faulty && is_text) {
            em.anomaly(AnomalyKind::BadCharset);
        }
        if mark > 0 || matches!(decoded.text, Cow::Owned(_)) {
            emit(&decoded.text, value, em)?;
            emitted = true;
            only_mark = charset == Charset::Utf8;
        }
    }
    if !only_mark && !value.covered {
        emitted |= disguised(value, em)?;
    }
    match (emitted, only_mark) {
        (_, true) => Ok(Parsed::Covered),
        (true, _) => Ok(Parsed::Added),
        (false, _) if declared.is_some() => Ok(Parsed::Added),
        (false, _) => Err(ParseError::NotApplicable),
    }
}

/// Overlong UTF-8 and UTF-7 within the value. Binary content is left alone: there such bytes mean nothing.
fn disguised<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<bool, Stop> {
    if value.zone.meets(Zone::BODY.with(Zone::FILE)) && Value::looks_binary(value.bytes) {
        return Ok(false);
    }
    let mut emitted = false;
    if value.chars.meets(Chars::HIGH)
        && let Some(text) = charset::overlong(value.bytes)
    {
        em.anomaly(AnomalyKind::OverlongUtf8);
        emit(&text, value, em)?;
        emitted = true;
    }
    if value.chars.meets(Chars::PLUS)
        && let Some(text) = charset::utf7(value.bytes, true)
    {
        emit(&text, value, em)?;
        emitted = true;
    }
    Ok(emitted)
}

fn emit<'a>(text: &[u8], value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    let text = em.copy(text)?;
    em.enter(Segment::plain(Tag::Charset))?;
    let result = em.value_as(text, value.zone, value.hint);
    em.leave();
    result
}
