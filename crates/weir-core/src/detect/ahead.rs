//! [`Ahead`]: the next place of something, asked for again and again while a detector goes through a text.

use super::work;
use memchr::memmem;

/// Where a sequence of bytes is next, remembered so that questions that follow each other read the text once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ahead {
    /// The sequence begins nowhere from here ...
    from: usize,
    /// ... to here.
    to: usize,
    /// Whether it begins at `to`.
    is_there: bool,
}

impl Ahead {
    /// Where `sequence` first begins in `text[from..end]` and ends there, too. To be asked about one text and sequence.
    pub(super) fn next(&mut self, text: &[u8], sequence: &[u8], from: usize, end: usize) -> Option<usize> {
        self.next_of(text, sequence.len(), from, end, |text| memmem::find(text, sequence))
    }

    /// The same for what `find` finds, which has `length` bytes.
    pub(super) fn next_of(
        &mut self,
        text: &[u8],
        length: usize,
        from: usize,
        end: usize,
        find: impl Fn(&[u8]) -> Option<usize>,
    ) -> Option<usize> {
        if !(self.from..=self.to).contains(&from) {
            *self = Self { from, to: from, is_there: false };
        }
        if !self.is_there && self.to < end {
            let found = find(&text[self.to..end]);
            let passed = found.unwrap_or((end - self.to).saturating_sub(length - 1));
            work::count(passed / work::SEARCHED + work::SEARCHED);
            self.to += passed;
            self.is_there = found.is_some();
        }
        (self.is_there && self.to + length <= end).then_some(self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn it_finds_what_a_search_finds(text in "[ab{}]{0,60}", asked in proptest::collection::vec((0usize..60, 0usize..30), 1..20)) {
            for sequence in ["}", "}}", "ab}"] {
                let mut ahead = Ahead::default();
                for &(from, window) in &asked {
                    let from = from.min(text.len());
                    let end = (from + window).min(text.len());
                    let expected = text[from..end].find(sequence).map(|at| at + from);
                    proptest::prop_assert_eq!(ahead.next(text.as_bytes(), sequence.as_bytes(), from, end), expected);
                }
            }
        }
    }

    #[test]
    fn windows_that_overlap_cost_no_more_than_the_text() {
        work::assert_linear("x", 1 << 12, 12, |text| {
            let mut ahead = Ahead::default();
            (0..text.len()).filter_map(|at| ahead.next(text, b"</", at, (at + 512).min(text.len()))).count()
        });
    }
}
