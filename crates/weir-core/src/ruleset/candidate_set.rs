//! Which signatures may match the current text, and in which parts of it.

use super::RequiredClasses;
use super::pattern::{Anchors, MAX_REACH, Reach};
use super::prefilter::READ_AROUND;
use crate::model::changes::{distances, widened};
use crate::model::{ByteClasses, Span};
use smallvec::{SmallVec, smallvec};
use std::ops::Range;

/// A part of a text in which a signature may match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Number of the signature.
    pub signature: u32,
    /// First byte.
    pub start: usize,
    /// Past the last byte.
    pub end: usize,
}

/// Texts of at most this many bytes are one window.
const MAX_WHOLE: usize = 512;
/// Signatures looked up for the literals in one text, whatever its length.
const LOOKUP_BASE: usize = 64 << 10;
/// Further signatures looked up for each byte of the text.
const LOOKUP_PER_BYTE: usize = 64;
/// Windows in one text, whatever its length.
const WINDOW_BASE: usize = 4 << 10;
/// Bytes of the text for each further window.
const BYTES_PER_WINDOW: usize = 2;
/// Bytes of the text for which the kinds are noted together.
const CLASSES_BLOCK: usize = 64;
/// Blocks on each side of one that are near it.
const NEAR_BLOCKS: usize = 2;
/// Blocks on each side of one that hold all that a pattern reaches.
const FAR_BLOCKS: usize = MAX_REACH.div_ceil(CLASSES_BLOCK);
/// Most bytes beside a match that decide whether it is one: a character, for the boundary of a word.
const LOOK_AROUND: usize = 4;
/// In [`CandidateSet::last`]: no further window of the signature has to be looked at.
const SETTLED: u32 = u32::MAX;

/// A place in a text and what is around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Where it is, in bytes.
    pub at: usize,
    /// The kinds of bytes within [`NEAR_BLOCKS`].
    near: ByteClasses,
    /// The kinds of bytes within the reach of any pattern.
    far: ByteClasses,
    /// Bytes from there to the nearest part that is to be scanned before it, and to the one behind it.
    from_changes: (usize, usize),
}

/// The candidates for one text. Reused between texts.
#[derive(Debug, Default)]
pub struct CandidateSet {
    windows: Vec<Window>,
    /// For each signature, the number of its last window, counted from 1; 0 for none.
    last: Vec<u32>,
    length: usize,
    /// Signatures looked up so far for the literals in the text.
    lookups: usize,
    /// Literals in the text for which signatures were looked up.
    literals: usize,
    /// Bytes in which literals were looked for.
    searched: usize,
    /// Whether candidates were left out because there were too many.
    truncated: bool,
    /// The parts of the text outside of which it was scanned already.
    changes: Vec<Span>,
    /// Whether all of the text is to be scanned.
    all_changed: bool,
    /// Whether a match in a text of this message did not count for what is around it.
    spared: bool,
    /// The kinds of bytes within [`NEAR_BLOCKS`] of each [`CLASSES_BLOCK`] of the text, if it is longer than one window.
    near: Vec<ByteClasses>,
    /// The same within the reach of any pattern.
    far: Vec<ByteClasses>,
}

impl CandidateSet {
    /// Window number `index`, if there are as many.
    #[inline]
    pub fn window(&self, index: usize) -> Option<Window> {
        self.windows.get(index).copied()
    }

    /// Whether the signature of `window` has been settled at an earlier window.
    #[inline]
    pub fn is_settled(&self, window: Window) -> bool {
        self.last[window.signature as usize] == SETTLED
    }

    /// Notes that the signature of `window` has matched, or does not apply to the text: its further windows change nothing.
    #[inline]
    pub fn settle(&mut self, window: Window) {
        self.last[window.signature as usize] = SETTLED;
    }

    /// Begins the texts of a message.
    pub fn begin(&mut self) {
        self.spared = false;
    }

    /// Notes that a match did not count for what is within [`READ_AROUND`] bytes. In a later text of the message, which
    /// differs in parts, it may count: then matches are looked for as far from these parts.
    pub fn note_spared(&mut self) {
        self.spared = true;
    }

