//! Which bytes can be beside a literal in a match, and how far a match goes from it.
//!
//! Of what a pattern has before and after a literal, the sets of bytes at the next few places are computed on the HIR. A
//! literal beside which there is another byte is in no match: most literals in ordinary text are left out by that alone,
//! without a search.
//!
//! **Safety.** A set holds each byte that a match can have at its place, and [`EDGE`] if the text can end before it.
//! Where a match can end earlier, it holds everything.

use super::pattern::{Anchors, GAP, MAX_REACH, reach};
use crate::model::ByteClasses;
use regex_syntax::hir::{Class, Hir, HirKind, Look};
use smallvec::SmallVec;

/// Places looked at on each side of a literal.
const DEPTH: usize = 4;
/// Most places of one literal that are asked for.
pub(super) const MAX_PROBES: usize = 3;
/// What is beyond the first and last byte of a text.
const EDGE: usize = 256;
/// Bytes and [`EDGE`].
pub(super) const SYMBOLS: usize = EDGE + 1;
/// A set of at least this share of ordinary text, in percent, leaves next to nothing out.
const USELESS: u32 = 90;

/// A set of bytes and [`EDGE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteSet([u64; 5]);

impl ByteSet {
    const NONE: Self = Self([0; 5]);
    /// Everything.
    pub const ALL: Self = Self([u64::MAX; 5]);

    /// The bytes of these kinds.
    pub fn of_kinds(kinds: ByteClasses) -> Self {
        Self::of((0..=0xff).filter(|byte| ByteClasses::of(&[*byte]).within(kinds)))
    }

    fn of(bytes: impl Iterator<Item = u8>) -> Self {
        bytes.fold(Self::NONE, |mut set, byte| {
            set.add(usize::from(byte));
            set
        })
    }

    fn add(&mut self, symbol: usize) {
        self.0[symbol / 64] |= 1 << (symbol % 64);
    }

    fn edge() -> Self {
        let mut set = Self::NONE;
        set.add(EDGE);
        set
    }

    fn with(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(to, from)| *to |= from);
        self
    }

    fn intersection(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(to, from)| *to &= from);
        self
    }

    /// Whether `symbol`, a byte or the edge, is in it.
    pub(super) fn contains(&self, symbol: usize) -> bool {
        self.0[symbol / 64] & 1 << (symbol % 64) != 0
    }

    /// Whether the byte `offset` bytes from `at` in `text` is in it, or the edge if there is none.
    #[inline]
    pub fn allows(&self, text: &[u8], at: usize, offset: i16) -> bool {
        self.contains(symbol_at(text, at, offset))
    }

    /// The share of ordinary text that it holds, in percent.
    fn share(&self) -> u32 {
        let sum = (0..=EDGE).filter(|symbol| self.contains(*symbol)).map(frequency).sum::<u32>();
        sum * 100 / ORDINARY
    }
}

/// The byte `offset` bytes from `at` in `text`, or the edge if there is none.
#[inline]
pub(super) fn symbol_at(text: &[u8], at: usize, offset: i16) -> usize {
    // Before the first byte the sum wraps round, to where no text has a byte.
    let place = at.wrapping_add_signed(isize::from(offset));
    text.get(place).map_or(EDGE, |byte| usize::from(*byte))
}

/// How often a byte, or an edge, is beside a word of ordinary text, roughly.
const fn frequency(symbol: usize) -> u32 {
    if symbol == EDGE {
        return 1;
    }
    match symbol as u8 {
        b'a'..=b'z' => 20,
        b' ' => 120,
        b'0'..=b'9' | b'A'..=b'Z' | b'.' | b',' | b'-' | b'/' | b'"' | b'_' | b':' | b'=' | b'\n' => 5,
        _ => 1,
    }
}

/// The sum of all frequencies.
const ORDINARY: u32 = {
    let (mut sum, mut symbol) = (0, 0);
    while symbol <= EDGE {
        sum += frequency(symbol);
        symbol += 1;
    }
    sum
};

/// A place beside a literal and what a match can have there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Bytes from the begin of the literal.
    pub offset: i16,
    /// What can be there.
    pub set: ByteSet,
}

#[cfg(test)]
impl Probe {
    /// Whether a literal at `at` of `text` has there what a match can have.
    pub fn allows(&self, text: &[u8], at: usize) -> bool {
        self.set.allows(text, at, self.offset)
    }
}

/// A part of a pattern beside a literal.
#[derive(Clone, Debug)]
pub(super) enum Step<'h> {
    /// It is matched once.
    Once(&'h Hir),
    /// It is matched so many times at most.
    Repeated(&'h Hir, Option<u32>),
    /// These bytes, in either case if they are letters.
    Text(Vec<u8>),
}

/// What a match can have around a literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbours {
    before: Side,
    after: Side,
}

/// One side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Side {
    /// What there can be at each place, the nearest first.
    sets: Sets,
    /// How many bytes of a match there are at most.
    reach: usize,
}

