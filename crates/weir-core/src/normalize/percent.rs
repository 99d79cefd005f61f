//! Percent-decoding (RFC 3986 §2.1) as lenient servers do it: `%uXXXX` is decoded too, invalid escapes are kept as they are.

use memchr::{memchr, memchr2};
use std::borrow::Cow;

/// How a `+` is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plus {
    /// As itself: in paths and headers.
    Keep,
    /// As a space: in queries, forms and cookies.
    Space,
}

/// Decodes each escape once. The decoded bytes are not decoded again.
pub fn decode(input: &[u8], plus: Plus) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    if decode_to(input, plus, &mut out) { Cow::Owned(out) } else { Cow::Borrowed(input) }
}

/// Appends what [`decode`] returns to `out`. False if decoding changes nothing; then nothing is appended.
pub fn decode_to(input: &[u8], plus: Plus, out: &mut Vec<u8>) -> bool {
    // Most names and values of forms have no escapes but blanks.
    if plus == Plus::Space && !input.contains(&b'%') {
        let changed = input.contains(&b'+');
        if changed {
            out.extend(input.iter().map(|b| if *b == b'+' { b' ' } else { *b }));
        }
        return changed;
    }
    let (mut done, mut at, mut changed) = (0, 0, false);
    while let Some(next) = find_mark(&input[at..], plus) {
        at += next;
        let Some((decoded, used)) = escape(&input[at..], plus) else {
            at += 1;
            continue;
        };
        if !changed {
            out.reserve(input.len());
            changed = true;
        }
        out.extend_from_slice(&input[done..at]);
        decoded.push_to(out);
        at += used;
        done = at;
    }
    if changed {
        out.extend_from_slice(&input[done..]);
    }
    changed
}

/// The first byte that may begin an escape.
fn find_mark(input: &[u8], plus: Plus) -> Option<usize> {
    /// Escapes are often this near to each other: then a search that takes time to set up does not pay.
    const NEAR: usize = 12;
    let (near, far) = input.split_at(input.len().min(NEAR));
    near.iter().position(|b| *b == b'%' || *b == b'+' && plus == Plus::Space).or_else(|| {
        let found = if plus == Plus::Space { memchr2(b'%', b'+', far) } else { memchr(b'%', far) };
        found.map(|at| at + near.len())
    })
}

/// Whether [`decode`] changes anything but a `+`.
pub fn has_escape(input: &[u8]) -> bool {
    memchr::memchr_iter(b'%', input).any(|at| escape(&input[at..], Plus::Keep).is_some())
}

/// Whether there is a `%` that does not begin a valid escape.
pub fn has_bad_escape(input: &[u8]) -> bool {
    memchr::memchr_iter(b'%', input).any(|at| escape(&input[at..], Plus::Keep).is_none())
}

/// A decoded escape.
enum Decoded {
    Byte(u8),
    Char(char),
}

impl Decoded {
    fn push_to(&self, out: &mut Vec<u8>) {
        match *self {
            Decoded::Byte(byte) => out.push(byte),
            Decoded::Char(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// The escape at the start of `input`, and its length.
fn escape(input: &[u8], plus: Plus) -> Option<(Decoded, usize)> {
    match *input {
        [b'+', ..] if plus == Plus::Space => Some((Decoded::Byte(b' '), 1)),
        [b'%', b'u' | b'U', ..] => wide(input),
        [b'%', a, b, ..] => Some((Decoded::Byte(hex(a)? << 4 | hex(b)?), 3)),
        _ => None,
    }
}

/// Decodes `%uXXXX`, or two of them that form a surrogate pair. A lone surrogate becomes U+FFFD.
fn wide(input: &[u8]) -> Option<(Decoded, usize)> {
    let first = unit(input)?;
    if (0xd800..0xdc00).contains(&first)
        && let Some(second @ 0xdc00..0xe000) = unit(&input[6..])
    {
        let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return Some((Decoded::Char(char::from_u32(code).unwrap_or('\u{fffd}')), 12));
    }
    Some((Decoded::Char(char::from_u32(first).unwrap_or('\u{fffd}')), 6))
}

fn unit(input: &[u8]) -> Option<u32> {
    let [b'%', b'u' | b'U', digits @ ..] = input else { return None };
    digits.get(..4)?.iter().try_fold(0, |code, &digit| Some(code << 4 | u32::from(hex(digit)?)))
}

/// The value of a hex digit.
pub fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decodes_once_and_keeps_invalid_escapes() {
        for (input, plus, want) in [
            ("%2e%2E/", Plus::Keep, "../"),
            ("a+b%20c", Plus::Keep, "a+b c"),
            ("a+b%20c", Plus::Space, "a b c"),
            ("100%", Plus::Keep, "100%"),
            ("%zz%4", Plus::Keep, "%zz%4"),
            ("%2527", Plus::Keep, "%27"),
            ("%%32%37", Plus::Keep, "%27"),
            ("%2%37", Plus::Keep, "%27"),
            ("%u003cb%U003E", Plus::Keep, "<b>"),
            ("%u00", Plus::Keep, "%u00"),
            ("%ud83d%ude00", Plus::Keep, "\u{1f600}"),
            ("%ud83d!", Plus::Keep, "\u{fffd}!"),
            ("%u", Plus::Keep, "%u"),
        ] {
            assert_eq!(decode(input.as_bytes(), plus).as_ref(), want.as_bytes(), "{input}");
        }
        assert!(matches!(decode(b"%zz 100%", Plus::Space), Cow::Borrowed(_)));
        assert!(has_bad_escape(b"/a%2") && has_bad_escape(b"%%20") && !has_bad_escape(b"/%20%u0041"));
    }

    proptest! {
        #[test]
        fn decodes_what_was_encoded(text: Vec<u8>) {
            let encoded: String = text.iter().map(|b| format!("%{b:02x}")).collect();
            prop_assert_eq!(decode(encoded.as_bytes(), Plus::Space).into_owned(), text);
        }

        /// Texts without an escape take a shorter way.
        #[test]
        fn blanks_are_decoded_alike_with_and_without_an_escape(text in "[+a é]{0,40}") {
            let with_escape = decode(format!("{text}%41").as_bytes(), Plus::Space).into_owned();
            prop_assert_eq!([decode(text.as_bytes(), Plus::Space).as_ref(), b"A"].concat(), with_escape);
        }

        #[test]
        fn an_owned_result_differs_from_the_input(text in "[%+u0-9a-f ]{0,40}") {
            if let Cow::Owned(out) = decode(text.as_bytes(), Plus::Space) {
                prop_assert_ne!(out, text.into_bytes());
            }
        }
    }
}
