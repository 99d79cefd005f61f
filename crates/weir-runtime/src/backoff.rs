//! Pauses between failing attempts.

use ring::rand::{SecureRandom, SystemRandom};
use std::time::Duration;

/// Shortest and longest pause of a [`Backoff`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Upper bound of the first pause.
    pub first: Duration,
    /// Upper bound of every pause.
    pub max: Duration,
}

impl Default for Bounds {
    /// 250 ms and 15 s: the node notices within 15 s that the control plane is available again.
    fn default() -> Self {
        Self { first: Duration::from_millis(250), max: Duration::from_secs(15) }
    }
}

/// Exponential backoff with jitter. The pause doubles with each failure up to the bound and is drawn at random from its
/// upper half, so that the nodes of a group do not retry at the same time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    bounds: Bounds,
    failures: u32,
}

impl Backoff {
    /// A backoff within `bounds`.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, failures: 0 }
    }

    /// The pause after one more failure.
    pub fn pause(&mut self) -> Duration {
        let pause = self.bounds.first.saturating_mul(1 << self.failures.min(16)).min(self.bounds.max);
        self.count_failure();
        let mut random = [0u8; 4];
        // Without a source of randomness, use the longest pause of the range: it is always safe.
        let share = SystemRandom::new().fill(&mut random).map_or(u32::MAX, |()| u32::from_ne_bytes(random));
        pause / 2 + (pause / 2).mul_f64(f64::from(share) / f64::from(u32::MAX))
    }

    /// Counts a failure after which another pause applies, such as that of a `Retry-After` header.
    pub fn count_failure(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Records a success: the next pause is the first one again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_bound_and_start_over_after_a_success() {
        let Bounds { first, max } = Bounds::default();
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..40).map(|_| backoff.pause()).collect();
        assert!(pauses[0] <= first && pauses[0] >= first / 2);
        assert!(pauses.iter().all(|pause| *pause <= max));
        assert!(pauses[30] >= max / 2);
        backoff.reset();
        assert!(backoff.pause() <= first);
    }

    #[test]
    fn pauses_stay_within_their_bounds_after_any_number_of_failures() {
        let bounds = Bounds { first: Duration::from_millis(100), max: Duration::from_secs(1) };
        for failures in [0, 1, 5, 100, u32::MAX] {
            let pause = Backoff { bounds, failures }.pause();
            assert!(pause >= bounds.first / 2 && pause <= bounds.max, "{failures}: {pause:?}");
        }
        assert!(Backoff { bounds, failures: 10 }.pause() > bounds.first);
    }
}
