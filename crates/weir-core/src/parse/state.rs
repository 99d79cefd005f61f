//! What the parsers of one message share: points, values, notes, and what decoders may still produce.

use crate::model::{AnomalyKind, FormId, GraphqlStats, Hint, PointPath, PointTree, SkipReason, Value, Zone};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Anomalies of one message, and what was not inspected, by point.
#[derive(Debug, Default)]
pub struct Notes {
    /// Anomalies in order of discovery; at most [`crate::model::Limits::anomalies`].
    pub anomalies: Vec<(AnomalyKind, PointPath)>,
    /// What was not inspected; about [`crate::model::Limits::anomalies`] at most, and of each reason at least one.
    pub skipped: Vec<(SkipReason, PointPath)>,
    /// Measurements of the GraphQL documents, and the point of the first one.
    pub graphql: Option<(GraphqlStats, PointPath)>,
    /// Values emitted, those known to be benign included.
    pub values: u32,
}

/// State of the extraction of one message.
#[derive(Debug, Default)]
pub(super) struct ParseState<'a> {
    pub tree: PointTree<'a>,
    /// Values that wait to be parsed and visited.
    pub values: Vec<Value<'a>>,
    pub notes: Notes,
    /// How often something was noted at a point for which it was noted already.
    pub repeated: u32,
    /// Bytes that decoders may still produce.
    pub decoded_left: usize,
    /// Bytes that decompressors may still produce.
    pub inflate_left: usize,
    pub forms: Forms<'a>,
    pub scanned: ScannedForms<'a>,
    /// Where a part of a form is decoded, reused from part to part.
    pub unescaped: Vec<u8>,
}

/// Lengths of the parts of a [`ParseState`], to which it can be rolled back.
#[derive(Clone, Copy)]
pub(super) struct Position {
    values: usize,
    nodes: usize,
    anomalies: usize,
    skipped: usize,
    emitted: u32,
}

impl ParseState<'_> {
    /// Where the state is now.
    pub fn position(&self) -> Position {
        Position {
            values: self.values.len(),
            nodes: self.tree.len(),
            anomalies: self.notes.anomalies.len(),
            skipped: self.notes.skipped.len(),
            emitted: self.notes.values,
        }
    }

    /// Discards everything after `position`.
    pub fn rollback(&mut self, position: Position) {
        self.values.truncate(position.values);
        self.tree.truncate(position.nodes);
        self.notes.anomalies.truncate(position.anomalies);
        self.notes.skipped.truncate(position.skipped);
        self.notes.values = position.emitted;
    }
}

/// Forms of values that decoding has produced: bytes that decoding reaches by several paths are inspected once.
#[derive(Debug, Default)]
pub(super) struct Forms<'a> {
    /// With a seed of its own, so that no message makes forms collide.
    seen: HashMap<Form<'a>, FormId, foldhash::fast::RandomState>,
    count: u32,
}

/// A form is the same as another if it was decoded from the same value, and zone, declaration and bytes are the same.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Form<'a> {
    root: u32,
    zone: Zone,
    hint: Hint<'a>,
    bytes: &'a [u8],
}

impl<'a> Forms<'a> {
    /// A number for a value that is no form of another.
    #[inline]
    pub fn root(&mut self) -> FormId {
        self.count += 1;
        FormId { root: self.count, number: self.count }
    }

    /// A number for `bytes`, decoded from form `of`. `Err` holds the number of an equal form that exists already.
    pub fn decoded(&mut self, of: FormId, bytes: &'a [u8], zone: Zone, hint: Hint<'a>) -> Result<FormId, FormId> {
        match self.seen.entry(Form { root: of.root, zone, hint, bytes }) {
            Entry::Occupied(known) => Err(*known.get()),
            Entry::Vacant(new) => {
                self.count += 1;
                Ok(*new.insert(FormId { root: of.root, number: self.count }))
            }
        }
    }
}

/// Forms shorter than this are not compared with those before.
const MIN_COMPARED: usize = 1024;
/// Most forms of one value that are kept to compare later ones with.
const MAX_KEPT: usize = 4;

/// The decoded forms of each long value that were scanned. A form that several decodings lead to (`%41 \u0041`: first one,
/// then the other) may differ less from one of these than from the one that it was decoded from.
#[derive(Debug, Default)]
pub(super) struct ScannedForms<'a>(HashMap<u32, SmallVec<[ScannedForm<'a>; MAX_KEPT]>, foldhash::fast::RandomState>);

/// One of them.
#[derive(Clone, Copy, Debug)]
struct ScannedForm<'a> {
    zone: Zone,
    bytes: &'a [u8],
}

impl<'a> ScannedForms<'a> {
    /// Notes that `value` was scanned.
    pub fn note(&mut self, value: &Value<'a>) {
        let decoded = value.form.root != value.form.number;
        if decoded && !value.covered && value.bytes.len() >= MIN_COMPARED {
            let kept = self.0.entry(value.form.root).or_default();
            if kept.len() < MAX_KEPT {
                kept.push(ScannedForm { zone: value.zone, bytes: value.bytes });
            }
        }
    }

    /// Those of the same value that are worth a comparison with `value`, the last one first.
    pub fn comparable(&self, value: &Value<'a>) -> SmallVec<[&'a [u8]; MAX_KEPT]> {
        let kept =
            (!value.covered && value.bytes.len() >= MIN_COMPARED).then(|| self.0.get(&value.form.root)).flatten();
        let same = kept.into_iter().flatten().rev().filter(|form| form.zone == value.zone);
        same.map(|form| form.bytes).collect()
    }
}
