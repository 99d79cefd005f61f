//! A value where it stands in the bytes of a message.

use std::borrow::Cow;
use std::ops::Range;
use weir_core::model::PointPath;
use weir_core::normalize::json_text::unescape;
use weir_core::normalize::percent::{self, Plus};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct LocatedValue<'m> {
    /// Where it stands in the bytes of the message.
    pub range: Range<usize>,
    /// Its point.
    pub path: PointPath,
    /// What it is once escapes are undone.
    pub decoded: Cow<'m, [u8]>,
    /// Whether its name says that it is a secret.
    pub secret: bool,
    /// How it is written.
    pub encoding: ValueEncoding,
}

/// How a value is written in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueEncoding {
    /// As it is.
    Plain,
    /// With percent escapes.
    Percent(Plus),
    /// Between the quotes of JSON.
    Json,
    /// As a number in JSON: only a number may take its place.
    Number,
}

impl LocatedValue<'_> {
    /// Where in the bytes of the message `part`, a stretch of the decoded value, stands.
    pub fn locate(&self, raw: &[u8], part: &Range<usize>) -> Option<Range<usize>> {
        let text = &raw[self.range.clone()];
        let (mut at, mut decoded) = (0, 0);
        let mut start = None;
        while at < text.len() {
            if decoded == part.start && start.is_none() {
                start = Some(at);
            }
            if decoded >= part.end {
                break;
            }
            let used = atom(&text[at..], self.encoding);
            decoded += self.decoded_bytes(&text[at..at + used]);
            at += used;
        }
        let start = start.filter(|_| decoded == part.end)?;
        Some(self.range.start + start..self.range.start + at)
    }

    fn decoded_bytes(&self, atom: &[u8]) -> usize {
        match self.encoding {
            ValueEncoding::Percent(plus) => percent::decode(atom, plus).len(),
            ValueEncoding::Json => unescaped(atom).len(),
            ValueEncoding::Plain | ValueEncoding::Number => atom.len(),
        }
    }
}

/// Bytes of the first piece of `text` that is decoded on its own.
fn atom(text: &[u8], encoding: ValueEncoding) -> usize {
    let length = match (encoding, text) {
        (ValueEncoding::Percent(_), [b'%', b'u' | b'U', ..]) => 6,
        (ValueEncoding::Percent(_), [b'%', ..]) => 3,
        // Two halves of a pair make one character.
        (ValueEncoding::Json, [b'\\', b'u', b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', ..]) => 12,
        (ValueEncoding::Json, [b'\\', b'u', ..]) => 6,
        (ValueEncoding::Json, [b'\\', ..]) => 2,
        _ => 1,
    };
    length.min(text.len())
}

/// Where `inner`, a slice of `outer`, stands in it; none where it is a slice of something else.
pub fn range_in(outer: &[u8], inner: &[u8]) -> Option<Range<usize>> {
    let start = (inner.as_ptr() as usize).checked_sub(outer.as_ptr() as usize)?;
    let end = start.checked_add(inner.len())?;
    (end <= outer.len()).then_some(start..end)
}

/// The text between the quotes of JSON with its escapes undone.
pub fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::with_capacity(text.len());
    // Broken escapes stand for themselves, as in an inspection.
    let _strict = unescape(text, |piece| out.extend_from_slice(piece));
    Cow::Owned(out)
}
