//! The driver: opens a message and offers every value to every parser that suits it.

use super::benign_lookup::BenignLookup;
use super::emitter::{Emitter, Notes};
use super::{Applicability, Candidate, ParseError, Parsed, RECODINGS, candidates_for, headers, message, target};
use crate::model::recycle::emptied;
use crate::model::{
    Budget, Hint, Limits, Message, MessageKind, ParserSet, PointId, PointTree, Segment, SkipReason, Stop, Tag, Value,
    Zone,
};
use bumpalo::Bump;

/// What to leave out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'o> {
    /// Zones at which nobody will look.
    pub unscanned_zones: Zone,
    /// Parsers switched off everywhere.
    pub parsers_off: ParserSet,
    /// Values that need not be looked at again.
    pub benign: Option<BenignLookup<'o>>,
    /// Parsers switched off at some points.
    pub parsers_off_at: &'o [(ParserSet, crate::model::PointPattern)],
}

/// The values of one message.
#[derive(Debug)]
pub struct Extracted<'a> {
    /// Points of the values.
    pub tree: PointTree<'a>,
    /// The values, in order of discovery.
    pub values: Vec<Value<'a>>,
    /// Oddities and gaps.
    pub notes: Notes,
}

/// Memory for points and values, kept from one message to the next.
#[derive(Debug, Default)]
pub struct ScratchBuffers {
    tree: PointTree<'static>,
    values: Vec<Value<'static>>,
}

impl ScratchBuffers {
    /// Bytes that it has.
    pub fn memory(&self) -> usize {
        self.tree.memory() + self.values.capacity() * size_of::<Value<'_>>()
    }
}

impl Extracted<'_> {
    /// In `room`, enough for `values` values.
    fn expecting(values: usize, room: ScratchBuffers) -> Self {
        let (mut tree, mut room) = (PointTree::in_memory_of(room.tree), emptied(room.values));
        tree.reserve(2 * values);
        room.reserve(values);
        Self { tree, values: room, notes: Notes::default() }
    }

    /// The memory, for another message.
    pub fn into_buffers(self) -> ScratchBuffers {
        ScratchBuffers { tree: PointTree::in_memory_of(self.tree), values: emptied(self.values) }
    }
}

/// Roughly how many values `message` will have: room for them is made at once.
fn values_of(message: &Message<'_>) -> usize {
    // Bytes of JSON or a form for each name and each value.
    const BYTES: usize = 10;
    // More than this is rare, and growing costs little beside looking at so many.
    const MOST: usize = 4096;
    (16 + 2 * message.headers.len() + (message.target.len() + message.body.len()) / BYTES).min(MOST)
}

/// Takes `message` apart. Ends early, with what was found so far, when the budget or a limit says so; that is noted.
pub fn extract<'a>(
    message: &Message<'a>,
    options: &Options<'_>,
    limits: &Limits,
    budget: &Budget<'_>,
    bump: &'a Bump,
) -> Extracted<'a> {
    extract_with_buffers(message, options, limits, budget, bump, ScratchBuffers::default())
}

/// The same, in `room`.
pub fn extract_with_buffers<'a>(
    message: &Message<'a>,
    options: &Options<'_>,
    limits: &Limits,
    budget: &Budget<'_>,
    bump: &'a Bump,
    room: ScratchBuffers,
) -> Extracted<'a> {
    let mut out = Extracted::expecting(values_of(message).min(limits.values as usize), room);
    let mut decoded_left = limits.decoded_bytes;
    let mut at = 0;
    let opened = open(message, &mut emit(&mut out, options, limits, budget, bump, &mut decoded_left));
    if opened.is_ok() {
        while at < out.values.len() {
            if parse_value(at, options, &mut out, limits, budget, bump, &mut decoded_left).is_err() {
                break;
            }
            at += 1;
        }
    }
    out
}

fn emit<'x, 'a>(
    out: &'x mut Extracted<'a>,
    options: &Options<'x>,
    limits: &'x Limits,
    budget: &'x Budget<'x>,
    bump: &'a Bump,
    decoded_left: &'x mut usize,
) -> Emitter<'x, 'a> {
    Emitter {
        bump,
        limits,
        budget,
        tree: &mut out.tree,
        values: &mut out.values,
        notes: &mut out.notes,
        at: PointId::ROOT,
        zone: Zone::META,
        depth: 0,
        decoded_left,
        benign: options.benign,
    }
}

fn open<'a>(message: &Message<'a>, em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
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
    use crate::model::BodyState;
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

/// Offers value `at` to every parser.
fn parse_value<'a>(
    at: usize,
    options: &Options<'_>,
    out: &mut Extracted<'a>,
    limits: &Limits,
    budget: &Budget<'_>,
    bump: &'a Bump,
    decoded_left: &mut usize,
) -> Result<(), Stop> {
    let value = out.values[at];
    let mut candidate = Candidate {
        bytes: value.bytes,
        chars: value.chars,
        zone: value.zone,
        tag: out.tree.segment(value.point).map_or(Tag::Uri, |s| s.tag),
        hint: value.hint,
        depth: value.depth,
        covered: false,
    };
    for parser in candidates_for(value.chars, value.hint) {
        let suits = parser.tries(&candidate);
        if suits == Applicability::No {
            continue;
        }
        out.values[at].tried = true;
        if options.unscanned_zones.holds(value.zone) && RECODINGS.meets(parser.id) {
            continue;
        }
        let off = options.parsers_off.meets(parser.id)
            || options
                .parsers_off_at
                .iter()
                .any(|(id, at)| id.meets(parser.id) && at.covers_node(&out.tree, value.point));
        let mut em = emit(out, options, limits, budget, bump, decoded_left);
        (em.at, em.zone, em.depth) = (value.point, value.zone, value.depth + 1);
        if off || value.depth >= limits.depth {
            em.skip(if off { SkipReason::ParserOff } else { SkipReason::DepthLimit });
            continue;
        }
        let (values, nodes, anomalies) = (em.values.len(), em.tree.len(), em.notes.anomalies.len());
        let benign_skipped = em.notes.benign_skipped;
        match (parser.run)(&candidate, &mut em) {
            Ok(Parsed::Covered) => {
                out.values[at].covered = true;
                candidate.covered = true;
                if value.hint == Hint::None {
                    // Only declared ones would still be asked.
                    break;
                }
            }
            Ok(Parsed::Added) | Err(ParseError::Limit) => {}
            Err(ParseError::NotApplicable) => {
                em.values.truncate(values);
                em.tree.truncate(nodes);
                em.notes.anomalies.truncate(anomalies);
                em.notes.benign_skipped = benign_skipped;
            }
            Err(ParseError::Broken(kind)) => {
                em.at = value.point;
                if suits == Applicability::Declared {
                    em.anomaly(kind);
                }
            }
            Err(ParseError::Stop(stop)) => return Err(stop),
        }
    }
    Ok(())
}
