//! The cheap first question of every parser and detector: whether the kinds of bytes in a value are worth it at all.
//!
//! A table asks it for all of its lines at once: for each kind that occurs, one look at which lines it speaks for.

use super::bits::ones;
use super::chars::Chars;

/// What bytes a value must have to be worth a line of a table.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// One of these occurs.
    any: Chars,
    /// And one of these.
    also: Chars,
    /// And nothing but these.
    within: Chars,
}

impl Gate {
    /// Open to none.
    pub const NEVER: Gate = Gate::any(Chars::NONE);

    /// Open to values with one of `any`.
    pub const fn any(any: Chars) -> Self {
        Self { any, also: Chars::ALL, within: Chars::ALL }
    }

    /// And one of `also`.
    pub const fn and(self, also: Chars) -> Self {
        Self { also, ..self }
    }

    /// And nothing but `within`.
    pub const fn only(self, within: Chars) -> Self {
        Self { within, ..self }
    }

    /// Whether it is open to values with these kinds of bytes. An empty value opens none.
    pub const fn opens(&self, chars: Chars) -> bool {
        chars.meets(self.any) && chars.meets(self.also) && chars.without(self.within).is_empty()
    }
}

/// Most lines of a table.
pub const MAX_GATES: usize = 32;

/// Lines of a table, by number.
pub type Lines = u32;

/// The gates of a table, by kind of byte.
#[derive(Debug)]
pub struct Gates {
    any: [Lines; Chars::KINDS],
    also: [Lines; Chars::KINDS],
    outside: [Lines; Chars::KINDS],
}

impl Gates {
    /// No gates yet.
    pub const fn new() -> Self {
        Self { any: [0; Chars::KINDS], also: [0; Chars::KINDS], outside: [0; Chars::KINDS] }
    }

    /// Adds the gate of line `line`, which is less than [`MAX_GATES`].
    pub const fn with(mut self, line: usize, gate: Gate) -> Self {
        assert!(line < MAX_GATES);
        let mut kind = 0;
        while kind < Chars::KINDS {
            let (chars, bit) = (Chars::NAMED[kind].1, 1 << line);
            self.any[kind] |= if gate.any.meets(chars) { bit } else { 0 };
            self.also[kind] |= if gate.also.meets(chars) { bit } else { 0 };
            self.outside[kind] |= if gate.within.meets(chars) { 0 } else { bit };
            kind += 1;
        }
        self
    }

    /// The lines whose gates are open to values with these kinds of bytes.
    #[inline]
    pub fn open(&self, chars: Chars) -> Lines {
        let (mut any, mut also, mut outside) = (0, 0, 0);
        for kind in chars.kinds() {
            any |= self.any[kind];
            also |= self.also[kind];
            outside |= self.outside[kind];
        }
        any & also & !outside
    }
}

impl Default for Gates {
    fn default() -> Self {
        Self::new()
    }
}

/// The lines with numbers less than `count`, which is less than [`MAX_GATES`].
pub const fn below(count: usize) -> Lines {
    (1 << count) - 1
}

/// The numbers of `lines`, lowest first.
#[inline]
pub fn each(lines: Lines) -> impl Iterator<Item = usize> {
    ones(u64::from(lines))
}

/// The [`Gates`] of a table whose lines have a `gate`.
macro_rules! gates {
    ($table:expr) => {{
        let (mut gates, mut line) = ($crate::model::Gates::new(), 0);
        while line < $table.len() {
            gates = gates.with(line, $table[line].gate);
            line += 1;
        }
        gates
    }};
}
pub(crate) use gates;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: [Gate; 4] = [
        Gate::any(Chars::ALPHA),
        Gate::any(Chars::DOT.with(Chars::HIGH)).and(Chars::SLASH),
        Gate::any(Chars::DIGIT).only(Chars::DIGIT.with(Chars::ALPHA)),
        Gate::any(Chars::ALL),
    ];

    proptest! {
        #[test]
        fn all_at_once_is_one_by_one(text in "[a./0 é]{0,4}") {
            const GATES: Gates = Gates::new().with(0, TABLE[0]).with(1, TABLE[1]).with(2, TABLE[2]).with(31, TABLE[3]);
            let chars = Chars::of(text.as_bytes());
            let open: Vec<usize> = each(GATES.open(chars)).collect();
            let lines = [0, 1, 2, 31];
            let want: Vec<usize> = (0..4).filter(|&at| TABLE[at].opens(chars)).map(|at| lines[at]).collect();
            prop_assert_eq!(open, want);
        }
    }
}
