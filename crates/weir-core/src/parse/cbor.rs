//! CBOR (RFC 8949) at `[cbor]`: map entries at `[hash,name]`, elements at `[array,i]`. Texts and byte strings are emitted,
//! those in chunks as one, and an item that is embedded in a byte string (tag 24) is parsed as well. Numbers carry no syntax
//! and are not emitted.

use super::{Applicability, Candidate, Emitter, ParseError, Parsed};
use crate::model::{AnomalyKind, ByteReader, Hint, ParserSet, Segment, SkipReason, Tag};

/// Media types of CBOR (RFC 8949, 8742, 8152, 8392) and of what cloud services send as it.
const MEDIA: &[&str] = &[
    "application/cbor",
    "application/cbor-seq",
    "application/cose",
    "application/cwt",
    "application/x-cbor",
    "application/x-amz-cbor-1.0",
    "application/x-amz-cbor-1.1",
    "+cbor",
    "+cbor-seq",
];

/// The tag that says "this is CBOR" (RFC 8949 §3.4.6).
const SELF_DESCRIBED: &[u8] = b"\xd9\xd9\xf7";
/// The tag of a byte string that is an encoded item (RFC 8949 §3.4.5.1).
const EMBEDDED: usize = 24;
/// Ends an item of indefinite length.
const BREAK: u8 = 0xff;

const BROKEN: ParseError = ParseError::Broken(AnomalyKind::BadCbor);

/// Values declared as CBOR, and binary bodies that begin with a map, an array or the tag of CBOR.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    if value.is_media(MEDIA) || value.is_declared(ParserSet::CBOR) {
        return Applicability::Declared;
    }
    let opens = matches!(value.bytes.first(), Some(0x81..=0x9b | 0x9f | 0xa1..=0xbb | 0xbf));
    Applicability::sniffed((opens || value.bytes.starts_with(SELF_DESCRIBED)) && value.tag == Tag::Post)
}

/// Emits every string.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    em.budget.spend(value.bytes.len())?;
    em.enter(Segment::plain(Tag::Cbor))?;
    let mut reader = ByteReader::new(value.bytes);
    let depth = em.limits.binary_depth;
    while !reader.rest().is_empty() {
        let first = reader.rest().len() == value.bytes.len();
        item(&mut reader, em, depth).map_err(|fail| match fail {
            // Invalid from the first item on, and not declared: it is not CBOR.
            ParseError::Broken(_) if first && applicability(value) != Applicability::Declared => {
                ParseError::NotApplicable
            }
            fail => fail,
        })?;
    }
    em.leave();
    // The letter before a text says how long it is, and blanks and digits are numbers: what is CBOR can be a text as well.
    Ok(Parsed::Added)
}

/// The next item; its own bytes are consumed, chunks, elements and entries are not.
enum Item<'a> {
    Scalar,
    Text(&'a [u8]),
    /// A byte string that is an item.
    Embedded(&'a [u8]),
    /// Chunks of a string of this major type.
    Chunks(u8),
    /// Of so many elements, or up to a break.
    Array(Option<usize>),
    /// Of so many entries, or up to a break.
    Map(Option<usize>),
}

/// Reads on behind all tags of the item.
fn next<'a>(reader: &mut ByteReader<'a>, em: &Emitter<'_, 'a>) -> Result<Item<'a>, ParseError> {
    let mut embedded = false;
    loop {
        em.budget.spend(1)?;
        let first = reader.byte().ok_or(BROKEN)?;
        let (major, low) = (first >> 5, first & 0x1f);
        if major == 7 && low == 31 {
            return Err(BROKEN);
        }
        match (major, argument(reader, low)?) {
            (0 | 1 | 7, Some(_)) => return Ok(Item::Scalar),
            (2 | 3, None) => return Ok(Item::Chunks(major)),
            (2 | 3, Some(length)) => {
                let text = reader.text(length).ok_or(BROKEN)?;
                return Ok(if embedded && major == 2 { Item::Embedded(text) } else { Item::Text(text) });
            }
            (4, count) => return Ok(Item::Array(count)),
            (5, count) => return Ok(Item::Map(count)),
            (6, Some(tag)) => embedded = tag == EMBEDDED,
            _ => return Err(BROKEN),
        }
    }
}

