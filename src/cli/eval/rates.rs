//! Shares of requests, with confidence intervals, and means over sources.

use serde::Serialize;

/// Normal quantile of a two-sided 95 % interval.
const Z: f64 = 1.96;

/// How many of some requests were blocked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    /// Blocked.
    pub blocked: u64,
    /// All.
    pub of: u64,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, blocked: bool) {
        self.blocked += u64::from(blocked);
        self.of += 1;
    }

    /// The share that was blocked, 0 to 1; `None` of nothing.
    pub fn share(self) -> Option<f64> {
        (self.of > 0).then(|| self.blocked as f64 / self.of as f64)
    }

    /// Wilson's interval, which holds the true share in 95 of 100 samples; `None` of nothing.
    pub fn interval(self) -> Option<(f64, f64)> {
        let share = self.share()?;
        let n = self.of as f64;
        let middle = share + Z * Z / (2.0 * n);
        let width = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        // Rounding must not give -0.0 or more than all.
        let bound = |value: f64| (value / scale).clamp(0.0, 1.0);
        Some((bound(middle - width), bound(middle + width)))
    }
}

/// The mean of shares; `None` of nothing.
pub(super) fn mean(tallies: impl Iterator<Item = Tally>) -> Option<f64> {
    let shares: Vec<f64> = tallies.filter_map(Tally::share).collect();
    (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_wilson() {
        let (low, high) = Tally { blocked: 8, of: 10 }.interval().unwrap();
        assert!((low - 0.4902).abs() < 1e-3 && (high - 0.9433).abs() < 1e-3, "{low} {high}");
        assert_eq!(Tally { blocked: 0, of: 50 }.interval().unwrap().0, 0.0);
        assert_eq!(Tally { blocked: 50, of: 50 }.interval().unwrap().1, 1.0);
        assert_eq!((Tally::default().share(), Tally::default().interval()), (None, None));
    }

    #[test]
    fn a_mean_counts_each_source_once_and_leaves_out_empty_ones() {
        let tallies = [Tally { blocked: 1, of: 1 }, Tally { blocked: 0, of: 99 }, Tally::default()];
        assert_eq!(mean(tallies.into_iter()), Some(0.5));
        assert_eq!(mean(std::iter::empty()), None);
    }
}
