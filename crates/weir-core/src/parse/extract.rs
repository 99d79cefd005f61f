//! The driver: parses a message into values, and offers every value to every parser that may apply to it.

use super::benign_lookup::BenignLookup;
use super::emitter::{COMPARED_PER_UNIT, Emitter, Recoded};
pub use super::state::Notes;
use super::state::ParseState;
use super::visitor::{Collect, ValueVisitor};
use super::{
    Applicability, BINARY_FORMATS, Candidate, ParseError, Parsed, Parser, RECODINGS, candidates_for, content, data,
    headers, message, target,
};
use crate::model::changes::changed_parts;
use crate::model::guard::guarded;
use crate::model::recycle::reuse_allocation;
use crate::model::{
    BodyState, Budget, Hint, Limits, Message, MessageKind, ParserSet, PointId, PointPattern, PointTree, Segment,
    SkipReason, Span, Stop, Tag, Value, Zone,
};
use bumpalo::Bump;

/// A form with at most this many changes is not compared with others than the one that it was decoded from.
const FEW_CHANGES: usize = 2;

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
    /// The values, in order of discovery. Of a message with several thousands, only those of the last batch.
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
    /// Gives the memory back for another message.
    pub fn into_buffers(self) -> ScratchBuffers {
        ScratchBuffers { tree: PointTree::reusing(self.tree), values: reuse_allocation(self.values) }
    }
}

/// An empty state in the memory of `buffers`, enlarged to hold `values` values.
fn state_with_capacity<'a>(values: usize, buffers: ScratchBuffers) -> ParseState<'a> {
    let mut tree = PointTree::reusing(buffers.tree);
    // A value takes about two points: one for its name, one for itself.
    tree.reserve(2 * values);
    let mut list = reuse_allocation(buffers.values);
    list.reserve(values);
    ParseState { tree, values: list, ..ParseState::default() }
}

/// Roughly how many values `message` will have, so that memory for them is reserved at once.
fn estimated_values(message: &Message<'_>) -> usize {
    // Bytes of JSON or of a form for each name and each value.
    const BYTES_PER_VALUE: usize = 10;
    // More values than this are rare, and growing the vector then costs little beside inspecting them.
    const MAX_RESERVED: usize = 4096;
    (16 + 2 * message.headers.len() + (message.target.len() + message.body.len()) / BYTES_PER_VALUE).min(MAX_RESERVED)
}

/// Parses `message` into values at points. When the budget or a limit ends a part of the extraction early, the result
/// holds what was found until then, and its notes say so.
pub fn extract<'a>(
    message: &Message<'a>,
    options: &ParseOptions<'_>,
    limits: &Limits,
    budget: &Budget<'_>,
    bump: &'a Bump,
) -> Extracted<'a> {
    extract_with_buffers(message, options, limits, budget, bump, ScratchBuffers::default(), &mut Collect)
}

/// Like [`extract`], in the memory of `buffers`, and shows each value to `visitor` once parsers have seen it.
///
/// Target and headers come first, with a work budget of their own that no body can take, and no time limit ends them.
pub fn extract_with_buffers<'a>(
    message: &Message<'a>,
    options: &ParseOptions<'_>,
    limits: &Limits,
    budget: &Budget<'_>,
    bump: &'a Bump,
    buffers: ScratchBuffers,
    visitor: &mut dyn ValueVisitor<'a>,
) -> Extracted<'a> {
    let mut state = state_with_capacity(estimated_values(message), buffers);
    state.inflate_left = limits.inflated_for(message.body.len());
    let (at, zone, depth) = (PointId::ROOT, Zone::META, 0);
    let mut em =
        Emitter { bump, limits, budget, options, state: &mut state, visitor, at, zone, depth, recodes: None, batch: 0 };
    em.begin(message.head_len(), false);
    parse_head(message, &mut em);
    em.finish(0);
    em.begin(message.body.len(), true);
    let body = em.state.values.len();
    match parse_body(message, &mut em) {
        Ok(()) => em.finish(body),
        Err(stop) => em.report(stop, Some(body)),
    }
    Extracted { tree: state.tree, values: state.values, notes: state.notes }
}

