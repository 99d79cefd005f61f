//! MessagePack (github.com/msgpack/msgpack, spec.md) at `[msgpack]`: map entries at `[hash,name]`, elements at
//! `[array,i]`. Strings and bytes are emitted; numbers carry no syntax and are not emitted.

use super::{Applicability, Candidate, Emitter, ParseError, Parsed};
use crate::model::{AnomalyKind, ByteClasses, ByteReader, Segment, SkipReason, Tag};

/// Bytes of text that are more than chance.
const LEAST_TEXT: usize = 4;

/// Values declared as MessagePack, and binary bodies that begin with a map or an array.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    if value.is_media(&["application/msgpack", "application/x-msgpack", "application/vnd.msgpack", "+msgpack"]) {
        return Applicability::Declared;
    }
    let opens = matches!(value.bytes.first(), Some(0x81..=0x8f | 0x91..=0x9f | 0xdc..=0xdf));
    Applicability::sniffed(opens && value.tag == Tag::Post && value.classes.intersects(ByteClasses::HIGH))
}

/// Emits every string.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    em.budget.spend(value.bytes.len())?;
    em.enter(Segment::plain(Tag::Msgpack))?;
    let mut reader = ByteReader::new(value.bytes);
    let depth = em.limits.binary_depth;
    while !reader.rest().is_empty() {
        let before = reader.rest().len();
        item(&mut reader, em, depth).map_err(|fail| match fail {
            // Invalid from the first item on, and not declared: it is not MessagePack.
            ParseError::Broken(_) if before == value.bytes.len() && value.hint == crate::model::Hint::None => {
                ParseError::NotApplicable
            }
            fail => fail,
        })?;
    }
    em.leave();
    let is_text = value.is_plain_text() || reader.has_text_outside(LEAST_TEXT);
    Ok(if is_text { Parsed::Added } else { Parsed::Covered })
}

const BROKEN: ParseError = ParseError::Broken(AnomalyKind::BadMsgpack);

/// The next item; its own bytes are consumed, the elements of an array or map are not.
enum Item<'a> {
    Scalar,
    Text(&'a [u8]),
    Array(usize),
    Map(usize),
}

/// The next item, unless there is none.
fn next<'a>(reader: &mut ByteReader<'a>) -> Option<Item<'a>> {
    let kind = reader.byte()?;
    let low = usize::from(kind & 0x0f);
    Some(match kind {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => Item::Scalar,
        0x80..=0x8f => Item::Map(low),
        0x90..=0x9f => Item::Array(low),
        0xa0..=0xbf => Item::Text(reader.text(usize::from(kind & 0x1f))?),
        0xc1 => return None,
        0xc4 | 0xd9 => sized(reader, 1, 0)?,
        0xc5 | 0xda => sized(reader, 2, 0)?,
        0xc6 | 0xdb => sized(reader, 4, 0)?,
        0xc7 => sized(reader, 1, 1)?,
        0xc8 => sized(reader, 2, 1)?,
        0xc9 => sized(reader, 4, 1)?,
        0xca | 0xce | 0xd2 => scalar(reader, 4)?,
        0xcb | 0xcf | 0xd3 => scalar(reader, 8)?,
        0xcc | 0xd0 => scalar(reader, 1)?,
        0xcd | 0xd1 => scalar(reader, 2)?,
        0xd4..=0xd8 => Item::Text(reader.text(1 + (1 << (kind - 0xd4)))?),
        0xdc => Item::Array(reader.number(2)?),
        0xdd => Item::Array(reader.number(4)?),
        0xde => Item::Map(reader.number(2)?),
        0xdf => Item::Map(reader.number(4)?),
    })
}

fn scalar<'a>(reader: &mut ByteReader<'a>, bytes: usize) -> Option<Item<'a>> {
    reader.take(bytes)?;
    Some(Item::Scalar)
}

