//! gRPC frames (grpc.io, "gRPC over HTTP2"): each message of a body at `[grpc,i]`, declared as Protocol Buffers.

use super::{Applicability, Candidate, Emitter, ParseError, Parsed};
use crate::model::{AnomalyKind, ByteClasses, Hint, ParserSet, Segment, Tag};

/// Bytes before each message: a flag and a big-endian length.
const PREFIX: usize = 5;
/// Flag bit of the trailers of gRPC-Web: header lines instead of a message.
const TRAILERS: u8 = 0x80;

/// Bodies that are declared as gRPC, and binary bodies of frames from the first byte to the last.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    let types = ["application/grpc", "application/grpc+proto", "application/grpc-web", "application/grpc-web+proto"];
    if value.is_media(&types) {
        return Applicability::Declared;
    }
    Applicability::sniffed(
        value.tag == Tag::Post && value.classes.intersects(ByteClasses::CONTROL) && is_complete(value.bytes),
    )
}

/// Emits every frame. Of a truncated last frame, the part that exists is emitted.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    let mut rest = value.bytes;
    let mut index = 0;
    while !rest.is_empty() {
        em.budget.spend(PREFIX)?;
        let Some((flag, frame, after)) = frame(rest) else { return Err(ParseError::Broken(AnomalyKind::BadGrpc)) };
        let hint = match (flag & TRAILERS != 0, flag & 1 == 1) {
            (false, true) => Hint::Coding { codings: b"gzip", media: b"application/protobuf" },
            (false, false) => Hint::Parser(ParserSet::PROTOBUF),
            // Header lines, as text.
            (true, true) => Hint::Coding { codings: b"gzip", media: b"" },
            (true, false) => Hint::None,
        };
        em.enter(Segment::indexed(Tag::Grpc, index))?;
        let result = em.value_as(frame, em.zone(), hint);
        em.leave();
        result?;
        rest = after;
        index += 1;
    }
    if is_complete(value.bytes) { Ok(Parsed::Covered) } else { Err(ParseError::Broken(AnomalyKind::BadGrpc)) }
}

/// Flag, message and the bytes after it. A truncated message is all that is left.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let prefix: [u8; PREFIX] = *bytes.first_chunk()?;
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
    let body = &bytes[PREFIX..];
    let (frame, rest) = body.split_at(length.min(body.len()));
    // Only these two flag bits are assigned.
    matches!(prefix[0], 0 | 1 | 0x80 | 0x81).then_some((prefix[0], frame, rest))
}

/// Whether `bytes` are complete frames, at least one, up to the last byte.
fn is_complete(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some((_, message, after)) = frame(rest) {
        let declared = u32::from_be_bytes([rest[1], rest[2], rest[3], rest[4]]) as usize;
        if message.len() != declared {
            return false;
        }
        if after.is_empty() {
            return true;
        }
        rest = after;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::testing::run_parser;
    use proptest::prelude::*;

    #[test]
    fn splits_frames() {
        let got = run_parser(Tag::Post, b"\0\0\0\0\x02hi\0\0\0\0\x01!", "application/grpc", run);
        let points: Vec<_> = got.values.iter().map(|(point, text)| format!("{point} {text}")).collect();
        assert_eq!(points, ["[post][grpc,0] hi", "[post][grpc,1] !"]);
        assert_eq!(got.outcome, Ok(Parsed::Covered));
    }

    #[test]
    fn emits_a_truncated_frame() {
        let got = run_parser(Tag::Post, b"\0\0\0\0\x09abc", "application/grpc", run);
        assert_eq!(got.values[0].1, "abc");
        assert_eq!(got.outcome, Err(ParseError::Broken(AnomalyKind::BadGrpc)));
    }

    #[test]
    fn a_huge_declared_length_allocates_nothing() {
        let got = run_parser(Tag::Post, b"\0\xff\xff\xff\xffx", "application/grpc", run);
        assert_eq!(got.values[0].1, "x");
    }

    proptest! {
        #[test]
        fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            run_parser(Tag::Post, &body, "application/grpc", run);
        }
    }
}
