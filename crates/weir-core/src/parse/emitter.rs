//! [`Emitter`]: through it, parsers add values, points, anomalies and gaps to the result of an extraction.

use super::extract::{ParseOptions, drain};
use super::state::ParseState;
use super::visitor::ValueVisitor;
use crate::model::changes::changed_parts;
use crate::model::{
    AnomalyKind, Budget, FormId, GraphqlStats, Hint, Key, Limits, PointId, Segment, SkipReason, Stop, Tag, Value, Zone,
};
use crate::normalize::brackets::{self, Step};
use crate::normalize::form::EncodedPair;
use crate::normalize::{form, percent};
use bumpalo::Bump;
use smallvec::SmallVec;
use std::collections::HashMap;

/// Adds to the values, points and notes of one message while it is parsed.
pub struct Emitter<'x, 'a> {
    /// Arena for decoded bytes; it lives as long as the values.
    pub bump: &'a Bump,
    /// Limits of the inspection.
    pub limits: &'x Limits,
    /// Work budget of the inspection.
    pub budget: &'x Budget<'x>,
    pub(super) options: &'x ParseOptions<'x>,
    pub(super) state: &'x mut ParseState<'a>,
    pub(super) visitor: &'x mut (dyn ValueVisitor<'a> + 'x),
    pub(super) at: PointId,
    pub(super) zone: Zone,
    pub(super) depth: u8,
    /// What the running parser decodes; none if it takes its input apart instead.
    pub(super) recodes: Option<Recoded<'a>>,
    /// Index of the first value that the running parser emitted.
    pub(super) batch: usize,
}

/// What a parser that recodes a value as a whole decodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recoded<'a> {
    /// Which form of a value it is.
    pub form: FormId,
    /// Its bytes, if it is scanned itself.
    pub scanned: Option<&'a [u8]>,
}

/// Values that wait at once: when a parser has emitted as many, they are inspected before it goes on, so that memory
/// does not depend on how many values a message has.
const BATCH: usize = 4096;

/// Work units of a value besides those of its bytes: its point, its byte classes, and the filters of all parsers and
/// detectors.
const VALUE_COST: usize = 32;

/// Bytes that a pass looks through in one work unit.
const PASSED_PER_UNIT: usize = 4;

/// Bytes of a decoded form that are compared with what they were decoded from in one work unit.
pub(super) const COMPARED_PER_UNIT: usize = 8;

/// How often an anomaly or a gap may be noted again at a point that has it: then others of its kind are passed over.
const MAX_REPEATED: u32 = 256;

/// Up to this many pairs, names are compared one by one; for more, a map is built.
const FEW_PAIRS: usize = 16;

/// A name and a value.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// A few names and values.
pub type Pairs<'a> = SmallVec<[Pair<'a>; 8]>;

