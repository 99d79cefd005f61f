//! Character sets other than UTF-8. A server may decode a value by a declaration, by a byte order mark or by guessing.

mod code_page;
mod declaration;
mod ebcdic;
mod overlong;
mod utf7;

pub use declaration::{xml_in_ebcdic, xml_label};
pub use overlong::overlong;
pub use utf7::utf7;

use encoding_rs::Encoding;
use std::borrow::Cow;

/// A character set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8, or its subset ASCII.
    Utf8,
    /// UTF-7 (RFC 2152).
    Utf7,
    /// UTF-16.
    Utf16(Endian),
    /// UTF-32.
    Utf32(Endian),
    /// EBCDIC, as some Java and .NET servers accept it in a declaration.
    Ebcdic(&'static [u8; 256]),
    /// A character set of the WHATWG Encoding Standard.
    Listed(&'static Encoding),
    /// A character set with an unknown name.
    Unknown,
}

/// Order of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endian {
    /// Least significant first.
    Little,
    /// Most significant first.
    Big,
}

/// Text as UTF-8.
#[derive(Debug)]
pub struct Decoded<'a> {
    /// The text; borrowed if it equals the input.
    pub text: Cow<'a, [u8]>,
    /// Whether some bytes are invalid in the character set.
    pub faulty: bool,
}

/// The character set that a media type names, if it names one. Of several, of which servers take the first or the last one,
/// it is the first that is not UTF-8.
pub fn declared(media: Option<&[u8]>) -> Option<Charset> {
    let mut labels = media?.split(|&b| b == b';').skip(1).filter_map(|parameter| {
        let equals = memchr::memchr(b'=', parameter)?;
        let is_charset = parameter[..equals].trim_ascii().eq_ignore_ascii_case(b"charset");
        let label = parameter[equals + 1..].trim_ascii();
        is_charset.then(|| named(label.strip_prefix(b"\"").unwrap_or(label)))
    });
    let first = labels.next()?;
    Some(std::iter::once(first).chain(labels).find(|charset| *charset != Charset::Utf8).unwrap_or(first))
}

/// The character set with this label, in any case. A quote at the end is ignored, and `_` is read as `-`, as by Python.
pub fn named(label: &[u8]) -> Charset {
    let label = label.strip_suffix(b"\"").unwrap_or(label).to_ascii_lowercase();
    match listed(&label) {
        Charset::Unknown => listed(&label.iter().map(|&b| if b == b'_' { b'-' } else { b }).collect::<Vec<u8>>()),
        known => known,
    }
}

/// The character set with this label in lower case.
fn listed(label: &[u8]) -> Charset {
    match label {
        b"utf-7" | b"utf7" | b"u7" | b"unicode-1-1-utf-7" | b"x-unicode-2-0-utf-7" => Charset::Utf7,
        b"utf-16be" | b"utf-16-be" | b"utf-16" | b"utf16" | b"u16" => {
            Charset::Utf16(if label.ends_with(b"be") { Endian::Big } else { Endian::Little })
        }
        b"utf-16-le" => Charset::Utf16(Endian::Little),
        b"utf-32" | b"utf-32le" | b"utf-32-le" | b"utf32" | b"u32" | b"ucs-4" => Charset::Utf32(Endian::Little),
        b"utf-32be" | b"utf-32-be" => Charset::Utf32(Endian::Big),
        b"us-ascii" | b"ascii" => Charset::Utf8,
        _ => code_page::of(label).map_or_else(|| web(label), Charset::Ebcdic),
    }
}

/// A character set of the WHATWG Encoding Standard.
fn web(label: &[u8]) -> Charset {
    match Encoding::for_label(label) {
        None => Charset::Unknown,
        Some(found) if found == encoding_rs::UTF_8 => Charset::Utf8,
        Some(found) if found == encoding_rs::UTF_16LE => Charset::Utf16(Endian::Little),
        Some(found) if found == encoding_rs::REPLACEMENT => Charset::Unknown,
        Some(found) => Charset::Listed(found),
    }
}

/// Leading bytes examined for the pattern of UTF-16 and UTF-32.
const SAMPLE: usize = 64;

