//! Protocol Buffers without a descriptor: wire fields at `[protobuf,"NUMBER"]`, nested messages below.
//!
//! The wire format (protobuf.dev, "Encoding") does not tell types apart. A length-delimited field that is valid text is
//! emitted as text; one that is a valid message is parsed too; any other is emitted as bytes. Numbers carry no syntax and
//! are not emitted.

use super::{Applicability, Candidate, Emitter, ParseError, Parsed};
use crate::model::{AnomalyKind, ByteClasses, ParserSet, Segment, SkipReason, Tag};

/// Highest field number (protobuf.dev: 2^29 - 1).
const MAX_FIELD: u64 = (1 << 29) - 1;
/// Bytes of the longest varint.
const MAX_VARINT: usize = 10;

/// Beginning of the media types of gRPC, whose bodies are frames around messages.
const FRAMED: &[u8] = b"application/grpc";

/// Values that are declared as Protocol Buffers, and binary bodies that are a message from the first byte to the last.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    let types = ["application/x-protobuf", "application/protobuf", "application/vnd.google.protobuf", "+proto"];
    // In `application/grpc+proto`, the suffix describes the messages within the frames.
    let framed = value
        .hint_media()
        .is_some_and(|media| media.get(..FRAMED.len()).is_some_and(|head| head.eq_ignore_ascii_case(FRAMED)));
    if (value.is_media(&types) && !framed) || value.is_declared(ParserSet::PROTOBUF) {
        return Applicability::Declared;
    }
    let container = matches!(value.tag, Tag::Post | Tag::Gzip | Tag::Deflate | Tag::Base64 | Tag::Grpc);
    Applicability::sniffed(container && value.classes.intersects(ByteClasses::CONTROL) && is_message(value.bytes))
}

/// Emits every length-delimited field.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    if !is_message(value.bytes) {
        return Err(ParseError::Broken(AnomalyKind::BadProtobuf));
    }
    message(value.bytes, em, em.limits.binary_depth)?;
    Ok(Parsed::Covered)
}

/// Parses one message, for which [`is_message`] is true.
fn message<'a>(bytes: &'a [u8], em: &mut Emitter<'_, 'a>, depth_left: usize) -> Result<(), ParseError> {
    em.budget.spend(bytes.len())?;
    let mut rest = bytes;
    while let Some((number, wire)) = field(&mut rest) {
        let Wire::Bytes(bytes) = wire else {
            em.budget.spend(1)?;
            continue;
        };
        let name = em.bump.alloc_str(&number.to_string()).as_bytes();
        em.enter(Segment::named(Tag::Protobuf, name))?;
        let result = delimited(bytes, em, depth_left);
        em.leave();
        result?;
    }
    Ok(())
}

fn delimited<'a>(bytes: &'a [u8], em: &mut Emitter<'_, 'a>, depth_left: usize) -> Result<(), ParseError> {
    em.budget.spend(bytes.len())?;
    let nested = bytes.len() > 1 && is_message(bytes);
    // Text is emitted even if it is a valid message too: `\n` begins both a line and the first field of a message.
    if !nested || is_text(bytes) {
        em.value(bytes)?;
    }
    match (nested, depth_left) {
        (true, 0) => {
            em.skip(SkipReason::DepthLimit);
            em.value(bytes)?;
        }
        (true, _) => message(bytes, em, depth_left - 1)?,
        (false, _) => {}
    }
    Ok(())
}

fn is_text(bytes: &[u8]) -> bool {
    !ByteClasses::of(bytes).intersects(ByteClasses::CONTROL) && std::str::from_utf8(bytes).is_ok()
}

enum Wire<'a> {
    Number,
    Bytes(&'a [u8]),
}

/// Whether `bytes` are fields of known wire types up to the last byte, at least one.
fn is_message(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        if field(&mut rest).is_none() {
            return false;
        }
    }
    !bytes.is_empty()
}

/// The next field; `None` at the end or if the field is broken.
fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Wire<'a>)> {
    let key = varint(rest)?;
    let number = key >> 3;
    if number == 0 || number > MAX_FIELD {
        return None;
    }
    let wire = match key & 7 {
        0 => {
            varint(rest)?;
            Wire::Number
        }
        1 => {
            take(rest, 8)?;
            Wire::Number
        }
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            Wire::Bytes(take(rest, length)?)
        }
        5 => {
            take(rest, 4)?;
            Wire::Number
        }
        // 3 and 4 are groups, deprecated since proto2 and written by no current compiler.
        _ => return None,
    };
    Some((number, wire))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut out = 0u64;
    for (at, &b) in rest.iter().take(MAX_VARINT).enumerate() {
        out |= u64::from(b & 0x7f).checked_shl(7 * at as u32)?;
        if b < 0x80 {
            *rest = &rest[at + 1..];
            return Some(out);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::testing::run_parser;
    use proptest::prelude::*;

    fn encode(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, bytes.len() as u8];
        out.extend_from_slice(bytes);
        out
    }

    fn values(body: &[u8]) -> Vec<(String, String)> {
        run_parser(Tag::Post, body, "application/x-protobuf", run).values
    }

    #[test]
    fn parses_nested_messages() {
        let inner = encode(2, b"' or 1=1--");
        let body = [encode(1, b"hello"), vec![0x18, 0x96, 0x01], encode(4, &inner)].concat();
        let pair = |point: &str, text: &str| (point.to_string(), text.to_string());
        assert_eq!(
            values(&body),
            [pair("[post][protobuf,'1']", "hello"), pair("[post][protobuf,'4'][protobuf,'2']", "' or 1=1--")]
        );
    }

    #[test]
    fn emits_text_that_is_also_a_valid_message() {
        // 0x0a is both a line feed and the key of field 1.
        let both = b"\n\x20' union select password from users";
        assert!(values(&encode(1, &both[..34])).iter().any(|(_, text)| text.contains("union select")));
    }

    #[test]
    fn broken_messages_stay_uncovered() {
        for body in [&b"\x0a\x05abc"[..], b"\x00", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x0b"] {
            assert!(!is_message(body));
            let got = run_parser(Tag::Post, body, "application/x-protobuf", run);
            assert_eq!(got.outcome, Err(ParseError::Broken(AnomalyKind::BadProtobuf)));
        }
    }

    #[test]
    fn nesting_is_bounded_and_reported() {
        let mut body = encode(1, b"x\x01");
        for _ in 0..60 {
            body = encode(1, &body);
        }
        let got = run_parser(Tag::Post, &body, "application/x-protobuf", run);
        assert_eq!(got.skipped, [SkipReason::DepthLimit]);
    }

    proptest! {
        #[test]
        fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            run_parser(Tag::Post, &body, "application/x-protobuf", run);
        }
    }
}