impl Neighbours {
    /// Of a literal in the middle of anything, with matches of up to `reach` bytes.
    pub fn unknown(reach: usize) -> Self {
        let side = Side { sets: ANYTHING, reach: reach.min(MAX_REACH) };
        Self { before: side, after: side }
    }

    /// Of `literal`, with what a pattern has before it and after it, the nearest first.
    pub(super) fn of(literal: &[u8], before: &[Step<'_>], after: &[Step<'_>]) -> Self {
        Self {
            before: Side::of(before, Direction::Backward, literal.first().copied()),
            after: Side::of(after, Direction::Forward, literal.last().copied()),
        }
    }

    /// What there can be at either of two places of a pattern.
    pub fn or(&self, other: &Self) -> Self {
        Self { before: self.before.or(&other.before), after: self.after.or(&other.after) }
    }

    /// How many bytes of a match are before the literal at most.
    pub fn before(&self) -> usize {
        self.before.reach
    }

    /// How many bytes of a match are after it at most.
    pub fn after(&self) -> usize {
        self.after.reach
    }

    /// Whether a value that is made of these bytes can have them.
    pub fn are_possible_in(&self, bytes: ByteSet) -> bool {
        let bytes = bytes.with(ByteSet::edge());
        self.before.sets.iter().chain(&self.after.sets).all(|set| set.intersection(bytes) != ByteSet::NONE)
    }

    /// The places that leave most out, the one that leaves most out first. The literal has `length` bytes; beside one that
    /// is too long for an offset there are none.
    pub fn probes(&self, length: usize) -> SmallVec<[Probe; MAX_PROBES]> {
        let after = (length..).zip(&self.after.sets).filter_map(|(at, set)| Some((i16::try_from(at).ok()?, set)));
        let before = (1..).zip(&self.before.sets).map(|(at, set): (i16, _)| (-at, set));
        let mut probes: Vec<(u32, Probe)> = after
            .chain(before)
            .map(|(offset, set)| (set.share(), Probe { offset, set: *set }))
            .filter(|(share, _)| *share < USELESS)
            .collect();
        probes.sort_by_key(|(share, _)| *share);
        probes.into_iter().map(|(_, probe)| probe).take(MAX_PROBES).collect()
    }

    /// What a text has after its begin and before its end where `hir` matches, as far as its matches are there; none where
    /// they are anywhere.
    pub(super) fn of_edges(hir: &Hir, anchors: Anchors) -> Option<Self> {
        let side = |is_anchored: bool, direction| {
            let steps: &[Step<'_>] = if is_anchored { &[Step::Once(hir)] } else { &[] };
            Side::of(steps, direction, None)
        };
        (anchors.start || anchors.end).then(|| Self {
            after: side(anchors.start, Direction::Forward),
            before: side(anchors.end, Direction::Backward),
        })
    }

    /// Whether a text begins and ends as these neighbours of its edges ask for.
    pub fn allow_edges(&self, text: &[u8]) -> bool {
        let mut after = (0..).zip(&self.after.sets);
        let mut before = (1..).zip(&self.before.sets);
        after.all(|(at, set)| set.allows(text, 0, at)) && before.all(|(at, set)| set.allows(text, text.len(), -at))
    }
}

impl Side {
    fn of(steps: &[Step<'_>], direction: Direction, beside: Option<u8>) -> Self {
        let sets = steps.iter().enumerate().rev().fold(ANYTHING, |next, (at, step)| {
            let beside = if at == 0 { beside } else { None };
            match step {
                Step::Once(hir) => direction.sets(hir, &next, beside),
                Step::Repeated(hir, most) => direction.repeated(hir, 0, *most, &next),
                Step::Text(text) => direction.text(text, &next),
            }
        });
        let reach = steps.iter().map(|step| match step {
            Step::Once(hir) => reach(hir),
            Step::Repeated(hir, most) => {
                most.map_or_else(|| reach(hir).max(GAP), |most| reach(hir).saturating_mul(most as usize))
            }
            Step::Text(text) => text.len(),
        });
        Self { sets, reach: reach.fold(0, usize::saturating_add).min(MAX_REACH) }
    }

    fn or(&self, other: &Self) -> Self {
        Self { sets: either(&self.sets, &other.sets), reach: self.reach.max(other.reach) }
    }
}

/// What there can be at the next places.
type Sets = [ByteSet; DEPTH];

fn either(a: &Sets, b: &Sets) -> Sets {
    std::array::from_fn(|at| a[at].with(b[at]))
}

/// A match can go on with anything, or end.
const ANYTHING: Sets = [ByteSet::ALL; DEPTH];
/// No match goes on like this.
const NO_MATCH: Sets = [ByteSet::NONE; DEPTH];

/// Which way places are counted from a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

impl Direction {
    /// What there can be where `hir` matches and then comes `next`. `beside` is the byte next to it, if that is known.
    fn sets(self, hir: &Hir, next: &Sets, beside: Option<u8>) -> Sets {
        match hir.kind() {
            HirKind::Empty => *next,
            HirKind::Literal(literal) => self.text(&literal.0, next),
            HirKind::Class(Class::Bytes(class)) => {
                one(ByteSet::of(class.ranges().iter().flat_map(|range| range.start()..=range.end())), next)
            }
            // Patterns are read as bytes; a character can have several of them.
            HirKind::Class(Class::Unicode(_)) => ANYTHING,
            HirKind::Capture(capture) => self.sets(&capture.sub, next, beside),
            HirKind::Look(look) => narrowed(next, self.beyond(*look, beside)),
            HirKind::Repetition(rep) => self.repeated(&rep.sub, rep.min, rep.max, next),
            HirKind::Alternation(parts) => {
                parts.iter().map(|part| self.sets(part, next, beside)).fold(NO_MATCH, |a, b| either(&a, &b))
            }
            HirKind::Concat(parts) => match self {
                Self::Forward => self.chain(parts.iter(), next, beside),
                Self::Backward => self.chain(parts.iter().rev(), next, beside),
            },
        }
    }

