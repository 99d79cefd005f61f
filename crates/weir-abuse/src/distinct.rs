//! Counts different values in a sliding window: exactly up to [`EXACT`], then by a HyperLogLog for each slot.
//!
//! Values are keyed hashes, so that values that collide cannot be crafted.

use super::window::SLOTS;
use std::ops::RangeInclusive;

/// Values counted exactly.
const EXACT: usize = 64;
/// Registers of a sketch; the standard error is 1.04 / sqrt(256) = 6.5 %.
const REGISTERS: usize = 256;

/// Different values of the latest [`SLOTS`] slots.
#[derive(Clone, Debug)]
pub struct Distinct {
    values: Values,
    newest: u64,
    /// Number that came last, how many steps there were between numbers, and how many of them were by one.
    last: u64,
    steps: u32,
    in_sequence: u32,
}

#[derive(Clone, Debug)]
enum Values {
    /// Each value and the slot in which it came last.
    Exact(Vec<(u64, u64)>),
    /// More than that.
    Sketch(Box<Sketch>),
}

impl Default for Distinct {
    fn default() -> Self {
        Self { values: Values::Exact(Vec::new()), newest: 0, last: u64::MAX, steps: 0, in_sequence: 0 }
    }
}

impl Distinct {
    /// Adds a value in `slot`, with the number that it is, if it is one. Returns false if the value is known in the window; a
    /// sketch cannot say so.
    pub fn add(&mut self, slot: u64, hash: u64, number: Option<u64>) -> bool {
        self.advance(slot);
        let is_new = match &mut self.values {
            Values::Exact(values) => match values.iter_mut().find(|(known, _)| *known == hash) {
                Some((_, last)) => {
                    *last = (*last).max(slot);
                    false
                }
                None => {
                    values.push((hash, slot));
                    true
                }
            },
            Values::Sketch(sketch) => {
                sketch.add(slot, hash);
                true
            }
        };
        if let Values::Exact(values) = &self.values
            && values.len() > EXACT
        {
            self.values = Values::Sketch(Box::new(Sketch::new(values)));
        }
        if let Some(number) = number.filter(|_| is_new) {
            self.steps += u32::from(self.last != u64::MAX);
            self.in_sequence += u32::from(self.last != u64::MAX && self.last.abs_diff(number) == 1);
            self.last = number;
        }
        is_new
    }

    /// Different values in the window that ends with the newest slot.
    pub fn count(&self) -> u32 {
        match &self.values {
            Values::Exact(values) => values.len() as u32,
            Values::Sketch(sketch) => sketch.estimate,
        }
    }

    /// Different values in the window that ends with `slot`.
    pub fn count_at(&mut self, slot: u64) -> u32 {
        if slot > self.newest {
            self.advance(slot);
        }
        self.count()
    }

    /// Whether most values are numbers that follow each other.
    pub fn is_sequential(&self) -> bool {
        self.steps >= 4 && self.in_sequence * 2 > self.steps
    }

    /// Bytes on the heap.
    pub fn heap(&self) -> usize {
        match &self.values {
            Values::Exact(values) => values.capacity() * size_of::<(u64, u64)>(),
            Values::Sketch(_) => size_of::<Sketch>(),
        }
    }

    fn advance(&mut self, slot: u64) {
        let slots = SLOTS as u64;
        let is_back = self.newest > slot && self.newest - slot > 2 * slots;
        if (slot > self.newest && slot - self.newest >= slots) || is_back {
            *self = Self { newest: slot, ..Self::default() };
            return;
        }
        if slot <= self.newest {
            return;
        }
        match &mut self.values {
            Values::Exact(values) => values.retain(|(_, last)| slot - last < slots),
            Values::Sketch(sketch) => sketch.clear(self.newest + 1..=slot),
        }
        self.newest = slot;
    }
}

/// A HyperLogLog for each slot, and the estimate of all together: it is made anew only when a register changed, for many
/// requests bring a value that is known.
#[derive(Clone, Debug)]
struct Sketch {
    slots: [[u8; REGISTERS]; SLOTS],
    estimate: u32,
}

