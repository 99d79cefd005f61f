//! Compressed bytes, by declared content coding (RFC 9110 §8.4) or by their first bytes, at `[gzip]`, `[deflate]`,
//! `[brotli]` and `[zstd]`. Output is bounded while it is produced. Output before an error or a limit is inspected.

use super::{Applicability, Candidate, Emitter, ParseError, Parsed};
use crate::model::text_runs::{is_mostly_text, text_runs};
use crate::model::{AnomalyKind, Hint, Segment, SkipReason, Stop, Tag};
use bumpalo::collections::Vec as BumpVec;
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Operation as _};

/// Bytes of output produced at a time, before the limits are checked again.
const CHUNK: usize = 16 << 10;
/// Streams in a row that are decompressed whatever the size of the input. To begin one costs as much as some hundred bytes.
const MAX_STREAMS: usize = 64;
/// Bytes of input for each further one. Writers that concatenate streams make them far longer.
const BYTES_PER_STREAM: usize = 128;
/// Work units of a stream besides those of its bytes.
const STREAM_COST: usize = 400;
/// Largest window that a zstd frame may ask for, as a power of two: that of RFC 9659.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Values with a declared content coding, and values that begin like gzip, zlib or zstd.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    if let Hint::Coding { .. } = value.hint {
        return Applicability::Declared;
    }
    Applicability::sniffed(!value.is_plain_text() && magic(value.bytes).is_some())
}

fn magic(bytes: &[u8]) -> Option<Coding> {
    match bytes {
        [0x1f, 0x8b, 8, ..] => Some(Coding::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Coding::Zstd),
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, _, _, ..] => Some(Coding::Zlib),
        _ => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    /// `deflate` as specified: in a zlib wrapper (RFC 1950).
    Zlib,
    /// `deflate` as many clients send it: without a wrapper (RFC 1951).
    Raw,
    Brotli,
    Zstd,
}

impl Coding {
    fn tag(self) -> Tag {
        match self {
            Coding::Gzip => Tag::Gzip,
            Coding::Zlib | Coding::Raw => Tag::Deflate,
            Coding::Brotli => Tag::Brotli,
            Coding::Zstd => Tag::Zstd,
        }
    }
}

/// Decodes the outermost coding, and emits the result with the remaining codings or the media type declared about it.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    em.budget.spend(value.bytes.len())?;
    let (coding, inner) = match value.hint {
        Hint::Coding { codings, media } => match outermost(codings) {
            (b"", _) => return plain(value, media, em),
            (name, rest) => (named(name, value.bytes), declared(rest, media)),
        },
        _ => (magic(value.bytes), Hint::None),
    };
    let Some(coding) = coding else {
        em.anomaly(AnomalyKind::UnknownContentCoding);
        em.skip(SkipReason::Undecodable);
        return plain(value, media_of(inner), em);
    };
    let mut out = decompress(coding, value.bytes, em)?;
    if coding == Coding::Zlib && out.bytes.is_empty() && out.end == StreamEnd::Broken {
        out = decompress(Coding::Raw, value.bytes, em)?;
    }
    finish(value, coding, inner, out, em)
}

fn finish<'a>(
    value: &Candidate<'a>,
    coding: Coding,
    inner: Hint<'a>,
    out: Decompressed<'a>,
    em: &mut Emitter<'_, 'a>,
) -> Result<Parsed, ParseError> {
    let declared = matches!(value.hint, Hint::Coding { .. });
    if out.bytes.is_empty() && out.end == StreamEnd::Broken && !declared {
        return Err(ParseError::NotApplicable);
    }
    let parsed = if out.end == StreamEnd::Clean { emit_text(value, em)? } else { Parsed::Added };
    em.enter(Segment::plain(coding.tag()))?;
    if !out.bytes.is_empty() {
        em.value_as(out.bytes.into_bump_slice(), em.zone(), inner)?;
    } else if out.end == StreamEnd::Broken {
        // Declared but not compressed: some receivers use the bytes as they are.
        em.value_as(value.bytes, em.zone(), inner)?;
    }
    let rest = &value.bytes[out.used..];
    if out.end == StreamEnd::Clean && !rest.is_empty() {
        em.value(rest)?;
    }
    if out.end == StreamEnd::Bomb {
        em.anomaly(AnomalyKind::DecompressionBomb);
        em.skip(SkipReason::Decompression);
    }
    em.leave();
    match out.end {
        StreamEnd::Clean => Ok(parsed),
        StreamEnd::Broken => Err(ParseError::Broken(AnomalyKind::BadCompression)),
        StreamEnd::Bomb => Err(ParseError::Limit),
    }
}

