//! The chunked transfer coding (RFC 9112 §7.1), for bodies that a connector sends with their framing.
//!
//! What follows broken framing is kept as it is, so that it is inspected too.

use crate::normalize::percent::hex;
use memchr::memchr;

/// Digits of the longest chunk size, so that it fits in 64 bits.
const MAX_SIZE_DIGITS: usize = 15;

/// A body without its framing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunked<'a> {
    /// The data of all chunks; never longer than the input.
    pub body: Vec<u8>,
    /// Trailer lines; see [`super::message::append_trailers`].
    pub trailers: &'a [u8],
    /// The framing is broken ([`crate::model::AnomalyKind::BadChunk`]): an invalid size, a bare line end, data of
    /// another length than declared, an extension with control bytes, or bytes past the end.
    pub broken: bool,
}

/// Removes the chunk framing from `raw`.
pub fn decode(raw: &[u8]) -> Chunked<'_> {
    let mut out = Chunked { body: Vec::with_capacity(raw.len()), ..Chunked::default() };
    let mut rest = raw;
    loop {
        let Some((size, after)) = size_line(rest, &mut out.broken) else {
            out.broken = true;
            out.body.extend_from_slice(rest);
            return out;
        };
        if size == 0 {
            end(after, &mut out);
            return out;
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let Some((data, after)) = after.split_at_checked(size) else {
            out.broken = true;
            out.body.extend_from_slice(after);
            return out;
        };
        out.body.extend_from_slice(data);
        rest = match after {
            [b'\r', b'\n', rest @ ..] => rest,
            [b'\n', rest @ ..] => {
                out.broken = true;
                rest
            }
            _ => {
                out.broken = true;
                out.body.extend_from_slice(after);
                return out;
            }
        };
    }
}

/// The size at the start of `input`, and the bytes after its line.
fn size_line<'a>(input: &'a [u8], broken: &mut bool) -> Option<(u64, &'a [u8])> {
    let end = memchr(b'\n', input)?;
    let line = input[..end].strip_suffix(b"\r");
    *broken |= line.is_none();
    let line = line.unwrap_or(&input[..end]);
    let (digits, extension) = line.split_at(line.iter().position(|&b| hex(b).is_none()).unwrap_or(line.len()));
    if digits.is_empty() || digits.len() > MAX_SIZE_DIGITS {
        return None;
    }
    *broken |= !(extension.is_empty() || extension.trim_ascii_start().starts_with(b";"))
        || extension.iter().any(|b| b.is_ascii_control() && *b != b'\t');
    let size = digits.iter().filter_map(|&b| hex(b)).fold(0, |size, digit| size << 4 | u64::from(digit));
    Some((size, &input[end + 1..]))
}

/// Reads the trailers after the last chunk. Bytes after them belong to no message and are kept as body.
fn end<'a>(after: &'a [u8], out: &mut Chunked<'a>) {
    let mut at = 0;
    while let Some(length) = memchr(b'\n', &after[at..]) {
        let line = &after[at..at + length];
        at += length + 1;
        if line.is_empty() || line == b"\r" {
            out.trailers = &after[..at - length - 1];
            out.broken |= at < after.len();
            out.body.extend_from_slice(&after[at..]);
            return;
        }
    }
    out.broken = true;
    out.trailers = after;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn removes_the_framing() {
        for (raw, body, trailers, broken) in [
            ("4\r\nWiki\r\n5\r\npedia\r\n0\r\n\r\n", "Wikipedia", "", false),
            ("0\r\n\r\n", "", "", false),
            ("3;ext=\"1\"\r\nabc\r\n0\r\nX: y\r\n\r\n", "abc", "X: y\r\n", false),
            ("3\nabc\r\n0\r\n\r\n", "abc", "", true),
            ("3\r\nabc\n0\r\n\r\n", "abc", "", true),
            ("3 x\r\nabc\r\n0\r\n\r\n", "abc", "", true),
            ("9\r\nabc", "abc", "", true),
            ("2\r\nabc\r\n0\r\n\r\n", "abc\r\n0\r\n\r\n", "", true),
            ("zz\r\nUNION SELECT", "zz\r\nUNION SELECT", "", true),
            ("ffffffffffffffff1\r\nx", "ffffffffffffffff1\r\nx", "", true),
            ("fffffffffffffff\r\nx", "x", "", true),
            ("0\r\n\r\nGET /admin HTTP/1.1\r\n", "GET /admin HTTP/1.1\r\n", "", true),
            ("0\r\nX: y", "", "X: y", true),
            ("", "", "", true),
        ] {
            let got = decode(raw.as_bytes());
            let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
            assert_eq!(
                (text(&got.body), text(got.trailers), got.broken),
                (body.into(), trailers.into(), broken),
                "{raw:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn never_grows(raw: Vec<u8>) {
            prop_assert!(decode(&raw).body.len() <= raw.len());
        }

        #[test]
        fn decodes_what_was_encoded(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..6)) {
            let mut raw = Vec::new();
            for chunk in &chunks {
                raw.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                raw.extend_from_slice(chunk);
                raw.extend_from_slice(b"\r\n");
            }
            raw.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(decode(&raw), Chunked { body: chunks.concat(), trailers: b"", broken: false });
        }
    }
}
