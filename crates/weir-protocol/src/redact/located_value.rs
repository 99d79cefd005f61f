//! A value with its location in the bytes of a message.

use std::borrow::Cow;
use std::ops::Range;
use weir_core::model::PointPath;
use weir_core::normalize::json_text::unescape;
use weir_core::normalize::percent::{self, Plus};

/// A value and its location.
#[derive(Clone, Debug)]
pub struct LocatedValue<'m> {
    /// Its range in the bytes of the message.
    pub range: Range<usize>,
    /// Its point.
    pub path: PointPath,
    /// The decoded value.
    pub decoded: Cow<'m, [u8]>,
    /// Whether its name marks it as a secret.
    pub secret: bool,
    /// Its encoding in the message.
    pub encoding: ValueEncoding,
}

/// Encoding of a value in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueEncoding {
    /// Not encoded.
    Plain,
    /// With percent escapes.
    Percent(Plus),
    /// A JSON string.
    Json,
    /// A JSON number, which only a number may replace.
    Number,
}

impl LocatedValue<'_> {
    /// Range in the message of `part`, a range of the decoded value.
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

/// Bytes of the first unit of `text` that is decoded separately.
fn atom(text: &[u8], encoding: ValueEncoding) -> usize {
    let length = match (encoding, text) {
        (ValueEncoding::Percent(_), [b'%', b'u' | b'U', ..]) => 6,
        (ValueEncoding::Percent(_), [b'%', ..]) => 3,
        // A surrogate pair is one character.
        (ValueEncoding::Json, [b'\\', b'u', b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', ..]) => 12,
        (ValueEncoding::Json, [b'\\', b'u', ..]) => 6,
        (ValueEncoding::Json, [b'\\', ..]) => 2,
        _ => 1,
    };
    length.min(text.len())
}

/// Range of `inner` in `outer`; `None` if it is not a slice of it.
pub fn range_in(outer: &[u8], inner: &[u8]) -> Option<Range<usize>> {
    let start = (inner.as_ptr() as usize).checked_sub(outer.as_ptr() as usize)?;
    let end = start.checked_add(inner.len())?;
    (end <= outer.len()).then_some(start..end)
}

/// The text of a JSON string without escapes.
pub fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::with_capacity(text.len());
    // Invalid escapes are kept, as in an inspection.
    let _strict = unescape(text, |piece| out.extend_from_slice(piece));
    Cow::Owned(out)
}