/// Reads a length of `bytes` bytes, a type of `kind` bytes (extensions), then the contents.
fn sized<'a>(reader: &mut ByteReader<'a>, bytes: usize, kind: usize) -> Option<Item<'a>> {
    let length = reader.number(bytes)?;
    reader.take(kind)?;
    Some(Item::Text(reader.text(length)?))
}

fn item<'a>(reader: &mut ByteReader<'a>, em: &mut Emitter<'_, 'a>, depth_left: usize) -> Result<(), ParseError> {
    em.budget.spend(1)?;
    match next(reader).ok_or(BROKEN)? {
        Item::Scalar => Ok(()),
        Item::Text(text) => Ok(em.value(text)?),
        Item::Array(_) | Item::Map(_) if depth_left == 0 => {
            em.skip(SkipReason::DepthLimit);
            Err(ParseError::Limit)
        }
        Item::Array(count) => {
            for index in 0..count {
                em.enter(Segment::indexed(Tag::Array, index as u32))?;
                let result = item(reader, em, depth_left - 1);
                em.leave();
                result?;
            }
            Ok(())
        }
        Item::Map(count) => (0..count).try_for_each(|_| entry(reader, em, depth_left - 1)),
    }
}

/// Parses a key and its value. A key that is not a string is emitted like a value, and its value is below an empty name.
fn entry<'a>(reader: &mut ByteReader<'a>, em: &mut Emitter<'_, 'a>, depth_left: usize) -> Result<(), ParseError> {
    let mut peek = *reader;
    let name = match next(&mut peek).ok_or(BROKEN)? {
        Item::Text(name) => {
            *reader = peek;
            em.name(Tag::HashName, name)?;
            name
        }
        _ => {
            item(reader, em, depth_left)?;
            b""
        }
    };
    em.enter(Segment::named(Tag::Hash, name))?;
    let result = item(reader, em, depth_left);
    em.leave();
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::testing::run_parser;
    use proptest::prelude::*;

    #[test]
    fn emits_strings_of_maps_and_arrays() {
        // {"id": [1, "' or 1=1--"], "ok": true}
        let body = b"\x82\xa2id\x92\x01\xaa' or 1=1--\xa2ok\xc3";
        let got = run_parser(Tag::Post, body, "application/msgpack", run);
        let found = got.values.iter().map(|(point, text)| format!("{point} {text}")).collect::<Vec<_>>();
        assert_eq!(
            found,
            [
                "[post][msgpack][hash_name] id",
                "[post][msgpack][hash,'id'][array,1] ' or 1=1--",
                "[post][msgpack][hash_name] ok"
            ]
        );
    }

    /// Every text in ASCII is a list of numbers.
    #[test]
    fn text_that_is_numbers_too_is_not_covered() {
        for body in [&b"|id"[..], b"; cat /etc/passwd", b"\x81\xa1a\x01; cat /etc/passwd"] {
            let got = run_parser(Tag::Post, body, "application/msgpack", run);
            assert_eq!(got.outcome, Ok(Parsed::Added));
        }
        let ordinary = b"\x82\xa2id\x2a\xa1x\xcb\x40\x09\x21\xfb\x54\x44\x2d\x18";
        assert_eq!(run_parser(Tag::Post, ordinary, "application/msgpack", run).outcome, Ok(Parsed::Covered));
    }

    #[test]
    fn a_huge_declared_count_allocates_nothing() {
        let got = run_parser(Tag::Post, b"\xdd\xff\xff\xff\xff\xa1x", "application/msgpack", run);
        assert_eq!(got.values[0].1, "x");
        assert_eq!(got.outcome, Err(BROKEN));
    }

    #[test]
    fn nesting_is_bounded_and_reported() {
        let got = run_parser(Tag::Post, &[0x91; 500], "application/msgpack", run);
        assert_eq!((got.outcome, got.skipped), (Err(ParseError::Limit), vec![SkipReason::DepthLimit]));
    }

    proptest! {
        #[test]
        fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            run_parser(Tag::Post, &body, "application/msgpack", run);
        }
    }
}
