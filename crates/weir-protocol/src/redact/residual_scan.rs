//! Checks the values that parsers find in a masked message, and locates the secrets among them in its bytes.

use super::located_value::{LocatedValue, ValueEncoding, range_in};
use super::masking_buffer::{MaskingBuffer, MessagePart};
use super::secret_patterns::{self, Span};
use super::value_locator;
use super::{is_masked, is_secret_node};
use std::collections::HashMap;
use std::ops::Range;
use weir_core::model::{PointId, Value, Zone};
use weir_core::parse::extract::Extracted;

/// Values at one point that are tried as a container: more are several interpretations of the same text.
const MAX_INTERPRETATIONS: usize = 8;

/// What is still readable in a masked message.
#[derive(Default)]
pub(super) struct Residue {
    pub spans: Vec<Span>,
    pub secrets: Vec<Vec<u8>>,
    /// Parts that could not be checked to their end.
    pub unverifiable: Vec<MessagePart>,
    /// Secrets without a known location, to be searched for in the bytes.
    pub unlocated: Vec<(MessagePart, Vec<u8>)>,
}

/// A check of the values of one part of a message.
pub(super) struct ResidualScan<'l, 'o, 'a> {
    buffer: &'l MaskingBuffer<'o, 'a>,
    part: MessagePart,
    extracted: &'l Extracted<'l>,
    /// Values with a location, by their decoded text.
    located: HashMap<&'l [u8], &'l LocatedValue<'l>>,
    /// Values by point.
    by_point: HashMap<PointId, Vec<&'l [u8]>>,
}

impl<'l, 'o, 'a> ResidualScan<'l, 'o, 'a> {
    /// Prepares the check of the values that were `extracted` from `part`.
    pub fn new(
        buffer: &'l MaskingBuffer<'o, 'a>,
        part: MessagePart,
        located: &'l [LocatedValue<'l>],
        extracted: &'l Extracted<'l>,
    ) -> Self {
        let located = located.iter().map(|value| (&*value.decoded, value)).collect();
        let mut by_point: HashMap<PointId, Vec<&'l [u8]>> = HashMap::with_capacity(extracted.values.len());
        for value in &extracted.values {
            let interpretations = by_point.entry(value.point).or_default();
            if interpretations.len() < MAX_INTERPRETATIONS {
                interpretations.push(value.bytes);
            }
        }
        Self { buffer, part, extracted, located, by_point }
    }

    /// Checks one value and adds what is still readable to `residue`.
    pub fn check(&self, value: &Value<'_>, residue: &mut Residue) {
        // Names below a secret describe its structure; exceptions need them.
        let is_name = value.zone.intersects(Zone::NAME);
        if !is_name && is_secret_node(&self.extracted.tree, value.point, self.buffer.input.sensitive) {
            if !is_masked(value.bytes) {
                self.mask(value.point, value.bytes, residue);
            }
        } else if self.range_of(value.bytes).is_none() {
            // Values that are slices of the message are scanned there.
            self.check_decoded(value, residue);
        }
    }

    /// Checks a value that is not a slice of the message.
    fn check_decoded(&self, value: &Value<'_>, residue: &mut Residue) {
        let mut spans = secret_patterns::scan(value.bytes);
        spans.retain(|span| !is_masked(&value.bytes[span.range.clone()]));
        for span in &spans {
            self.mask(value.point, &value.bytes[span.range.clone()], residue);
        }
        if spans.is_empty() && value_locator::looks_like_json(value.bytes) && self.has_secret_number(value) {
            self.mask(value.point, value.bytes, residue);
        }
    }

    /// Adds `secret`, which is the value at `point` or a part of it.
    fn mask(&self, point: PointId, secret: &[u8], residue: &mut Residue) {
        // A secret that contains an attack is not searched for elsewhere.
        if !self.buffer.is_attacked(&self.extracted.tree.path(point)) {
            residue.secrets.push(secret.to_vec());
        }
        match self.locate(point, secret) {
            Some(range) if !self.is_whole_body(&range) => residue.spans.push(Span::star(range)),
            // This would mask the whole body, which is the last resort.
            _ => residue.unlocated.push((self.part, secret.to_vec())),
        }
    }

    /// Whether a number in the JSON of `value` is a secret: the engine does not extract numbers as values.
    fn has_secret_number(&self, value: &Value<'_>) -> bool {
        let base = self.extracted.tree.path(value.point);
        let sensitive = self.buffer.input.sensitive;
        let secret =
            |value: &LocatedValue<'_>| value.secret || sensitive.iter().any(|pattern| pattern.covers(&value.path));
        let number = |value: &LocatedValue<'_>| value.encoding == ValueEncoding::Number && !is_masked(&value.decoded);
        value_locator::of_json(value.bytes, &base).iter().any(|value| number(value) && secret(value))
    }

    /// The range of `bytes` in the message, if they are a slice of it.
    fn range_of(&self, bytes: &[u8]) -> Option<Range<usize>> {
        range_in(&self.buffer.raw, bytes).filter(|range| !range.is_empty())
    }

    /// Location of `secret`, or of the nearest value around `point` that has a location, directly or in encoded form.
    fn locate(&self, point: PointId, secret: &[u8]) -> Option<Range<usize>> {
        if let Some(range) = self.range_of(secret) {
            return Some(range);
        }
        let mut at = point;
        loop {
            for bytes in self.by_point.get(&at).into_iter().flatten() {
                if let Some(value) = self.located.get(bytes) {
                    let exact = range_in(bytes, secret).and_then(|part| value.locate(&self.buffer.raw, &part));
                    return Some(exact.unwrap_or_else(|| value.range.clone()));
                }
                if let Some(range) = self.range_of(bytes) {
                    return Some(range);
                }
            }
            if at == PointId::ROOT {
                return None;
            }
            at = self.extracted.tree.parent(at);
        }
    }

    fn is_whole_body(&self, range: &Range<usize>) -> bool {
        self.part == MessagePart::Body && *range == (self.buffer.head..self.buffer.raw.len())
    }
}
