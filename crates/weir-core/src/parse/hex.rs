//! `[hex]`: a value of hex digits only, with or without `0x`, that decodes to ASCII text.

use super::{Applicability, Candidate, Emitter, ParseError, Parsed};
use crate::model::{ByteClasses, ParserSet, Segment, Tag};
use crate::normalize::hex;

/// Fewest digits without a prefix. Shorter values are numbers and colours.
const MIN_DIGITS: usize = 16;
/// Fewest digits after `0x`.
const MIN_PREFIXED: usize = 6;

/// Bytes of hex digits and their prefix.
pub(super) const ALPHABET: ByteClasses = ByteClasses::ALPHA.with(ByteClasses::DIGIT);

/// Values of an even number of letters and digits.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    if value.is_declared(ParserSet::HEX) {
        return Applicability::Declared;
    }
    let looks = value.classes.within(ALPHABET)
        && value.classes.intersects(ByteClasses::DIGIT)
        && value.bytes.len().is_multiple_of(2);
    Applicability::sniffed(looks && digits(value.bytes).is_some())
}

fn digits(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [b'0', b'x' | b'X', rest @ ..] => Some(rest).filter(|rest| rest.len() >= MIN_PREFIXED),
        // The first byte of text is 0x20 to 0x7e, or white space.
        [b'0' | b'2'..=b'7', ..] => Some(bytes).filter(|bytes| bytes.len() >= MIN_DIGITS),
        _ => None,
    }
}

/// Emits the text at `[hex]`.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    let digits = digits(value.bytes).ok_or(ParseError::NotApplicable)?;
    em.budget.spend(digits.len())?;
    let first = hex::decode(&digits[..digits.len().min(8) & !1]).ok_or(ParseError::NotApplicable)?;
    if !hex::is_ascii_text(&first) {
        return Err(ParseError::NotApplicable);
    }
    let decoded = hex::decode(digits).filter(|bytes| hex::is_ascii_text(bytes)).ok_or(ParseError::NotApplicable)?;
    let decoded = em.copy(&decoded)?;
    em.child(Segment::plain(Tag::Hex), decoded)?;
    Ok(Parsed::Added)
}

#[cfg(test)]
mod tests {
    use super::super::testing::parse_body;
    use proptest::prelude::*;

    #[test]
    fn text_in_hex_is_decoded() {
        for (text, want) in [
            ("0x2f6574632f706173737764", Some("/etc/passwd")),
            ("2F6574632f706173737764", Some("/etc/passwd")),
            ("0x3c736372", Some("<scr")),
            ("d41d8cd98f00b204e9800998ecf8427e", None),
            ("3c736372", None),
            ("12345678901234567890", None),
            ("0xffff", None),
        ] {
            let parsed = parse_body("text/plain", text.as_bytes());
            match want {
                Some(want) => parsed.has("[post][hex]", want),
                None => assert!(!parsed.has_point("[post][hex]"), "{text}"),
            }
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(0x)?[0-9a-fA-F]{0,40}é?") {
            parse_body("text/plain", text.as_bytes());
        }
    }
}
