//! Escapes of JavaScript (ECMA-262 §12.9.4) and CSS (CSS Syntax §4.3.7) source text.

use super::html_entities;
use super::percent::hex;
use std::borrow::Cow;

/// Decodes `\uXXXX`, `\u{X}`, `\xNN`, octal, line continuations and single-character escapes.
/// `Borrowed` unless one of the first five occurs: a single-character escape hides nothing.
pub fn js(input: &[u8]) -> Cow<'_, [u8]> {
    decode(input, js_step)
}

/// Whether decoding HTML references, and then [`js`], changes anything.
pub fn has_reference_or_escape(input: &[u8]) -> bool {
    let html = html_entities::decode(input);
    matches!(html, Cow::Owned(_)) || matches!(js(&html), Cow::Owned(_))
}

/// Decodes `\` followed by two to six hex digits and at most one white space. `Borrowed` unless one occurs.
pub fn css(input: &[u8]) -> Cow<'_, [u8]> {
    decode(input, css_step)
}

/// A decoded escape.
struct DecodedEscape {
    /// The character; `None` for a line continuation.
    char: Option<char>,
    /// Length of the escape after the backslash, in bytes.
    used: usize,
    /// Whether attackers can hide a character with it.
    hides: bool,
}

fn decode(input: &[u8], step: fn(&[u8]) -> Option<DecodedEscape>) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', input).is_none() {
        return Cow::Borrowed(input);
    }
    let mut out = Vec::with_capacity(input.len());
    let mut rest = input;
    let mut hides = false;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        match step(rest) {
            Some(step) => {
                hides |= step.hides;
                if let Some(c) = step.char {
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                rest = &rest[step.used..];
            }
            None => out.push(b'\\'),
        }
    }
    out.extend_from_slice(rest);
    if hides { Cow::Owned(out) } else { Cow::Borrowed(input) }
}

/// The number in the first digits of `text`, at most `max` of them, and the number of digits.
fn digits(text: &[u8], radix: u32, max: usize) -> (u32, usize) {
    let mut code = 0;
    let mut used = 0;
    while used < max
        && let Some(digit) = text.get(used).and_then(|&b| (b as char).to_digit(radix))
    {
        code = code * radix + digit;
        used += 1;
    }
    (code, used)
}

fn character(code: u32) -> Option<char> {
    Some(char::from_u32(code).unwrap_or('\u{fffd}'))
}

fn js_step(rest: &[u8]) -> Option<DecodedEscape> {
    let numeric = |code, used| Some(DecodedEscape { char: character(code), used, hides: true });
    match rest {
        [b'x', a, b, ..] if hex(*a).is_some() && hex(*b).is_some() => numeric(digits(&rest[1..], 16, 2).0, 3),
        [b'u', b'{', tail @ ..] => {
            let zeros = tail.iter().take_while(|&&b| b == b'0').count();
            let (code, used) = digits(&tail[zeros..], 16, 6);
            let closed = used + zeros > 0 && tail.get(zeros + used) == Some(&b'}');
            if closed { numeric(code, zeros + used + 3) } else { None }
        }
        [b'u', tail @ ..] => match digits(tail, 16, 4) {
            (high @ 0xd800..0xdc00, 4) => {
                match tail.get(4..6).filter(|t| t == b"\\u").map(|_| digits(&tail[6..], 16, 4)) {
                    Some((low @ 0xdc00..0xe000, 4)) => numeric(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00), 11),
                    _ => numeric(high, 5),
                }
            }
            (code, 4) => numeric(code, 5),
            _ => None,
        },
        [b'0'..=b'7', ..] => {
            let (code, used) = digits(rest, 8, if rest[0] < b'4' { 3 } else { 2 });
            numeric(code, used)
        }
        [b'\r', b'\n', ..] => Some(DecodedEscape { char: None, used: 2, hides: true }),
        [b'\r' | b'\n', ..] => Some(DecodedEscape { char: None, used: 1, hides: true }),
        [plain, ..] if plain.is_ascii() => {
            let char = match plain {
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'v' => '\u{b}',
                other => *other as char,
            };
            Some(DecodedEscape { char: Some(char), used: 1, hides: false })
        }
        _ => None,
    }
}

fn css_step(rest: &[u8]) -> Option<DecodedEscape> {
    let (code, used) = digits(rest, 16, 6);
    if used < 2 {
        return None;
    }
    let space = usize::from(rest.get(used).is_some_and(u8::is_ascii_whitespace));
    Some(DecodedEscape { char: character(code), used: used + space, hides: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decodes_escapes_of_javascript() {
        for (text, want) in [
            (r"al\u0065rt", "alert"),
            (r"al\u{0000065}rt\u{28}1)", "alert(1)"),
            (r"\x61lert", "alert"),
            (r"\141lert", "alert"),
            ("ale\\\nrt", "alert"),
            ("ale\\\r\nrt", "alert"),
            (r"\ud83d\ude00\n", "😀\n"),
            (r"\ud83d\u0041", "\u{fffd}A"),
            (r"C:\users\new", r"C:\users\new"),
            (r"\d+\.\w", r"\d+\.\w"),
            (r"\u{110000}", "\u{fffd}"),
            (r"\u{}\u12", r"\u{}\u12"),
        ] {
            assert_eq!(js(text.as_bytes()), want.as_bytes(), "{text}");
        }
    }

    #[test]
    fn decodes_escapes_of_css() {
        assert_eq!(&*css(br"\6a avascript\00003aalert"), b"javascript:alert");
        assert!(matches!(css(br"C:\new"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn never_longer_and_never_panics(bytes in proptest::collection::vec(prop_oneof![Just(b'\\'), Just(b'u'), Just(b'{'), any::<u8>()], 0..80)) {
            // U+FFFD has three bytes, and the shortest numeric escape has two.
            prop_assert!(js(&bytes).len() <= bytes.len() + bytes.len() / 2 && css(&bytes).len() <= bytes.len() * 2);
        }
    }
}
