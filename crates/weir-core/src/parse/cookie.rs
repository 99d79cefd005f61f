//! Cookie (RFC 6265 §5.4) and Set-Cookie, read as leniently as servers do: `[header,COOKIE][cookie,name]`.
//!
//! Servers differ on quotes: for most, a `;` always ends a cookie; for some (RFC 2965), a `;` within quotes is text, and
//! backslashes escape. Both readings are emitted if they differ.

use super::emitter::{Emitter, Pairs};
use super::{Applicability, Candidate, ParseError, Parsed};
use crate::model::{Hint, ParserSet, Segment, SkipReason, Stop, Tag};
use memchr::memchr;

/// Values that the parser of headers declares as cookies.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    if value.is_declared(ParserSet::COOKIE) { Applicability::Declared } else { Applicability::No }
}

/// Emits each cookie, without separators, white space around names and values, and quotes around values.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    em.budget.spend(value.bytes.len())?;
    let mut pairs = Pairs::new();
    for piece in value.bytes.split(|&b| b == b';') {
        let pair = split(piece);
        if pair != (b"", b"") {
            if pairs.len() >= em.limits.values as usize {
                em.skip(SkipReason::CountLimit);
                return Err(ParseError::Limit);
            }
            pairs.push(pair);
        }
    }
    em.pairs(Tag::Cookie, Tag::CookieName, &pairs)?;
    quoted(value.bytes, em)?;
    Ok(Parsed::Covered)
}

/// Name and value of one cookie. Text without `=` is the value of a cookie without a name, as in browsers.
fn split(piece: &[u8]) -> (&[u8], &[u8]) {
    let (name, value) = match memchr(b'=', piece) {
        Some(at) => (piece[..at].trim_ascii(), piece[at + 1..].trim_ascii()),
        None => (&b""[..], piece.trim_ascii()),
    };
    let inner = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\""));
    (name, inner.unwrap_or(value))
}

/// Emits the quoted values with a `;` or an escape, as servers that honour quotes read them.
fn quoted<'a>(text: &'a [u8], em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    let mut at = 0;
    while let Some(found) = memchr::memmem::find(&text[at..], b"=\"") {
        let name_end = at + found;
        let start = name_end + 2;
        let Some(length) = closing_quote(&text[start..]) else { return Ok(()) };
        let inner = &text[start..start + length];
        if memchr::memchr2(b';', b'\\', inner).is_some() {
            // Search back only to the end of the cookie before: searching the whole text each time would be quadratic.
            let name_start = text[at..name_end].iter().rposition(|b| b";,".contains(b)).map_or(at, |p| at + p + 1);
            let name = text[name_start..name_end].trim_ascii();
            let value = if memchr(b'\\', inner).is_some() { em.copy(&unescape(inner))? } else { inner };
            em.enter(Segment::named(Tag::Cookie, name))?;
            let result = em.value_as(value, em.zone(), Hint::None);
            em.leave();
            result?;
        }
        at = start + length + 1;
    }
    Ok(())
}

/// Number of bytes before the quote that ends a quoted string; `None` if no quote ends it.
fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// Decodes `\x` and `\ooo` (octal, as Python's `http.cookies` writes it).
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            (b'\\', [escaped, after @ ..]) => {
                out.push(*escaped);
                rest = after;
            }
            _ => out.push(*first),
        }
    }
    out
}
