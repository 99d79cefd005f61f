//! Finds which of many short literals occur in a text, without regard to ASCII case.
//!
//! Of each literal the four octets in a row that are rarest in ordinary text are its anchor; of a shorter one all of it.
//! A scan asks of each position of the text whether an anchor can begin there: one lookup for the two octets there, one
//! for the two behind, each answered by a set of buckets of anchors, and looks further only where both name the same
//! bucket. Lookups do not wait for each other, as the steps of an automaton do, and what ordinary text touches of the
//! tables stays in the first-level cache.
//!
//! Linear: at each position no more is compared than the literals that share the anchor there, each of bounded length.

/// Octets of an anchor.
const QUAD: usize = 4;
/// Sets the case bit of each octet of a key; octets that are no letters are told apart by the comparison.
const FOLD: u32 = 0x2020_2020;
/// Buckets for anchors of four octets.
const LONG: usize = 28;
/// All of these.
const LONGS: u32 = (1 << LONG) - 1;
/// First bucket for those of three octets.
const THREE: usize = LONG;
/// Buckets for those of three octets.
const THREES: usize = 3;
/// The bucket of those of one or two octets.
const SHORT: usize = 31;
/// Lists by hash of keys.
const LISTS: usize = 1 << 12;

/// Where an anchor stands in a literal.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    /// Its octets with the case bit set, in the order of a little-endian number.
    key: u32,
    /// Octets of it.
    width: usize,
    /// Number of the literal.
    literal: u32,
    /// Its place in the literal.
    offset: usize,
}

/// Sets of buckets by two octets.
type Sets = Box<[u32; 1 << 16]>;

/// Literals, ready to be looked for.
#[derive(Debug)]
pub(super) struct Anchors {
    literals: Vec<Box<[u8]>>,
    /// Buckets with an anchor that begins with two octets.
    first: Sets,
    /// Buckets with an anchor that goes on with two octets.
    second: Sets,
    /// Anchors by hash, those of a hash in a row.
    anchors: Vec<Anchor>,
    /// Where those of each hash begin; one more at the end.
    begin: Vec<u32>,
}

impl Anchors {
    /// `literals` by number. An empty one is nowhere.
    pub fn new(literals: &[&[u8]]) -> Self {
        let numbered = (0u32..).zip(literals).filter(|(_, literal)| !literal.is_empty());
        let mut anchors: Vec<Anchor> = numbered.map(|(number, literal)| anchor(number, literal)).collect();
        // Neighbours share their first octets: so a bucket has few of these.
        anchors.sort_by_key(|anchor| (anchor.width, anchor.key.swap_bytes(), anchor.literal));
        let (mut first, mut second): (Sets, Sets) = (Box::new([0; 1 << 16]), Box::new([0; 1 << 16]));
        for width in 1..=QUAD {
            let of_width: Vec<&Anchor> = anchors.iter().filter(|anchor| anchor.width == width).collect();
            for (at, anchor) in of_width.iter().enumerate() {
                let bucket = match width {
                    QUAD => at * LONG / of_width.len(),
                    3 => THREE + at * THREES / of_width.len(),
                    _ => SHORT,
                };
                mark(anchor, 1 << bucket, &mut first, &mut second);
            }
        }
        anchors.sort_by_key(|anchor| list(anchor.key));
        let mut begin = vec![0; LISTS + 1];
        anchors.iter().for_each(|anchor| begin[list(anchor.key) + 1] += 1);
        (0..LISTS).for_each(|at| begin[at + 1] += begin[at]);
        Self { literals: literals.iter().map(|literal| (*literal).into()).collect(), first, second, anchors, begin }
    }

    /// Calls `found` with the number of each literal in `text`, once for each time that it occurs.
    #[inline]
    pub fn find(&self, text: &[u8], mut found: impl FnMut(u32)) {
        for (at, octets) in text.windows(QUAD).enumerate() {
            let key = key(octets);
            let buckets = self.buckets(key);
            if buckets != 0 {
                self.look(text, at, key, buckets, &mut found);
            }
        }
        // At the last places only short ones can begin.
        let tail = text.len().saturating_sub(QUAD - 1);
        let mut padded = [0; 2 * QUAD - 2];
        padded[..text.len() - tail].copy_from_slice(&text[tail..]);
        for (at, octets) in (tail..text.len()).zip(padded.windows(QUAD)) {
            let key = key(octets);
            let buckets = self.buckets(key) & !LONGS;
            if buckets != 0 {
                self.look(text, at, key, buckets, &mut found);
            }
        }
    }

