//! When reports of a day or week are sent.

use crate::store::{DAY, HOUR};
use serde::{Deserialize, Serialize};

/// From 1970-01-01, a Thursday, to the first Monday.
const MONDAY: i64 = 4 * DAY;

/// The period of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    /// Every day.
    Daily,
    /// Every Monday.
    Weekly,
}

/// When a report is sent; it covers the period that ends then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// How often.
    pub every: Every,
    /// Hour of the day, 0 to 23, in UTC.
    pub hour: u8,
}

impl Schedule {
    /// The period in milliseconds.
    pub fn window(self) -> i64 {
        match self.every {
            Every::Daily => DAY,
            Every::Weekly => 7 * DAY,
        }
    }

    /// The last time at or before `now`, both in milliseconds since 1970, at which a report is due.
    pub fn last(self, now: i64) -> i64 {
        let first = i64::from(self.hour) * HOUR + if self.every == Every::Weekly { MONDAY } else { 0 };
        (now - first).div_euclid(self.window()) * self.window() + first
    }

    /// The first time after `now`.
    pub fn next(self, now: i64) -> i64 {
        self.last(now) + self.window()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn reports_are_due_at_their_hour() {
        let daily = Schedule { every: Every::Daily, hour: 6 };
        let weekly = Schedule { every: Every::Weekly, hour: 6 };
        // 2026-11-30 is a Monday.
        for (schedule, now, last, next) in [
            (daily, "2026-11-29T05:59:59Z", "2026-11-28T06:00:00Z", "2026-11-29T06:00:00Z"),
            (daily, "2026-11-29T06:00:00Z", "2026-11-29T06:00:00Z", "2026-11-30T06:00:00Z"),
            (weekly, "2026-11-30T05:00:00Z", "2026-11-23T06:00:00Z", "2026-11-30T06:00:00Z"),
            (weekly, "2026-11-30T06:00:00Z", "2026-11-30T06:00:00Z", "2026-12-07T06:00:00Z"),
            (weekly, "2026-12-06T23:00:00Z", "2026-11-30T06:00:00Z", "2026-12-07T06:00:00Z"),
        ] {
            assert_eq!(schedule.last(millis(now)), millis(last), "{schedule:?} {now}");
            assert_eq!(schedule.next(millis(now)), millis(next), "{schedule:?} {now}");
        }
    }
}
