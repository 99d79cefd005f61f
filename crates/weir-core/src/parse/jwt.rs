//! JSON Web Tokens (RFC 7519) at `[jwt]`: header and payload decoded, then read as JSON.

use super::{Applicability, Candidate, Emitter, ParseError, Parsed};
use crate::model::{ByteClasses, Hint, ParserSet, Segment, Tag};
use crate::normalize::base64;

/// Words that may precede a token.
const PREFIXES: &[&str] = &["bearer", "lsapi2", "mobapp2", "jwt", "token"];
/// The beginning of a header: `{"` in base64.
const BEGIN: &[u8] = b"ey";

/// Bytes of tokens and of the words that precede them.
pub(super) const ALPHABET: ByteClasses = ByteClasses::TOKEN.with(ByteClasses::BLANK).with(ByteClasses::EQUALS);

/// Values that begin like a token, with or without one of the known words before it.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    if value.is_declared(ParserSet::JWT) {
        return Applicability::Declared;
    }
    let looks = value.classes.intersects(ByteClasses::DOT)
        && value.classes.within(ALPHABET)
        && split(value.bytes).1.starts_with(BEGIN);
    Applicability::sniffed(looks)
}

/// The word before the token, if any, and the token.
fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let bytes = bytes.trim_ascii();
    let word = bytes.iter().position(|b| b.is_ascii_whitespace()).unwrap_or(0);
    if PREFIXES.iter().any(|prefix| bytes[..word].eq_ignore_ascii_case(prefix.as_bytes())) {
        (&bytes[..word], bytes[word..].trim_ascii_start())
    } else {
        (b"", bytes)
    }
}

/// Emits prefix, header and payload. The signature is opaque, and so is everything but the header of an encrypted token
/// (RFC 7516).
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    em.budget.spend(value.bytes.len())?;
    let (prefix, token) = split(value.bytes);
    let mut parts = token.split(|&b| b == b'.');
    let (header, payload) = (parts.next().unwrap_or_default(), parts.next().ok_or(ParseError::NotApplicable)?);
    let rest: smallvec::SmallVec<[&[u8]; 4]> = parts.take(4).collect();
    if !matches!(rest.len(), 0 | 1 | 3)
        || !rest.iter().all(|part| part.iter().all(|&b| base64::is_digit(b) || b == b'='))
    {
        return Err(ParseError::NotApplicable);
    }
    let header = base64::decode(header)
        .filter(|text| text.starts_with(b"{") && text.contains(&b'"'))
        .ok_or(ParseError::NotApplicable)?;
    em.enter(Segment::plain(Tag::Jwt))?;
    if !prefix.is_empty() {
        em.child(Segment::plain(Tag::JwtPrefix), prefix)?;
    }
    emit_json(Tag::JwtHeader, &header, em)?;
    if rest.len() == 3 {
        return Ok(Parsed::Added);
    }
    let payload = base64::decode(payload).ok_or(ParseError::NotApplicable)?;
    emit_json(Tag::JwtPayload, &payload, em)?;
    // A token without a blank has only bytes of base64 and dots, which carry no syntax.
    Ok(if token.contains(&b' ') { Parsed::Added } else { Parsed::Covered })
}

fn emit_json<'a>(tag: Tag, text: &[u8], em: &mut Emitter<'_, 'a>) -> Result<(), ParseError> {
    let text = em.copy(text)?;
    em.enter(Segment::plain(tag))?;
    em.value_as(text, em.zone(), Hint::Parser(ParserSet::JSON_DOC))?;
    em.leave();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::parse_body;
    use proptest::prelude::*;

    /// `{"alg":"none"}` and `{"sub":"' or 1=1"}`.
    const TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiInIG9yIDE9MSJ9.";

    #[test]
    fn claims_have_points() {
        for (text, prefix) in [(TOKEN.to_string(), false), (format!("bEaReR {TOKEN}"), true)] {
            let parsed = parse_body("text/plain", text.as_bytes());
            parsed.has("[post][jwt][jwt_header][json_doc][hash,'alg']", "none");
            parsed.has("[post][jwt][jwt_payload][json_doc][hash,'sub']", "' or 1=1");
            assert_eq!(parsed.has_point("[post][jwt][jwt_prefix]"), prefix);
            assert!(parsed.covered("[post]"));
        }
    }

    #[test]
    fn other_texts_are_not_tokens() {
        for text in [
            "eyJhbGciOiJub25lIn0",
            "eyJhbGciOiJub25lIn0.a.b.c",
            "eye.contact.now",
            "bearer www.example.com",
            "eyJhbGciOiJub25lIn0.y",
        ] {
            assert!(!parse_body("text/plain", text.as_bytes()).has_point("[post][jwt]"), "{text}");
        }
        let encrypted = parse_body("text/plain", b"eyJhbGciOiJub25lIn0.a.b.c.d");
        encrypted.has("[post][jwt][jwt_header][json_doc][hash,'alg']", "none");
        assert!(!encrypted.covered("[post]"));
    }

    proptest! {
        #[test]
        fn never_panics(text in "(bearer )?eyJ[A-Za-z0-9._=-]{0,60}") {
            parse_body("text/plain", text.as_bytes());
        }
    }
}
