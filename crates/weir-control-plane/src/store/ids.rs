//! Ids of hits and attacks: UUIDv7, whose text sorts by time, so that a stretch of time is a range of ids.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use uuid::Uuid;

/// Milliseconds of a day.
pub const DAY: i64 = 86_400_000;
/// Milliseconds of an hour.
pub const HOUR: i64 = 3_600_000;
/// Milliseconds of a minute.
pub(super) const MINUTE: i64 = 60_000;
/// Greatest time that an id can carry: 48 bits of milliseconds.
pub(super) const MAX_TIME: i64 = (1 << 48) - 1;

/// The id in its one canonical form, and its time; none if it is no UUIDv7.
pub(super) fn read(id: &str) -> Option<(String, i64)> {
    let uuid = Uuid::try_parse(id).ok()?;
    if uuid.get_version_num() != 7 || uuid.get_variant() != uuid::Variant::RFC4122 {
        return None;
    }
    let millis = uuid.as_u128() >> 80;
    Some((uuid.hyphenated().to_string(), i64::try_from(millis).ok()?))
}

/// A new id with the time `time`.
pub(super) fn mint(time: i64) -> String {
    let time = u64::try_from(time.clamp(0, MAX_TIME)).unwrap_or_default();
    let nanos = u32::try_from(time % 1000 * 1_000_000).unwrap_or_default();
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, time / 1000, nanos)).hyphenated().to_string()
}

/// The text before which every id of an earlier time sorts, and after which every id of `time` and later.
pub(super) fn bound(time: i64) -> String {
    let time = time.clamp(0, MAX_TIME);
    format!("{:08x}-{:04x}-0000-0000-000000000000", time >> 16, time & 0xffff)
}

/// The earliest time of an id that begins with `text`, its first 8 or 13 characters.
pub(super) fn prefix_time(text: &str) -> i64 {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).take(12);
    let (time, count) = digits.fold((0, 0), |(time, count), digit| {
        (time << 4 | i64::from(char::from(digit).to_digit(16).unwrap_or_default()), count + 1)
    });
    time << (4 * (12 - count))
}

/// A month of the civil calendar in UTC, counted since year 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Month(pub i64);

impl Month {
    /// The month in which `time` lies.
    pub fn of(time: i64) -> Month {
        let date = date(time);
        Month(i64::from(date.year()) * 12 + i64::from(date.month()) - 1)
    }

    /// Its first millisecond.
    pub fn start(self) -> i64 {
        let year = i16::try_from(self.0.div_euclid(12)).unwrap_or(i16::MAX).min(9999);
        let month = i8::try_from(self.0.rem_euclid(12) + 1).unwrap_or(1);
        start_of(Date::constant(year.max(0), month, 1))
    }

    /// The first millisecond after it.
    pub fn end(self) -> i64 {
        Month(self.0 + 1).start()
    }

    /// `2026-11`
    pub fn label(self) -> String {
        format!("{:04}-{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }

    /// Reads [`Month::label`].
    pub fn from_label(text: &str) -> Option<Month> {
        let (year, month) = text.split_once('-')?;
        let (year, month): (i64, i64) = (year.parse().ok()?, month.parse().ok()?);
        let this = Month(year * 12 + month - 1);
        ((1970..=9999).contains(&year) && (1..=12).contains(&month) && this.label() == text).then_some(this)
    }
}

/// `20261123`, the day in which `time` lies.
pub(super) fn day_label(time: i64) -> String {
    let date = date(time);
    format!("{:04}{:02}{:02}", date.year(), date.month(), date.day())
}

/// The day of `time` in UTC.
pub(super) fn date(time: i64) -> Date {
    let time = Timestamp::from_millisecond(time.clamp(0, MAX_TIME)).unwrap_or(Timestamp::UNIX_EPOCH);
    TimeZone::UTC.to_datetime(time).date()
}

/// The first millisecond of a day in UTC.
pub(super) fn start_of(date: Date) -> i64 {
    TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).map_or(0, Timestamp::as_millisecond)
}

/// Milliseconds since 1970.
pub(super) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_of_ids_tell_times() {
        let time = 1_773_144_012_345;
        let id = mint(time);
        assert_eq!(prefix_time(&id[..13]), time);
        let coarse = prefix_time(&id[..8]);
        assert!(coarse <= time && time - coarse < 65_536, "{coarse}");
    }

    #[test]
    fn ids_carry_their_time_and_sort_by_it() {
        for time in [0, 1, 1_700_000_000_123, MAX_TIME] {
            let id = mint(time);
            assert_eq!(read(&id), Some((id.clone(), time)));
            assert!(bound(time) <= id && id < bound(time + 1) || time == MAX_TIME, "{id}");
        }
        let upper = mint(77).to_uppercase();
        assert_eq!(read(&upper).unwrap().0, upper.to_lowercase());
        for bad in ["", "x", "550e8400-e29b-41d4-a716-446655440000", "018bcfe5-687b-7000-0000-000000000001"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn months_begin_and_end() {
        let time = 1_795_000_000_000;
        let month = Month::of(time);
        assert_eq!(month.label(), "2026-11");
        assert_eq!(Month::from_label("2026-11"), Some(month));
        assert!(month.start() <= time && time < month.end());
        assert_eq!(Month::of(month.end() - 1), month);
        assert_eq!(Month::of(month.end()), Month(month.0 + 1));
        assert_eq!(day_label(month.start()), "20261101");
        for bad in ["2026-13", "2026-00", "2026-1", "x", "99999-01", "../../etc"] {
            assert_eq!(Month::from_label(bad), None, "{bad}");
        }
    }
}
