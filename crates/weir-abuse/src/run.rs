//! Counters of one subject that count the same events: what all of them count is held once, and added to each when one of
//! them is asked.
//!
//! Rules with the same key mostly apply to the same requests, and most sources stay far from every limit. As long as all
//! counters stay in their newest slot, no count passes half of its limit and no peak rises to another bucket, one addition
//! does for all of them.

use super::counter::{Counter, MINUTE_MS, minute};
use super::histogram::{bucket, highest};
use super::window::Window;

/// Events that wait to be added to each counter of a run.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// Identifies the counters and how they count; 0 while there are none.
    set: u64,
    /// The counters, by their places in the subject.
    start: usize,
    len: usize,
    /// Events that wait.
    pending: u32,
    /// How many more may wait.
    room: u32,
    /// Times in which events may wait, in milliseconds since 1970: all lie in the newest slot of each counter.
    from: u64,
    until: u64,
    /// Time of the latest event.
    last: u64,
}

impl Run {
    /// Counts an event at `now` under all counters of `set`, and returns the place behind them; `None` if it must be counted
    /// under each.
    #[inline]
    pub fn add(&mut self, set: u64, now: u64) -> Option<usize> {
        if self.set != set || self.room == 0 || now < self.from || now >= self.until {
            return None;
        }
        self.room -= 1;
        self.pending += 1;
        self.last = self.last.max(now);
        Some(self.start + self.len)
    }

    /// Whether the counter at `at` is one of them.
    #[inline]
    pub fn covers(&self, at: usize) -> bool {
        self.set != 0 && at.wrapping_sub(self.start) < self.len
    }

    /// Adds what waits to the counters.
    #[inline]
    pub fn settle(&mut self, counters: &mut [Counter]) {
        if self.pending > 0 {
            let counters = counters.iter_mut().skip(self.start).take(self.len);
            counters.for_each(|counter| counter.add_pending(self.pending, self.last));
            self.pending = 0;
        }
    }

    /// Ends it, for a counter changes or comes to another place.
    #[inline]
    pub fn end(&mut self, counters: &mut [Counter]) {
        self.settle(counters);
        self.set = 0;
    }

    /// Begins after an event at `now` that was counted under each of the `counters` from `start` on, if these are those of
    /// `set`.
    pub fn begin(&mut self, set: u64, counters: &[Counter], start: usize, now: u64) {
        debug_assert_eq!((self.set, self.pending), (0, 0), "events would be lost");
        let (mut room, mut until) = (u32::MAX, (now / MINUTE_MS + 1) * MINUTE_MS);
        for counter in counters {
            let Some(one) = counter.quiet(now) else { return };
            (room, until) = (room.min(one.0), until.min(one.1));
            if room == 0 {
                return;
            }
        }
        *self = Self { set, start, len: counters.len(), pending: 0, room, from: now, until, last: now };
    }
}

impl Counter {
    /// How many more events cannot be of interest after one at `now`, and until when they lie in its newest slot; `None` if it
    /// is not plain, or the event was not the latest.
    fn quiet(&self, now: u64) -> Option<(u32, u64)> {
        let (newest, slot_ms) = (self.window.newest(), Window::slot_ms(self.window_ms));
        let count = self.count_in(newest, now);
        let is_plain = self.distinct.is_none() && self.shared.is_none();
        if !is_plain || count == 0 || self.slot(now) != newest || !self.has_peak_of(minute(now)) {
            return None;
        }
        let below = (self.limit / 2).min(highest(bucket(self.peak())));
        Some((below.saturating_sub(count), (newest + 1) * slot_ms))
    }
}
