//! How many distinct sources an attack has: exact up to [`EXACT`], above that a HyperLogLog of 1,024 registers, whose
//! standard error is 3.3 %. Sketches merge without loss, which is what attacks need.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

/// Distinct values kept as they are: half a kilobyte.
const EXACT: usize = 64;
/// Bits of a hash that choose a register.
const INDEX_BITS: u32 = 10;
const REGISTERS: usize = 1 << INDEX_BITS;

/// A set of sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sketch {
    /// Hashes, sorted.
    Exact(Vec<u64>),
    /// For each register the greatest number of leading zeros seen, plus one.
    Registers(Box<[u8; REGISTERS]>),
}

impl Default for Sketch {
    fn default() -> Self {
        Sketch::Exact(Vec::new())
    }
}

impl Sketch {
    /// Adds the source `address`.
    pub fn insert(&mut self, address: u128) {
        self.insert_hash(hash(address));
    }

    fn insert_hash(&mut self, hash: u64) {
        match self {
            Sketch::Exact(hashes) => {
                if let Err(at) = hashes.binary_search(&hash) {
                    hashes.insert(at, hash);
                }
                if hashes.len() > EXACT {
                    let hashes = std::mem::take(hashes);
                    *self = Sketch::Registers(Box::new([0; REGISTERS]));
                    hashes.into_iter().for_each(|hash| self.insert_hash(hash));
                }
            }
            Sketch::Registers(registers) => {
                let register = &mut registers[(hash >> (64 - INDEX_BITS)) as usize];
                let zeros = (hash << INDEX_BITS | 1 << (INDEX_BITS - 1)).leading_zeros() as u8;
                *register = (*register).max(zeros + 1);
            }
        }
    }

    /// Adds all sources of `other`.
    pub fn merge(&mut self, other: &Sketch) {
        match other {
            Sketch::Exact(hashes) => hashes.iter().for_each(|&hash| self.insert_hash(hash)),
            Sketch::Registers(theirs) => {
                if let Sketch::Exact(hashes) = self {
                    let hashes = std::mem::take(hashes);
                    *self = Sketch::Registers(theirs.clone());
                    hashes.into_iter().for_each(|hash| self.insert_hash(hash));
                } else if let Sketch::Registers(ours) = self {
                    ours.iter_mut().zip(theirs.iter()).for_each(|(a, &b)| *a = (*a).max(b));
                }
            }
        }
    }

    /// Distinct sources.
    pub fn count(&self) -> u64 {
        let registers = match self {
            Sketch::Exact(hashes) => return hashes.len() as u64,
            Sketch::Registers(registers) => registers,
        };
        let m = REGISTERS as f64;
        let sum: f64 = registers.iter().map(|&r| 2f64.powi(-i32::from(r))).sum();
        let estimate = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
        let empty = registers.iter().filter(|&&r| r == 0).count();
        // Small sets leave registers empty, and their share is the better measure.
        let linear = (estimate <= 2.5 * m && empty > 0).then(|| m * (m / empty as f64).ln());
        (linear.unwrap_or(estimate).round() as u64).max(EXACT as u64 + 1)
    }

    /// As stored.
    pub fn to_text(&self) -> String {
        match self {
            Sketch::Exact(hashes) => {
                let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_be_bytes()).collect();
                format!("x{}", BASE64.encode(bytes))
            }
            Sketch::Registers(registers) => format!("h{}", BASE64.encode(registers.as_slice())),
        }
    }

    /// Reads [`Sketch::to_text`]; none for anything else.
    pub fn from_text(text: &str) -> Option<Sketch> {
        let (kind, rest) = text.split_at_checked(1)?;
        let bytes = BASE64.decode(rest).ok()?;
        match kind {
            "x" if bytes.len() % 8 == 0 && bytes.len() <= EXACT * 8 => {
                let hashes = bytes.chunks_exact(8).map(|o| u64::from_be_bytes(o.try_into().unwrap_or_default()));
                Some(Sketch::Exact(hashes.collect()))
            }
            "h" => Some(Sketch::Registers(bytes.into_boxed_slice().try_into().ok()?)),
            _ => None,
        }
    }
}

/// SplitMix64 over both halves: every bit of the address reaches every bit of the hash, today and in years.
fn hash(address: u128) -> u64 {
    let mix = |n: u64| {
        let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    };
    let high = mix(((address >> 64) as u64).wrapping_add(0x9e37_79b9_7f4a_7c15));
    mix(high ^ (address as u64).wrapping_add(0x9e37_79b9_7f4a_7c15))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(addresses: impl IntoIterator<Item = u128>) -> Sketch {
        let mut sketch = Sketch::default();
        addresses.into_iter().for_each(|a| sketch.insert(a));
        sketch
    }

    #[test]
    fn few_are_exact_and_many_are_close() {
        assert_eq!(of([1, 2, 2, 1]).count(), 2);
        assert_eq!(of(0..64).count(), 64);
        for n in [65u128, 200, 1_000, 5_000, 100_000] {
            let counted = of((0..n).map(|i| 0xffff_0a00_0000 + i)).count() as f64;
            assert!((counted / n as f64 - 1.0).abs() < 0.1, "{n}: {counted}");
        }
    }

    #[test]
    fn merged_is_what_all_would_have_been() {
        for (a, b) in [(10, 20), (10, 500), (500, 10), (500, 700)] {
            let mut merged = of(0..a);
            merged.merge(&of(a / 2..a / 2 + b));
            assert_eq!(merged, of((0..a).chain(a / 2..a / 2 + b)), "{a} {b}");
            assert_eq!(Sketch::from_text(&merged.to_text()), Some(merged));
        }
        for bad in ["", "x1", "hAAAA", "zAAAA", "é"] {
            assert_eq!(Sketch::from_text(bad), None, "{bad}");
        }
    }
}
