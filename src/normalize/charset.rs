//! Character sets other than UTF-8: what a value says to a server that believes a declaration, a byte order mark or
//! its own guess.

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
    /// One of the Encoding Standard.
    Listed(&'static Encoding),
    /// A name that none of these has.
    Unknown,
}

/// Order of octets.
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
    /// The text; borrowed where it is the input.
    pub text: Cow<'a, [u8]>,
    /// Whether some octets meant nothing in the character set.
    pub faulty: bool,
}

/// The character set that a media type names, if it names one.
pub fn declared(media: Option<&[u8]>) -> Option<Charset> {
    let media = media?;
    let at = media.split(|&b| b == b';').skip(1).find_map(|parameter| {
        let equals = memchr::memchr(b'=', parameter)?;
        parameter[..equals].trim_ascii().eq_ignore_ascii_case(b"charset").then(|| &parameter[equals + 1..])
    })?;
    Some(named(at.trim_ascii().trim_ascii_start().strip_prefix(b"\"").unwrap_or(at.trim_ascii())))
}

/// The character set with this label, in any case, an ending quote ignored.
pub fn named(label: &[u8]) -> Charset {
    let label = label.strip_suffix(b"\"").unwrap_or(label).to_ascii_lowercase();
    match label.as_slice() {
        b"utf-7" | b"utf7" | b"unicode-1-1-utf-7" | b"x-unicode-2-0-utf-7" => Charset::Utf7,
        b"utf-16be" | b"utf-16" => Charset::Utf16(if label == b"utf-16" { Endian::Little } else { Endian::Big }),
        b"utf-32" | b"utf-32le" | b"utf32" | b"ucs-4" => Charset::Utf32(Endian::Little),
        b"utf-32be" => Charset::Utf32(Endian::Big),
        b"ibm037" | b"cp037" | b"cp1140" | b"ibm01140" | b"ebcdic-cp-us" | b"csibm037" => Charset::Ebcdic(&IBM037),
        b"ibm500" | b"cp500" | b"ibm01148" | b"ebcdic-cp-be" | b"ebcdic-cp-ch" | b"csibm500" => {
            Charset::Ebcdic(&IBM500)
        }
        b"us-ascii" | b"ascii" => Charset::Utf8,
        _ => match Encoding::for_label(&label) {
            None => Charset::Unknown,
            Some(found) if found == encoding_rs::UTF_8 => Charset::Utf8,
            Some(found) if found == encoding_rs::UTF_16LE => Charset::Utf16(Endian::Little),
            Some(found) if found == encoding_rs::REPLACEMENT => Charset::Unknown,
            Some(found) => Charset::Listed(found),
        },
    }
}

/// Leading octets looked at for the pattern of UTF-16 and UTF-32.
const SAMPLE: usize = 64;

/// The character set that a byte order mark or the pattern of NULs shows, and the length of the mark.
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
        Charset::Ebcdic(table) => (input.iter().flat_map(|&b| latin1(table[b as usize])).collect(), false),
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

fn latin1(octet: u8) -> impl Iterator<Item = u8> {
    let mut buffer = [0; 4];
    let length = char::from(octet).encode_utf8(&mut buffer).len();
    buffer.into_iter().take(length)
}

/// UTF-16 or UTF-32, by the size of a unit. Octets past the last whole unit are kept as they are.
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

