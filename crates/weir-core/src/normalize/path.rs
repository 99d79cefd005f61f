//! File paths as the file system of a server resolves them: one separator, no redundant parts, invalid encodings decoded.
//!
//! The encodings decoded here are accepted only by broken decoders, so strict percent and UTF-8 decoders leave them:
//! overlong UTF-8, hex escapes with digits past `f` (`%qf`), textual `0x2f`, and characters that look like dots and slashes.

use super::percent::hex;
use std::borrow::Cow;

/// Lead bytes of overlong UTF-8 forms and how many bytes follow.
const LEAD_BYTES: [(u8, usize); 4] = [(0xe0, 2), (0xf0, 3), (0xf8, 4), (0xfc, 5)];

/// Replaces `\` by `/`, decodes invalid encodings, and removes `//`, `/./` and the `;` of `..;/`.
///
/// **Correctness.** Most values need no change. [`changes`] looks for a byte that [`slow`] would not just copy; without one,
/// the result is the input. `the_fast_path_and_the_slow_path_agree` tests this.
pub fn run(input: &[u8]) -> Cow<'_, [u8]> {
    if !changes(input) { Cow::Borrowed(input) } else { slow(input) }
}

/// What may happen to a byte other than that it is copied.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ByteEffect {
    /// Nothing: it is copied.
    Nothing,
    /// It may begin an invalid encoding.
    Encoding,
    /// It is a slash or `;` that may be removed.
    Slash,
    /// It is replaced or removed.
    Change,
}

/// The effect of each byte.
static BYTE_EFFECTS: [ByteEffect; 256] = {
    let mut table = [ByteEffect::Nothing; 256];
    let mut b = 0;
    while b < 256 {
        let byte = b as u8;
        table[b] = match byte {
            b'\\' => ByteEffect::Change,
            b'/' | b';' => ByteEffect::Slash,
            b'0' | b'%' | 0x80.. => ByteEffect::Encoding,
            _ if is_dropped(byte) => ByteEffect::Change,
            _ => ByteEffect::Nothing,
        };
        b += 1;
    }
    table
};

/// Whether some byte of `input` is not copied as it is.
fn changes(input: &[u8]) -> bool {
    input.iter().enumerate().any(|(at, &b)| match BYTE_EFFECTS[b as usize] {
        ByteEffect::Nothing => false,
        ByteEffect::Encoding => step(&input[at..]) != (Some(b), 1),
        ByteEffect::Slash => match input[at + 1..] {
            // Behind `:` a second slash is kept, as in `https://`.
            [b'/', ..] => b == b'/' && !input[..at].ends_with(b":") || input[..at].ends_with(b".."),
            [b'.', b'/' | b'\\', ..] => b == b'/',
            _ => false,
        },
        ByteEffect::Change => true,
    })
}

fn slow(input: &[u8]) -> Cow<'_, [u8]> {
    let decoded = decode_invalid(input);
    let text: &[u8] = decoded.as_deref().unwrap_or(input);
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let mut at = 0;
    loop {
        at += copy_run(&text[at..], |b| matches!(b, b'/' | b'\\' | b'.' | b';'), &mut out);
        let Some(&byte) = text.get(at) else { break };
        let slash = |i: usize| matches!(text.get(i), Some(b'/' | b'\\'));
        if slash(at) && out.last() == Some(&b'/') && !out.ends_with(b":/") {
            at += 1;
        } else if byte == b'.' && out.last() == Some(&b'/') && slash(at + 1) {
            at += 2;
        } else if byte == b';' && out.ends_with(b"..") && slash(at + 1) {
            at += 1;
        } else {
            out.push(if byte == b'\\' { b'/' } else { byte });
            at += 1;
        }
    }
    if out == input { Cow::Borrowed(input) } else { Cow::Owned(out) }
}

/// Copies what is before the first byte that `stops`. Returns how many bytes these are.
#[inline]
fn copy_run(input: &[u8], stops: impl Fn(u8) -> bool, out: &mut Vec<u8>) -> usize {
    let length = input.iter().position(|b| stops(*b)).unwrap_or(input.len());
    out.extend_from_slice(&input[..length]);
    length
}

/// The input with invalid encodings decoded; `None` if there are none.
fn decode_invalid(input: &[u8]) -> Option<Vec<u8>> {
    let first = input
        .iter()
        .position(|&b| b >= 0x80 || b == b'%' || is_dropped(b))
        .or_else(|| memchr::memmem::find(input, b"0x"))?;
    let first = memchr::memmem::find(&input[..first], b"0x").unwrap_or(first);
    let mut out = input[..first].to_vec();
    let mut at = first;
    loop {
        at += copy_run(&input[at..], |b| matches!(b, b'0' | b'%' | 0x80..) || is_dropped(b), &mut out);
        if at == input.len() {
            return Some(out);
        }
        let (byte, used) = step(&input[at..]);
        out.extend(byte);
        at += used;
    }
}

/// Whether a control byte is dropped, because file names end at it or lose it.
const fn is_dropped(b: u8) -> bool {
    b < b'\t' || (b >= 0x0e && b < 0x20)
}

