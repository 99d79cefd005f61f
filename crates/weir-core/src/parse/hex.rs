//! `[hex]`: a value of nothing but hex digits, with or without `0x`, that stands for ASCII text.

use super::{Candidate, Emit, Fail, Parsed, Suits};
use crate::model::{Chars, ParserSet, Segment, Tag};
use crate::normalize::hex;

/// Fewest digits without a prefix: shorter ones are numbers and colours.
const MIN_DIGITS: usize = 16;
/// Fewest digits behind `0x`.
const MIN_PREFIXED: usize = 6;

/// What hex is made of, with its prefix.
pub(super) const ALPHABET: Chars = Chars::ALPHA.with(Chars::DIGIT);

/// Letters and digits only, an even number of them.
pub fn suits(value: &Candidate<'_>) -> Suits {
    if value.is_declared(ParserSet::HEX) {
        return Suits::Declared;
    }
    let looks = value.chars.within(ALPHABET) && value.chars.meets(Chars::DIGIT) && value.bytes.len().is_multiple_of(2);
    Suits::sniffed(looks && digits(value.bytes).is_some())
}

fn digits(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [b'0', b'x' | b'X', rest @ ..] => Some(rest).filter(|rest| rest.len() >= MIN_PREFIXED),
        // Text begins with a byte of 0x20 to 0x7e, or white space.
        [b'0' | b'2'..=b'7', ..] => Some(bytes).filter(|bytes| bytes.len() >= MIN_DIGITS),
        _ => None,
    }
}

/// Emits the text at `[hex]`.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emit<'_, 'a>) -> Result<Parsed, Fail> {
    let digits = digits(value.bytes).ok_or(Fail::NotMine)?;
    em.budget.spend(digits.len())?;
    let first = hex::decode(&digits[..digits.len().min(8) & !1]).ok_or(Fail::NotMine)?;
    if !hex::is_ascii_text(&first) {
        return Err(Fail::NotMine);
    }
    let decoded = hex::decode(digits).filter(|bytes| hex::is_ascii_text(bytes)).ok_or(Fail::NotMine)?;
    let decoded = em.copy(&decoded)?;
    em.child(Segment::plain(Tag::Hex), decoded)?;
    Ok(Parsed::Added)
}

#[cfg(test)]
mod tests {
    use super::super::testing::open;
    use proptest::prelude::*;

    #[test]
    fn text_in_hex() {
        for (text, want) in [
            ("0x2f6574632f706173737764", Some("/etc/passwd")),
            ("2F6574632f706173737764", Some("/etc/passwd")),
            ("0x3c736372", Some("<scr")),
            ("d41d8cd98f00b204e9800998ecf8427e", None),
            ("3c736372", None),
            ("12345678901234567890", None),
            ("0xffff", None),
        ] {
            let seen = open("text/plain", text.as_bytes());
            match want {
                Some(want) => seen.has("[post][hex]", want),
                None => assert!(!seen.any("[post][hex]"), "{text}"),
            }
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(0x)?[0-9a-fA-F]{0,40}é?") {
            open("text/plain", text.as_bytes());
        }
    }
}
