//! Finds which of many short literals occur in a text, without regard to ASCII case.
//!
//! Of each literal the four bytes in a row that are rarest in ordinary text are its anchor; of a shorter one all of it.
//! A scan asks of each position of the text whether an anchor can begin there, by one bit of a small table, and looks
//! further only where it can. Looks at neighbouring positions do not wait for each other, as the steps of an automaton
//! do, and the tables stay in the first-level cache. Most literals of fewer than four bytes hold bytes that ordinary
//! values lack: these are looked for in a pass of their own, made only of texts that have such bytes.
//!
//! Linear: at each position no more is compared than the literals that share the anchor there, each of bounded length.

use super::required_classes::ORDINARY;
use crate::model::ByteClasses;

/// Bytes of an anchor.
const QUAD: usize = 4;
/// Sets the case bit of each byte of a key of four; the comparison distinguishes bytes that are not letters.
const FOLD: u32 = 0x2020_2020;
/// Lists by hash of keys.
const LISTS: usize = 1 << 12;

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Literal<'l> {
    /// Its bytes.
    pub bytes: &'l [u8],
    /// Byte classes without which a match in a text is not of interest.
    pub needs: ByteClasses,
}

/// An anchor and its literal.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    /// Its bytes, in the order of a little-endian number: four with their case bits set, fewer in lower case. A blank, a
    /// NUL and a line end differ by the case bit alone from bytes that are literals by themselves.
    key: u32,
    /// Number of the literal.
    literal: u32,
    /// Its place in the literal.
    offset: u32,
    /// Bytes of it.
    width: u8,
    /// The first bytes of the literal.
    head: Head,
}

/// Up to eight bytes at the start of a literal, to be compared at once.
#[derive(Clone, Copy, Debug)]
struct Head {
    /// All bits of those bytes.
    mask: u64,
    /// The case bits of the letters among them.
    fold: u64,
    /// The bytes, in lower case.
    bytes: u64,
}

impl Head {
    fn of(literal: &[u8]) -> Self {
        let word = |of: fn(&u8) -> u8| {
            let mut bytes = [0; size_of::<u64>()];
            bytes.iter_mut().zip(literal).for_each(|(to, from)| *to = of(from));
            u64::from_le_bytes(bytes)
        };
        Self {
            mask: word(|_| 0xff),
            fold: word(|byte| if byte.is_ascii_alphabetic() { 0x20 } else { 0 }),
            bytes: word(u8::to_ascii_lowercase),
        }
    }

    /// Whether `text` begins with these bytes, without regard to case.
    #[inline]
    fn begins(self, text: &[u8; size_of::<u64>()]) -> bool {
        u64::from_le_bytes(*text) & self.mask | self.fold == self.bytes
    }
}

/// Literals, ready to be looked for.
#[derive(Debug)]
pub(super) struct LiteralMatcher {
    literals: Vec<Box<[u8]>>,
    /// Whether an anchor may begin with four bytes, by hash.
    quads: Bits<1024>,
    /// Whether there is an anchor of these four bytes, by another hash: most of what passes [`Self::quads`] by chance ends
    /// here.
    confirmed: Bits<1024>,
    /// Whether there is one of three bytes among them, by hash; [`None`] where there is none at all.
    threes: Option<Bits<1024>>,
    /// Whether another of fewer than four may begin with two bytes.
    shorts: Bits<1024>,
    /// Whether there is such an anchor of this width and key, by hash.
    short_keys: Bits<1024>,
    /// A text that has all classes of none of these has no match of [`Self::shorts`] that is of interest.
    short_needs: Vec<ByteClasses>,
    /// Bytes of the shortest literal; no text that is shorter has any.
    shortest: usize,
    /// Anchors by hash, those of a hash in a row.
    anchors: Vec<Anchor>,
    /// Where those of each hash begin; one more at the end.
    begin: Vec<u32>,
}