/// The character set recognised by a byte order mark, by the pattern of NULs or as XML in EBCDIC, and the length of the mark.
pub fn sniff(input: &[u8]) -> Option<(Charset, usize)> {
    match *input {
        [0xff, 0xfe, 0, 0, ..] => return Some((Charset::Utf32(Endian::Little), 4)),
        [0, 0, 0xfe, 0xff, ..] => return Some((Charset::Utf32(Endian::Big), 4)),
        [0xff, 0xfe, ..] => return Some((Charset::Utf16(Endian::Little), 2)),
        [0xfe, 0xff, ..] => return Some((Charset::Utf16(Endian::Big), 2)),
        [0xef, 0xbb, 0xbf, ..] => return Some((Charset::Utf8, 3)),
        [b'+', b'/', b'v', b'8' | b'9' | b'+' | b'/', ..] => return Some((Charset::Utf7, 0)),
        _ => {}
    }
    if let Some(charset) = xml_in_ebcdic(input) {
        return Some((charset, 0));
    }
    let sample = &input[..input.len().min(SAMPLE) / 4 * 4];
    if sample.is_empty() {
        return None;
    }
    let mut zeros = [0; 4];
    sample.iter().enumerate().filter(|(_, b)| **b == 0).for_each(|(at, _)| zeros[at % 4] += 1);
    let all = sample.len() / 4;
    let (most, few) = (all - all / 4, all / 4);
    let charset = match zeros.map(|n| (n >= most, n <= few)) {
        [(_, true), (true, _), (true, _), (true, _)] => Charset::Utf32(Endian::Little),
        [(true, _), (true, _), (true, _), (_, true)] => Charset::Utf32(Endian::Big),
        [(_, true), (true, _), (_, true), (true, _)] => Charset::Utf16(Endian::Little),
        [(true, _), (_, true), (true, _), (_, true)] => Charset::Utf16(Endian::Big),
        _ => return None,
    };
    Some((charset, 0))
}

/// `input` as UTF-8 text.
pub fn decode(input: &[u8], charset: Charset) -> Decoded<'_> {
    let (text, faulty) = match charset {
        Charset::Utf8 | Charset::Unknown => {
            return Decoded { text: Cow::Borrowed(input), faulty: std::str::from_utf8(input).is_err() };
        }
        Charset::Utf7 => match utf7(input, false) {
            Some(text) => (text, false),
            None => return Decoded { text: Cow::Borrowed(input), faulty: false },
        },
        Charset::Utf16(endian) => units(input, 2, endian),
        Charset::Utf32(endian) => units(input, 4, endian),
        Charset::Ebcdic(table) => {
            // Pages of East Asia shift between one and two bytes by SO and SI, which leave no text of their own.
            let shown = input.iter().filter(|b| !matches!(b, 0x0e | 0x0f));
            (shown.flat_map(|&b| latin1(table[b as usize])).collect(), false)
        }
        Charset::Listed(encoding) => {
            let (text, faulty) = encoding.decode_without_bom_handling(input);
            (text.into_owned().into_bytes(), faulty)
        }
    };
    if text == input {
        return Decoded { text: Cow::Borrowed(input), faulty };
    }
    Decoded { text: Cow::Owned(text), faulty }
}

fn latin1(byte: u8) -> impl Iterator<Item = u8> {
    let mut buffer = [0; 4];
    let length = char::from(byte).encode_utf8(&mut buffer).len();
    buffer.into_iter().take(length)
}

/// Decodes UTF-16 or UTF-32, by the size of a unit in bytes. Bytes after the last whole unit are kept as they are.
fn units(input: &[u8], size: usize, endian: Endian) -> (Vec<u8>, bool) {
    let code = |unit: &[u8]| match endian {
        Endian::Little => unit.iter().rev().fold(0u32, |code, &b| code << 8 | u32::from(b)),
        Endian::Big => unit.iter().fold(0u32, |code, &b| code << 8 | u32::from(b)),
    };
    let chunks = input.chunks_exact(size);
    let rest = chunks.remainder();
    let mut faulty = !rest.is_empty();
    let mut text = String::with_capacity(input.len() / size + 8);
    if size == 2 {
        for unit in char::decode_utf16(chunks.map(|unit| code(unit) as u16)) {
            faulty |= unit.is_err();
            text.push(unit.unwrap_or(char::REPLACEMENT_CHARACTER));
        }
    } else {
        for c in chunks.map(|unit| char::from_u32(code(unit))) {
            faulty |= c.is_none();
            text.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
        }
    }
    let mut text = text.into_bytes();
    text.extend_from_slice(rest);
    (text, faulty)
}

#[cfg(test)]
mod tests {
    use super::ebcdic::{IBM037, IBM273, IBM500, IBM870, IBM1026};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_declarations() {
        let of = |media: &'static str| declared(Some(media.as_bytes()));
        assert_eq!(of("text/plain"), None);
        assert_eq!(of("text/plain; Charset=\"UTF-8\""), Some(Charset::Utf8));
        assert_eq!(of("a/b; x=charset; charset = IBM037"), Some(Charset::Ebcdic(&IBM037)));
        assert_eq!(of("a/b;charset=utf-16le"), Some(Charset::Utf16(Endian::Little)));
        assert_eq!(of("a/b;charset=shift_jis"), Some(Charset::Listed(encoding_rs::SHIFT_JIS)));
        assert_eq!(of("a/b;charset=klingon"), Some(Charset::Unknown));
        assert_eq!(of("a/b;charset=utf-8; charset=cp500"), Some(Charset::Ebcdic(&IBM500)));
        assert_eq!(of("a/b;charset=utf-8; charset=utf8"), Some(Charset::Utf8));
        for (label, want) in [
            ("utf_7", Charset::Utf7),
            ("UTF_16_BE", Charset::Utf16(Endian::Big)),
            ("utf-16", Charset::Utf16(Endian::Little)),
            ("utf_32_be", Charset::Utf32(Endian::Big)),
            ("shift_jis", Charset::Listed(encoding_rs::SHIFT_JIS)),
            ("csIBM037", Charset::Ebcdic(&IBM037)),
            ("IBM01148", Charset::Ebcdic(&IBM500)),
            ("cp273", Charset::Ebcdic(&IBM273)),
            ("ibm-1026", Charset::Ebcdic(&IBM1026)),
            ("875", Charset::Ebcdic(&IBM870)),
            ("cp1252", Charset::Listed(encoding_rs::WINDOWS_1252)),
        ] {
            assert_eq!(named(label.as_bytes()), want, "{label}");
        }
    }