    /// Buckets in which an anchor with this key can be.
    #[inline]
    fn buckets(&self, key: u32) -> u32 {
        self.first[usize::from(key as u16)] & self.second[usize::from((key >> 16) as u16)]
    }

    /// Literals whose anchor is at `at`, where the text's key is `key`, in one of `buckets`.
    #[inline(never)]
    fn look(&self, text: &[u8], at: usize, key: u32, buckets: u32, found: &mut impl FnMut(u32)) {
        if buckets & LONGS != 0 {
            self.compare(text, at, key, QUAD, found);
        }
        if buckets & !LONGS != 0 {
            for width in 1..QUAD {
                self.compare(text, at, key & ((1 << (8 * width)) - 1), width, found);
            }
        }
    }

    /// Literals whose anchor has this key and width, and is at `at`.
    #[inline]
    fn compare(&self, text: &[u8], at: usize, key: u32, width: usize, found: &mut impl FnMut(u32)) {
        let here = &self.anchors[self.begin[list(key)] as usize..self.begin[list(key) + 1] as usize];
        for anchor in here.iter().filter(|anchor| anchor.key == key && anchor.width == width) {
            let literal = &self.literals[anchor.literal as usize];
            let begin = at.checked_sub(anchor.offset);
            let there = begin.and_then(|begin| text.get(begin..begin + literal.len()));
            if there.is_some_and(|there| there.eq_ignore_ascii_case(literal)) {
                found(anchor.literal);
            }
        }
    }
}

/// The anchor of a literal, which is not empty.
fn anchor(number: u32, literal: &[u8]) -> Anchor {
    let width = literal.len().min(QUAD);
    let offset = rarest(literal, width);
    Anchor { key: key(&literal[offset..offset + width]), width, literal: number, offset }
}

/// Notes that `anchor` is in the buckets `set`.
fn mark(anchor: &Anchor, set: u32, first: &mut Sets, second: &mut Sets) {
    let any = 0..=255u32;
    match anchor.width {
        1 => any.clone().for_each(|next| first[(anchor.key | next << 8) as usize & 0xffff] |= set),
        _ => first[usize::from(anchor.key as u16)] |= set,
    }
    match anchor.width {
        1 | 2 => second.iter_mut().for_each(|buckets| *buckets |= set),
        3 => any.for_each(|next| second[(anchor.key >> 16 | next << 8) as usize & 0xffff] |= set),
        _ => second[usize::from((anchor.key >> 16) as u16)] |= set,
    }
}

/// Up to four octets as a number, with the case bits of these octets set; those that are missing are as NUL.
#[inline]
fn key(octets: &[u8]) -> u32 {
    match octets.first_chunk::<QUAD>() {
        Some(four) => u32::from_le_bytes(*four) | FOLD,
        None => octets.iter().rev().fold(0, |key, octet| key << 8 | u32::from(octet | 0x20)),
    }
}

/// Where anchors with this key are listed.
const fn list(key: u32) -> usize {
    (key.wrapping_mul(0x9e37_79b1) >> 20) as usize
}

/// Where the `width` octets of `literal` begin that are rarest in ordinary text.
fn rarest(literal: &[u8], width: usize) -> usize {
    let weight = |at: usize| literal[at..at + width].iter().map(|octet| commonness(*octet)).sum::<u32>();
    (0..=literal.len() - width).min_by_key(|at| weight(*at)).unwrap_or(0)
}

/// How common an octet is in what clients send, roughly as a logarithm.
fn commonness(octet: u8) -> u32 {
    match octet.to_ascii_lowercase() {
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
        Anchors::new(literals).find(text, |number| out.push(number));
        out.sort_unstable();
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

    fn octets() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(&b"aAbB{[@`\0 \xc3"[..]), 0..40)
    }

    proptest! {
        #[test]
        fn finds_what_a_plain_search_finds(literals in prop::collection::vec(octets(), 1..12), text in octets()) {
            let literals: Vec<Vec<u8>> = literals.into_iter().map(|l| l.into_iter().take(9).collect()).collect();
            let borrowed: Vec<&[u8]> = literals.iter().map(Vec::as_slice).collect();
            let mut want = Vec::new();
            for (number, literal) in (0u32..).zip(&borrowed).filter(|(_, literal)| !literal.is_empty()) {
                let times = text.windows(literal.len()).filter(|there| there.eq_ignore_ascii_case(literal)).count();
                want.extend(std::iter::repeat_n(number, times));
            }
            prop_assert_eq!(found(&borrowed, &text), want);
        }
    }
}
