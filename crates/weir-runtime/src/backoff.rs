//! Pauses between attempts that fail.

use ring::rand::{SecureRandom, SystemRandom};
use std::time::Duration;

/// First pause.
const FIRST: Duration = Duration::from_millis(250);
/// Longest pause: a control plane that returns is noticed within this.
const LONGEST: Duration = Duration::from_secs(15);

/// Doubles the pause with each failure, up to 15 s, and draws it from its upper half, so that the nodes of a group do not
/// come back as one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after one more failure.
    pub fn pause(&mut self) -> Duration {
        let pause = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let mut random = [0u8; 4];
        // Without randomness the pause is the longest of its range, which is safe.
        let share = SystemRandom::new().fill(&mut random).map_or(u32::MAX, |()| u32::from_ne_bytes(random));
        pause / 2 + (pause / 2).mul_f64(f64::from(share) / f64::from(u32::MAX))
    }

    /// An attempt went well.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_start_over() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..40).map(|_| backoff.pause()).collect();
        assert!(pauses[0] <= FIRST && pauses[0] >= FIRST / 2);
        assert!(pauses.iter().all(|pause| *pause <= LONGEST));
        assert!(pauses[30] >= LONGEST / 2);
        backoff.reset();
        assert!(backoff.pause() <= FIRST);
    }
}
