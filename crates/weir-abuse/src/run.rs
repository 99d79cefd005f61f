//! Counters of one subject that count the same events: what all of them count is noted once, and added to each when one of
//! them is asked.
//!
//! Rules with the same key mostly apply to the same requests, and most sources stay far from every limit. As long as no
//! count can pass half of its limit, it is enough to note when the events were. Nothing is lost by that: each counter gets
//! them with their times, and reports the peaks that they reached.

use super::counter::{Counter, MINUTE_MS, Peak, minute};
use super::window::Window;
use std::any::Any;
use std::sync::Arc;

/// Moments that are noted, besides the latest, before they are added to the counters.
const EARLIER: usize = 7;

/// What identifies counters that count the same events, and how they count; only its address is compared.
pub(super) type Set = Arc<dyn Any + Send + Sync>;

/// The peak that a counter reached with events that were noted.
#[derive(Clone, Debug)]
pub struct SetPeak {
    /// What was given to [`Group::add_to_each`](super::Group::add_to_each).
    pub set: Arc<dyn Any + Send + Sync>,
    /// Which of its counters.
    pub number: usize,
    /// The peak.
    pub peak: Peak,
}

/// Events that wait to be added to each counter of a run. What most events need comes first and is in one line of the
/// processor's caches: where there are many sources, it is the memory that takes the time.
#[derive(Default)]
#[repr(C, align(64))]
pub(super) struct Run {
    /// The counters and how they count; `None` if there are none.
    set: Option<Set>,
    /// The time of the first event that waits, in milliseconds since 1970. Other times are counted from it.
    base: u64,
    /// How many more events may wait.
    room: u32,
    /// When the latest moment began, and when it ends: events before that are added to it.
    began: u32,
    until: u32,
    /// Time of the latest event.
    last: u32,
    /// The counters, by their places in the subject.
    start: u32,
    len: u32,
    /// Milliseconds within which all events are in one slot of each counter, and in one minute.
    step: u32,
    /// Events of the latest moment; 0 if nothing waits.
    events: u16,
    /// Moments before the latest.
    earlier: u8,
    /// Whether the counters are shared with other replicas.
    is_shared: bool,
    /// When the earlier moments began, and their events.
    times: [u32; EARLIER],
    counts: [u16; EARLIER],
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("len", &self.len).field("events", &self.events).finish_non_exhaustive()
    }
}

/// Whether an event was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// Yes; this is the place behind the counters.
    Before(usize),
    /// No, but once what waits was added to the counters, it can be.
    Full,
    /// No: it must be counted under each.
    No,
}

impl Run {
    /// Notes an event at `now` under all counters of `set`.
    #[inline]
    pub fn note<T>(&mut self, set: &Arc<T>, is_shared: bool, now: u64) -> Noted {
        let is_mine = self.set.as_ref().is_some_and(|own| std::ptr::addr_eq(Arc::as_ptr(own), Arc::as_ptr(set)));
        if !is_mine || self.room == 0 || self.is_shared != is_shared {
            return Noted::No;
        }
        if self.events == 0 {
            (self.base, self.last) = (now, 0);
            return self.begin_moment(0, now);
        }
        let Some(time) = now.checked_sub(self.base) else { return Noted::No };
        let Ok(time) = u32::try_from(time) else { return Noted::Full };
        if time < self.began {
            return Noted::No;
        }
        if time < self.until && self.events < u16::MAX {
            self.events += 1;
            self.last = self.last.max(time);
            return self.noted();
        }
        let earlier = usize::from(self.earlier);
        if earlier == EARLIER {
            return Noted::Full;
        }
        (self.times[earlier], self.counts[earlier]) = (self.began, self.events);
        self.earlier += 1;
        self.begin_moment(time, now)
    }

    fn begin_moment(&mut self, time: u32, now: u64) -> Noted {
        (self.began, self.events) = (time, 1);
        self.until = time.saturating_add(self.step - (now % u64::from(self.step)) as u32);
        self.last = self.last.max(time);
        self.noted()
    }

    #[inline]
    fn noted(&mut self) -> Noted {
        self.room -= 1;
        Noted::Before((self.start + self.len) as usize)
    }