    /// Empties the set for a text of `length` bytes, of which only `changes` are to be scanned.
    pub(super) fn clear(&mut self, signatures: usize, length: usize, changes: Option<&[Span]>) {
        self.all_changed = changes.is_none();
        if let Some(changes) = changes {
            self.changes.clear();
            self.changes.extend_from_slice(changes);
        }
        for window in self.windows.drain(..) {
            if let Some(last) = self.last.get_mut(window.signature as usize) {
                *last = 0;
            }
        }
        if self.last.len() != signatures {
            self.last.clear();
            self.last.resize(signatures, 0);
        }
        self.length = length;
        (self.lookups, self.literals, self.searched) = (0, 0, 0);
        self.truncated = false;
    }

    /// Whether literals are to be looked for in all of the text, as in most texts; [`Self::parts_for`] is for the others.
    #[inline]
    pub(super) fn is_searched_whole(&mut self) -> bool {
        if self.all_changed {
            self.searched = self.length;
        }
        self.all_changed
    }

    /// The parts of the text in which literals are to be looked for, of at most `longest` bytes.
    pub(super) fn parts_for(&mut self, longest: usize) -> SmallVec<[Range<usize>; 2]> {
        let around = if self.spared { READ_AROUND } else { MAX_REACH + LOOK_AROUND };
        let parts = self.parts(around + longest);
        self.searched = parts.iter().map(Range::len).sum();
        parts
    }

    /// The parts of the text that are to be scanned, with `around` bytes on each side.
    fn parts(&self, around: usize) -> SmallVec<[Range<usize>; 2]> {
        if self.all_changed { smallvec![0..self.length] } else { widened(&self.changes, around, self.length).collect() }
    }

    /// Notes what the parts of `text` are made of, if it has several.
    pub(super) fn note_classes(&mut self, text: &[u8]) {
        if text.len() <= MAX_WHOLE {
            return;
        }
        self.near.clear();
        self.far.clear();
        self.near.extend(text.chunks(CLASSES_BLOCK).map(ByteClasses::of));
        let reached = spread(&mut self.near, 0, NEAR_BLOCKS);
        self.far.extend_from_slice(&self.near);
        spread(&mut self.far, reached, FAR_BLOCKS);
    }

    /// What there is around `at` in a text of `classes`.
    #[inline]
    pub(super) fn place(&self, at: usize, classes: ByteClasses) -> Place {
        if self.length <= MAX_WHOLE {
            return Place { at, near: classes, far: classes, from_changes: (0, 0) };
        }
        let (near, far) = (self.near[at / CLASSES_BLOCK], self.far[at / CLASSES_BLOCK]);
        let from_changes = if self.all_changed { (0, 0) } else { distances(&self.changes, at) };
        Place { at, near, far, from_changes }
    }

    /// Whether a match that has a literal at `place` and goes no further than `reach` from there is possible, and new: it is
    /// where `anchors` says, has what it `needs`, and it, or what is next to it, is to be scanned. For a signature that
    /// `reads_around`, what is within [`READ_AROUND`] bytes counts once such a match was spared.
    #[inline]
    pub(super) fn is_open(
        &self,
        place: &Place,
        reach: Reach,
        reads_around: bool,
        needs: &RequiredClasses,
        anchors: Anchors,
    ) -> bool {
        let furthest = reach.before.max(reach.after);
        let (before, behind) = place.from_changes;
        let changed = before <= reach.before + LOOK_AROUND
            || behind <= reach.after + LOOK_AROUND
            || reads_around && self.spared && before.min(behind) <= READ_AROUND + LOOK_AROUND;
        let around = if furthest <= NEAR_BLOCKS * CLASSES_BLOCK { place.near } else { place.far };
        changed
            && needs.satisfied_by(around)
            && (self.length <= MAX_WHOLE || anchors.allow(place.at, reach, self.length))
    }

    /// Counts the `looks` at what is beside a literal at one place, and the signatures that it leaves. False if they would be
    /// more than a multiple of the length of the text: then the signatures are left out, and the set is truncated.
    #[inline]
    pub(super) fn look_up(&mut self, looks: usize) -> bool {
        let lookups = self.lookups + looks;
        if lookups > LOOKUP_BASE + LOOKUP_PER_BYTE * self.length {
            self.truncated = true;
            return false;
        }
        self.lookups = lookups;
        true
    }