/// Emits the text in a compressed value. A receiver may not look at the coding, and what is valid as compressed may hold
/// text that it reads: then, too, what is not text says nothing. If nearly all is text, the value is inspected as it is.
fn emit_text<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, Stop> {
    em.pass(value.bytes)?;
    if is_mostly_text(value.bytes) {
        return Ok(Parsed::Added);
    }
    let runs = text_runs(value.bytes);
    if !runs.is_empty() {
        let runs = em.copy(&runs)?;
        em.value(runs)?;
    }
    Ok(Parsed::Covered)
}

/// Emits the bytes as they are with `media` declared about them, if it is not empty.
fn plain<'a>(value: &Candidate<'a>, media: &'a [u8], em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    if !media.is_empty() {
        em.value_as(value.bytes, em.zone(), Hint::Media(media))?;
    }
    Ok(if media.is_empty() { Parsed::Added } else { Parsed::Covered })
}

/// The coding applied last, and those before it. `identity` and empty members are skipped.
fn outermost(mut codings: &[u8]) -> (&[u8], &[u8]) {
    loop {
        let (rest, last) = match memchr::memrchr(b',', codings) {
            Some(at) => (&codings[..at], codings[at + 1..].trim_ascii()),
            None => (&b""[..], codings.trim_ascii()),
        };
        if !last.is_empty() && !last.eq_ignore_ascii_case(b"identity") {
            return (last, rest);
        }
        if rest.is_empty() {
            return (b"", b"");
        }
        codings = rest;
    }
}

fn named(name: &[u8], bytes: &[u8]) -> Option<Coding> {
    let known = [
        ("gzip", Coding::Gzip),
        ("x-gzip", Coding::Gzip),
        ("deflate", Coding::Zlib),
        ("br", Coding::Brotli),
        ("zstd", Coding::Zstd),
    ];
    let named = known.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes())).map(|(_, coding)| *coding);
    // The first bytes are more reliable than the declaration. Brotli has no magic bytes.
    named.and_then(|coding| if coding == Coding::Brotli { Some(coding) } else { magic(bytes).or(Some(coding)) })
}

fn declared<'a>(codings: &'a [u8], media: &'a [u8]) -> Hint<'a> {
    if outermost(codings).0.is_empty() {
        return if media.is_empty() { Hint::None } else { Hint::Media(media) };
    }
    Hint::Coding { codings, media }
}

fn media_of(hint: Hint<'_>) -> &[u8] {
    match hint {
        Hint::Media(media) | Hint::Coding { media, .. } => media,
        _ => b"",
    }
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamEnd {
    /// Complete.
    Clean,
    /// Truncated or invalid.
    Broken,
    /// Past a limit.
    Bomb,
}

struct Decompressed<'a> {
    bytes: BumpVec<'a, u8>,
    used: usize,
    end: StreamEnd,
}

/// One step of a decompressor.
enum Progress {
    More,
    Done,
    Failed,
}