impl Emitter<'_, '_> {
    /// Begins a part of the message of `bytes` bytes, which brings its own work and decoder output.
    fn begin(&mut self, bytes: usize, interruptible: bool) {
        self.budget.begin(self.limits.work_for(bytes), interruptible);
        let decoded = self.state.decoded_left.saturating_add(self.limits.decoded_for(bytes));
        self.state.decoded_left = decoded.min(self.limits.decoded_bytes);
    }

    /// Parses and visits the values from index `from` on. Reports what the budget did not allow.
    fn finish(&mut self, from: usize) {
        let mut at = from;
        if let Err(stop) = drain(self, &mut at) {
            let first = self.state.values.get(from);
            let visited = at > from && first.is_some_and(|value| !value.covered);
            self.report(stop, (!visited).then_some(from));
        }
        self.at = PointId::ROOT;
    }

    /// Reports that a part of the message was not all inspected, and visits value `unvisited`, which holds all of it, as it
    /// is. A limit has been reported where it was met.
    fn report(&mut self, stop: Stop, unvisited: Option<usize>) {
        self.at = PointId::ROOT;
        match stop {
            Stop::Work => {
                self.skip(SkipReason::WorkLimit);
                if let Some(at) = unvisited {
                    self.visit_unparsed(at);
                }
            }
            Stop::Time => self.skip(SkipReason::TimeLimit),
            Stop::Limit => {}
        }
    }
}

impl Emitter<'_, '_> {
    /// Visits value `at` as it is, with work set aside for that: where parsing it took the whole budget, what is in
    /// clear is still found.
    fn visit_unparsed(&mut self, at: usize) {
        let Some(value) = self.state.values.get(at).copied() else { return };
        self.budget.begin(Limits::WORK_UNPARSED_PER_BYTE * value.bytes.len() as u64, true);
        let value = Value { covered: false, ..value };
        // Whatever this does not reach is reported already.
        let _already_reported = self.visitor.visit(&value, &self.state.tree);
    }
}

/// Parses and visits the values from index `at` on, and all that parsers find in them. `at` is moved past those that were
/// visited.
pub(super) fn drain<'a>(em: &mut Emitter<'_, 'a>, at: &mut usize) -> Result<(), Stop> {
    while *at < em.state.values.len() {
        match em.state.values[*at].known_work {
            Some(work) => em.budget.spend(work as usize)?,
            None => visit(em, *at)?,
        }
        *at += 1;
    }
    Ok(())
}

/// Parses and visits value `at`.
fn visit(em: &mut Emitter<'_, '_>, at: usize) -> Result<(), Stop> {
    em.parse_value(at)?;
    em.compare_with_scanned(at)?;
    let value = em.state.values[at];
    em.visitor.visit(&value, &em.state.tree)?;
    em.state.scanned.note(&value);
    Ok(())
}

/// Emits target and headers. A limit that one reaches does not keep the other from being emitted.
fn parse_head<'a>(message: &Message<'a>, em: &mut Emitter<'_, 'a>) {
    message::check(message, em);
    em.zone = Zone::RESPONSE_HEADER;
    if message.kind == MessageKind::Request {
        em.zone = Zone::PATH;
        let _already_reported = target::run(message, em);
        (em.at, em.zone) = (PointId::ROOT, Zone::HEADER);
    }
    let _already_reported = headers::run(message, em);
    em.at = PointId::ROOT;
}

/// Emits the body at `[post]` or `[response_body]`, with the declared content type as a hint.
fn parse_body<'a>(message: &Message<'a>, em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    em.zone = if message.kind == MessageKind::Request { Zone::BODY } else { Zone::RESPONSE_BODY };
    let tag = if message.kind == MessageKind::Request { Tag::Post } else { Tag::ResponseBody };
    em.enter(Segment::plain(tag))?;
    if message.body_state != BodyState::Complete {
        em.skip(SkipReason::NotSent);
    }
    let codings = codings(message, em);
    let result = media_types(message).into_iter().flatten().try_for_each(|media| body_as(media, codings, message, em));
    em.leave();
    result
}