    /// How many signatures were looked up for the literals in the text.
    pub fn lookups(&self) -> usize {
        self.lookups
    }

    /// Counts a literal.
    #[inline]
    pub(super) fn count_literal(&mut self) {
        self.literals += 1;
    }

    /// For how many places of literals signatures were looked up.
    pub fn literals(&self) -> usize {
        self.literals
    }

    /// In how many bytes of the text literals were looked for.
    pub fn searched(&self) -> usize {
        self.searched
    }

    /// Whether candidates were left out because there were more than a multiple of the length of the text.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// A literal of `signature` is at `at`, and no match is followed further than `reach` from there.
    #[inline]
    pub(super) fn add(&mut self, signature: u32, at: usize, reach: Reach) {
        if self.length > MAX_WHOLE {
            self.add_window(signature, at.saturating_sub(reach.before), (at + reach.after).min(self.length));
        } else {
            self.add_window(signature, 0, self.length);
        }
    }

    /// Adds `signature`, which asks for no literal: it may match wherever `anchors` allow.
    pub(super) fn add_unfiltered(&mut self, signature: u32, anchors: Anchors, reach: usize) {
        let (start, end) = match (anchors.start, anchors.end) {
            _ if self.length <= MAX_WHOLE.max(reach) => (0, self.length),
            (true, true) => return,
            (true, false) => (0, reach),
            (false, true) => (self.length - reach, self.length),
            (false, false) => (0, self.length),
        };
        self.windows.push(Window { signature, start, end });
    }

    #[inline]
    fn add_window(&mut self, signature: u32, start: usize, end: usize) {
        let last = &mut self.last[signature as usize];
        if *last != 0 {
            let window = &mut self.windows[*last as usize - 1];
            if start <= window.end && end >= window.start {
                (window.start, window.end) = (window.start.min(start), window.end.max(end));
                return;
            }
        }
        // Signatures without literals have one window each, and are never left out.
        if self.windows.len() >= WINDOW_BASE + self.length / BYTES_PER_WINDOW {
            self.truncated = true;
            return;
        }
        self.windows.push(Window { signature, start, end });
        *last = u32::try_from(self.windows.len()).expect("there are fewer windows than bytes");
    }
}