/// A set of numbers less than 64 times `N`.
#[derive(Debug)]
struct Bits<const N: usize>(Box<[u64; N]>);

impl<const N: usize> Bits<N> {
    fn new() -> Self {
        Self(Box::new([0; N]))
    }

    fn set(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    #[inline]
    fn contains(&self, at: usize) -> bool {
        self.0[at / 64] & 1 << (at % 64) != 0
    }
}

impl LiteralMatcher {
    /// `literals` by number. An empty one is nowhere.
    pub fn new(literals: &[Literal<'_>]) -> Self {
        let numbered = (0u32..).zip(literals).filter(|(_, literal)| !literal.bytes.is_empty());
        let mut anchors: Vec<Anchor> = numbered.map(|(number, literal)| anchor(number, literal.bytes)).collect();
        anchors.sort_by_key(|anchor| list(anchor.key));
        let mut begin = vec![0; LISTS + 1];
        anchors.iter().for_each(|anchor| begin[list(anchor.key) + 1] += 1);
        (0..LISTS).for_each(|at| begin[at + 1] += begin[at]);
        let mut new = Self {
            literals: literals.iter().map(|literal| literal.bytes.into()).collect(),
            quads: Bits::new(),
            confirmed: Bits::new(),
            threes: None,
            shorts: Bits::new(),
            short_keys: Bits::new(),
            short_needs: Vec::new(),
            shortest: anchors
                .iter()
                .map(|anchor| literals[anchor.literal as usize].bytes.len())
                .min()
                .unwrap_or(usize::MAX),
            anchors: Vec::new(),
            begin,
        };
        anchors.iter().for_each(|anchor| new.mark(anchor, literals[anchor.literal as usize].needs));
        Self { anchors, ..new }
    }

    /// Records where `anchor` can begin, and that a text in which it is of interest has all classes of `needs`.
    fn mark(&mut self, anchor: &Anchor, needs: ByteClasses) {
        match usize::from(anchor.width) {
            QUAD => {
                self.confirmed.set(second(anchor.key));
                return self.quads.set(quad(anchor.key));
            }
            3 if needs.within(ORDINARY) => {
                self.threes.get_or_insert_with(Bits::new).set(three(anchor.key));
                return (0..=0xff).for_each(|next| self.quads.set(quad(anchor.key | next << 24 | FOLD)));
            }
            1 => (0..=0xff).for_each(|next| self.shorts.set(pair(anchor.key | next << 8))),
            _ => self.shorts.set(pair(anchor.key)),
        }
        self.short_keys.set(short(anchor.key, usize::from(anchor.width)));
        if !self.short_needs.iter().any(|other| needs.contains(*other)) {
            self.short_needs.retain(|other| !other.contains(needs));
            self.short_needs.push(needs);
        }
    }

    /// Calls `found` with the number and position of each literal in `text` that is of use there, once or more.
    /// `classes` are the kinds of bytes in `text`.
    #[inline]
    pub fn find(&self, text: &[u8], classes: ByteClasses, mut found: impl FnMut(u32, usize)) {
        if text.len() < self.shortest {
            return;
        }
        for (at, bytes) in text.array_windows().enumerate() {
            let key = quad_key(bytes);
            if self.quads.contains(quad(key)) {
                self.look(text, at, key, &mut found);
            }
        }
        if self.threes.is_some()
            && let Some(at) = text.len().checked_sub(3)
        {
            // At the last place only one of three can begin.
            let three = short_key(&text[at..]);
            if self.quads.contains(quad(three | FOLD)) {
                self.compare(text, at, three, 3, &mut found);
            }
        }
        if self.short_needs.iter().any(|needs| classes.contains(*needs)) {
            self.find_short(text, &mut found);
        }
    }

    /// The same, for literals of fewer than four bytes with some that are rare.
    fn find_short(&self, text: &[u8], found: &mut impl FnMut(u32, usize)) {
        for (at, two) in text.array_windows().enumerate() {
            if self.shorts.contains(pair(u32::from(u16::from_le_bytes(*two)))) {
                self.look_short(text, at, found);
            }
        }
        // Behind the end there are NULs.
        if let Some(last) = text.last()
            && self.shorts.contains(pair(u32::from(*last)))
        {
            self.look_short(text, text.len() - 1, found);
        }
    }

    /// Literals of fewer than four bytes whose anchor is at `at`.
    #[inline(never)]
    fn look_short(&self, text: &[u8], at: usize, found: &mut impl FnMut(u32, usize)) {
        let key = short_key(&text[at..text.len().min(at + QUAD - 1)]);
        for width in 1..QUAD {
            let key = key & ((1 << (8 * width)) - 1);
            if self.short_keys.contains(short(key, width)) {
                self.compare(text, at, key, width, found);
            }
        }
    }

    /// Literals whose anchor is at `at`, where the text's key is `key`.
    #[inline(never)]
    fn look(&self, text: &[u8], at: usize, key: u32, found: &mut impl FnMut(u32, usize)) {
        if self.confirmed.contains(second(key)) {
            self.compare(text, at, key, QUAD, found);
        }
        if self.threes.as_ref().is_some_and(|threes| threes.contains(three(key))) {
            self.compare(text, at, short_key(&text[at..at + 3]), 3, found);
        }
    }

    /// Literals whose anchor has this key and width, and is at `at`.
    #[inline]
    fn compare(&self, text: &[u8], at: usize, key: u32, width: usize, found: &mut impl FnMut(u32, usize)) {
        let here = &self.anchors[self.begin[list(key)] as usize..self.begin[list(key) + 1] as usize];
        for anchor in here.iter().filter(|anchor| anchor.key == key && usize::from(anchor.width) == width) {
            let Some(begin) = at.checked_sub(anchor.offset as usize) else { continue };
            if self.begins(anchor, &text[begin..]) {
                found(anchor.literal, begin);
            }
        }
    }

    /// Whether `text` begins with the literal of `anchor`, without regard to case.
    #[inline]
    fn begins(&self, anchor: &Anchor, text: &[u8]) -> bool {
        let literal = &self.literals[anchor.literal as usize];
        match text.split_first_chunk() {
            Some((head, _)) if literal.len() <= head.len() => anchor.head.begins(head),
            Some((head, _)) if !anchor.head.begins(head) => false,
            _ => text.get(..literal.len()).is_some_and(|text| text.eq_ignore_ascii_case(literal)),
        }
    }
}

/// The bit of an anchor of four bytes, by another hash than [`quad`].
#[inline]
const fn second(key: u32) -> usize {
    (key.wrapping_mul(0x85eb_ca6b) >> 16) as usize
}

/// The bit of an anchor of four bytes.
#[inline]
const fn quad(key: u32) -> usize {
    (key.wrapping_mul(0x9e37_79b1) >> 16) as usize
}

/// The bit of an anchor of fewer bytes with this width and key.
#[inline]
const fn short(key: u32, width: usize) -> usize {
    quad(key | (width as u32) << 24)
}

/// The bit of one of three bytes, which are the first of `key`, with their case bits set.
#[inline]
const fn three(key: u32) -> usize {
    quad((key | FOLD) & 0x00ff_ffff)
}

/// The bit of the first two bytes of one, in either case.
#[inline]
const fn pair(key: u32) -> usize {
    ((key | FOLD) & 0xffff) as usize
}

/// The anchor of a literal, which is not empty.
fn anchor(number: u32, literal: &[u8]) -> Anchor {
    let width = literal.len().min(QUAD);
    let offset = rarest(literal, width);
    let bytes = &literal[offset..offset + width];
    let key = bytes.first_chunk().map_or_else(|| short_key(bytes), quad_key);
    let place = u32::try_from(offset).expect("literals are short");
    Anchor { key, literal: number, offset: place, width: width as u8, head: Head::of(literal) }
}

/// Four bytes as a number, with their case bits set.
#[inline]
fn quad_key(bytes: &[u8; QUAD]) -> u32 {
    u32::from_le_bytes(*bytes) | FOLD
}

/// Up to three bytes as a number, in lower case; those that are missing are as NUL.
fn short_key(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |key, byte| key << 8 | u32::from(byte.to_ascii_lowercase()))
}

/// Where anchors with this key are listed.
const fn list(key: u32) -> usize {
    (key.wrapping_mul(0x9e37_79b1) >> 20) as usize
}

/// Where the `width` bytes of `literal` begin that are rarest in ordinary text.
fn rarest(literal: &[u8], width: usize) -> usize {
    let weight = |at: usize| literal[at..at + width].iter().map(|byte| commonness(*byte)).sum::<u32>();
    (0..=literal.len() - width).min_by_key(|at| weight(*at)).unwrap_or(0)
}

/// How common a byte is in what clients send, roughly as a logarithm.
fn commonness(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 9,
        b'l' | b'd' | b'c' | b'u' | b'm' | b'p' | b'h' | b'0' | b'1' | b' ' => 8,
        b'f' | b'g' | b'b' | b'y' | b'w' | b'v' | b'2'..=b'9' => 7,
        b'k' | b'x' | b'j' | b'q' | b'z' | b'.' | b'-' | b'_' | b'/' | b',' | b':' | b'"' => 6,
        b'=' | b'&' | b'+' | b'%' | b';' => 5,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(literals: &[&[u8]], text: &[u8]) -> Vec<u32> {
        let mut out = Vec::new();
        let literals: Vec<Literal<'_>> =
            literals.iter().map(|l| Literal { bytes: l, needs: ByteClasses::of(l) }).collect();
        LiteralMatcher::new(&literals).find(text, ByteClasses::of(text), |number, _| out.push(number));
        out.sort_unstable();
        out.dedup();
        out
    }

    #[test]
    fn literals_at_both_ends_and_of_every_length() {
        let literals: &[&[u8]] = &[b"<", b"${", b"or ", b"eval", b"union select", b"/ETC/passwd"];
        assert_eq!(found(literals, b"<"), [0]);
        assert_eq!(found(literals, b"${"), [1]);
        assert_eq!(found(literals, b"x${"), [1]);
        assert_eq!(found(literals, b"1 OR "), [2]);
        assert_eq!(found(literals, b"eVaL"), [3]);
        assert_eq!(found(literals, b"1 UNION SELECT <"), [0, 4]);
        assert_eq!(found(literals, b"../etc/PASSWD"), [5]);
        assert_eq!(found(literals, b"eva"), [0u32; 0]);
        assert_eq!(found(literals, b""), [0u32; 0]);
    }

    #[test]
    fn case_bits_of_what_is_no_letter_count() {
        // `[` and `{`, `@` and a backtick differ in the bit that tells cases of letters apart.
        assert_eq!(found(&[b"a[0]", b"@", b"`x", b"`"], b"a{0} ` @"), [1, 3]);
        assert_eq!(found(&[b"\0"], b" "), [0u32; 0]);
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(&b"aAbB{[@`\0 \xc3"[..]), 0..40)
    }

    proptest! {
        #[test]
        fn finds_what_a_plain_search_finds(literals in prop::collection::vec(bytes(), 1..12), text in bytes()) {
            let literals: Vec<Vec<u8>> = literals.into_iter().map(|l| l.into_iter().take(9).collect()).collect();
            let borrowed: Vec<&[u8]> = literals.iter().map(Vec::as_slice).collect();
            let mut want = Vec::new();
            for (number, literal) in (0u32..).zip(&borrowed).filter(|(_, literal)| !literal.is_empty()) {
                let occurs = text.windows(literal.len()).any(|there| there.eq_ignore_ascii_case(literal));
                want.extend(occurs.then_some(number));
            }
            prop_assert_eq!(found(&borrowed, &text), want);
        }
    }
}
