//! Moments and spans as people read them. Everything is in UTC, and says so.

use jiff::Timestamp;
use std::fmt;

/// A moment, in milliseconds since 1970, seen from a page made at `now`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// The moment.
    pub at: i64,
    /// When the page was made.
    pub now: i64,
}

impl Moment {
    /// The moment `at`, seen from `now`; both in milliseconds since 1970.
    pub const fn new(at: i64, now: i64) -> Self {
        Self { at, now }
    }

    /// RFC 3339, for machines.
    pub fn iso(self) -> String {
        format(self.at, "%Y-%m-%dT%H:%M:%S.%3fZ")
    }

    /// `2026-11-23 21:33:05`
    pub fn full(self) -> String {
        format(self.at, "%Y-%m-%d %H:%M:%S")
    }

    /// `21:33` on the day of the page, `23 Nov 21:33` within its year, else with the year.
    pub fn short(self) -> String {
        let pattern = if format(self.at, "%F") == format(self.now, "%F") {
            "%H:%M"
        } else if format(self.at, "%Y") == format(self.now, "%Y") {
            "%-d %b %H:%M"
        } else {
            "%-d %b %Y"
        };
        format(self.at, pattern)
    }

    /// `12 s ago`, `in 3 days`.
    pub fn relative(self) -> String {
        let ms = self.now - self.at;
        match ms.unsigned_abs() {
            0..1_000 => "now".into(),
            ahead if ms < 0 => format!("in {}", span(rounded(ahead))),
            past => format!("{} ago", span(past)),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full())
    }
}

/// Milliseconds since 1970 by a pattern of `strftime`; a dash where there is no such moment.
pub fn format(ms: i64, pattern: &str) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| "–".into(), |at| at.strftime(pattern).to_string())
}

/// To the nearest unit of [`span`]: what ends in 30 days still does so a moment later.
fn rounded(ms: u64) -> u64 {
    let unit = match ms / 1_000 {
        0..60 => 1_000,
        60..3_600 => 60_000,
        3_600..86_400 => 3_600_000,
        _ => 86_400_000,
    };
    ms + unit / 2
}

/// Milliseconds in the largest unit that is at least one: `42 s`, `3 min`, `5 h`, `12 days`.
pub fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        86_400..172_800 => "1 day".into(),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_well() {
        let now = 1_700_000_000_000;
        assert_eq!(Moment::new(now - 90_000, now).relative(), "1 min ago");
        assert_eq!(Moment::new(now + 3 * 86_400_000, now).relative(), "in 3 days");
        for (left, says) in
            [(2_591_999_900, "in 30 days"), (599_900, "in 10 min"), (59_600, "in 1 min"), (7_100_000, "in 2 h")]
        {
            assert_eq!(Moment::new(now + left, now).relative(), says, "what was set to a round time just now");
        }
        assert_eq!(Moment::new(now, now).relative(), "now");
        assert_eq!(Moment::new(now, now).iso(), "2023-11-14T22:13:20.000Z");
        assert_eq!(Moment::new(i64::MAX, now).full(), "–");
    }
}