/// Decompresses `input` and, for formats that may be concatenated, the streams that follow.
fn decompress<'a>(coding: Coding, input: &[u8], em: &mut Emitter<'_, 'a>) -> Result<Decompressed<'a>, Stop> {
    let mut out = Decompressed { bytes: BumpVec::new_in(em.bump), used: 0, end: StreamEnd::Clean };
    let mut stream = Decompress::new(coding == Coding::Zlib);
    let mut streams = MAX_STREAMS + input.len() / BYTES_PER_STREAM;
    loop {
        let before = out.used;
        if streams == 0 {
            out.end = StreamEnd::Bomb;
            return Ok(out);
        }
        streams -= 1;
        em.budget.spend(STREAM_COST)?;
        match coding {
            Coding::Gzip => match gzip_header(&input[out.used..]) {
                Some(header) => {
                    out.used += header;
                    deflate(&mut stream, input, &mut out, em)?;
                    stream.reset(false);
                    // CRC and length after the stream (RFC 1952 §2.3.1).
                    out.end = if out.end == StreamEnd::Clean && input.len() < out.used + 8 {
                        StreamEnd::Broken
                    } else {
                        out.end
                    };
                    out.used = (out.used + 8).min(input.len());
                }
                None => out.end = StreamEnd::Broken,
            },
            Coding::Zlib | Coding::Raw => deflate(&mut stream, input, &mut out, em)?,
            Coding::Brotli => brotli(input, &mut out, em)?,
            Coding::Zstd => zstd(input, &mut out, em)?,
        }
        let again = matches!(coding, Coding::Gzip | Coding::Zstd)
            && out.used > before
            && magic(&input[out.used..]) == Some(coding);
        if out.end != StreamEnd::Clean || !again {
            return Ok(out);
        }
    }
}

fn deflate(
    stream: &mut Decompress,
    input: &[u8],
    out: &mut Decompressed<'_>,
    em: &mut Emitter<'_, '_>,
) -> Result<(), Stop> {
    drive(input, out, em, |input, output| {
        let (before_in, before_out) = (stream.total_in(), stream.total_out());
        let status = stream.decompress(input, output, FlushDecompress::None);
        let used = (stream.total_in() - before_in) as usize;
        let made = (stream.total_out() - before_out) as usize;
        (
            used,
            made,
            match status {
                Ok(Status::StreamEnd) => Progress::Done,
                Ok(_) => Progress::More,
                Err(_) => Progress::Failed,
            },
        )
    })
}

fn brotli(input: &[u8], out: &mut Decompressed<'_>, em: &mut Emitter<'_, '_>) -> Result<(), Stop> {
    use brotli::{BrotliDecompressStream, BrotliResult, BrotliState, HeapAlloc};
    let mut state =
        BrotliState::new(HeapAlloc::new(0u8), HeapAlloc::new(0u32), HeapAlloc::new(brotli::HuffmanCode::default()));
    let mut total = 0;
    drive(input, out, em, |input, output| {
        let (mut left_in, mut used, mut left_out, mut made) = (input.len(), 0, output.len(), 0);
        let status = BrotliDecompressStream(
            &mut left_in,
            &mut used,
            input,
            &mut left_out,
            &mut made,
            output,
            &mut total,
            &mut state,
        );
        (
            used,
            made,
            match status {
                BrotliResult::ResultSuccess => Progress::Done,
                BrotliResult::ResultFailure => Progress::Failed,
                _ => Progress::More,
            },
        )
    })
}

fn zstd(input: &[u8], out: &mut Decompressed<'_>, em: &mut Emitter<'_, '_>) -> Result<(), Stop> {
    let decoder = zstd::stream::raw::Decoder::new();
    let Ok(mut decoder) =
        decoder.and_then(|mut d| d.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).map(|()| d))
    else {
        out.end = StreamEnd::Broken;
        return Ok(());
    };
    drive(input, out, em, |input, output| match decoder.run_on_buffers(input, output) {
        Ok(status) => (
            status.bytes_read,
            status.bytes_written,
            if status.remaining == 0 { Progress::Done } else { Progress::More },
        ),
        Err(_) => (0, 0, Progress::Failed),
    })
}

