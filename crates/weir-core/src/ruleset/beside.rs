//! Which of the signatures that ask for one literal may match, by what is beside it.
//!
//! Some literals, such as `${` and `<%`, are asked for by dozens of signatures. To ask each of them what its matches have
//! beside the literal would make texts full of it costly. Here the answers of all are read at once: at each place beside
//! the literal, each byte has a set of the signatures that may match with it.

use super::neighbours::{ByteSet, SYMBOLS, symbol_at};
use crate::model::bits::ones;

/// Signatures in one block of a set.
const BLOCK: usize = u64::BITS as usize;

/// For each place beside a literal, which signatures may match with what is there. A signature has a number among those
/// that ask for the literal.
#[derive(Debug)]
pub(super) struct Columns {
    columns: Vec<Column>,
    /// The set of all signatures.
    all: Vec<u64>,
}

/// The sets for one place.
#[derive(Debug)]
struct Column {
    /// Bytes from the begin of the literal.
    offset: i16,
    /// For each byte and the edge, where in `sets` its set begins.
    begin: Box<[u32; SYMBOLS]>,
    /// Different sets, one after another.
    sets: Vec<u64>,
}

impl Columns {
    /// Columns for signatures whose matches have beside the literal what `probes` says: number of the signature, place, and
    /// the bytes that can be there.
    pub fn new(signatures: usize, probes: &[(usize, i16, &ByteSet)]) -> Self {
        let mut all = vec![0; signatures.div_ceil(BLOCK)];
        (0..signatures).for_each(|number| insert(&mut all, number));
        let mut offsets: Vec<i16> = probes.iter().map(|(_, offset, _)| *offset).collect();
        offsets.sort_unstable();
        offsets.dedup();
        let columns = offsets.into_iter().map(|offset| Column::new(offset, &all, probes)).collect();
        Self { columns, all }
    }

    /// Looks at sets for one place of the literal.
    pub fn looks(&self) -> usize {
        self.all.len() * (1 + self.columns.len())
    }

    /// The signatures that may match by the literal at `at` of `text`.
    #[inline]
    pub fn at<'c>(&'c self, text: &'c [u8], at: usize) -> impl Iterator<Item = usize> + 'c {
        self.all.iter().enumerate().flat_map(move |(block, all)| {
            let mut left = *all;
            for column in &self.columns {
                left &= column.set(symbol_at(text, at, column.offset), block);
                if left == 0 {
                    break;
                }
            }
            ones(left).map(move |bit| block * BLOCK + bit)
        })
    }
}

impl Column {
    fn new(offset: i16, all: &[u64], probes: &[(usize, i16, &ByteSet)]) -> Self {
        // For each byte set that is asked for here, the signatures that do not ask for it.
        let mut asked: Vec<(&ByteSet, Vec<u64>)> = Vec::new();
        for &(number, _, set) in probes.iter().filter(|(_, at, _)| *at == offset) {
            let known = asked.iter().position(|(other, _)| *other == set).unwrap_or_else(|| {
                asked.push((set, all.to_vec()));
                asked.len() - 1
            });
            asked[known].1[number / BLOCK] &= !(1 << (number % BLOCK));
        }
        let (mut begin, mut sets) = (Box::new([0; SYMBOLS]), Vec::new());
        for symbol in 0..SYMBOLS {
            let mut may = all.to_vec();
            for (_, others) in asked.iter().filter(|(set, _)| !set.contains(symbol)) {
                may.iter_mut().zip(others).for_each(|(may, others)| *may &= others);
            }
            let known = sets.chunks(all.len()).position(|set| set == may);
            let at = known.map_or(sets.len(), |number| number * all.len());
            if known.is_none() {
                sets.extend_from_slice(&may);
            }
            begin[symbol] = u32::try_from(at).expect("there are at most as many sets as symbols");
        }
        Self { offset, begin, sets }
    }

    #[inline]
    fn set(&self, symbol: usize, block: usize) -> u64 {
        self.sets[self.begin[symbol] as usize + block]
    }
}

fn insert(set: &mut [u64], number: usize) {
    set[number / BLOCK] |= 1 << (number % BLOCK);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ByteClasses;

    #[test]
    fn it_leaves_those_that_each_probe_allows() {
        let kinds = [ByteClasses::DIGIT, ByteClasses::ALPHA, ByteClasses::LT, ByteClasses::ALL];
        let sets = kinds.map(ByteSet::of_kinds);
        let probes: Vec<(usize, i16, &ByteSet)> = (0..150)
            .flat_map(|number| {
                [(number, -1, &sets[number % 4]), (number, 2 + (number % 3) as i16, &sets[number / 4 % 4])]
            })
            .collect();
        let columns = Columns::new(150, &probes);
        assert_eq!(columns.looks(), 3 * 5);
        for text in ["<${a1<", "${", "9${<<<<", "a${111", "x${a"] {
            let at = text.find("${").unwrap();
            let allowed = |number: &usize| {
                let mut own = probes.iter().filter(|(other, _, _)| other == number);
                own.all(|(_, offset, set)| set.allows(text.as_bytes(), at, *offset))
            };
            let expected: Vec<usize> = (0..150).filter(allowed).collect();
            assert_eq!(columns.at(text.as_bytes(), at).collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
