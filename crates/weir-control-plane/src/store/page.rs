//! Pages: newest first, and each begins where the one before ended, whatever came in meanwhile.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Most rows of a page.
pub const MAX_PAGE: u32 = 200;
/// Longest id in a cursor: that of a UUID as text.
const MAX_ID: usize = 36;

/// The last row of a page: what comes next is older. Opaque text to clients.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cursor {
    /// Its time, in milliseconds since 1970.
    pub time: i64,
    /// Its id, which decides among equal times.
    pub id: String,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.time, self.id)
    }
}

/// The text is not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: use `next` of the page before, or leave it out")]
pub struct CursorError;

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Cursor, CursorError> {
        let (time, id) = text.split_once('.').ok_or(CursorError)?;
        let plain = id.len() <= MAX_ID && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        match time.parse() {
            Ok(time) if plain => Ok(Cursor { time, id: id.to_owned() }),
            _ => Err(CursorError),
        }
    }
}

/// Which page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The last row seen; none for the first page.
    pub after: Option<Cursor>,
    /// Rows wanted; at most [`MAX_PAGE`] are given.
    pub limit: u32,
}

impl Page {
    /// The first `limit` rows.
    pub const fn first(limit: u32) -> Page {
        Page { after: None, limit }
    }

    /// Rows of this page at most.
    pub fn limit(&self) -> usize {
        self.limit.clamp(1, MAX_PAGE) as usize
    }
}

/// A page of rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listing<T> {
    /// The rows, newest first.
    pub rows: Vec<T>,
    /// Where the next page begins; none at the end.
    pub next: Option<Cursor>,
    /// Time of the oldest hit that was looked at, in milliseconds since 1970, where a page looks at so many at most; older ones
    /// are looked at from `next` on. None where all that are asked for were looked at, or the page is full.
    pub searched_since: Option<i64>,
}

impl<T> Listing<T> {
    /// A page of `limit` rows out of up to one more than that.
    pub fn cut(mut rows: Vec<T>, limit: usize, cursor: impl Fn(&T) -> Cursor) -> Listing<T> {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(cursor);
        Listing { rows, next, searched_since: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip_and_odd_ones_are_refused() {
        let cursor = Cursor { time: 1_700_000_000_000, id: "018bcfe5-687b-7000-8000-000000000001".into() };
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        for bad in ["", "1", "x.1", "1.' OR 1=1", &format!("1.{}", "a".repeat(37))] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }
}
