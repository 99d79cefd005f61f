//! The body of a request in each form in which an application may read it, for conditions of signatures.

use crate::model::Message;
use crate::normalize::{charset, percent};
use std::io::Read;

/// Most bytes of a body that conditions read, before and after its content coding is undone. Padding must not push what they
/// look for out of their sight, so this is what nodes accept by default.
const MAX_BODY: usize = 8 << 20;
/// Bytes that undoing a content coding may produce from any body, and further ones for each byte of it.
const INFLATED: (usize, usize) = (1 << 20, 32);
/// Bytes read in one work unit: a search costs a fraction of what an inspection does.
const BYTES_PER_UNIT: usize = 64;
/// Most content codings that are undone.
const MAX_CODINGS: usize = 3;
/// Largest window that a zstd frame may ask for, as a power of two: that of RFC 9659.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Work units of reading `bytes` bytes.
pub(super) fn cost(bytes: usize) -> usize {
    bytes / BYTES_PER_UNIT
}

/// The first 8 MiB of the body: without its content codings, in UTF-8, and percent-decoded as well if that differs. Bytes
/// that do not decode are read as they are.
pub(super) fn readings(message: &Message<'_>) -> Vec<Vec<u8>> {
    let mut body = message.body[..message.body.len().min(MAX_BODY)].to_vec();
    let codings = message.headers_named("content-encoding").flat_map(|line| line.split(|b| *b == b','));
    let codings: Vec<&[u8]> = codings.map(<[u8]>::trim_ascii).filter(|coding| !coding.is_empty()).collect();
    for coding in codings.iter().rev().take(MAX_CODINGS) {
        body = without(coding, &body).unwrap_or(body);
    }
    body.truncate(MAX_BODY);
    let media = message.headers_named("content-type").next();
    let marked = charset::sniff(&body);
    let named = marked.or(charset::declared(media).map(|charset| (charset, 0)));
    if let Some((charset, mark)) = named {
        body = charset::decode(&body[mark..], charset).text.into_owned();
    }
    let decoded = percent::decode(&body, percent::Plus::Keep).into_owned();
    if decoded == body { vec![body] } else { vec![body, decoded] }
}

/// The beginning of `input` without the content coding `coding`; `None` if it does not begin so or the coding is unknown.
fn without(coding: &[u8], input: &[u8]) -> Option<Vec<u8>> {
    let most = MAX_BODY.min(INFLATED.0 + INFLATED.1 * input.len());
    let is = |name: &str| coding.eq_ignore_ascii_case(name.as_bytes());
    if is("gzip") || is("x-gzip") {
        head(flate2::read::MultiGzDecoder::new(input), most)
    } else if is("deflate") {
        head(flate2::read::ZlibDecoder::new(input), most)
            .or_else(|| head(flate2::read::DeflateDecoder::new(input), most))
    } else if is("br") {
        head(brotli::Decompressor::new(input, 4096), most)
    } else if is("zstd") {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(input).ok()?;
        decoder.window_log_max(ZSTD_WINDOW_LOG).ok()?;
        head(decoder, most)
    } else {
        None
    }
}

/// The first `most` bytes of a stream: what came before an error counts, since a receiver may have acted on it.
fn head(stream: impl Read, most: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let read = stream.take(most as u64).read_to_end(&mut out);
    (read.is_ok() || !out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Header;
    use std::io::Write;

    fn read(headers: &[(&'static str, &'static str)], body: &[u8]) -> Vec<Vec<u8>> {
        let headers = headers.iter().map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() });
        readings(&Message { headers: headers.collect(), body, ..Message::default() })
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_body_is_read_without_codings_and_in_utf_8() {
        let plain = vec![b"login=a".to_vec()];
        assert_eq!(read(&[], b"login=a"), plain);
        assert_eq!(read(&[("Content-Encoding", "gzip")], &gzip(b"login=a")), plain);
        assert_eq!(read(&[("Content-Encoding", "gzip, gzip")], &gzip(&gzip(b"login=a"))), plain);
        assert_eq!(
            read(&[("Content-Encoding", "gzip"), ("content-encoding", "GZIP")], &gzip(&gzip(b"login=a"))),
            plain
        );
        assert_eq!(read(&[("Content-Encoding", "zstd")], &zstd::encode_all(&b"login=a"[..], 1).unwrap()), plain);
        let utf16: Vec<u8> = "login=a".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(read(&[("Content-Type", "text/plain; charset=utf-16le")], &utf16), plain);
        assert_eq!(read(&[], b"%6cogin=a"), [b"%6cogin=a".to_vec(), b"login=a".to_vec()]);
    }

    #[test]
    fn what_does_not_decode_is_read_as_it_is() {
        assert_eq!(read(&[("Content-Encoding", "gzip")], b"login=a"), [b"login=a"]);
        assert_eq!(read(&[("Content-Encoding", "none")], b"login=a"), [b"login=a"]);
    }

    #[test]
    fn a_bomb_is_cut() {
        let bomb = gzip(&vec![b'a'; 2 * MAX_BODY]);
        let bodies = read(&[("Content-Encoding", "gzip")], &bomb);
        assert_eq!(bodies, [vec![b'a'; INFLATED.0 + INFLATED.1 * bomb.len()]]);
    }

    #[test]
    fn padding_hides_nothing() {
        let padded = [&vec![b' '; 1 << 20][..], b"login=a"].concat();
        assert_eq!(read(&[], &padded), std::slice::from_ref(&padded));
        assert_eq!(read(&[("Content-Encoding", "gzip")], &gzip(&padded)), [padded]);
    }
}