    /// Whether the counter at `at` is one of them.
    #[inline]
    pub fn covers(&self, at: usize) -> bool {
        self.set.is_some() && at.wrapping_sub(self.start as usize) < self.len as usize
    }

    /// Whether another set of `len` counters may take its place: not while events wait for a set that is no smaller, or two
    /// sets that take turns would do so with each event.
    pub fn gives_way_to(&self, len: usize) -> bool {
        self.events == 0 || self.set.is_none() || len > self.len as usize
    }

    /// Adds what waits to the counters.
    #[inline]
    pub fn settle(&mut self, counters: &mut [Counter], peaks: &mut Vec<SetPeak>) {
        if self.events > 0 {
            self.add_to(counters, peaks);
        }
    }

    #[inline(never)]
    fn add_to(&mut self, counters: &mut [Counter], peaks: &mut Vec<SetPeak>) {
        let Some(set) = &self.set else { return };
        let (base, earlier) = (self.base, ..usize::from(self.earlier));
        let latest = (&self.began, &self.events);
        let moments = || self.times[earlier].iter().zip(&self.counts[earlier]).chain([latest]);
        let counters = counters.iter_mut().skip(self.start as usize).take(self.len as usize);
        for (number, counter) in counters.enumerate() {
            let mut reached: Option<Peak> = None;
            let mut push = |peak| peaks.push(SetPeak { set: Arc::clone(set), number, peak });
            for (&time, &events) in moments() {
                let Some(peak) = counter.add_noted(base + u64::from(time), i32::from(events)) else { continue };
                match &mut reached {
                    Some(reached) if reached.minute == peak.minute => reached.to = peak.to,
                    _ => reached.replace(peak).into_iter().for_each(&mut push),
                }
            }
            reached.into_iter().for_each(&mut push);
            counter.last = counter.last.max(base + u64::from(self.last));
            counter.queued |= self.is_shared;
        }
        (self.earlier, self.events) = (0, 0);
    }

    /// Ends it, for a counter changes or comes to another place.
    #[inline]
    pub fn end(&mut self, counters: &mut [Counter], peaks: &mut Vec<SetPeak>) {
        self.settle(counters, peaks);
        self.set = None;
    }

    /// Takes account of a counter at `at` that changed, while nothing waits.
    pub fn narrow(&mut self, counters: &[Counter], at: usize) {
        if self.covers(at) {
            let room = counters.get(at).and_then(|counter| counter.room(self.is_shared));
            self.room = self.room.min(room.unwrap_or(0));
        }
    }

    /// Begins after an event that was counted under each of the `counters` from `start` on, if these are those of `set`.
    pub fn begin(&mut self, set: Set, counters: &[Counter], start: usize, is_shared: bool) {
        debug_assert!(self.set.is_none() && self.events == 0, "events would be lost");
        let (mut room, mut step) = (u32::MAX, MINUTE_MS);
        for counter in counters {
            let Some(own) = counter.room(is_shared) else { return };
            (room, step) = (room.min(own), common_divisor(Window::slot_ms(counter.window_ms), step));
        }
        *self = Self {
            set: Some(set),
            start: start as u32,
            len: counters.len() as u32,
            room,
            step: step as u32,
            is_shared,
            ..Self::default()
        };
    }
}

/// The greatest common divisor of two numbers that are not 0.
fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl Counter {
    /// How many more events it can count before it is past half of its limit, whatever leaves its window; `None` if that is
    /// not known, or there is no room.
    fn room(&self, is_shared: bool) -> Option<u32> {
        if self.distinct.is_some() || self.shared.is_some() != is_shared {
            return None;
        }
        let most = self.window.most().max(self.shared.as_ref().map_or(0, |shared| shared.most()));
        let room = i64::from(self.limit / 2) - most;
        u32::try_from(room).ok().filter(|room| *room > 0)
    }

    /// Counts `n` events at `time`, which is not before any other, and returns the peak if it was raised.
    #[inline]
    fn add_noted(&mut self, time: u64, n: i32) -> Option<Peak> {
        let minute = minute(time);
        if self.shared.is_none()
            && let Some(seen) = self.add_newest(time, minute, n, 1)
        {
            return seen.peak;
        }
        let slot = self.slot(time);
        self.add_at(slot, slot, (time, time), n);
        self.observed(slot, time, 1).peak
    }
}
