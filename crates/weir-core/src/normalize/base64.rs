//! Base64 (RFC 4648 §4, §5) as lenient decoders accept it: either alphabet, with or without padding and white space.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);

/// Entry of [`DIGITS`] for bytes of neither alphabet.
const NONE: u8 = 0xff;

/// Whether `byte` is a digit of one of the alphabets. Padding and white space are not.
pub fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// The values of the digits of either alphabet, or [`NONE`].
static DIGITS: [u8; 256] = {
    let mut table = [NONE; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            upper @ b'A'..=b'Z' => upper - b'A',
            lower @ b'a'..=b'z' => lower - b'a' + 26,
            digit @ b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => NONE,
        };
        byte += 1;
    }
    table
};

/// Decodes the first three bytes of `text`: a cheap check before decoding all of it.
pub fn peek(text: &[u8]) -> Option<[u8; 3]> {
    let &[a, b, c, d] = text.first_chunk::<4>()?;
    let digit = |byte: u8| DIGITS[usize::from(byte)];
    let (a, b, c, d) = (digit(a), digit(b), digit(c), digit(d));
    (a | b | c | d < 64).then_some([a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d])
}

/// Decodes `text`; `None` if a byte is not a digit or the length is impossible. A blank is read as `+`, because form
/// decoding turns `+` into a blank. Line ends and tabs are skipped.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.trim_ascii();
    let end = text.iter().rposition(|&b| b != b'=').map_or(0, |at| at + 1);
    if text.len() - end > 2 {
        return None;
    }
    let mut plain = Vec::with_capacity(text.len());
    for &byte in &text[..end] {
        match byte {
            b'-' | b' ' => plain.push(b'+'),
            b'_' => plain.push(b'/'),
            b'\r' | b'\n' | b'\t' => {}
            byte => plain.push(byte),
        }
    }
    STANDARD.decode(&plain).ok()
}

/// Decodes `text` as decoders do that pass over all bytes but digits (RFC 2045 §6.8); several texts in a row, each with its
/// padding, are joined.
pub fn decode_digits(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for &byte in text {
        let digit = DIGITS[usize::from(byte)];
        if digit != NONE {
            bits = bits << 6 | u32::from(digit);
            count += 6;
            if count >= 8 {
                count -= 8;
                out.push((bits >> count) as u8);
            }
        } else if byte == b'=' {
            count = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decodes_what_lenient_decoders_accept() {
        for (text, want) in [
            ("PD94bWw+", Some(&b"<?xml>"[..])),
            ("PD94bWw-", Some(b"<?xml>")),
            ("PD94bWw ", Some(b"<?xml")),
            ("PD94\r\nbWw+", Some(b"<?xml>")),
            ("YQ", Some(b"a")),
            ("YQ==", Some(b"a")),
            ("YR==", Some(b"a")),
            ("YQ===", None),
            ("Y", None),
            ("Y!Q=", None),
        ] {
            assert_eq!(decode(text.as_bytes()).as_deref(), want, "{text}");
        }
        for (text, want) in [("Y!W*J j", "abc"), ("YQ==YmM=", "abc"), ("YQ=====", "a"), ("Y", "")] {
            assert_eq!(decode_digits(text.as_bytes()), want.as_bytes(), "{text}");
        }
        assert_eq!(peek(b"PD94bWw+"), Some(*b"<?x"));
        assert_eq!(peek(b"PD9!"), None);
    }

    proptest! {
        #[test]
        fn decodes_what_was_encoded(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&bytes);
            prop_assert_eq!(decode(text.as_bytes()).unwrap(), &bytes[..]);
            if bytes.len() >= 3 {
                prop_assert_eq!(&peek(text.as_bytes()).unwrap()[..], &bytes[..3]);
            }
        }
    }
}
