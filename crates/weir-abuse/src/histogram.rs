//! Histograms of counts: how many sources reached which count. Those of several nodes and minutes add up.

use std::collections::BTreeMap;

/// Counts below this have a bucket each.
const EXACT: u32 = 16;
/// Bits of a count that select its bucket within a power of two: a bucket is at most an eighth of its counts wide.
const BITS: u32 = 3;
/// Number of buckets.
pub const BUCKETS: usize = EXACT as usize + (32 - EXACT.ilog2() as usize) * (1 << BITS);

/// The bucket of a count.
#[inline]
pub fn bucket(count: u32) -> u8 {
    if count < EXACT {
        return count as u8;
    }
    let power = count.ilog2();
    let within = (count >> (power - BITS)) & ((1 << BITS) - 1);
    (EXACT + ((power - EXACT.ilog2()) << BITS) + within) as u8
}

/// The highest count of a bucket; that of the last one for a bucket that does not exist.
pub fn highest(bucket: u8) -> u32 {
    let bucket = u32::from(bucket).min(BUCKETS as u32 - 1);
    if bucket < EXACT {
        return bucket;
    }
    let (power, within) = ((bucket - EXACT) >> BITS, (bucket - EXACT) & ((1 << BITS) - 1));
    let width = power + EXACT.ilog2() - BITS;
    let lowest = u64::from((1 << BITS) | within) << width;
    u32::try_from(lowest + (1 << width) - 1).unwrap_or(u32::MAX)
}

/// How many sources are in which bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<u8, u64>);

impl Histogram {
    /// Adds `sources` sources to a bucket.
    pub fn add(&mut self, bucket: u8, sources: u64) {
        if sources > 0 && usize::from(bucket) < BUCKETS {
            let sum = self.0.entry(bucket).or_default();
            *sum = sum.saturating_add(sources);
        }
    }

    /// Adds another histogram.
    pub fn merge(&mut self, other: &Histogram) {
        other.0.iter().for_each(|(&bucket, &sources)| self.add(bucket, sources));
    }

    /// Buckets that are not empty, with their sources, the lowest first.
    pub fn buckets(&self) -> impl Iterator<Item = (u8, u64)> + '_ {
        self.0.iter().map(|(&bucket, &sources)| (bucket, sources))
    }

    /// All sources.
    pub fn total(&self) -> u64 {
        self.0.values().fold(0, |sum, sources| sum.saturating_add(*sources))
    }

    /// The highest count, rounded up to that of its bucket; 0 if there is none.
    pub fn max(&self) -> u32 {
        self.0.keys().next_back().map_or(0, |&bucket| highest(bucket))
    }

    /// The count that at least `share` of 1,000,000 sources did not exceed, rounded up to the highest of its bucket.
    pub fn quantile(&self, share: u32) -> u32 {
        let total = u128::from(self.total());
        let wanted = (total * u128::from(share.min(1_000_000))).div_ceil(1_000_000).max(1);
        let mut sum = 0;
        for (bucket, sources) in self.buckets() {
            sum += u128::from(sources);
            if sum >= wanted {
                return highest(bucket);
            }
        }
        0
    }

    /// Sources whose count was certainly above `limit`: those of buckets that hold no count up to it.
    pub fn above(&self, limit: u32) -> u64 {
        let above = self.0.range(bucket(limit).saturating_add(1)..);
        above.fold(0, |sum, (_, sources)| sum.saturating_add(*sources))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bucket_holds_its_counts_and_is_narrow(count in any::<u32>()) {
            let own = bucket(count);
            prop_assert!(usize::from(own) < BUCKETS);
            prop_assert!(count <= highest(own));
            prop_assert!(own == 0 || highest(own - 1) < count);
            prop_assert!(u64::from(highest(own)) <= u64::from(count) + u64::from(count) / 8);
        }

        /// Merged in parts or counted as a whole, and never below what the sources really reached.
        #[test]
        fn quantiles_of_merged_parts_are_those_of_all(
            mut counts in prop::collection::vec(0u32..100_000, 1..200), cut in 0usize..200, share in 1u32..=1_000_000,
        ) {
            let of = |counts: &[u32]| {
                let mut out = Histogram::default();
                counts.iter().for_each(|&count| out.add(bucket(count), 1));
                out
            };
            let (a, b) = counts.split_at(cut.min(counts.len()));
            let mut merged = of(a);
            merged.merge(&of(b));
            prop_assert_eq!(&merged, &of(&counts));
            counts.sort_unstable();
            let rank = (counts.len() as u64 * u64::from(share)).div_ceil(1_000_000).max(1) as usize;
            let exact = counts[rank - 1];
            prop_assert_eq!(merged.quantile(share), highest(bucket(exact)));
            prop_assert!(merged.above(exact) as usize <= counts.iter().filter(|&&count| count > exact).count());
        }
    }

    #[test]
    fn buckets_cover_all_counts() {
        assert_eq!((bucket(u32::MAX), highest(bucket(u32::MAX))), (BUCKETS as u8 - 1, u32::MAX));
        assert_eq!((Histogram::default().quantile(999_000), Histogram::default().max()), (0, 0));
        let mut one = Histogram::default();
        one.add(255, 1);
        assert_eq!(one.total(), 0, "no such bucket");
    }
}
