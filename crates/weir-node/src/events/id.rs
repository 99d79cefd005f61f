//! Ids of records: UUIDv7 (RFC 9562 §5.7). Within a process they increase, even if the clock is set back a little. If it
//! is set back far, ids follow it: a clock that was years ahead for a moment must not affect all later ids.

use ring::rand::{SecureRandom, SystemRandom};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// Largest value of the counter in the 12 bits after the version.
const MAX_COUNTER: u16 = 0x0fff;
/// Latest time that an id can hold: 48 bits of milliseconds.
const MAX_MS: u64 = (1 << 48) - 1;

/// How far the clock may be set back while ids still increase, in milliseconds. Beyond that, its earlier times were wrong.
const MAX_BACK: u64 = 60_000;

/// Generates ids.
#[derive(Debug)]
pub struct IdGenerator {
    /// Time and counter of the last id.
    last: Mutex<(u64, u16)>,
    random: SystemRandom,
}

impl Default for IdGenerator {
    fn default() -> Self {
        Self { last: Mutex::default(), random: SystemRandom::new() }
    }
}

impl IdGenerator {
    /// The next id at `now_ms`, in milliseconds since 1970: greater than every id before. While the clock is up to a minute
    /// behind the last id, ids keep the time of that id. Ids of the same time and counter differ in 62 random bits.
    pub fn next(&self, now_ms: u64) -> Uuid {
        let mut bytes = [0; 10];
        // Without randomness from the system, ids of this process still differ by time and counter.
        if self.random.fill(&mut bytes).is_err() {
            tracing::error!("no randomness from the system for an id");
        }
        let (ms, counter) = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = after(*last, now_ms.min(MAX_MS));
            *last
        };
        bytes[..2].copy_from_slice(&counter.to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(ms, &bytes).into_uuid()
    }
}

/// The time and counter after `last`.
fn after(last: (u64, u16), now_ms: u64) -> (u64, u16) {
    match last {
        (ms, _) if now_ms > ms || ms - now_ms > MAX_BACK => (now_ms, 0),
        (ms, counter) if counter < MAX_COUNTER => (ms, counter + 1),
        (ms, _) => (ms + 1, 0),
    }
}

/// The milliseconds since 1970 in a UUIDv7.
pub fn time_of(id: &Uuid) -> u64 {
    let bytes = id.as_bytes();
    bytes[..6].iter().fold(0, |ms, &byte| ms << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_are_version_7_and_hold_their_time() {
        let id = IdGenerator::default().next(1_800_000_000_123);
        assert_eq!((id.get_version_num(), time_of(&id)), (7, 1_800_000_000_123));
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
    }

    #[test]
    fn a_full_counter_goes_on_in_the_next_millisecond() {
        let ids = IdGenerator::default();
        let ids: Vec<_> = (0..10_000).map(|_| ids.next(1000)).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert!(time_of(ids.last().unwrap()) < 1005);
    }

    proptest! {
        #[test]
        fn ids_increase_while_the_clock_jitters(clock in proptest::collection::vec(0..MAX_BACK, 1..100)) {
            let ids = IdGenerator::default();
            let ids: Vec<_> = clock.into_iter().map(|now| ids.next((1 << 40) + now)).collect();
            prop_assert!(ids.is_sorted_by(|a, b| a < b));
        }

        #[test]
        fn ids_differ_and_stay_near_the_clock_whatever_it_does(clock in proptest::collection::vec(0u64..1 << 49, 1..100)) {
            let ids = IdGenerator::default();
            let mut seen = std::collections::HashSet::new();
            for now in clock {
                let id = ids.next(now);
                prop_assert!(time_of(&id).abs_diff(now.min(MAX_MS)) <= MAX_BACK);
                prop_assert!(seen.insert(id));
            }
        }
    }
}
