//! Periods: `today`, `last 3 months`, `11/23/2026`, `11/01/2026 10:00-11/02/2026 12:30`, `9-12/2026`, `2026-11-23`.
//!
//! Dates are month/day/year, as the documented syntax has them by default, or ISO 8601. Everything is UTC.

use super::super::ids::MINUTE;
use super::words::Word;
use super::{Wrong, wrong};
use jiff::civil::{Date, DateTime, Time, date};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

/// Words taken, first millisecond, first millisecond after.
type Period = (usize, Option<i64>, Option<i64>);

/// Most units of `last N days`: what a century has.
const MAX_UNITS: i64 = 36_500;

/// The period with which `words` begin, if they do.
pub(super) fn read(words: &[Word], now: i64) -> Result<Option<Period>, Wrong> {
    let Some(first) = words.first().filter(|word| word.attribute.is_none() && !word.quoted) else { return Ok(None) };
    let now = Timestamp::from_millisecond(now).unwrap_or(Timestamp::UNIX_EPOCH);
    let now = TimeZone::UTC.to_datetime(now);
    if let Some(period) = named(words, now)? {
        return Ok(Some(period));
    }
    let text = first.value.as_str();
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '<' || c == '>') || !text.contains(['/', ':', '-']) {
        return Ok(None);
    }
    // A date and its time are two words: take those that look like parts of dates.
    let part = |word: &&Word| word.attribute.is_none() && !word.negated && !word.quoted && is_part(&word.value);
    let more = words[1..].iter().take(2).take_while(part).count();
    for taken in (0..=more).rev() {
        let joined: Vec<&str> = words[..=taken].iter().map(|word| word.value.as_str()).collect();
        if let Some((from, to)) = written(&joined.join(" "), now) {
            return Ok(Some((taken + 1, from, to)));
        }
    }
    if is_part(text) && (text.contains('/') && !text.contains('.') || text.matches(':').count() == 1) {
        let help = "write `11/23/2026` (month/day/year), `2026-11-23`, `11/01/2026-11/23/2026`, `11/23/2026 10:00`, \
            `10:00-12:30`, `9-12/2026`, `>11/01/2026`";
        return wrong(format!("`{text}` is no date"), help);
    }
    Ok(None)
}

/// `90m`, `24h`, `7d`, `2w` before `now`; `2026-11-23`, `2026-11-23T10:00:00Z`; milliseconds since 1970.
pub(super) fn instant(text: &str, now: i64) -> Result<i64, Wrong> {
    let ago = || {
        let (at, unit) = text.char_indices().next_back()?;
        let unit = match unit {
            'm' => MINUTE,
            'h' => 60 * MINUTE,
            'd' => 24 * 60 * MINUTE,
            'w' => 7 * 24 * 60 * MINUTE,
            _ => return None,
        };
        now.checked_sub(text[..at].parse::<i64>().ok().filter(|count| *count >= 0)?.checked_mul(unit)?)
    };
    let day = || Some(TimeZone::UTC.to_timestamp(text.parse::<Date>().ok()?.at(0, 0, 0, 0)).ok()?.as_millisecond());
    let stamp = || text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond);
    let number = || text.parse::<i64>().ok();
    let read = ago().or_else(number).or_else(stamp).or_else(day).filter(|at| *at >= 0);
    read.ok_or_else(|| {
        (format!("`{text}` is no time"), "write `24h`, `7d`, `2026-11-23` or `2026-11-23T10:00:00Z`".into())
    })
}

fn is_part(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || b"/:-.<>".contains(&b))
}

/// `today`, `yesterday`, `last week`, `last 3 months`, `this year`.
fn named(words: &[Word], now: DateTime) -> Result<Option<Period>, Wrong> {
    let lower: Vec<String> = words.iter().take(3).map(|word| word.value.to_ascii_lowercase()).collect();
    let plain = |n: usize| words.get(n).is_some_and(|word| word.attribute.is_none());
    let get = |n: usize| lower.get(n).map(String::as_str).filter(|_| plain(n)).unwrap_or_default();
    let today = now.date();
    match get(0) {
        "today" => Ok(days(1, today, today)),
        "yesterday" => Ok(today.yesterday().ok().and_then(|day| days(1, day, day))),
        "this" | "last" => {
            let (n, unit, taken) = match get(1).parse::<i64>() {
                Ok(n) if get(0) == "last" => (n, get(2), 3),
                _ => (1, get(1), 2),
            };
            let Some(start) = start_of(unit, today) else {
                return wrong(
                    format!("`{}` without a period", get(0)),
                    "write `last week`, `last 3 months`, `this year`",
                );
            };
            if !(1..=MAX_UNITS).contains(&n) {
                return wrong("the number is out of bounds", "write a number from 1 up");
            }
            let from = if get(0) == "this" { Some(start) } else { start.checked_sub(step(unit, n)).ok() };
            let from = from.map(|date| millis(date.at(0, 0, 0, 0)));
            Ok(Some((taken, from, Some(millis(now) + 1))))
        }
        _ => Ok(None),
    }
}