/// UTF-7 decoded; none where nothing changes. With `only_syntax` an encoded run counts only when it makes ASCII that
/// needs no encoding but has a meaning to parsers (`<`, `'`...): ordinary text with a `+` in it never does.
pub fn utf7(input: &[u8], only_syntax: bool) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut done = 0;
    let mut at = 0;
    while let Some(plus) = memchr::memchr(b'+', &input[at..]).map(|p| p + at) {
        let run = input[plus + 1..].iter().take_while(|b| b.is_ascii_alphanumeric() || b"+/".contains(b)).count();
        let end = plus + 1 + run;
        at = end.max(plus + 1);
        let Some(text) = utf7_run(&input[plus + 1..end]) else { continue };
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

fn utf7_run(run: &[u8]) -> Option<String> {
    let octets = super::base64::decode(run)?;
    let units = octets.chunks_exact(2).map(|unit| u16::from_be_bytes([unit[0], unit[1]]));
    let text: String = char::decode_utf16(units).collect::<Result<_, _>>().ok()?;
    (octets.len() >= 2 && octets.len() % 2 == 0 || octets.len() > 2).then_some(text)
}

/// UTF-8 with overlong forms (RFC 3629 §3) folded to what lenient decoders make of them; none where there are none.
/// `C0` and `C1` before the octets that an old server accepted for a continuation are folded too.
pub fn overlong(input: &[u8]) -> Option<Vec<u8>> {
    if std::str::from_utf8(input).is_ok() {
        return None;
    }
    let mut out: Vec<u8> = Vec::new();
    let (mut done, mut at) = (0, 0);
    while at < input.len() {
        match overlong_char(&input[at..]) {
            Some((c, used)) => {
                out.extend_from_slice(&input[done..at]);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                at += used;
                done = at;
            }
            // No overlong form begins with a smaller octet.
            None => at += 1 + input[at + 1..].iter().take_while(|b| **b < 0xc0).count(),
        }
    }
    if done == 0 {
        return None;
    }
    out.extend_from_slice(&input[done..]);
    Some(out)
}

/// Octets that were taken for a continuation of `C0` or `C1` although they are none: `%c0%2f`, `%c1%1c`.
const FALSE_CONTINUATIONS: &[u8] = &[0x1c, 0x2e, 0x2f, 0x5c];

fn overlong_char(input: &[u8]) -> Option<(char, usize)> {
    let lead = *input.first()?;
    let (used, bits) = match lead {
        0xc0 | 0xc1 => (2, 5),
        0xe0 => (3, 4),
        0xf0 => (4, 3),
        0xf8 => (5, 2),
        0xfc => (6, 1),
        _ => return None,
    };
    let tail = input.get(1..used)?;
    if used == 2 && FALSE_CONTINUATIONS.contains(&tail[0]) {
        return char::from_u32(u32::from(lead & 1) << 6 | u32::from(tail[0] & 0x3f)).map(|c| (c, used));
    }
    let mut code = u32::from(lead) & ((1 << bits) - 1);
    for &b in tail {
        if b & 0xc0 != 0x80 {
            return None;
        }
        code = code << 6 | u32::from(b & 0x3f);
    }
    let least = [0x80, 0x800, 0x1_0000, 0x20_0000, 0x400_0000][used - 2];
    if code >= least { None } else { char::from_u32(code).map(|c| (c, used)) }
}

/// Code page 37 (EBCDIC of the United States) to ISO 8859-1.
#[rustfmt::skip]
static IBM037: [u8; 256] = [
    0, 1, 2, 3, 156, 9, 134, 127, 151, 141, 142, 11, 12, 13, 14, 15, 16, 17, 18, 19, 157, 133, 8, 135,
    24, 25, 146, 143, 28, 29, 30, 31, 128, 129, 130, 131, 132, 10, 23, 27, 136, 137, 138, 139, 140, 5, 6, 7,
    144, 145, 22, 147, 148, 149, 150, 4, 152, 153, 154, 155, 20, 21, 158, 26, 32, 160, 226, 228, 224, 225, 227, 229,
    231, 241, 162, 46, 60, 40, 43, 124, 38, 233, 234, 235, 232, 237, 238, 239, 236, 223, 33, 36, 42, 41, 59, 172,
    45, 47, 194, 196, 192, 193, 195, 197, 199, 209, 166, 44, 37, 95, 62, 63, 248, 201, 202, 203, 200, 205, 206, 207,
    204, 96, 58, 35, 64, 39, 61, 34, 216, 97, 98, 99, 100, 101, 102, 103, 104, 105, 171, 187, 240, 253, 254, 177,
    176, 106, 107, 108, 109, 110, 111, 112, 113, 114, 170, 186, 230, 184, 198, 164, 181, 126, 115, 116, 117, 118, 119, 120,
    121, 122, 161, 191, 208, 221, 222, 174, 94, 163, 165, 183, 169, 167, 182, 188, 189, 190, 91, 93, 175, 168, 180, 215,
    123, 65, 66, 67, 68, 69, 70, 71, 72, 73, 173, 244, 246, 242, 243, 245, 125, 74, 75, 76, 77, 78, 79, 80,
    81, 82, 185, 251, 252, 249, 250, 255, 92, 247, 83, 84, 85, 86, 87, 88, 89, 90, 178, 212, 214, 210, 211, 213,
    48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 179, 219, 220, 217, 218, 159,
];

/// Code page 500 (EBCDIC International) to ISO 8859-1.
#[rustfmt::skip]
static IBM500: [u8; 256] = [
    0, 1, 2, 3, 156, 9, 134, 127, 151, 141, 142, 11, 12, 13, 14, 15, 16, 17, 18, 19, 157, 133, 8, 135,
    24, 25, 146, 143, 28, 29, 30, 31, 128, 129, 130, 131, 132, 10, 23, 27, 136, 137, 138, 139, 140, 5, 6, 7,
    144, 145, 22, 147, 148, 149, 150, 4, 152, 153, 154, 155, 20, 21, 158, 26, 32, 160, 226, 228, 224, 225, 227, 229,
    231, 241, 91, 46, 60, 40, 43, 33, 38, 233, 234, 235, 232, 237, 238, 239, 236, 223, 93, 36, 42, 41, 59, 94,
    45, 47, 194, 196, 192, 193, 195, 197, 199, 209, 166, 44, 37, 95, 62, 63, 248, 201, 202, 203, 200, 205, 206, 207,
    204, 96, 58, 35, 64, 39, 61, 34, 216, 97, 98, 99, 100, 101, 102, 103, 104, 105, 171, 187, 240, 253, 254, 177,
    176, 106, 107, 108, 109, 110, 111, 112, 113, 114, 170, 186, 230, 184, 198, 164, 181, 126, 115, 116, 117, 118, 119, 120,
    121, 122, 161, 191, 208, 221, 222, 174, 162, 163, 165, 183, 169, 167, 182, 188, 189, 190, 172, 124, 175, 168, 180, 215,
    123, 65, 66, 67, 68, 69, 70, 71, 72, 73, 173, 244, 246, 242, 243, 245, 125, 74, 75, 76, 77, 78, 79, 80,
    81, 82, 185, 251, 252, 249, 250, 255, 92, 247, 83, 84, 85, 86, 87, 88, 89, 90, 178, 212, 214, 210, 211, 213,
    48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 179, 219, 220, 217, 218, 159,
];

#[cfg(test)]
mod tests {
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
    }

    #[test]
    fn decodes_what_is_declared() {
        let ebcdic: &[u8] = &[0x4c, 0xa2, 0x83, 0x99, 0x89, 0x97, 0xa3, 0x6e];
        assert_eq!(decode(ebcdic, named(b"ibm037")).text.as_ref(), b"<script>");
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
    fn ordinary_pluses_are_no_utf7() {
        for text in ["a+b", "C++ and +1", "2+AB=", "x+ACE", "+49 151"] {
            assert_eq!(utf7(text.as_bytes(), true), (text == "x+ACE").then(|| b"x!".to_vec()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn utf16_and_32_come_back(text in "\\PC{0,20}") {
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
