//! Which signatures may match the current text, and in which parts of it.

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
/// In [`CandidateSet::last`]: the signature has matched.
const MATCHED: u32 = u32::MAX;

/// The candidates for one text. Reused between texts.
#[derive(Debug, Default)]
pub struct CandidateSet {
    windows: Vec<Window>,
    /// For each signature, the number of its last window, counted from 1; 0 for none.
    last: Vec<u32>,
    length: usize,
    /// Signatures looked up so far for the literals in the text.
    lookups: usize,
    /// Whether candidates were left out because there were too many.
    truncated: bool,
}

impl CandidateSet {
    /// Window number `index`, if there are as many.
    #[inline]
    pub fn window(&self, index: usize) -> Option<Window> {
        self.windows.get(index).copied()
    }

    /// Whether the signature of `window` has matched in an earlier window.
    #[inline]
    pub fn has_matched(&self, window: Window) -> bool {
        self.last[window.signature as usize] == MATCHED
    }

    /// Notes that the signature of `window` has matched.
    pub fn set_matched(&mut self, window: Window) {
        self.last[window.signature as usize] = MATCHED;
    }

    /// Empties the set for a text of `length` bytes.
    pub(super) fn clear(&mut self, signatures: usize, length: usize) {
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
        self.lookups = 0;
        self.truncated = false;
    }

    /// Counts the `signatures` that ask for a literal at one place. False if they would be more than a multiple of the
    /// length of the text: then they are left out, and the set is truncated.
    #[inline]
    pub(super) fn look_up(&mut self, signatures: usize) -> bool {
        let lookups = self.lookups + signatures;
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

    /// Whether candidates were left out because there were more than a multiple of the length of the text.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// A literal of `signature` is at `at`, and no match is followed further than `reach` from there. Without a position
    /// it may match anywhere.
    #[inline]
    pub(super) fn add(&mut self, signature: u32, at: Option<usize>, reach: usize) {
        let (start, end) = match at {
            Some(at) if self.length > MAX_WHOLE => (at.saturating_sub(reach), (at + reach).min(self.length)),
            _ => (0, self.length),
        };
        let last = &mut self.last[signature as usize];
        if *last != 0 {
            let window = &mut self.windows[*last as usize - 1];
            if start <= window.end && end >= window.start {
                (window.start, window.end) = (window.start.min(start), window.end.max(end));
                return;
            }
        }
        // Signatures without literals have one window each, and are never left out.
        if at.is_some() && self.windows.len() >= WINDOW_BASE + self.length / BYTES_PER_WINDOW {
            self.truncated = true;
            return;
        }
        self.windows.push(Window { signature, start, end });
        *last = u32::try_from(self.windows.len()).expect("there are fewer windows than bytes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(length: usize, found: &[(u32, Option<usize>, usize)]) -> Vec<(u32, usize, usize)> {
        let mut set = CandidateSet::default();
        set.clear(4, length);
        found.iter().for_each(|&(signature, at, reach)| set.add(signature, at, reach));
        (0..).map_while(|at| set.window(at)).map(|w| (w.signature, w.start, w.end)).collect()
    }

    #[test]
    fn windows_of_a_signature_merge_where_they_overlap() {
        let found = [(1, Some(100), 50), (2, Some(110), 10), (1, Some(180), 50), (1, Some(900), 50)];
        assert_eq!(windows(920, &found), [(1, 50, 230), (2, 100, 120), (1, 850, 920)]);
    }

    #[test]
    fn short_texts_and_signatures_without_literals_are_one_window() {
        assert_eq!(windows(512, &[(1, Some(100), 5), (1, Some(400), 5)]), [(1, 0, 512)]);
        assert_eq!(windows(9000, &[(3, None, 5)]), [(3, 0, 9000)]);
    }

    #[test]
    fn windows_and_lookups_are_at_most_a_multiple_of_the_length() {
        let (length, mut set) = (10_000, CandidateSet::default());
        set.clear(100_000, length);
        let most = WINDOW_BASE + length / BYTES_PER_WINDOW;
        for signature in 0..=u32::try_from(most).unwrap() {
            assert!(!set.is_truncated(), "{signature}");
            set.add(signature, Some(1), 5);
        }
        assert!(set.is_truncated());
        assert!(set.window(most - 1).is_some() && set.window(most).is_none());
        set.add(99_999, None, 5);
        assert_eq!(set.window(most).map(|window| window.signature), Some(99_999));
        set.clear(100_000, length);
        assert!(set.look_up(LOOKUP_BASE + LOOKUP_PER_BYTE * length) && !set.is_truncated());
        assert!(!set.look_up(1) && set.is_truncated());
    }

    #[test]
    fn a_set_forgets_the_text_before() {
        let mut set = CandidateSet::default();
        set.clear(4, 100);
        set.add(1, Some(1), 5);
        let window = set.window(0).unwrap();
        set.set_matched(window);
        assert!(set.has_matched(window));
        set.clear(4, 100);
        assert!(set.window(0).is_none() && !set.has_matched(window));
    }
}
