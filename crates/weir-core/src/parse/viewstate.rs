//! ASP.NET view state (`ObjectStateFormatter`, as its open source writes it) at `[viewstate]`.
//!
//! It is sent base64-encoded in a form field and starts with FF 01. Strings and the payloads of binary-serialised objects
//! are emitted. Whatever follows the object or an unknown token is emitted as one value: most servers append a MAC.

use super::{Applicability, Candidate, Emitter, ParseError, Parsed};
use crate::model::{Segment, SkipReason, Tag};

/// The first bytes of every view state.
const MAGIC: &[u8] = b"\xff\x01";

/// Values that start with the magic bytes.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    Applicability::sniffed(value.bytes.starts_with(MAGIC) && value.bytes.len() > MAGIC.len())
}

/// Emits every string.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    em.budget.spend(value.bytes.len())?;
    em.enter(Segment::plain(Tag::Viewstate))?;
    let mut reader = Reader { rest: &value.bytes[MAGIC.len()..] };
    let outcome = object(&mut reader, em, em.limits.binary_depth);
    match outcome {
        // After the object, or after what is understood of it, the rest is emitted as it is.
        Ok(()) | Err(ParseError::NotApplicable) => {
            if !reader.rest.is_empty() {
                em.value(reader.rest)?;
            }
            Ok(Parsed::Added)
        }
        Err(fail) => Err(fail),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ParseError> {
        let (head, tail) = self.rest.split_at_checked(length).ok_or(ParseError::NotApplicable)?;
        self.rest = tail;
        Ok(head)
    }

    /// An integer of seven bits per byte, at most five bytes.
    fn number(&mut self) -> Result<usize, ParseError> {
        let mut out = 0usize;
        for at in 0..5 {
            let b = self.take(1)?[0];
            out |= usize::from(b & 0x7f) << (7 * at);
            if b < 0x80 {
                return Ok(out);
            }
        }
        Err(ParseError::NotApplicable)
    }

    fn text(&mut self) -> Result<&'a [u8], ParseError> {
        let length = self.number()?;
        self.take(length)
    }
}

/// Parses one object. On `NotApplicable`, the reader is at the first byte that is not understood.
fn object<'a>(r: &mut Reader<'a>, em: &mut Emitter<'_, 'a>, depth: usize) -> Result<(), ParseError> {
    em.budget.spend(1)?;
    let Some(depth) = depth.checked_sub(1) else {
        em.skip(SkipReason::DepthLimit);
        return Err(ParseError::NotApplicable);
    };
    match r.take(1)?[0] {
        1 => drop(r.take(2)?),
        2 | 10 => drop(r.number()?),
        3 | 4 | 31 => drop(r.take(1)?),
        5 | 30 => em.value(r.text()?)?,
        6 | 7 => drop(r.take(8)?),
        8 | 9 => drop(r.take(4)?),
        11 => {
            type_reference(r, em)?;
            r.number()?;
        }
        15 => tuple(r, em, depth, Tag::ViewstatePair, 2)?,
        16 => tuple(r, em, depth, Tag::ViewstateTriplet, 3)?,
        20 => {
            type_reference(r, em)?;
            let count = r.number()?;
            tuple(r, em, depth, Tag::ViewstateArray, count)?;
        }
        21 => strings(r, em)?,
        22 => {
            let count = r.number()?;
            tuple(r, em, depth, Tag::ViewstateArray, count)?;
        }
        23 | 24 => dictionary(r, em, depth)?,
        25 => type_reference(r, em)?,
        27 => drop(r.take(12)?),
        40 => {
            type_reference(r, em)?;
            em.value(r.text()?)?;
        }
        50 => em.value(r.text()?)?,
        60 => sparse_array(r, em, depth)?,
        12 | 28 | 100..=104 => {}
        _ => return Err(ParseError::NotApplicable),
    }
    Ok(())
}

fn tuple<'a>(
    r: &mut Reader<'a>,
    em: &mut Emitter<'_, 'a>,
    depth: usize,
    tag: Tag,
    count: usize,
) -> Result<(), ParseError> {
    for index in 0..count {
        object_at(Segment::indexed(tag, index as u32), r, em, depth)?;
    }
    Ok(())
}

fn object_at<'a>(
    segment: Segment<'a>,
    r: &mut Reader<'a>,
    em: &mut Emitter<'_, 'a>,
    depth: usize,
) -> Result<(), ParseError> {
    em.enter(segment)?;
    let result = object(r, em, depth);
    em.leave();
    result
}

fn strings<'a>(r: &mut Reader<'a>, em: &mut Emitter<'_, 'a>) -> Result<(), ParseError> {
    for index in 0..r.number()? {
        let text = r.text()?;
        em.child(Segment::indexed(Tag::ViewstateArray, index as u32), text)?;
    }
    Ok(())
}

fn dictionary<'a>(r: &mut Reader<'a>, em: &mut Emitter<'_, 'a>, depth: usize) -> Result<(), ParseError> {
    for index in 0..r.number()? {
        object_at(Segment::indexed(Tag::ViewstateDictKey, index as u32), r, em, depth)?;
        object_at(Segment::indexed(Tag::ViewstateDictValue, index as u32), r, em, depth)?;
    }
    Ok(())
}

fn sparse_array<'a>(r: &mut Reader<'a>, em: &mut Emitter<'_, 'a>, depth: usize) -> Result<(), ParseError> {
    type_reference(r, em)?;
    r.number()?;
    for _ in 0..r.number()? {
        let index = r.number()?;
        object_at(Segment::indexed(Tag::ViewstateSparseArray, index as u32), r, em, depth)?;
    }
    Ok(())
}

/// Parses a type: its name, which is emitted because gadget chains name their types here, or the number of a type named
/// before.
fn type_reference<'a>(r: &mut Reader<'a>, em: &mut Emitter<'_, 'a>) -> Result<(), ParseError> {
    match r.take(1)?[0] {
        41 | 42 => Ok(em.value(r.text()?)?),
        43 => r.number().map(drop),
        _ => Err(ParseError::NotApplicable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::testing::run_parser;
    use proptest::prelude::*;

    fn found(body: &[u8]) -> Vec<String> {
        let got = run_parser(Tag::Base64, body, "", run);
        got.values.iter().map(|(point, text)| format!("{point} {text}")).collect()
    }

    #[test]
    fn emits_pairs_strings_and_what_follows() {
        assert_eq!(
            found(b"\xff\x01\x0f\x05\x02hi\x16\x01\x1e\x03abcSIGN"),
            [
                "[base64][viewstate][viewstate_pair,0] hi",
                "[base64][viewstate][viewstate_pair,1][viewstate_array,0] abc",
                "[base64][viewstate] SIGN"
            ]
        );
    }

    #[test]
    fn emits_serialised_objects() {
        assert_eq!(found(b"\xff\x01\x32\x03\0\x01\0"), ["[base64][viewstate] \\x00\\x01\\x00"]);
    }

    #[test]
    fn nesting_is_bounded_and_reported() {
        let body = [MAGIC, &[15u8; 400][..]].concat();
        assert_eq!(run_parser(Tag::Base64, &body, "", run).skipped, [SkipReason::DepthLimit]);
    }

    proptest! {
        #[test]
        fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            run_parser(Tag::Base64, &[MAGIC, &body].concat(), "", run);
        }
    }
}
