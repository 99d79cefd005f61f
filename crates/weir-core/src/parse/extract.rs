//! The driver: parses a message into values, and offers every value to every parser that may apply to it.

use super::benign_lookup::BenignLookup;
use super::emitter::{Emitter, Notes};
use super::{
    Applicability, Candidate, ParseError, Parsed, Parser, RECODINGS, candidates_for, headers, message, target,
};
use crate::model::recycle::reuse_allocation;
use crate::model::{
    BodyState, Budget, Hint, Limits, Message, MessageKind, ParserSet, PointId, PointPattern, PointTree, Segment,
    SkipReason, Stop, Tag, Value, Zone,
};
use bumpalo::Bump;

/// What an extraction leaves out.
#[derive(Clone, Copy, Debug, Default)]
pub struct ParseOptions<'o> {
    /// Zones in which no detector and no signature runs; parsers of [`RECODINGS`] are not run there.
    pub unscanned_zones: Zone,
    /// Parsers switched off everywhere.
    pub parsers_off: ParserSet,
    /// Values that earlier inspections found nothing in: they are not emitted.
    pub benign: Option<BenignLookup<'o>>,
    /// Parsers switched off at some points.
    pub parsers_off_at: &'o [(ParserSet, PointPattern)],
}

/// The values of one message.
#[derive(Debug)]
pub struct Extracted<'a> {
    /// Points of the values.
    pub tree: PointTree<'a>,
    /// The values, in order of discovery.
    pub values: Vec<Value<'a>>,
    /// Anomalies, and what was not inspected.
    pub notes: Notes,
}

/// Memory for points and values, reused from one message to the next.
#[derive(Debug, Default)]
pub struct ScratchBuffers {
    tree: PointTree<'static>,
    values: Vec<Value<'static>>,
}

impl ScratchBuffers {
    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.tree.memory() + self.values.capacity() * size_of::<Value<'_>>()
    }
}

impl Extracted<'_> {
    /// An empty extraction in the memory of `buffers`, enlarged to hold `values` values.
    fn with_capacity(values: usize, buffers: ScratchBuffers) -> Self {
        let mut tree = PointTree::reusing(buffers.tree);
        // A value takes about two points: one for its name, one for itself.
        tree.reserve(2 * values);
        let mut list = reuse_allocation(buffers.values);
        list.reserve(values);
        Self { tree, values: list, notes: Notes::default() }
    }

    /// Gives the memory back for another message.
    pub fn into_buffers(self) -> ScratchBuffers {
        ScratchBuffers { tree: PointTree::reusing(self.tree), values: reuse_allocation(self.values) }
    }
}

/// Roughly how many values `message` will have, so that memory for them is reserved at once.
fn estimated_values(message: &Message<'_>) -> usize {
    // Bytes of JSON or of a form for each name and each value.
    const BYTES_PER_VALUE: usize = 10;
    // More values than this are rare, and growing the vector then costs little beside inspecting them.
    const MAX_RESERVED: usize = 4096;
    (16 + 2 * message.headers.len() + (message.target.len() + message.body.len()) / BYTES_PER_VALUE).min(MAX_RESERVED)
}

/// Parses `message` into values at points. When the budget or a limit ends the extraction early, the result holds what
/// was found until then, and its notes say so.
pub fn extract<'a>(
    message: &Message<'a>,
    options: &ParseOptions<'_>,
    limits: &Limits,
    budget: &Budget<'_>,
    bump: &'a Bump,
) -> Extracted<'a> {
    extract_with_buffers(message, options, limits, budget, bump, ScratchBuffers::default())
}

/// Like [`extract`], in the memory of `buffers`.
pub fn extract_with_buffers<'a>(
    message: &Message<'a>,
    options: &ParseOptions<'_>,
    limits: &Limits,
    budget: &Budget<'_>,
    bump: &'a Bump,
    buffers: ScratchBuffers,
) -> Extracted<'a> {
    let out = Extracted::with_capacity(estimated_values(message).min(limits.values as usize), buffers);
    let mut extractor = Extractor { options, limits, budget, bump, out, decoded_left: limits.decoded_bytes };
    if parse_message(message, &mut extractor.emitter()).is_ok() {
        let mut at = 0;
        // Parsers append values while this loop runs; those are offered to every parser in turn.
        while at < extractor.out.values.len() && extractor.parse_value(at).is_ok() {
            at += 1;
        }
    }
    extractor.out
}

/// Emits the parts of `message`: target, headers, body.
fn parse_message<'a>(message: &Message<'a>, em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    message::check(message, em);
    if message.kind == MessageKind::Request {
        em.zone = Zone::PATH;
        target::run(message, em)?;
        em.zone = Zone::HEADER;
        headers::run(message, em)?;
        em.zone = Zone::BODY;
    } else {
        em.zone = Zone::RESPONSE_HEADER;
        headers::run(message, em)?;
        em.zone = Zone::RESPONSE_BODY;
    }
    body(message, em)
}

