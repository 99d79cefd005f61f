//! UTF-7 (RFC 2152).

use crate::normalize::base64;
use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD_NO_PAD;

/// `input` decoded as UTF-7; `None` if nothing changes. With `only_syntax`, an encoded run is decoded only if it is as an
/// encoder writes it and the result contains punctuation that has a meaning to parsers (`<`, `'`...). Ordinary text with a
/// `+` hardly ever does, and text in uuencode or base 85 not often.
pub fn utf7(input: &[u8], only_syntax: bool) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut done = 0;
    let mut at = 0;
    while let Some(plus) = memchr::memchr(b'+', &input[at..]).map(|p| p + at) {
        let run = input[plus + 1..].iter().take_while(|b| b.is_ascii_alphanumeric() || b"+/".contains(b)).count();
        let end = plus + 1 + run;
        at = end.max(plus + 1);
        let run = &input[plus + 1..end];
        let Some(text) = utf7_run(run).filter(|text| !only_syntax || is_run_of(run, text)) else { continue };
        let is_syntax = text.bytes().any(|b| b.is_ascii_punctuation() && !b"-._+/".contains(&b));
        if only_syntax && !is_syntax {
            continue;
        }
        out.extend_from_slice(&input[done..plus]);
        out.extend_from_slice(text.as_bytes());
        at = end + usize::from(input.get(end) == Some(&b'-'));
        done = at;
    }
    if done == 0 {
        return None;
    }
    out.extend_from_slice(&input[done..]);
    Some(out)
}

/// Whether an encoder writes `run` for `text`: whole units, and zeros in the bits that are left (RFC 2152, rule 2).
fn is_run_of(run: &[u8], text: &str) -> bool {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    STANDARD_NO_PAD.encode(units).as_bytes() == run
}

fn utf7_run(run: &[u8]) -> Option<String> {
    let bytes = base64::decode(run)?;
    let units = bytes.chunks_exact(2).map(|unit| u16::from_be_bytes([unit[0], unit[1]]));
    let text: String = char::decode_utf16(units).collect::<Result<_, _>>().ok()?;
    (bytes.len() >= 2 && bytes.len() % 2 == 0 || bytes.len() > 2).then_some(text)
}
