//! Round steps for an axis.

/// The top of an axis for values up to `max`, and its steps from 0 on.
pub fn axis(max: u64, steps: u64) -> (u64, Vec<u64>) {
    let max = max.clamp(1, u64::MAX / 16);
    let step = round_up(max.div_ceil(steps.max(1)));
    let top = max.div_ceil(step) * step;
    (top, (0..=top / step).map(|n| n * step).collect())
}

/// The next of 1, 2, 5, 10, 20, 50...
fn round_up(n: u64) -> u64 {
    let mut unit = 1u64;
    loop {
        for factor in [1, 2, 5] {
            if unit * factor >= n {
                return unit * factor;
            }
        }
        unit *= 10;
    }
}

/// Label every n-th of `count` buckets, so that about `labels` labels are shown; returns n.
pub fn every(count: usize, labels: usize) -> usize {
    let least = count.div_ceil(labels.max(1)).max(1);
    [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 24, 30].into_iter().find(|&n| n >= least).unwrap_or(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_round_and_cover_the_values() {
        assert_eq!(axis(0, 4), (1, vec![0, 1]));
        assert_eq!(axis(7, 4), (8, vec![0, 2, 4, 6, 8]));
        assert_eq!(axis(1_730, 4), (2_000, vec![0, 500, 1_000, 1_500, 2_000]));
        for max in [1, 9, 10, 11, 99, 12_345, u64::MAX] {
            let (top, steps) = axis(max, 4);
            assert!(top >= max.min(u64::MAX / 16) && steps.len() <= 6, "{max}: {steps:?}");
        }
        assert_eq!(every(60, 8), 8);
        assert_eq!(every(48, 8), 6);
    }
}
