//! The cheap first question of every parser and detector: whether the kinds of bytes in a value are worth it at all.
//!
//! A table asks it for all of its lines at once: for each kind that occurs, one look at which lines it speaks for.

use super::bits::ones;
use super::byte_classes::ByteClasses;

/// What bytes a value must have to be worth a line of a table.
#[derive(Clone, Copy, Debug)]
pub struct ByteClassFilter {
    /// One of these occurs.
    any: ByteClasses,
    /// And one of these.
    also: ByteClasses,
    /// And nothing but these.
    within: ByteClasses,
}

impl ByteClassFilter {
    /// Open to none.
    pub const NEVER: ByteClassFilter = ByteClassFilter::any(ByteClasses::NONE);

    /// Open to values with one of `any`.
    pub const fn any(any: ByteClasses) -> Self {
        Self { any, also: ByteClasses::ALL, within: ByteClasses::ALL }
    }

    /// And one of `also`.
    pub const fn and(self, also: ByteClasses) -> Self {
        Self { also, ..self }
    }

    /// And nothing but `within`.
    pub const fn only(self, within: ByteClasses) -> Self {
        Self { within, ..self }
    }

    /// Whether it is open to values with these kinds of bytes. An empty value opens none.
    pub const fn matches(&self, classes: ByteClasses) -> bool {
        classes.intersects(self.any) && classes.intersects(self.also) && classes.without(self.within).is_empty()
    }
}

/// Most lines of a table.
pub const MAX_ROWS: usize = 32;

/// Rows of a table, by number.
pub type Rows = u32;

/// The table of a table, by kind of byte.
#[derive(Debug)]
pub struct FilterTable {
    any: [Rows; ByteClasses::KINDS],
    also: [Rows; ByteClasses::KINDS],
    outside: [Rows; ByteClasses::KINDS],
}

impl FilterTable {
    /// No table yet.
    pub const fn new() -> Self {
        Self { any: [0; ByteClasses::KINDS], also: [0; ByteClasses::KINDS], outside: [0; ByteClasses::KINDS] }
    }

    /// Adds the filter of line `line`, which is less than [`MAX_ROWS`].
    pub const fn with(mut self, line: usize, filter: ByteClassFilter) -> Self {
        assert!(line < MAX_ROWS);
        let mut kind = 0;
        while kind < ByteClasses::KINDS {
            let (classes, bit) = (ByteClasses::NAMED[kind].1, 1 << line);
            self.any[kind] |= if filter.any.intersects(classes) { bit } else { 0 };
            self.also[kind] |= if filter.also.intersects(classes) { bit } else { 0 };
            self.outside[kind] |= if filter.within.intersects(classes) { 0 } else { bit };
            kind += 1;
        }
        self
    }

    /// The lines whose table are open to values with these kinds of bytes.
    #[inline]
    pub fn matching(&self, classes: ByteClasses) -> Rows {
        let (mut any, mut also, mut outside) = (0, 0, 0);
        for kind in classes.kinds() {
            any |= self.any[kind];
            also |= self.also[kind];
            outside |= self.outside[kind];
        }
        any & also & !outside
    }
}

impl Default for FilterTable {
    fn default() -> Self {
        Self::new()
    }
}

/// The lines with numbers less than `count`, which is less than [`MAX_ROWS`].
pub const fn below(count: usize) -> Rows {
    (1 << count) - 1
}

/// The numbers of `lines`, lowest first.
#[inline]
pub fn each(lines: Rows) -> impl Iterator<Item = usize> {
    ones(u64::from(lines))
}

/// The [`FilterTable`] of a table whose lines have a `filter`.
macro_rules! filter_table {
    ($table:expr) => {{
        let (mut table, mut line) = ($crate::model::FilterTable::new(), 0);
        while line < $table.len() {
            table = table.with(line, $table[line].filter);
            line += 1;
        }
        table
    }};
}
pub(crate) use filter_table;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: [ByteClassFilter; 4] = [
        ByteClassFilter::any(ByteClasses::ALPHA),
        ByteClassFilter::any(ByteClasses::DOT.with(ByteClasses::HIGH)).and(ByteClasses::SLASH),
        ByteClassFilter::any(ByteClasses::DIGIT).only(ByteClasses::DIGIT.with(ByteClasses::ALPHA)),
        ByteClassFilter::any(ByteClasses::ALL),
    ];

    proptest! {
        #[test]
        fn all_at_once_is_one_by_one(text in "[a./0 é]{0,4}") {
            const FILTERS: FilterTable = FilterTable::new().with(0, TABLE[0]).with(1, TABLE[1]).with(2, TABLE[2]).with(31, TABLE[3]);
            let classes = ByteClasses::of(text.as_bytes());
            let open: Vec<usize> = each(FILTERS.matching(classes)).collect();
            let lines = [0, 1, 2, 31];
            let want: Vec<usize> = (0..4).filter(|&at| TABLE[at].matches(classes)).map(|at| lines[at]).collect();
            prop_assert_eq!(open, want);
        }
    }
}
