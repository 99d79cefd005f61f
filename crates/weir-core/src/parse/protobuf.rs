//! Protocol Buffers without a descriptor: wire fields at `[protobuf,"NUMBER"]`, nested messages below.
//!
//! The wire format (protobuf.dev, "Encoding") does not tell types apart. A length-delimited field that is valid text is
//! emitted as text; one that is a valid message is parsed too; any other is emitted as bytes. Numbers carry no syntax and
//! are not emitted.

use super::{Applicability, Candidate, Emitter, ParseError, Parsed};
use crate::model::{AnomalyKind, ByteClasses, ByteReader, ParserSet, Segment, SkipReason, Tag};

/// Highest field number (protobuf.dev: 2^29 - 1).
const MAX_FIELD: u64 = (1 << 29) - 1;
/// Bytes of text that are more than chance: three or four of a floating-point number often are characters.
const LEAST_TEXT: usize = 6;
/// Work units of a field besides those of its content: it is read twice, first to see whether it belongs to a message at all.
const FIELD_COST: usize = 2;
/// Bytes at the start of a field that are looked at first to tell a message from text.
const HEAD: usize = 64;
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
    em.budget.spend(value.bytes.len())?;
    if !is_message(value.bytes) {
        return Err(ParseError::Broken(AnomalyKind::BadProtobuf));
    }
    message(value.bytes, em, em.limits.binary_depth)
}

/// Parses one message, for which [`is_message`] is true.
fn message<'a>(bytes: &'a [u8], em: &mut Emitter<'_, 'a>, depth_left: usize) -> Result<Parsed, ParseError> {
    let mut reader = ByteReader::new(bytes);
    let mut parsed = Parsed::Covered;
    while let Some((number, wire)) = field(&mut reader) {
        em.budget.spend(FIELD_COST)?;
        let Wire::Bytes(bytes) = wire else { continue };
        let name = em.bump.alloc_str(&number.to_string()).as_bytes();
        em.enter(Segment::named(Tag::Protobuf, name))?;
        let result = delimited(bytes, em, depth_left);
        em.leave();
        if result? == Parsed::Added {
            parsed = Parsed::Added;
        }
    }
    Ok(if reader.has_text_outside(LEAST_TEXT) { Parsed::Added } else { parsed })
}

/// Emits the bytes of a field, or the fields of the message that they are, or both.
fn delimited<'a>(bytes: &'a [u8], em: &mut Emitter<'_, 'a>, depth_left: usize) -> Result<Parsed, ParseError> {
    let nested = bytes.len() > 1 && is_message(bytes);
    let text = text_length(bytes);
    // A message is skimmed from field to field on each level, or messages in messages would cost their depth times their
    // length.
    em.budget.spend(if nested { text } else { bytes.len() })?;
    // Text is emitted even if it is a valid message too: `\n` begins both a line and the first field of a message.
    let emitted = !nested || text == bytes.len() && std::str::from_utf8(bytes).is_ok();
    if emitted {
        em.value(bytes)?;
    }
    match (nested, depth_left) {
        (true, 0) => {
            em.skip(SkipReason::DepthLimit);
            em.value(bytes)?;
            Ok(Parsed::Covered)
        }
        (true, _) => {
            let parsed = message(bytes, em, depth_left - 1)?;
            Ok(if emitted { Parsed::Covered } else { parsed })
        }
        (false, _) => Ok(Parsed::Covered),
    }
}

/// How many bytes of `bytes` are text: up to the first control byte, or what is not valid in UTF-8. Of a message that is
/// longer than a few bytes, one of them is among the first, which say how long its first field is.
fn text_length(bytes: &[u8]) -> usize {
    let control = |b: &u8| matches!(b, 0..=8 | 0x0b | 0x0c | 0x0e..=0x1f | 0x7f);
    let valid = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Err(fail) if fail.error_len().is_some() => fail.valid_up_to(),
        _ => bytes.len(),
    };
    let text = |bytes: &[u8]| valid(bytes).min(bytes.iter().position(control).unwrap_or(bytes.len()));
    let head = &bytes[..bytes.len().min(HEAD)];
    match text(head) {
        length if length == head.len() => text(bytes),
        length => length,
    }
}

enum Wire<'a> {
    Number,
    Bytes(&'a [u8]),
}

