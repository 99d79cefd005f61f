//! Sets of named bits.

/// The numbers of the bits that are set, lowest first.
#[inline]
pub(crate) fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = bits.trailing_zeros() as usize;
        let more = bits != 0;
        bits &= bits.wrapping_sub(1);
        more.then_some(lowest)
    })
}

/// Declares a set of bits over an enum-like list of names.
macro_rules! bit_names {
    ($(#[$meta:meta])* $set:ident($int:ty) { $($(#[$doc:meta])* $konst:ident = $code:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $set($int);

        #[allow(non_upper_case_globals)]
        impl $set {
            bit_names!(@consts $set, 0, $($(#[$doc])* $konst,)*);
            /// The empty set.
            pub const NONE: $set = $set(0);
            /// Names and single members.
            pub const NAMED: &'static [(&'static str, $set)] = &[$(($code, $set::$konst),)*];

            /// The union of both.
            pub const fn with(self, other: $set) -> $set { $set(self.0 | other.0) }
            /// Members of self that are not in `other`.
            pub const fn without(self, other: $set) -> $set { $set(self.0 & !other.0) }
            /// Members of self that are in `other` too.
            pub const fn intersection(self, other: $set) -> $set { $set(self.0 & other.0) }
            /// Whether any member is shared.
            pub const fn intersects(self, other: $set) -> bool { self.0 & other.0 != 0 }
            /// Whether every member of `other` is one of self.
            pub const fn contains(self, other: $set) -> bool { other.0 & !self.0 == 0 }
            /// Whether there is no member.
            pub const fn is_empty(self) -> bool { self.0 == 0 }
            /// The member called `code`.
            pub fn from_code(code: &str) -> Option<$set> {
                Self::NAMED.iter().find(|(name, _)| *name == code).map(|(_, set)| *set)
            }
        }

        impl std::fmt::Debug for $set {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_set().entries(Self::NAMED.iter().filter(|(_, m)| self.intersects(*m)).map(|(name, _)| name)).finish()
            }
        }
    };
    (@consts $set:ident, $n:expr, $(#[$doc:meta])* $konst:ident, $($rest:tt)*) => {
        $(#[$doc])* pub const $konst: $set = $set(1 << ($n));
        bit_names!(@consts $set, $n + 1, $($rest)*);
    };
    (@consts $set:ident, $n:expr,) => {};
}

pub(super) use bit_names;