/// The argument of an item (RFC 8949 §3), or none if its length is indefinite.
fn argument(reader: &mut ByteReader<'_>, low: u8) -> Result<Option<usize>, ParseError> {
    match low {
        0..=23 => Ok(Some(usize::from(low))),
        24..=27 => reader.number(1 << (low - 24)).map(Some).ok_or(BROKEN),
        31 => Ok(None),
        _ => Err(BROKEN),
    }
}

/// The next chunk of a string of the major type `major`, none at its end.
fn chunk<'a>(reader: &mut ByteReader<'a>, major: u8) -> Result<Option<&'a [u8]>, ParseError> {
    let first = reader.byte().ok_or(BROKEN)?;
    if first == BREAK {
        return Ok(None);
    }
    let length = argument(reader, first & 0x1f)?.filter(|_| first >> 5 == major).ok_or(BROKEN)?;
    reader.text(length).map(Some).ok_or(BROKEN)
}

/// The chunks of a string as one.
fn joined<'a>(reader: &mut ByteReader<'a>, em: &mut Emitter<'_, 'a>, major: u8) -> Result<&'a [u8], ParseError> {
    let mut ahead = *reader;
    let (mut length, mut longest): (usize, &[u8]) = (0, b"");
    while let Some(text) = chunk(&mut ahead, major)? {
        em.budget.spend(1)?;
        length += text.len();
        if text.len() > longest.len() {
            longest = text;
        }
    }
    if length == longest.len() {
        *reader = ahead;
        return Ok(longest);
    }
    em.charge_decoded(length)?;
    let mut out = bumpalo::collections::Vec::with_capacity_in(length, em.bump);
    while let Some(text) = chunk(reader, major)? {
        em.budget.spend(1)?;
        out.extend_from_slice(text);
    }
    Ok(out.into_bump_slice())
}

fn item<'a>(reader: &mut ByteReader<'a>, em: &mut Emitter<'_, 'a>, depth_left: usize) -> Result<(), ParseError> {
    match next(reader, em)? {
        Item::Scalar => Ok(()),
        Item::Text(text) => Ok(em.value(text)?),
        Item::Embedded(bytes) => Ok(em.value_as(bytes, em.zone(), Hint::Parser(ParserSet::CBOR))?),
        Item::Chunks(major) => {
            let text = joined(reader, em, major)?;
            Ok(em.value(text)?)
        }
        Item::Array(_) | Item::Map(_) if depth_left == 0 => {
            em.skip(SkipReason::DepthLimit);
            Err(ParseError::Limit)
        }
        Item::Array(count) => {
            let mut index = 0;
            while goes_on(reader, count, index) {
                em.enter(Segment::indexed(Tag::Array, index as u32))?;
                let result = item(reader, em, depth_left - 1);
                em.leave();
                result?;
                index += 1;
            }
            Ok(())
        }
        Item::Map(count) => {
            let mut index = 0;
            while goes_on(reader, count, index) {
                entry(reader, em, depth_left - 1)?;
                index += 1;
            }
            Ok(())
        }
    }
}

/// Whether an array or a map has another element or entry, of which `index` were read. Consumes the break at its end.
fn goes_on(reader: &mut ByteReader<'_>, count: Option<usize>, index: usize) -> bool {
    match count {
        Some(count) => index < count,
        None if reader.rest().first() == Some(&BREAK) => {
            reader.byte();
            false
        }
        None => true,
    }
}