/// Whether `bytes` are fields of known wire types up to the last byte, at least one.
fn is_message(bytes: &[u8]) -> bool {
    let mut reader = ByteReader::new(bytes);
    while !reader.rest().is_empty() {
        if field(&mut reader).is_none() {
            return false;
        }
    }
    !bytes.is_empty()
}

/// The next field; `None` at the end or if the field is broken.
fn field<'a>(reader: &mut ByteReader<'a>) -> Option<(u64, Wire<'a>)> {
    let key = varint(reader)?;
    let number = key >> 3;
    if number == 0 || number > MAX_FIELD {
        return None;
    }
    let wire = match key & 7 {
        0 => {
            varint(reader)?;
            Wire::Number
        }
        1 => {
            reader.take(8)?;
            Wire::Number
        }
        2 => {
            let length = usize::try_from(varint(reader)?).ok()?;
            Wire::Bytes(reader.text(length)?)
        }
        5 => {
            reader.take(4)?;
            Wire::Number
        }
        // 3 and 4 are groups, deprecated since proto2 and written by no current compiler.
        _ => return None,
    };
    Some((number, wire))
}

fn varint(reader: &mut ByteReader<'_>) -> Option<u64> {
    let mut out = 0u64;
    for at in 0..MAX_VARINT {
        let byte = reader.byte()?;
        out |= u64::from(byte & 0x7f).checked_shl(7 * at as u32)?;
        if byte < 0x80 {
            return Some(out);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::testing::{parse_body, run_parser};
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

    /// Whoever reads a body as text reads the numbers too.
    #[test]
    fn a_message_whose_numbers_spell_text_is_not_covered() {
        let parsed = |body: &[u8]| run_parser(Tag::Post, body, "application/x-protobuf", run).outcome;
        let ordinary = [encode(1, b"hello"), b"\x18\x96\x01\x21\x40\x09\x21\xfb\x54\x44\x2d\x18".to_vec()].concat();
        assert_eq!(parsed(&ordinary), Ok(Parsed::Covered));
        assert_eq!(parsed(&encode(4, &[b'a'; 60])), Ok(Parsed::Covered));
        // Two texts that the key and the length of the second join.
        let joined = [encode(1, b"\x011 union/*"), encode(4, b"*/select password from users where 1=1")].concat();
        assert_eq!(parsed(&joined), Ok(Parsed::Added));
        for numbers in [&b"\x08\x01A' or 1=1"[..], b"\x08\x01-;id;-;ls;", b"\x08\x01(;0(`w"] {
            assert_eq!(parsed(numbers), Ok(Parsed::Added));
            assert_eq!(parsed(&encode(1, numbers)), Ok(Parsed::Added));
        }
    }

    #[test]
    fn broken_messages_stay_uncovered() {
        for body in [&b"\x0a\x05abc"[..], b"\x00", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x0b"] {
            assert!(!is_message(body));
            let got = run_parser(Tag::Post, body, "application/x-protobuf", run);
            assert_eq!(got.outcome, Err(ParseError::Broken(AnomalyKind::BadProtobuf)));
        }
    }

    /// `levels` messages around the field `inner`.
    fn nested(levels: usize, inner: &[u8]) -> Vec<u8> {
        let mut body = inner.to_vec();
        for _ in 0..levels {
            let mut length = body.len();
            let mut outer = vec![1 << 3 | 2];
            while length > 0x7f {
                outer.push(length as u8 | 0x80);
                length >>= 7;
            }
            outer.push(length as u8);
            outer.append(&mut body);
            body = outer;
        }
        body
    }

    #[test]
    fn nesting_is_bounded_and_reported() {
        let skipped =
            |levels| run_parser(Tag::Post, &nested(levels, b"\x0a\x02x\x01"), "application/x-protobuf", run).skipped;
        // Messages of google.protobuf.Struct take three levels for each of JSON.
        assert!(skipped(60).is_empty());
        assert_eq!(skipped(120), [SkipReason::DepthLimit]);
    }

    #[test]
    fn nesting_multiplies_no_work() {
        let text = [&b"\x0a\x80\x7d"[..], &[b'a'; 16_000]].concat();
        let work = |levels| parse_body("application/x-protobuf", &nested(levels, &text)).work;
        assert!(work(90) < work(1) + 90 * 100, "{}, {}", work(1), work(90));
    }

    proptest! {
        #[test]
        fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            run_parser(Tag::Post, &body, "application/x-protobuf", run);
        }
    }
}