impl Sketch {
    /// A sketch of values, each with its slot.
    fn new(values: &[(u64, u64)]) -> Self {
        let mut sketch = Self { slots: [[0; REGISTERS]; SLOTS], estimate: 0 };
        for &(hash, slot) in values {
            sketch.set(slot, hash);
        }
        sketch.estimate = sketch.estimated();
        sketch
    }

    fn add(&mut self, slot: u64, hash: u64) {
        if self.set(slot, hash) {
            self.estimate = self.estimated();
        }
    }

    /// Notes `hash` in `slot`. Returns whether a register changed.
    fn set(&mut self, slot: u64, hash: u64) -> bool {
        let register = (hash % REGISTERS as u64) as usize;
        let rank = ((hash >> 8) | 1 << 56).trailing_zeros() as u8 + 1;
        let mine = &mut self.slots[(slot % SLOTS as u64) as usize][register];
        let is_higher = rank > *mine;
        *mine = (*mine).max(rank);
        is_higher
    }

    /// Forgets what was noted in slots that begin anew.
    fn clear(&mut self, slots: RangeInclusive<u64>) {
        slots.for_each(|slot| self.slots[(slot % SLOTS as u64) as usize] = [0; REGISTERS]);
        self.estimate = self.estimated();
    }

    fn estimated(&self) -> u32 {
        let mut merged = [0u8; REGISTERS];
        for registers in &self.slots {
            for (into, from) in merged.iter_mut().zip(registers) {
                *into = (*into).max(*from);
            }
        }
        let m = REGISTERS as f64;
        // Two to the power of `-rank`, by its bits.
        let share = |rank: u8| f64::from_bits((1023 - u64::from(rank)) << 52);
        let sum: f64 = merged.iter().map(|&rank| share(rank)).sum();
        let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
        let zeros = merged.iter().filter(|&&rank| rank == 0).count();
        // Few values: linear counting is more exact.
        let estimate = if raw <= 2.5 * m && zeros > 0 { m * (m / zeros as f64).ln() } else { raw };
        estimate.round() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keys;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn up_to_64_values_are_counted_exactly(steps in prop::collection::vec((0u64..3, 0u64..60), 1..300)) {
            let (mut distinct, mut last, mut slot) = (Distinct::default(), HashMap::new(), 5_000u64);
            for (pause, value) in steps {
                slot += pause;
                distinct.add(slot, value, None);
                last.insert(value, slot);
                let exact = last.values().filter(|&&at| slot - at < SLOTS as u64).count();
                prop_assert_eq!(distinct.count() as usize, exact);
            }
        }

        #[test]
        fn the_estimate_that_is_kept_is_that_of_the_registers(
            steps in prop::collection::vec((0u64..40, 0u64..6, 0u64..9_000), 70..400),
        ) {
            let (keys, mut distinct, mut slot) = (Keys::new(b"k"), Distinct::default(), 5_000u64);
            prop_assert!((0..=EXACT as u64).all(|n| distinct.add(slot, keys.value(&n.to_be_bytes()), None)));
            for (pause, back, value) in steps {
                slot += pause / 39;
                distinct.add(slot - back, keys.value(&value.to_be_bytes()), None);
                if let Values::Sketch(sketch) = &distinct.values {
                    prop_assert_eq!(sketch.estimate, sketch.estimated());
                }
            }
        }
    }

    #[test]
    fn many_values_are_estimated_and_forgotten() {
        let keys = Keys::new(b"k");
        let mut distinct = Distinct::default();
        for n in 0..3_000u64 {
            distinct.add(1_000 + n / 300, keys.value(&n.to_be_bytes()), Some(n));
        }
        let count = f64::from(distinct.count());
        assert!((count - 3_000.0).abs() < 0.2 * 3_000.0, "{count}");
        assert!(distinct.is_sequential());
        assert_eq!(distinct.heap(), 4_100);
        distinct.add(1_000 + 9 + SLOTS as u64, 1, None);
        assert_eq!(distinct.count(), 1);
    }

    #[test]
    fn random_ids_are_no_sequence() {
        let mut distinct = Distinct::default();
        for n in [5u64, 900, 17, 33, 1_000_000, 4, 71] {
            distinct.add(10, n, Some(n));
        }
        assert!(!distinct.is_sequential());
    }
}
