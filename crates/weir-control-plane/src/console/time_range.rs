//! The time ranges that pages offer.

use super::view::parts::Choice;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A time range that ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// Code, as in addresses.
    pub code: &'static str,
    /// Label.
    pub label: &'static str,
    /// Length in milliseconds; none for all stored data.
    pub length: Option<i64>,
    /// Bucket length of attack counts, in milliseconds.
    pub step: i64,
    /// Bucket length of traffic plots, in milliseconds.
    pub fine_step: i64,
}

const fn range(code: &'static str, label: &'static str, length: Option<i64>, step: i64, fine_step: i64) -> TimeRange {
    TimeRange { code, label, length, step, fine_step }
}

/// All ranges.
pub const TIME_RANGES: &[TimeRange] = &[
    range("1h", "1 hour", Some(HOUR), MINUTE, MINUTE),
    range("24h", "24 hours", Some(DAY), HOUR, 15 * MINUTE),
    range("7d", "7 days", Some(7 * DAY), 3 * HOUR, 3 * HOUR),
    range("30d", "30 days", Some(30 * DAY), 12 * HOUR, 12 * HOUR),
    range("all", "All", None, DAY, DAY),
];

/// The range with this code, or else the one with the code `otherwise`.
pub fn find(code: &str, otherwise: &str) -> TimeRange {
    let by = |code: &str| TIME_RANGES.iter().find(|range| range.code == code).copied();
    by(code).or_else(|| by(otherwise)).unwrap_or(TIME_RANGES[0])
}

impl TimeRange {
    /// Start of the range at `now`; none for all stored data.
    pub fn from(self, now: i64) -> Option<i64> {
        self.length.map(|length| (now - length).max(0))
    }

    /// Start and end of the range in whole buckets of `step`, the last of which contains `now`.
    pub fn whole(self, now: i64, step: i64) -> (i64, i64) {
        let to = (now / step + 1) * step;
        ((to - self.length.unwrap_or(30 * DAY)).max(0), to)
    }

    /// Links to all ranges that satisfy `fits`, built by `address`.
    pub fn choices(self, fits: impl Fn(&TimeRange) -> bool, address: impl Fn(&str) -> String) -> Vec<Choice> {
        let choice =
            |range: &TimeRange| Choice { label: range.label, href: address(range.code), current: *range == self };
        TIME_RANGES.iter().filter(|range| fits(range)).map(choice).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_in_the_bucket_of_now() {
        let now = 1_700_000_123_456;
        let day = find("24h", "7d");
        let (from, to) = day.whole(now, day.step);
        assert!(from % HOUR == 0 && to > now && to - now <= HOUR && to - from == DAY);
        assert_eq!(find("nothing", "7d").code, "7d");
        assert_eq!(find("all", "7d").from(now), None);
        for range in TIME_RANGES.iter().filter(|range| range.length.is_some()) {
            let buckets = range.length.unwrap() / range.step;
            assert!((20..=100).contains(&buckets), "{}: {buckets}", range.code);
        }
    }
}