/// The byte encoded at the start of `input`, if any, and the length of its encoding.
fn step(input: &[u8]) -> (Option<u8>, usize) {
    match *input {
        [b, ..] if is_dropped(b) => (None, 1),
        [b'0', b'x' | b'X', a, b, ..] => match (hex(a), hex(b)) {
            (Some(a), Some(b)) if matches!(a << 4 | b, b'.' | b'/' | b'\\') => (Some(a << 4 | b), 4),
            _ => (Some(b'0'), 1),
        },
        [b'%', a, b'%', b, ..] if hex(a).is_some() && hex(b).is_some() => (Some(unchecked_hex(a, b)), 4),
        [b'%', a, b, ..] if a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric() => {
            let lead = unchecked_hex(a, b);
            match input[3..] {
                [b'%', c, d, ..] if lead & 0xfe == 0xc0 && c.is_ascii_alphanumeric() && d.is_ascii_alphanumeric() => {
                    (Some((lead & 1) << 6 | unchecked_hex(c, d) & 0x3f), 6)
                }
                _ => (Some(lead), 3),
            }
        }
        [lead @ (0xc0 | 0xc1), b'%', a, b, ..] if a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric() => {
            (Some((lead & 1) << 6 | unchecked_hex(a, b) & 0x3f), 4)
        }
        [0xc0 | 0xc1, b'/' | b'\\', ..] => (None, 1),
        [lead @ (0xc0 | 0xc1), next, ..] => (Some((lead & 1) << 6 | next & 0x3f), 2),
        [0xe2, 0x88, last @ (0x95 | 0x96), ..] => (Some(if last == 0x95 { b'/' } else { b'\\' }), 3),
        [0xef, 0xbc, last @ (0x8e | 0x8f | 0xbc), ..] => (
            Some(match last {
                0x8e => b'.',
                0x8f => b'/',
                _ => b'\\',
            }),
            3,
        ),
        [0xee, 0xbf, 0x88, ..] | [0xef, 0x80, 0xa5, ..] => (Some(b'/'), 3),
        [lead @ (0xe0 | 0xf0 | 0xf8 | 0xfc), ..] => overlong(lead, input),
        [b, ..] => (Some(b), 1),
        [] => (None, 1),
    }
}

/// The value of two hex digits as computed by a decoder that does not check them.
fn unchecked_hex(a: u8, b: u8) -> u8 {
    let digit = |d: u8| if d.is_ascii_digit() { d - b'0' } else { (d | 0x20).wrapping_sub(b'a').wrapping_add(10) };
    digit(a).wrapping_mul(16).wrapping_add(digit(b))
}

/// An overlong form of more than two bytes (RFC 3629 §3 forbids them).
fn overlong(lead: u8, input: &[u8]) -> (Option<u8>, usize) {
    let following = LEAD_BYTES.iter().find(|(l, _)| *l == lead).map_or(0, |(_, n)| *n);
    match input.get(1..=following) {
        Some([middle @ .., before, last]) if middle.iter().all(|&b| b == 0x80) && matches!(*before, 0x80 | 0x81) => {
            (Some((before & 1) << 6 | last & 0x3f), following + 1)
        }
        _ => (Some(lead), 1),
    }
}

#[cfg(test)]
mod tests {
    use super::run;

    #[test]
    fn normalises_every_spelling_of_a_path() {
        for (from, to) in [
            (&b"..\\..\\etc\\passwd"[..], "../../etc/passwd"),
            (b"/etc/.//./passwd", "/etc/passwd"),
            (b"/a/..;/admin", "/a/../admin"),
            (b"..\xc0\xaf..\xc1\x9cetc", "../../etc"),
            (b"\xe0\x80\xae\xf0\x80\x80\xae/etc", "../etc"),
            (b"..%c0%af..%bg%qfetc", "../../etc"),
            (b"..0x5c..0x2fboot.ini", "../../boot.ini"),
            ("．．／etc∕passwd".as_bytes(), "../etc/passwd"),
            (b"etc\0/passwd\0", "etc/passwd"),
            (b"http://host//x", "http://host/x"),
        ] {
            assert_eq!(String::from_utf8_lossy(&run(from)), to, "{from:?}");
        }
        assert!(matches!(run(b"/plain/path.txt"), std::borrow::Cow::Borrowed(_)));
    }

    proptest::proptest! {
        #[test]
        fn the_fast_path_and_the_slow_path_agree(input in r"(//|/\./|\.\.;/|:/|[a-z/.;:\\%0x2f]|\xc0|\xaf|\xe2\x88\x95|é|．|\x01|%c0%af|0x2f){0,24}") {
            let bytes = input.as_bytes();
            proptest::prop_assert_eq!(run(bytes), super::slow(bytes));
            let latin: Vec<u8> = input.chars().map(|c| c as u8).collect();
            proptest::prop_assert_eq!(run(&latin), super::slow(&latin));
        }

        #[test]
        fn never_panics_and_never_grows(input: Vec<u8>) {
            proptest::prop_assert!(run(&input).len() <= input.len());
        }
    }
}