/// The body at `[post]` or `[response_body]`, with the declared content type as a hint.
fn body<'a>(message: &Message<'a>, em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    let tag = if message.kind == MessageKind::Request { Tag::Post } else { Tag::ResponseBody };
    em.enter(Segment::plain(tag))?;
    if message.body_state != BodyState::Complete {
        em.skip(SkipReason::NotSent);
    }
    let media = message.header("content-type").unwrap_or_default();
    let hint = match codings(message, em) {
        b"" if media.is_empty() => Hint::None,
        b"" => Hint::Media(media),
        codings => Hint::Coding { codings, media },
    };
    let result = if message.body.is_empty() { Ok(()) } else { em.value_as(message.body, em.zone, hint) };
    em.leave();
    result
}

/// The content codings of all header lines, in order (RFC 9110 §8.4).
fn codings<'a>(message: &Message<'a>, em: &Emitter<'_, 'a>) -> &'a [u8] {
    let mut lines = message.headers_named("content-encoding");
    let first = lines.next().unwrap_or_default();
    let Some(second) = lines.next() else { return first };
    let mut joined = bumpalo::collections::Vec::from_iter_in(first.iter().copied(), em.bump);
    for line in std::iter::once(second).chain(lines) {
        joined.push(b',');
        joined.extend_from_slice_copy(line);
    }
    joined.into_bump_slice()
}

/// One extraction in progress.
struct Extractor<'x, 'a> {
    options: &'x ParseOptions<'x>,
    limits: &'x Limits,
    budget: &'x Budget<'x>,
    bump: &'a Bump,
    out: Extracted<'a>,
    /// Bytes that decoders may still produce.
    decoded_left: usize,
}

impl<'a> Extractor<'_, 'a> {
    /// An emitter at the root of the message.
    fn emitter(&mut self) -> Emitter<'_, 'a> {
        Emitter {
            bump: self.bump,
            limits: self.limits,
            budget: self.budget,
            tree: &mut self.out.tree,
            values: &mut self.out.values,
            notes: &mut self.out.notes,
            at: PointId::ROOT,
            zone: Zone::META,
            depth: 0,
            decoded_left: &mut self.decoded_left,
            benign: self.options.benign,
        }
    }

    /// An emitter of what a parser finds in `value`.
    fn emitter_within(&mut self, value: &Value<'a>) -> Emitter<'_, 'a> {
        let mut em = self.emitter();
        (em.at, em.zone, em.depth) = (value.point, value.zone, value.depth + 1);
        em
    }

    /// Offers value `at` to every parser that may apply.
    fn parse_value(&mut self, at: usize) -> Result<(), Stop> {
        let value = self.out.values[at];
        let mut candidate = Candidate {
            bytes: value.bytes,
            classes: value.classes,
            zone: value.zone,
            tag: self.out.tree.segment(value.point).map_or(Tag::Uri, |segment| segment.tag),
            hint: value.hint,
            depth: value.depth,
            covered: false,
        };
        for parser in candidates_for(value.classes, value.hint) {
            let applicability = parser.check(&candidate);
            if applicability == Applicability::No {
                continue;
            }
            self.out.values[at].parser_reacted = true;
            if self.options.unscanned_zones.contains(value.zone) && RECODINGS.intersects(parser.id) {
                continue;
            }
            if let Some(reason) = self.skip_reason(parser, &value) {
                self.emitter_within(&value).skip(reason);
                continue;
            }
            if self.run(parser, applicability, &candidate, &value)? == Parsed::Covered {
                self.out.values[at].covered = true;
                candidate.covered = true;
                // Only declared parsers apply to a covered value, and nothing is declared about this one.
                if value.hint == Hint::None {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Why `parser` must not run on `value`, if so.
    fn skip_reason(&self, parser: &Parser, value: &Value<'a>) -> Option<SkipReason> {
        let off_here = |(id, at): &(ParserSet, PointPattern)| {
            id.intersects(parser.id) && at.covers_node(&self.out.tree, value.point)
        };
        if self.options.parsers_off.intersects(parser.id) || self.options.parsers_off_at.iter().any(off_here) {
            return Some(SkipReason::ParserOff);
        }
        (value.depth >= self.limits.depth).then_some(SkipReason::DepthLimit)
    }

    /// Runs `parser` on `value`. What it emitted is taken back if the value does not have its syntax.
    fn run(
        &mut self,
        parser: &Parser,
        applicability: Applicability,
        candidate: &Candidate<'a>,
        value: &Value<'a>,
    ) -> Result<Parsed, Stop> {
        let mut em = self.emitter_within(value);
        let (values, nodes, anomalies) = (em.values.len(), em.tree.len(), em.notes.anomalies.len());
        let benign_skipped = em.notes.benign_skipped;
        match (parser.run)(candidate, &mut em) {
            Ok(parsed) => return Ok(parsed),
            Err(ParseError::Limit) => {}
            Err(ParseError::NotApplicable) => {
                em.values.truncate(values);
                em.tree.truncate(nodes);
                em.notes.anomalies.truncate(anomalies);
                em.notes.benign_skipped = benign_skipped;
            }
            Err(ParseError::Broken(kind)) => {
                em.at = value.point;
                if applicability == Applicability::Declared {
                    em.anomaly(kind);
                }
            }
            Err(ParseError::Stop(stop)) => return Err(stop),
        }
        Ok(Parsed::Added)
    }
}