/// The declared media types by which servers may read the body: of several header lines some take the first one, others
/// the last one.
fn media_types<'a>(message: &Message<'a>) -> [Option<&'a [u8]>; 2] {
    let mut lines = message.headers_named("content-type");
    let first = lines.next().unwrap_or_default();
    [Some(first), lines.last().filter(|last| *last != first)]
}

/// Emits the body as one that is declared as `media`.
fn body_as<'a>(
    media: &'a [u8],
    codings: &'a [u8],
    message: &Message<'a>,
    em: &mut Emitter<'_, 'a>,
) -> Result<(), Stop> {
    let hint = match codings {
        b"" if media.is_empty() => Hint::None,
        b"" => Hint::Media(media),
        codings => Hint::Coding { codings, media },
    };
    let zone = match message.kind {
        MessageKind::Request => content::body_zones(message.body, media, message.method == b"PUT"),
        MessageKind::Response => em.zone,
    };
    if message.body.is_empty() { Ok(()) } else { em.value_as(message.body, zone, hint) }
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

impl<'a> Emitter<'_, 'a> {
    /// Offers value `at` to every parser that may apply.
    fn parse_value(&mut self, at: usize) -> Result<(), Stop> {
        let value = self.state.values[at];
        let emitted = self.state.values.len();
        let mut candidate = Candidate {
            bytes: value.bytes,
            classes: value.classes,
            zone: value.zone,
            tag: self.state.tree.segment(value.point).map_or(Tag::Uri, |segment| segment.tag),
            hint: value.hint,
            depth: value.depth,
            covered: false,
        };
        // In data, escapes occur by chance, and more of them in what is made of it.
        let decoded_data = matches!(candidate.tag, Tag::Htmljs | Tag::Percent)
            && data::holds_data(value.bytes, value.classes, &value, &self.state.tree);
        for parser in candidates_for(value.classes, value.hint) {
            let applicability = parser.check(&candidate);
            if applicability == Applicability::No {
                continue;
            }
            self.state.values[at].parser_reacted = true;
            // The texts of a binary format are decoded each by itself.
            let in_parts = !self.state.values[at].parts.is_empty();
            let is_useless = self.options.unscanned_zones.contains(value.zone) || decoded_data || in_parts;
            if is_useless && RECODINGS.intersects(parser.id)
                || value.zone == Zone::FILE && !content::runs_on_file(parser.id, value.bytes, candidate.tag)
            {
                continue;
            }
            if let Some(reason) = self.skip_reason(parser, &value) {
                self.within(Some(&value)).skip(reason);
                continue;
            }
            let before = self.state.values.len();
            let parsed = self.run(parser, applicability, &candidate, &value)?;
            if parsed == Parsed::Added && BINARY_FORMATS.intersects(parser.id) {
                self.note_parts(at, before)?;
            }
            if parsed == Parsed::Covered {
                self.cover(at, emitted);
                candidate.covered = true;
                // Only declared parsers apply to a covered value, and nothing is declared about this one.
                if value.hint == Hint::None {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Finds where value `at`, if it was decoded several times, differs from the scanned form that is most like it.
    fn compare_with_scanned(&mut self, at: usize) -> Result<(), Stop> {
        let value = self.state.values[at];
        let parts = |changes: Option<&[Span]>| changes.map_or(usize::MAX, <[Span]>::len);
        if value.form.root == value.form.number || parts(value.changes) <= FEW_CHANGES {
            return Ok(());
        }
        if self.state.tree.recodings(value.point) <= 1 {
            return Ok(());
        }
        for before in self.state.scanned.comparable(&value) {
            self.budget.spend(value.bytes.len() / COMPARED_PER_UNIT)?;
            let changes = changed_parts(before, value.bytes, self.bump);
            if parts(changes) < parts(self.state.values[at].changes) {
                self.state.values[at].changes = changes;
            }
        }
        Ok(())
    }

    /// Notes that value `at` is covered and therefore not scanned. Forms decoded from it, which are among the values from
    /// index `emitted` on, are then scanned as a whole.
    fn cover(&mut self, at: usize, emitted: usize) {
        self.state.values[at].covered = true;
        let emitted = emitted.min(self.state.values.len());
        for value in &mut self.state.values[emitted..] {
            value.changes = None;
        }
    }

    /// Notes which parts of value `at` are the values from index `emitted` on.
    fn note_parts(&mut self, at: usize, emitted: usize) -> Result<(), Stop> {
        let whole = self.state.values[at].bytes;
        let values = self.state.values.get(emitted..).unwrap_or_default();
        self.budget.spend(values.len())?;
        let part = |value: &Value<'_>| {
            let start = value.bytes.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
            let end = (start + value.bytes.len()).min(whole.len());
            (start < end).then_some(Span { start: u32::try_from(start).ok()?, end: u32::try_from(end).ok()? })
        };
        let mut parts = bumpalo::collections::Vec::from_iter_in(values.iter().filter_map(part), self.bump);
        parts.sort_unstable_by_key(|part| (part.start, part.end));
        self.state.values[at].parts = parts.into_bump_slice();
        Ok(())
    }

    /// Why `parser` must not run on `value`, if so.
    fn skip_reason(&self, parser: &Parser, value: &Value<'a>) -> Option<SkipReason> {
        let off_here = |(id, at): &(ParserSet, PointPattern)| {
            id.intersects(parser.id) && at.covers_node(&self.state.tree, value.point)
        };
        if self.options.parsers_off.intersects(parser.id) || self.options.parsers_off_at.iter().any(off_here) {
            return Some(SkipReason::ParserOff);
        }
        (value.depth >= self.limits.depth).then_some(SkipReason::DepthLimit)
    }

    /// Runs `parser` on `value`. What it emitted is taken back if the value does not have its syntax. A limit ends only
    /// the parser: the value is then inspected as it is.
    fn run(
        &mut self,
        parser: &Parser,
        applicability: Applicability,
        candidate: &Candidate<'a>,
        value: &Value<'a>,
    ) -> Result<Parsed, Stop> {
        let (before, recorded) = (self.state.position(), self.visitor.position());
        let in_file = value.zone == Zone::FILE && content::STRUCTURES.intersects(parser.id);
        let mut em = self.within(Some(value));
        if in_file {
            em.zone = Zone::FILE.with(Zone::BODY);
        }
        em.recodes = RECODINGS
            .intersects(parser.id)
            .then_some(Recoded { form: value.form, scanned: (!candidate.covered).then_some(value.bytes) });
        match guarded("parser", || (parser.run)(candidate, &mut em)).unwrap_or(Err(ParseError::Failed)) {
            Ok(parsed) => return Ok(parsed),
            Err(ParseError::Limit) => {}
            Err(ParseError::Failed) => self.within(Some(value)).skip(SkipReason::InternalError),
            // A file is a structure only if all of it has the syntax.
            Err(ParseError::Broken(_)) if in_file => {
                self.state.rollback(before);
                self.visitor.rollback(recorded);
            }
            Err(ParseError::NotApplicable) => {
                self.state.rollback(before);
                self.visitor.rollback(recorded);
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

#[cfg(test)]
mod tests {
    use crate::parse::testing::messages::extract_raw;

    #[test]
    fn of_several_media_types_the_first_and_the_last_are_read() {
        let body = "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx=%27evil\r\n--B--\r\n";
        let (form, multipart) = ("application/x-www-form-urlencoded", "multipart/form-data; boundary=B");
        for [first, last] in [[form, multipart], [multipart, form]] {
            let head = format!("POST / HTTP/1.1\r\nContent-Type: {first}\r\nContent-Type: a/b\r\nContent-Type: {last}");
            let parsed = extract_raw(format!("{head}\r\n\r\n{body}").as_bytes());
            assert!(parsed.has("[post][multipart,'a']=x=%27evil"), "{:?}", parsed.values);
            assert!(parsed.values.iter().any(|v| v.contains("[form_urlencoded,") && v.contains("'evil")));
        }
        let same = "POST / HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Type: text/plain\r\n\r\nonce";
        let parsed = extract_raw(same.as_bytes());
        assert_eq!(parsed.values.iter().filter(|v| *v == "[post]=once").count(), 1);
    }
}