/// Makes each of `blocks`, which hold the kinds of bytes of `reached` blocks on each side, hold those of `wanted`.
/// Returns `wanted`.
fn spread(blocks: &mut Vec<ByteClasses>, mut reached: usize, wanted: usize) -> usize {
    let last = blocks.len().saturating_sub(1);
    while reached < wanted {
        // Up to this distance there is no gap between what neighbours hold.
        let step = (wanted - reached).min(2 * reached + 1);
        let sum = |at: usize| blocks[at.saturating_sub(step)].with(blocks[at]).with(blocks[(at + step).min(last)]);
        *blocks = (0..blocks.len()).map(sum).collect();
        reached += step;
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn either_way(reach: usize) -> Reach {
        Reach { before: reach, after: reach }
    }

    fn windows(length: usize, found: &[(u32, usize, usize)]) -> Vec<(u32, usize, usize)> {
        let mut set = CandidateSet::default();
        set.clear(4, length, None);
        found.iter().for_each(|&(signature, at, reach)| set.add(signature, at, either_way(reach)));
        (0..).map_while(|at| set.window(at)).map(|w| (w.signature, w.start, w.end)).collect()
    }

    #[test]
    fn windows_of_a_signature_merge_where_they_overlap() {
        let found = [(1, 100, 50), (2, 110, 10), (1, 180, 50), (1, 900, 50)];
        assert_eq!(windows(920, &found), [(1, 50, 230), (2, 100, 120), (1, 850, 920)]);
    }

    #[test]
    fn short_texts_are_one_window() {
        assert_eq!(windows(512, &[(1, 100, 5), (1, 400, 5)]), [(1, 0, 512)]);
    }

    #[test]
    fn signatures_without_literals_are_tried_where_their_anchors_allow() {
        let window = |length, start, end| {
            let mut set = CandidateSet::default();
            set.clear(4, length, None);
            set.add_unfiltered(3, Anchors { start, end }, 600);
            set.window(0).map(|w| (w.start, w.end))
        };
        assert_eq!(window(9000, false, false), Some((0, 9000)));
        assert_eq!(window(9000, true, false), Some((0, 600)));
        assert_eq!(window(9000, false, true), Some((8400, 9000)));
        assert_eq!(window(9000, true, true), None);
        assert_eq!(window(600, true, true), Some((0, 600)));
    }

    #[test]
    fn kinds_of_bytes_spread_over_neighbours() {
        for length in [1, 2, 9, 40] {
            for marked in 0..length {
                let mut blocks = vec![ByteClasses::NONE; length];
                blocks[marked] = ByteClasses::LT;
                assert_eq!(spread(&mut blocks, 0, 2), 2);
                let within = |blocks: &[ByteClasses], reach: usize| {
                    (0..length).all(|at| blocks[at].intersects(ByteClasses::LT) == (at.abs_diff(marked) <= reach))
                };
                assert!(within(&blocks, 2), "{length}, {marked}");
                spread(&mut blocks, 2, FAR_BLOCKS);
                assert!(within(&blocks, FAR_BLOCKS), "{length}, {marked}");
            }
        }
    }

    #[test]
    fn only_what_changed_is_scanned() {
        let mut set = CandidateSet::default();
        set.clear(4, 5000, Some(&[Span { start: 1000, end: 1003 }, Span { start: 4000, end: 4000 }]));
        set.note_classes(&[b'x'; 5000]);
        let is_open = |set: &CandidateSet, at, reach| {
            let place = set.place(at, ByteClasses::ALL);
            set.is_open(&place, either_way(reach), false, &RequiredClasses::default(), Anchors::default())
        };
        for (at, open) in [(890, false), (896, true), (1107, true), (1108, false), (3896, true), (4200, false)] {
            assert_eq!(is_open(&set, at, 100), open, "{at}");
        }
        let parts = |set: &CandidateSet, around| {
            set.parts(around).into_iter().map(|part| (part.start, part.end)).collect::<Vec<_>>()
        };
        assert_eq!(parts(&set, 100), [(900, 1103), (3900, 4100)]);
        assert_eq!(parts(&set, 2000), vec![(0, 5000)]);
        set.clear(4, 5000, None);
        assert!(is_open(&set, 2000, 1));
        assert_eq!(parts(&set, 100), vec![(0, 5000)]);
        set.clear(4, 5000, Some(&[]));
        assert!(parts(&set, 100).is_empty() && !is_open(&set, 2000, 1));
    }

    #[test]
    fn windows_and_lookups_are_at_most_a_multiple_of_the_length() {
        let (length, mut set) = (10_000, CandidateSet::default());
        set.clear(100_000, length, None);
        let most = WINDOW_BASE + length / BYTES_PER_WINDOW;
        for signature in 0..=u32::try_from(most).unwrap() {
            assert!(!set.is_truncated(), "{signature}");
            set.add(signature, 1, either_way(5));
        }
        assert!(set.is_truncated());
        assert!(set.window(most - 1).is_some() && set.window(most).is_none());
        set.add_unfiltered(99_999, Anchors::default(), 5);
        assert_eq!(set.window(most).map(|window| window.signature), Some(99_999));
        set.clear(100_000, length, None);
        assert!(set.look_up(LOOKUP_BASE + LOOKUP_PER_BYTE * length) && !set.is_truncated());
        assert!(!set.look_up(1) && set.is_truncated());
    }

    #[test]
    fn a_set_forgets_the_text_before() {
        let mut set = CandidateSet::default();
        set.clear(4, 100, None);
        set.add(1, 1, either_way(5));
        let window = set.window(0).unwrap();
        set.settle(window);
        assert!(set.is_settled(window));
        set.clear(4, 100, None);
        assert!(set.window(0).is_none() && !set.is_settled(window));
    }
}