    /// The same for several parts, the nearest first.
    fn chain<'h>(
        self,
        parts: impl DoubleEndedIterator<Item = &'h Hir> + ExactSizeIterator,
        next: &Sets,
        beside: Option<u8>,
    ) -> Sets {
        parts.enumerate().rev().fold(*next, |next, (at, part)| {
            let beside = if at == 0 { beside } else { None };
            self.sets(part, &next, beside)
        })
    }

    /// The same for a part that is matched several times. As many as there are places are enough: each has a byte or
    /// changes nothing.
    fn repeated(self, hir: &Hir, min: u32, max: Option<u32>, next: &Sets) -> Sets {
        let most = DEPTH as u32;
        let optional = max.map_or(most, |max| max.saturating_sub(min)).min(most);
        let mut sets = *next;
        for _ in 0..optional {
            sets = either(next, &self.sets(hir, &sets, None));
        }
        for _ in 0..min.min(most) {
            sets = self.sets(hir, &sets, None);
        }
        sets
    }

    /// The same for bytes, whose letters are in either case. In HIR a letter of a literal has one case: more is allowed.
    fn text(self, text: &[u8], next: &Sets) -> Sets {
        let both = |byte: &u8| ByteSet::of([byte.to_ascii_lowercase(), byte.to_ascii_uppercase()].into_iter());
        match self {
            Self::Forward => text.iter().rev().fold(*next, |next, byte| one(both(byte), &next)),
            Self::Backward => text.iter().fold(*next, |next, byte| one(both(byte), &next)),
        }
    }

    /// What can be beyond a place where `look` holds; `beside` is the byte on this side of it.
    fn beyond(self, look: Look, beside: Option<u8>) -> ByteSet {
        let word = ByteSet::of((0..=0xff).filter(|byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_'));
        let other = ByteSet::of((0..=0xff).filter(|byte| !word.contains(usize::from(*byte)))).with(ByteSet::edge());
        let is_word = beside.map(|byte| word.contains(usize::from(byte)));
        let line = |bytes: &[u8]| ByteSet::of(bytes.iter().copied()).with(ByteSet::edge());
        match (look, self) {
            (Look::End, Self::Forward) | (Look::Start, Self::Backward) => ByteSet::edge(),
            (Look::EndLF, Self::Forward) | (Look::StartLF, Self::Backward) => line(b"\n"),
            (Look::EndCRLF, Self::Forward) | (Look::StartCRLF, Self::Backward) => line(b"\r\n"),
            (Look::WordAscii, _) => is_word.map_or(ByteSet::ALL, |is_word| if is_word { other } else { word }),
            (Look::WordAsciiNegate, _) => is_word.map_or(ByteSet::ALL, |is_word| if is_word { word } else { other }),
            (Look::WordEndAscii | Look::WordEndHalfAscii, Self::Forward)
            | (Look::WordStartAscii | Look::WordStartHalfAscii, Self::Backward) => other,
            (Look::WordStartAscii, Self::Forward) | (Look::WordEndAscii, Self::Backward) => word,
            _ => ByteSet::ALL,
        }
    }
}

/// A byte of `set`, and then `next`.
fn one(set: ByteSet, next: &Sets) -> Sets {
    if set == ByteSet::NONE || next[0] == ByteSet::NONE {
        return NO_MATCH;
    }
    std::array::from_fn(|at| if at == 0 { set } else { next[at - 1] })
}

/// `next`, the first of which is in `set`. Beyond an edge there is nothing.
fn narrowed(next: &Sets, set: ByteSet) -> Sets {
    let mut sets = *next;
    sets[0] = sets[0].intersection(set);
    if sets[0] == ByteSet::NONE {
        return NO_MATCH;
    }
    if set == ByteSet::edge() {
        sets = std::array::from_fn(|at| next[at].intersection(set));
    }
    sets
}