impl<'a> Emitter<'_, 'a> {
    /// An emitter of the same message for what is found in `value`; at the root of the message without one.
    pub(super) fn within(&mut self, value: Option<&Value<'a>>) -> Emitter<'_, 'a> {
        let (at, zone, depth) =
            value.map_or((PointId::ROOT, Zone::META, 0), |value| (value.point, value.zone, value.depth + 1));
        Emitter {
            bump: self.bump,
            limits: self.limits,
            budget: self.budget,
            options: self.options,
            batch: self.state.values.len(),
            state: self.state,
            visitor: self.visitor,
            at,
            zone,
            depth,
            recodes: None,
        }
    }

    /// Inspects the values that the running parser has emitted, and forgets them and their points.
    #[cold]
    fn flush(&mut self) -> Result<(), Stop> {
        let mut at = self.batch;
        drain(&mut self.within(None), &mut at)?;
        self.state.values.truncate(self.batch);
        // The points above the current one are older than it.
        self.state.tree.truncate(self.at.index() + 1);
        Ok(())
    }

    /// Moves the current point one step down.
    pub fn enter(&mut self, segment: Segment<'a>) -> Result<(), Stop> {
        self.at = self.state.tree.child(self.at, segment);
        Ok(())
    }

    /// Moves the current point one step up.
    pub fn leave(&mut self) {
        self.at = self.state.tree.parent(self.at);
    }

    /// Emits `bytes` at the current point.
    pub fn value(&mut self, bytes: &'a [u8]) -> Result<(), Stop> {
        self.value_as(bytes, self.zone, Hint::None)
    }

    /// Emits `bytes` at the current point, in `zone` and with what is declared about them.
    pub fn value_as(&mut self, bytes: &'a [u8], zone: Zone, hint: Hint<'a>) -> Result<(), Stop> {
        self.charge_value(bytes)?;
        if hint == Hint::None && self.passes_over(bytes, zone, self.tag())? {
            Ok(())
        } else {
            self.push(bytes, zone, hint)
        }
    }

    /// Pays for a pass over `bytes` that looks for a few kinds of bytes.
    #[inline]
    pub(super) fn pass(&self, bytes: &[u8]) -> Result<(), Stop> {
        self.budget.spend(bytes.len() / PASSED_PER_UNIT)
    }

    #[inline]
    fn charge_value(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.pass(bytes)?;
        self.budget.spend(VALUE_COST)?;
        if self.state.notes.values >= self.limits.values {
            return self.limit(SkipReason::ValueLimit);
        }
        self.state.notes.values += 1;
        Ok(())
    }

    /// Ends the running parser, and only it. What it leaves is inspected as it is.
    #[cold]
    fn limit(&mut self, reason: SkipReason) -> Result<(), Stop> {
        self.skip(reason);
        Err(Stop::Limit)
    }

    /// Whether `bytes` are known to be benign at a point whose last step is `tag`; then they wait for their turn like others,
    /// and only their scan is left out. What is decoded is not looked up: whether it is scanned depends on other forms.
    #[inline]
    fn passes_over(&mut self, bytes: &'a [u8], zone: Zone, tag: Option<Tag>) -> Result<bool, Stop> {
        let lookup = self.options.benign.filter(|_| self.recodes.is_none());
        let Some(work) = lookup.and_then(|benign| benign.get(bytes, zone, tag)) else { return Ok(false) };
        self.store(Value::known(self.at, bytes, zone, work))?;
        Ok(true)
    }

    #[inline]
    fn store(&mut self, value: Value<'a>) -> Result<(), Stop> {
        self.state.values.push(value);
        if self.state.values.len() - self.batch >= BATCH { self.flush() } else { Ok(()) }
    }

    #[inline]
    fn push(&mut self, bytes: &'a [u8], zone: Zone, hint: Hint<'a>) -> Result<(), Stop> {
        let form = match self.recodes {
            None => self.state.forms.root(),
            Some(of) => match self.state.forms.decoded(of.form, bytes, zone, hint) {
                Ok(new) => new,
                Err(known) => {
                    self.visitor.reached_again(known, self.at, &self.state.tree);
                    return Ok(());
                }
            },
        };
        let changes = match self.recodes.and_then(|of| of.scanned) {
            Some(before) => {
                self.budget.spend(bytes.len() / COMPARED_PER_UNIT)?;
                changed_parts(before, bytes, self.bump)
            }
            None => None,
        };
        self.store(Value { hint, depth: self.depth, form, changes, ..Value::new(self.at, bytes, zone) })
    }

    /// Emits `bytes` one step down.
    pub fn child(&mut self, segment: Segment<'a>, bytes: &'a [u8]) -> Result<(), Stop> {
        self.enter(segment)?;
        let result = self.value(bytes);
        self.leave();
        result
    }

    /// Emits a parameter's name as a value of its own, at a point such as `["get_name"]`.
    /// Names of letters, digits, `-`, `_` and `.` carry no syntax and are emitted too, for signatures on names.
    pub fn name(&mut self, tag: Tag, name: &'a [u8]) -> Result<(), Stop> {
        let zone = self.zone.with(Zone::NAME);
        self.charge_value(name)?;
        if self.passes_over(name, zone, Some(tag))? {
            return Ok(());
        }
        self.enter(Segment::plain(tag))?;
        self.push(name, zone, Hint::None)?;
        self.leave();
        Ok(())
    }

    /// Emits named values at `[tag, name]`. The values of a repeated name are emitted each at `[tag, name][array, i]` and
    /// joined by `,` at `[tag, name][pollution]`, because servers differ in which they use. Each name is emitted as a
    /// value at `[name_tag]`.
    pub fn pairs(&mut self, tag: Tag, name_tag: Tag, pairs: &[Pair<'a>]) -> Result<(), Stop> {
        self.pairs_where(tag, name_tag, pairs, |_| true)
    }

    /// Like [`Self::pairs`], but emits as values only the names for which `emits_name` is true.
    pub fn pairs_where(
        &mut self,
        tag: Tag,
        name_tag: Tag,
        pairs: &[Pair<'a>],
        emits_name: fn(&[u8]) -> bool,
    ) -> Result<(), Stop> {
        let next = same_names(pairs);
        for (at, &(name, value)) in pairs.iter().enumerate() {
            if next[at] & NOT_FIRST != 0 {
                continue;
            }
            if !name.is_empty() && emits_name(name) {
                self.name(name_tag, name)?;
            }
            self.under_name(tag, name, |em, element| match next[at] {
                LAST if value.is_empty() => Ok(()),
                LAST if element => em.child(Segment::indexed(Tag::Array, 0), value),
                LAST => em.value(value),
                _ => em.values_of(pairs, &next, at),
            })?;
        }
        Ok(())
    }

    /// Runs `inside` at the point of the value called `name`: one step down and, in queries and forms, a further step for
    /// each pair of brackets (`a[b][0]` is `[tag, a][hash, b][array, 0]`). The argument of `inside` is true if the name
    /// ends in `[]`, so that its values are elements of an array.
    pub fn under_name(
        &mut self,
        tag: Tag,
        name: &'a [u8],
        inside: impl FnOnce(&mut Self, bool) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let above = self.at;
        let result = self.enter_name(tag, name).and_then(|element| inside(self, element));
        self.at = above;
        result
    }

    fn enter_name(&mut self, tag: Tag, name: &'a [u8]) -> Result<bool, Stop> {
        let split =
            matches!(tag, Tag::Get | Tag::FormUrlencoded | Tag::Multipart).then(|| brackets::split(name)).flatten();
        let Some((base, mut steps)) = split else {
            self.enter(Segment::named(tag, name))?;
            return Ok(false);
        };
        let element = steps.last() == Some(&Step::Next);
        if element {
            steps.pop();
        }
        self.enter(Segment::named(tag, base))?;
        for step in steps {
            self.enter(match step {
                Step::Name(name) => Segment::named(Tag::Hash, name),
                Step::Index(index) => Segment::indexed(Tag::Array, index),
                // The server decides the index; here all such elements share index 0.
                Step::Next => Segment::indexed(Tag::Array, 0),
            })?;
        }
        Ok(element)
    }

    /// Emits the values of a repeated name, one by one and joined.
    fn values_of(&mut self, pairs: &[Pair<'a>], next: &[u32], first: usize) -> Result<(), Stop> {
        let mut joined = bumpalo::collections::Vec::new_in(self.bump);
        let (mut at, mut index) = (first, 0);
        loop {
            let value = pairs[at].1;
            self.child(Segment::indexed(Tag::Array, index), value)?;
            if index > 0 {
                joined.push(b',');
            }
            self.charge_decoded(value.len() + 1)?;
            joined.extend_from_slice(value);
            match next[at] & !NOT_FIRST {
                LAST => break,
                following => at = following as usize,
            }
            index += 1;
        }
        self.child(Segment::plain(Tag::Pollution), joined.into_bump_slice())
    }

    /// Splits `input` at `&` and the first `=` of each piece, and percent-decodes both sides once, `+` as a space
    /// (WHATWG URL §5.1). A piece without `=` is a name with an empty value.
    pub fn split_form(&mut self, input: &'a [u8]) -> Result<Pairs<'a>, Stop> {
        self.budget.spend(input.len())?;
        self.decoded(form::encoded_pairs(input))
    }

    /// The same for what is behind a `;`, if servers may take it for a pair of its own.
    pub fn split_form_at_semicolons(&mut self, input: &'a [u8]) -> Result<Pairs<'a>, Stop> {
        self.pass(input)?;
        self.decoded(form::pairs_at_semicolons(input))
    }

    fn decoded(&mut self, encoded: impl Iterator<Item = EncodedPair<'a>>) -> Result<Pairs<'a>, Stop> {
        let mut pairs = Pairs::new();
        for piece in encoded {
            if pairs.len() >= self.limits.members {
                // The pairs so far are emitted; the caller's input is inspected as it is, too.
                self.skip(SkipReason::ValueLimit);
                break;
            }
            pairs.push((self.unescape(piece.name)?, self.unescape(piece.value)?));
        }
        Ok(pairs)
    }

    fn unescape(&mut self, input: &'a [u8]) -> Result<&'a [u8], Stop> {
        let mut buffer = std::mem::take(&mut self.state.unescaped);
        buffer.clear();
        let changed = percent::decode_to(input, percent::Plus::Space, &mut buffer);
        let unescaped = if changed { self.copy(&buffer) } else { Ok(input) };
        self.state.unescaped = buffer;
        unescaped
    }

    /// Copies `bytes` to the arena. Fails if decoders have produced too many bytes.
    pub fn copy(&mut self, bytes: &[u8]) -> Result<&'a [u8], Stop> {
        self.charge_decoded(bytes.len())?;
        Ok(self.bump.alloc_slice_copy(bytes))
    }

    /// Reserves `bytes` bytes of decoder output. To be called before they are produced, so that memory stays bounded.
    pub fn charge_decoded(&mut self, bytes: usize) -> Result<(), Stop> {
        if bytes > self.state.decoded_left {
            return self.limit(SkipReason::Recodings);
        }
        self.state.decoded_left -= bytes;
        self.budget.spend(bytes)
    }

    /// Reserves `bytes` bytes of decompressor output; false past the limit. Decompressed bytes count as input: they
    /// bring the work and the decoder output that input of their size may have.
    pub fn charge_inflated(&mut self, bytes: usize) -> bool {
        if bytes > self.state.inflate_left {
            return false;
        }
        self.state.inflate_left -= bytes;
        self.state.decoded_left = self.state.decoded_left.saturating_add(Limits::DECODED_PER_BYTE * bytes);
        self.budget.grant(Limits::WORK_PER_BYTE * bytes as u64);
        true
    }

    /// Records an anomaly at the current point.
    pub fn anomaly(&mut self, kind: AnomalyKind) {
        let anomalies = &mut self.state.notes.anomalies;
        // To name a point takes as long as it is deep, and one point may have the same anomaly very often.
        let repeats = self.state.repeated >= MAX_REPEATED && anomalies.iter().any(|(known, _)| *known == kind);
        if anomalies.len() < self.limits.anomalies && !repeats {
            let entry = (kind, self.state.tree.path(self.at));
            if anomalies.contains(&entry) {
                self.state.repeated += 1;
            } else {
                anomalies.push(entry);
            }
        }
    }

    /// Records that something at the current point is not inspected.
    pub fn skip(&mut self, reason: SkipReason) {
        let skipped = &mut self.state.notes.skipped;
        let many = skipped.len() >= self.limits.anomalies || self.state.repeated >= MAX_REPEATED;
        // Policy decides by reason, so none may be lost because there are many others.
        if !many || !skipped.iter().any(|(other, _)| *other == reason) {
            let entry = (reason, self.state.tree.path(self.at));
            if skipped.contains(&entry) {
                self.state.repeated += 1;
            } else {
                skipped.push(entry);
            }
        }
    }

    /// Records the measurements of a GraphQL document at the current point. Documents are counted; of every other
    /// measurement the maximum is kept.
    pub fn graphql(&mut self, facts: GraphqlStats) {
        let (tree, at) = (&self.state.tree, self.at);
        let (all, _) = self.state.notes.graphql.get_or_insert_with(|| (GraphqlStats::default(), tree.path(at)));
        all.documents += facts.documents;
        all.depth = all.depth.max(facts.depth);
        all.aliases = all.aliases.max(facts.aliases);
        all.document_bytes = all.document_bytes.max(facts.document_bytes);
        all.value_bytes = all.value_bytes.max(facts.value_bytes);
        all.introspection |= facts.introspection;
        all.debug |= facts.debug;
    }

    /// The zone in which values are emitted.
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// The last step of the current point.
    pub fn tag(&self) -> Option<Tag> {
        self.state.tree.segment(self.at).map(|segment| segment.tag)
    }

    /// How many layers of percent-encoding were decoded on the way to the current point.
    pub fn percent_layers(&self) -> usize {
        self.state.tree.percent_layers(self.at).into()
    }

    /// How many steps to the current point have `tag`.
    pub fn nesting(&self, tag: Tag) -> usize {
        self.state.tree.nesting(self.at, tag)
    }

    /// The name in the last step of the current point.
    pub fn current_name(&self) -> Option<&'a [u8]> {
        match self.state.tree.segment(self.at)?.key {
            Key::Name(name) => Some(name),
            _ => None,
        }
    }
}

/// Bit set for a pair that is not the first of its name.
const NOT_FIRST: u32 = 1 << 31;
/// Index that means that no later pair has the name.
const LAST: u32 = NOT_FIRST - 1;

/// For each pair the index of the next pair with the same name, or [`LAST`], and the bit [`NOT_FIRST`].
fn same_names(pairs: &[Pair<'_>]) -> SmallVec<[u32; FEW_PAIRS]> {
    let mut next: SmallVec<[u32; FEW_PAIRS]> = SmallVec::with_capacity(pairs.len());
    let mut link = |at: usize, before: Option<usize>| match before {
        Some(before) => {
            next[before] = next[before] & NOT_FIRST | at as u32;
            next.push(NOT_FIRST | LAST);
        }
        None => next.push(LAST),
    };
    if pairs.len() <= FEW_PAIRS {
        for (at, &(name, _)) in pairs.iter().enumerate() {
            link(at, (0..at).rev().find(|&before| pairs[before].0 == name));
        }
    } else {
        // With a seed of its own, so that no message makes names collide.
        let seed = foldhash::fast::RandomState::default();
        let mut latest: HashMap<&[u8], usize, _> = HashMap::with_capacity_and_hasher(pairs.len(), seed);
        for (at, &(name, _)) in pairs.iter().enumerate() {
            link(at, latest.insert(name, at));
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The map and the comparison one by one give the same links.
        #[test]
        fn links_every_name(names in proptest::collection::vec("[ab]{0,3}", 0..40)) {
            let pairs: Vec<Pair<'_>> = names.iter().map(|n| (n.as_bytes(), &b""[..])).collect();
            let next = same_names(&pairs);
            for at in 0..names.len() {
                let later = (at + 1..names.len()).find(|&l| names[l] == names[at]).map_or(LAST, |l| l as u32);
                prop_assert_eq!(next[at] & !NOT_FIRST, later);
                prop_assert_eq!(next[at] & NOT_FIRST != 0, names[..at].contains(&names[at]));
            }
        }
    }
}
