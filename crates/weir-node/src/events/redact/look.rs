//! Looks at the values that parsers find in a masked message, and says where in its bytes the secret ones stand.

use super::clean::{Cleaner, Found, Part};
use super::leaf::{Coding, Leaf, range_in};
use super::leaves;
use super::text::{self, Span};
use super::{is_masked, is_secret_node};
use std::collections::HashMap;
use std::ops::Range;
use weir_core::model::{PointId, Value, Zone};
use weir_core::parse::extract::Extracted;

/// Values at one point that are tried as a container: more are several readings of the same text.
const READINGS: usize = 8;

/// A look at the values of one part.
pub(super) struct Look<'l, 'o, 'a> {
    cleaner: &'l Cleaner<'o, 'a>,
    part: Part,
    extracted: &'l Extracted<'l>,
    /// Leaves by what they are decoded.
    leaves: HashMap<&'l [u8], &'l Leaf<'l>>,
    /// Values by point.
    values: HashMap<PointId, Vec<&'l [u8]>>,
}

impl<'l, 'o, 'a> Look<'l, 'o, 'a> {
    /// A look at what was found in one part.
    pub fn new(cleaner: &'l Cleaner<'o, 'a>, part: Part, leaves: &'l [Leaf<'l>], extracted: &'l Extracted<'l>) -> Self {
        let leaves = leaves.iter().map(|leaf| (&*leaf.decoded, leaf)).collect();
        let mut values: HashMap<PointId, Vec<&'l [u8]>> = HashMap::with_capacity(extracted.values.len());
        for value in &extracted.values {
            let readings = values.entry(value.point).or_default();
            if readings.len() < READINGS {
                readings.push(value.bytes);
            }
        }
        Self { cleaner, part, extracted, leaves, values }
    }

    /// Looks at one value.
    pub fn at(&self, value: &Value<'_>, found: &mut Found) {
        // Names below a secret say what it is made of; exceptions need them.
        let is_name = value.zone.meets(Zone::NAME);
        if !is_name && is_secret_node(&self.extracted.tree, value.point, self.cleaner.original.sensitive) {
            if !is_masked(value.bytes) {
                self.mask(value.point, value.bytes, found);
            }
        } else if self.place(value.bytes).is_none() {
            // What stands in the bytes as it is, is scanned there.
            self.decoded(value, found);
        }
    }

    /// Looks at a value that does not stand in the bytes as it is.
    fn decoded(&self, value: &Value<'_>, found: &mut Found) {
        let mut spans = text::scan(value.bytes);
        spans.retain(|span| !is_masked(&value.bytes[span.range.clone()]));
        for span in &spans {
            self.mask(value.point, &value.bytes[span.range.clone()], found);
        }
        if spans.is_empty() && leaves::looks_like_json(value.bytes) && self.has_number(value) {
            self.mask(value.point, value.bytes, found);
        }
    }

    /// Masks `secret`, which is the value at `point` or a stretch of it.
    fn mask(&self, point: PointId, secret: &[u8], found: &mut Found) {
        // What an attack is part of is not looked for elsewhere.
        if !self.cleaner.is_attacked(&self.extracted.tree.path(point)) {
            found.secrets.push(secret.to_vec());
        }
        match self.locate(point, secret) {
            Some(range) if !self.is_whole_body(&range) => found.spans.push(Span::star(range)),
            // The whole body would have to go: that is left for when nothing else helped.
            _ => found.unlocated.push((self.part, secret.to_vec())),
        }
    }

    /// Whether a number in the JSON of `value` is a secret: numbers are no values of an inspection.
    fn has_number(&self, value: &Value<'_>) -> bool {
        let base = self.extracted.tree.path(value.point);
        let sensitive = self.cleaner.original.sensitive;
        let secret = |leaf: &Leaf<'_>| leaf.secret || sensitive.iter().any(|pattern| pattern.covers(&leaf.path));
        let number = |leaf: &Leaf<'_>| leaf.coding == Coding::Number && !is_masked(&leaf.decoded);
        leaves::of_json(value.bytes, &base).iter().any(|leaf| number(leaf) && secret(leaf))
    }

    /// Where `bytes` stand in the bytes of the message.
    fn place(&self, bytes: &[u8]) -> Option<Range<usize>> {
        range_in(&self.cleaner.raw, bytes).filter(|range| !range.is_empty())
    }

    /// Where `secret` stands, or else the nearest value around `point` that stands anywhere, or whose escaped form does.
    fn locate(&self, point: PointId, secret: &[u8]) -> Option<Range<usize>> {
        if let Some(range) = self.place(secret) {
            return Some(range);
        }
        let mut at = point;
        loop {
            for bytes in self.values.get(&at).into_iter().flatten() {
                if let Some(leaf) = self.leaves.get(bytes) {
                    let exact = range_in(bytes, secret).and_then(|part| leaf.locate(&self.cleaner.raw, &part));
                    return Some(exact.unwrap_or_else(|| leaf.range.clone()));
                }
                if let Some(range) = self.place(bytes) {
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
        self.part == Part::Body && *range == (self.cleaner.head..self.cleaner.raw.len())
    }
}
