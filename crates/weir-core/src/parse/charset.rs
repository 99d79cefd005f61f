//! `[charset]`: a value in a character set other than UTF-8, by declaration, byte order mark or pattern; UTF-7 and
//! overlong UTF-8, which need no declaration to reach a lenient decoder.

use super::{Applicability, Candidate, Emitter, ParseError, Parsed};
use crate::model::{AnomalyKind, ByteClasses, Segment, Stop, Tag, Value, Zone};
use crate::normalize::charset::{self, Charset};
use std::borrow::Cow;

/// Values with a declared character set, and values with non-ASCII bytes, control bytes or a `+`.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    if value.tag == Tag::Charset {
        return Applicability::No;
    }
    if charset::declared(value.hint_media()).is_some() {
        return Applicability::Declared;
    }
    // In a form `+` is a space. Each field is tried for UTF-7 after it is decoded.
    let plus =
        if value.is_media(&["application/x-www-form-urlencoded"]) { ByteClasses::NONE } else { ByteClasses::PLUS };
    Applicability::sniffed(value.classes.intersects(ByteClasses::HIGH.with(ByteClasses::CONTROL).with(plus)))
}

/// Emits the text as UTF-8. The input is inspected too, unless only a byte order mark was removed.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    em.pass(value.bytes)?;
    let declared = charset::declared(value.hint_media());
    let sniffed = charset::sniff(value.bytes);
    let charset_and_mark = match (sniffed, declared) {
        (Some((charset, mark)), _) => Some((charset, mark)),
        (None, Some(charset)) => Some((charset, 0)),
        (None, None) => None,
    };
    let mut emitted = false;
    let mut only_mark = false;
    if let Some((charset, mark)) = charset_and_mark {
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
        emitted |= undeclared_encodings(value, em)?;
    }
    match (emitted, only_mark) {
        (_, true) => Ok(Parsed::Covered),
        (true, _) => Ok(Parsed::Added),
        (false, _) if declared.is_some() => Ok(Parsed::Added),
        (false, _) => Err(ParseError::NotApplicable),
    }
}

/// Emits the value with overlong UTF-8 or UTF-7 decoded. Binary content is skipped: there such bytes occur by chance.
fn undeclared_encodings<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<bool, Stop> {
    if value.zone.intersects(Zone::BODY.with(Zone::FILE)) && Value::looks_binary(value.bytes) {
        return Ok(false);
    }
    let mut emitted = false;
    if value.classes.intersects(ByteClasses::HIGH)
        && let Some(text) = charset::overlong(value.bytes)
    {
        em.anomaly(AnomalyKind::OverlongUtf8);
        emit(&text, value, em)?;
        emitted = true;
    }
    if value.classes.intersects(ByteClasses::PLUS)
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
