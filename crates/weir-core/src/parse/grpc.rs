//! gRPC frames (grpc.io, "gRPC over HTTP2"): each message of a body at `[grpc,i]`, handed on as Protocol Buffers.

use super::{Applicability, Candidate, Emitter, ParseError, Parsed};
use crate::model::{AnomalyKind, Chars, Hint, ParserSet, Segment, Tag};

/// Bytes before each message: a flag and a big-endian length.
const PREFIX: usize = 5;
/// Bit of the flag that marks the trailers of gRPC-Web, which are header lines and no message.
const TRAILERS: u8 = 0x80;

/// Declared, or a binary body that is frames from its first byte to its last.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    let types = ["application/grpc", "application/grpc+proto", "application/grpc-web", "application/grpc-web+proto"];
    if value.is_media(&types) {
        return Applicability::Declared;
    }
    Applicability::sniffed(value.tag == Tag::Post && value.chars.meets(Chars::CONTROL) && whole(value.bytes))
}

/// Emits every frame. A cut last frame is emitted as far as it goes.
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
    if whole(value.bytes) { Ok(Parsed::Covered) } else { Err(ParseError::Broken(AnomalyKind::BadGrpc)) }
}

/// Flag, message and what follows; a message that is cut short is all that is left.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let prefix: [u8; PREFIX] = *bytes.first_chunk()?;
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
    let body = &bytes[PREFIX..];
    let (frame, rest) = body.split_at(length.min(body.len()));
    // Bits other than these two are not assigned.
    matches!(prefix[0], 0 | 1 | 0x80 | 0x81).then_some((prefix[0], frame, rest))
}

/// Whether `bytes` are complete frames, at least one, up to the last byte.
fn whole(bytes: &[u8]) -> bool {
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
    fn keeps_a_cut_frame() {
        let got = run_parser(Tag::Post, b"\0\0\0\0\x09abc", "application/grpc", run);
        assert_eq!(got.values[0].1, "abc");
        assert_eq!(got.outcome, Err(ParseError::Broken(AnomalyKind::BadGrpc)));
    }

    #[test]
    fn a_huge_length_is_no_allocation() {
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