/// Parses a key and its value. A key that is not a string is emitted like a value, and its value is below an empty name.
fn entry<'a>(reader: &mut ByteReader<'a>, em: &mut Emitter<'_, 'a>, depth_left: usize) -> Result<(), ParseError> {
    let mut ahead = *reader;
    let name = match next(&mut ahead, em)? {
        Item::Text(name) => Some(name),
        Item::Chunks(major) => Some(joined(&mut ahead, em, major)?),
        _ => None,
    };
    match name {
        Some(name) => {
            *reader = ahead;
            em.name(Tag::HashName, name)?;
        }
        None => item(reader, em, depth_left)?,
    }
    em.enter(Segment::named(Tag::Hash, name.unwrap_or_default()))?;
    let result = item(reader, em, depth_left);
    em.leave();
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Limits;
    use crate::parse::testing::{parse_body, parse_body_with, run_parser};
    use proptest::prelude::*;

    fn strings(body: &[u8]) -> Vec<String> {
        let got = run_parser(Tag::Post, body, "application/cbor", run);
        assert_eq!(got.outcome.map(drop), Ok(()), "{body:x?}");
        got.values.iter().map(|(point, text)| format!("{point} {text}")).collect()
    }

    #[test]
    fn emits_strings_of_maps_and_arrays() {
        // {"id": [1, "' or 1=1--"], h'6b': true, 7: "x"}
        let body = b"\xa3\x62id\x82\x01\x6a' or 1=1--\x41k\xf5\x07\x61x";
        assert_eq!(
            strings(body),
            [
                "[post][cbor][hash_name] id",
                "[post][cbor][hash,'id'][array,1] ' or 1=1--",
                "[post][cbor][hash_name] k",
                "[post][cbor][hash,''] x"
            ]
        );
    }

    /// An attack in chunks is in no place of the body as it is.
    #[test]
    fn joins_the_chunks_of_a_string_and_of_a_name() {
        // {_ (_ "i", "d"): [_ (_ "union", " select"), (_ "a", ""), (_)]}
        let body = b"\xbf\x7f\x61i\x61d\xff\x9f\x7f\x65union\x67 select\xff\x7f\x61a\x60\xff\x5f\xff\xff\xff";
        assert_eq!(
            strings(body),
            [
                "[post][cbor][hash_name] id",
                "[post][cbor][hash,'id'][array,0] union select",
                "[post][cbor][hash,'id'][array,1] a",
                "[post][cbor][hash,'id'][array,2] "
            ]
        );
    }

    #[test]
    fn tags_are_passed_over_and_embedded_items_parsed() {
        // 55799([24(h'a1617861 79')]), and an item behind it.
        let got = parse_body("application/cbor", b"\xd9\xd9\xf7\x81\xd8\x18\x45\xa1\x61x\x61y\x61z");
        got.has("[post][cbor][array,0][cbor][hash,'x']", "y");
        got.has("[post][cbor]", "z");
    }

    #[test]
    fn undeclared_items_are_parsed_and_other_bytes_leave_no_trace() {
        let got = parse_body("application/octet-stream", b"\xa1\x61a\x7f\x61b\x61c\xff");
        got.has("[post][cbor][hash,'a']", "bc");
        let got = parse_body("application/octet-stream", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
        assert!(!got.has_point("[post][cbor]") && got.anomalies.is_empty(), "{got:#?}");
    }

    #[test]
    fn what_no_decoder_accepts_is_broken() {
        let bodies: [&[u8]; 8] =
            [b"\xff", b"\x1c", b"\x62a", b"\x7f\x41a\xff", b"\x7f\x7f\xff\xff", b"\x9f\x01", b"\xdf\x01", b"\x81"];
        for body in bodies {
            let got = run_parser(Tag::Post, body, "application/cbor", run);
            assert_eq!(got.outcome, Err(BROKEN), "{body:x?}");
        }
    }

    #[test]
    fn huge_counts_and_deep_nesting_are_bounded() {
        let got = run_parser(Tag::Post, b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x61x", "application/cbor", run);
        assert_eq!((&got.values[0].1[..], got.outcome), ("x", Err(BROKEN)));
        let got = run_parser(Tag::Post, &[0x81; 500], "application/cbor", run);
        assert_eq!((got.outcome, got.skipped), (Err(ParseError::Limit), vec![SkipReason::DepthLimit]));
    }

    #[test]
    fn cost_is_linear() {
        let work = |body: &[u8]| {
            parse_body_with(&[("Content-Type", "application/cbor")], body, &Limits::default()).work as usize
        };
        let units: [&[u8]; 5] = [b"\xc0", b"\x60", b"\x7f\x60\x60\x61a\xff", b"\x81\x61a", b"\x01"];
        for unit in units {
            let body = |count: usize| [&b"\x9f"[..], &unit.repeat(count)].concat();
            let (once, four) = (work(&body(10_000)), work(&body(40_000)));
            assert!(four < 5 * once + 10_000, "{unit:x?}: {once}, {four}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            run_parser(Tag::Post, &body, "application/cbor", run);
        }
    }
}