fn step(unit: &str, n: i64) -> Span {
    match unit.trim_end_matches('s') {
        "day" => n.days(),
        "week" => n.weeks(),
        "month" => n.months(),
        // Bounded by MAX_UNITS, and by jiff's range of years in the end.
        _ => n.min(9_999).years(),
    }
}

/// First day of the unit in which `today` lies; weeks begin on Monday.
fn start_of(unit: &str, today: Date) -> Option<Date> {
    match unit.trim_end_matches('s') {
        "day" => Some(today),
        "week" => today.checked_sub(i64::from(today.weekday().to_monday_zero_offset()).days()).ok(),
        "month" => Some(today.first_of_month()),
        "year" => Some(today.first_of_year()),
        _ => None,
    }
}

/// Everything with digits.
fn written(text: &str, now: DateTime) -> Option<(Option<i64>, Option<i64>)> {
    if let Some(rest) = text.strip_prefix('>') {
        return moment(rest.trim(), now).map(|(_, end)| (Some(end), None));
    }
    if let Some(rest) = text.strip_prefix('<') {
        return moment(rest.trim(), now).map(|(start, _)| (None, Some(start)));
    }
    if let Some((start, end)) = moment(text, now) {
        return Some((Some(start), Some(end)));
    }
    if let Some((first, last)) = text.split_once("..") {
        let (first, last) = (moment(first.trim(), now)?, moment(last.trim(), now)?);
        return Some((Some(first.0), Some(last.1)));
    }
    // `9-12/2026`
    if let Some((month, rest)) = text.split_once('-')
        && let (Ok(month), Some((last, year))) = (month.parse(), rest.split_once('/').filter(|(_, y)| y.len() == 4))
    {
        let (start, end) = (first_of(year, month)?, first_of(year, last.parse().ok()?)?.last_of_month());
        return days(0, start, end).map(|(_, from, to)| (from, to));
    }
    // A dash stands between two moments, and in ISO dates: the one in the middle counts.
    let dashes: Vec<usize> = text.match_indices('-').map(|(at, _)| at).collect();
    let middle = *dashes.get(dashes.len() / 2).filter(|_| dashes.len() % 2 == 1)?;
    let (first, last) = (moment(text[..middle].trim(), now)?, moment(text[middle + 1..].trim(), now)?);
    Some((Some(first.0), Some(last.1)))
}

/// A day, a month, a minute: its first millisecond and the first one after.
fn moment(text: &str, now: DateTime) -> Option<(i64, i64)> {
    let (day, clock) = match text.split_once(' ') {
        Some((day, clock)) => (Some(day), Some(clock.trim())),
        None if text.contains(':') => (None, Some(text)),
        None => (Some(text), None),
    };
    let (first, last) = match day {
        Some(day) => day_or_month(day, now)?,
        None => (now.date(), now.date()),
    };
    match clock {
        None => days(0, first, last).and_then(|(_, from, to)| from.zip(to)),
        Some(clock) => {
            let (hour, minute) = clock.split_once(':')?;
            let minute = minute.split(':').next()?;
            let time = Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()?;
            let start = millis(first.to_datetime(time));
            Some((start, start + 60_000))
        }
    }
}

fn day_or_month(text: &str, now: DateTime) -> Option<(Date, Date)> {
    if let Ok(iso) = text.parse::<Date>() {
        return (text.len() == 10).then_some((iso, iso));
    }
    let parts: Vec<&str> = text.split('/').collect();
    let one = |date: Date| (date, date);
    match parts[..] {
        [month, day, year] => day_of(year, month, day).map(one),
        [month, year] if year.len() == 4 => {
            let first = first_of(year, month.parse().ok()?)?;
            Some((first, first.last_of_month()))
        }
        [month, day] => day_of(&now.year().to_string(), month, day).map(one),
        _ => None,
    }
}

fn day_of(year: &str, month: &str, day: &str) -> Option<Date> {
    let full: i16 = match year.len() {
        4 => year.parse().ok()?,
        2 => 2_000 + year.parse::<i16>().ok()?,
        _ => return None,
    };
    Date::new(full, month.parse().ok()?, day.parse().ok()?).ok()
}

fn first_of(year: &str, month: i8) -> Option<Date> {
    Date::new(year.parse().ok()?, month, 1).ok()
}

/// From the first day to the end of the last one.
fn days(taken: usize, first: Date, last: Date) -> Option<Period> {
    let end = last.tomorrow().unwrap_or(date(9999, 12, 31));
    Some((taken, Some(millis(first.at(0, 0, 0, 0))), Some(millis(end.at(0, 0, 0, 0)))))
}

/// Milliseconds since 1970, none of them before it.
fn millis(at: DateTime) -> i64 {
    TimeZone::UTC.to_timestamp(at).map_or(0, Timestamp::as_millisecond).max(0)
}