/// Calls `step` until its stream ends or is truncated, or a limit is reached.
fn drive(
    input: &[u8],
    out: &mut Decompressed<'_>,
    em: &mut Emitter<'_, '_>,
    mut step: impl FnMut(&[u8], &mut [u8]) -> (usize, usize, Progress),
) -> Result<(), Stop> {
    let mut chunk = [0; CHUNK];
    loop {
        let (used, made, progress) = step(&input[out.used..], &mut chunk);
        out.used += used;
        em.budget.spend(used + 1)?;
        let fits = em.charge_inflated(made);
        out.bytes.extend_from_slice_copy(&chunk[..made]);
        if !fits {
            out.end = StreamEnd::Bomb;
            return Ok(());
        }
        out.end = match progress {
            Progress::Done => StreamEnd::Clean,
            Progress::Failed => StreamEnd::Broken,
            Progress::More if used == 0 && made == 0 => StreamEnd::Broken,
            Progress::More => continue,
        };
        return Ok(());
    }
}

/// Length of the gzip header at the start of `input` (RFC 1952 §2.3), if it is one.
fn gzip_header(input: &[u8]) -> Option<usize> {
    let [0x1f, 0x8b, 8, flags, ..] = *input else { return None };
    let mut at = 10;
    if flags & 4 != 0 {
        let len = input.get(at..at + 2)?;
        at += 2 + usize::from(len[0]) + (usize::from(len[1]) << 8);
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            at += memchr::memchr(0, input.get(at..)?)? + 1;
        }
    }
    at += usize::from(flags & 2);
    at += usize::from(flags & 2);
    (at <= input.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ParsedBody, parse_body, parse_body_with};
    use super::is_mostly_text;
    use crate::model::Limits;
    use proptest::prelude::*;
    use std::io::Write as _;

    const JSON: &[u8] = br#"{"q":"evil"}"#;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn raw(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn brotli(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        brotli::BrotliCompress(&mut &bytes[..], &mut out, &Default::default()).unwrap();
        out
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(bytes, 3).unwrap()
    }

    fn coded(coding: &str, body: &[u8]) -> ParsedBody {
        parse_body_with(&[("Content-Type", "application/json"), ("Content-Encoding", coding)], body, &Limits::default())
    }

    #[test]
    fn every_coding_keeps_the_media_type() {
        let json = format!(r#"{{"q":"evil","list":[{}0]}}"#, "1,".repeat(100));
        let json = json.as_bytes();
        for (coding, body, tag) in [
            ("gzip", gzip(json), "gzip"),
            ("X-GZIP", gzip(json), "gzip"),
            ("deflate", zlib(json), "deflate"),
            ("deflate", raw(json), "deflate"),
            ("br", brotli(json), "brotli"),
            ("zstd", zstd(json), "zstd"),
            ("gzip", zstd(json), "zstd"),
            ("gzip, br", brotli(&gzip(json)), "brotli][gzip"),
            ("identity, gzip, identity", gzip(json), "gzip"),
        ] {
            let parsed = coded(coding, &body);
            parsed.has(&format!("[post][{tag}][json_doc][hash,'q']"), "evil");
            // What zstd leaves as it is may be most of a small body.
            assert_eq!(parsed.covered("[post]"), !is_mostly_text(&body), "{coding} {parsed:?}");
            assert!(parsed.anomalies.is_empty() && parsed.skipped.is_empty(), "{coding} {parsed:?}");
        }
        let parsed = coded("gzip", &gzip(b"{'q':1}"));
        assert_eq!(parsed.anomalies, ["bad_json"]);
    }

    /// A receiver that does not look at the coding reads them.
    #[test]
    fn texts_in_compressed_bytes_are_emitted() {
        // A stored block, and a stream whose codes are letters.
        let stored = |text: &[u8]| [&[1, text.len() as u8, 0, !text.len() as u8, 0xff][..], text].concat();
        let noise = [0x81; 200];
        for text in ["a=1&b=evil", "a=1&b=evil&c"] {
            let parsed = coded("deflate", &stored(&[text.as_bytes(), &noise, text.as_bytes()].concat()));
            let is_long = text.len() >= 12;
            assert_eq!(
                parsed.values.iter().filter(|(at, ..)| at == "[post]").count(),
                1 + usize::from(is_long),
                "{text}"
            );
        }
        assert!(!coded("deflate", b"\x03\n<?php system($_GET['c']); ?>\n\0").covered("[post]"));
    }

    #[test]
    fn found_by_first_bytes_without_a_declaration() {
        for body in [gzip(JSON), zlib(JSON), zstd(JSON)] {
            let parsed = parse_body("text/plain", &body);
            assert!(parsed.values.iter().any(|(_, v, _)| v == "evil"), "{parsed:?}");
        }
    }

    #[test]
    fn output_before_an_error_is_kept() {
        let long: Vec<u8> = (0..40_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for (coding, whole) in
            [("gzip", gzip(&long)), ("deflate", zlib(&long)), ("br", brotli(&long)), ("zstd", zstd(&long))]
        {
            let parsed = coded(coding, &whole[..whole.len() - 9]);
            assert!(parsed.anomalies.contains(&"bad_compression"), "{coding}: {:?}", parsed.anomalies);
            assert!(parsed.values.len() >= 2, "{coding}");
        }
    }

    #[test]
    fn a_wrong_declaration_hides_nothing() {
        for coding in ["gzip", "br", "deflate", "zstd", "compress", "identity", "x-unknown"] {
            let parsed = coded(coding, JSON);
            assert!(
                parsed.values.iter().any(|(p, v, _)| p.ends_with("[json_doc][hash,'q']") && v == "evil"),
                "{coding} {parsed:?}"
            );
        }
        assert!(coded("compress", JSON).anomalies.contains(&"unknown_content_coding"));
    }

    #[test]
    fn trailing_bytes_and_members_are_emitted() {
        let mut body = gzip(b"first ");
        body.extend(gzip(b"second"));
        body.extend(b"<script>");
        let parsed = coded("gzip", &body);
        parsed.has("[post][gzip]", "first second");
        parsed.has("[post][gzip]", "<script>");
    }

    #[test]
    fn short_streams_in_a_row_are_bounded() {
        let body = |streams: usize| coded("gzip", &gzip(b"a").repeat(streams));
        body(60).has("[post][gzip]", &"a".repeat(60));
        let many = body(10_000);
        assert_eq!(many.skipped, ["decompression"]);
        // What was decompressed until then is inspected.
        assert!(many.values.iter().any(|(_, value, _)| value.starts_with("aaaa") && value.len() > 60));
    }

    #[test]
    fn bombs_are_stopped() {
        let zeros = vec![0u8; 50 << 20];
        for (coding, body) in
            [("gzip", gzip(&zeros)), ("br", brotli(&zeros)), ("zstd", zstd(&zeros)), ("deflate", zlib(&zeros))]
        {
            let parsed = coded(coding, &body);
            assert!(parsed.anomalies.contains(&"decompression_bomb"), "{coding}");
            assert!(parsed.skipped.contains(&"decompression"), "{coding}");
            assert!(parsed.values.iter().all(|(_, v, _)| v.len() <= Limits::default().inflated_bytes));
        }
    }

    proptest! {
        #[test]
        fn never_panics(coding in "gzip|deflate|br|zstd|gzip,br", at in 0usize..40, flip in any::<u8>(), bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            coded(&coding, &bytes);
            for mut body in [gzip(JSON), brotli(JSON), zstd(JSON), zlib(JSON)] {
                let at = at % body.len();
                body[at] ^= flip;
                coded(&coding, &body);
                parse_body("text/plain", &body);
            }
        }
    }
}