    #[test]
    fn decodes_what_is_declared() {
        let ebcdic: &[u8] = &[0x4c, 0xa2, 0x83, 0x99, 0x89, 0x97, 0xa3, 0x6e];
        assert_eq!(decode(ebcdic, named(b"ibm037")).text.as_ref(), b"<script>");
        assert_eq!(decode(&[0xfc, 0x6e, 0x4c, 0x48], Charset::Ebcdic(&IBM1026)).text.as_ref(), b"\"><{");
        assert_eq!(decode(&[0x4c, 0x0e, 0x0f, 0xa2], named(b"cp935")).text.as_ref(), b"<s");
        assert_eq!(decode(&[0x66, 0x76, 0xb3], named(b"290")).text.as_ref(), b"ent");
        assert_eq!(decode(b"+ADw-script+AD4-1", Charset::Utf7).text.as_ref(), b"<script>1");
        assert_eq!(decode("ÄÖ".as_bytes(), Charset::Utf8).text.as_ref(), "ÄÖ".as_bytes());
        assert!(decode(b"\xff", Charset::Utf8).faulty);
        let listed = decode(b"\x1b(Jse\x1b(Blect", named(b"iso-2022-jp"));
        assert_eq!(listed.text.as_ref(), b"select");
    }

    #[test]
    fn sniffs_marks_and_nul_patterns() {
        for (text, want) in [
            (&b"\xff\xfea\0"[..], Some((Charset::Utf16(Endian::Little), 2))),
            (b"\0<\0a\0b\0c", Some((Charset::Utf16(Endian::Big), 0))),
            (b"<\0\0\0a\0\0\0", Some((Charset::Utf32(Endian::Little), 0))),
            (b"\0\0\0<\0\0\0a", Some((Charset::Utf32(Endian::Big), 0))),
            (b"\x4c\x6f\xa7\x94\x93\x40", Some((Charset::Ebcdic(&IBM037), 0))),
            (b"plain text", None),
            (b"\0\0\0\0\0\0\0\0", None),
        ] {
            assert_eq!(sniff(text), want, "{text:?}");
        }
    }

    #[test]
    fn folds_overlong_forms() {
        for (text, want) in [
            (&b"\xc0\xae\xc0\xae\xc0\xaf"[..], Some(&b"../"[..])),
            (b"a\xe0\x80\xaf\xf0\x80\x80\xafb", Some(b"a//b")),
            (b"\xf8\x80\x80\x80\xaf\xfc\x80\x80\x80\x80\xaf", Some(b"//")),
            (b"\xc1\x1c\xc0\x2f", Some(b"\\/")),
            (b"\xc0\xa7\xff", Some(b"'\xff")),
            ("voilà ตัวอย่าง".as_bytes(), None),
            (b"caf\xe9 \xc0 la", None),
            (b"\xe0\x80", None),
        ] {
            assert_eq!(overlong(text).as_deref(), want, "{text:?}");
        }
    }

    #[test]
    fn ordinary_pluses_are_not_utf7() {
        // `ACF` and `AD0A` leave bits that no encoder sets.
        for text in ["a+b", "C++ and +1", "2+AB=", "x+ACE", "x+ACF", "x+AD0A", "+49 151"] {
            assert_eq!(utf7(text.as_bytes(), true), (text == "x+ACE").then(|| b"x!".to_vec()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn decodes_what_was_encoded_as_utf16_or_utf32(text in "\\PC{0,20}") {
            let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            prop_assert_eq!(decode(&wide, Charset::Utf16(Endian::Big)).text.into_owned(), text.as_bytes());
            let wider: Vec<u8> = text.chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
            prop_assert_eq!(decode(&wider, Charset::Utf32(Endian::Little)).text.into_owned(), text.as_bytes());
        }

        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = (sniff(&bytes), overlong(&bytes), utf7(&bytes, true), declared(Some(&bytes)), named(&bytes));
            for charset in [Charset::Utf7, Charset::Utf16(Endian::Little), Charset::Utf32(Endian::Big)] {
                decode(&bytes, charset);
            }
        }
    }
}
