//! One counter: how many events, or different values, under one key in its window.

use super::distinct::Distinct;
use super::histogram::bucket;
use super::shared::SharedState;
use super::window::Window;

pub(super) const MINUTE_MS: u64 = 60_000;

/// The minute of `now`, since 1970.
#[inline]
pub(super) fn minute(now: u64) -> u32 {
    (now / MINUTE_MS) as u32
}

/// What is counted under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Its window, in milliseconds.
    pub window_ms: u64,
    /// Its limit.
    pub limit: u32,
    /// Sessions that share the key: [`Peak`] is the count of one of them. 0 counts as 1.
    pub shares: u32,
}

/// The highest count of a key within a minute, in the buckets of a [`Histogram`](super::Histogram).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peak {
    /// Minutes since 1970.
    pub minute: u32,
    /// Its bucket before the event; `None` if this is the first event of the minute.
    pub from: Option<u8>,
    /// Its bucket now.
    pub to: u8,
}

/// The state of a counter after an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// Events, or different values, in the window.
    pub count: u32,
    /// The highest count of this minute, if the event raised it to another bucket.
    pub peak: Option<Peak>,
}

/// What a counter says besides its count; of interest above the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// When the first of the present run of events was seen, in milliseconds since 1970.
    pub since: u64,
    /// Whether most values are numbers that follow each other.
    pub sequential: bool,
    /// Milliseconds until the count has fallen to the limit; 0 if it is not above it.
    pub wait_ms: u64,
}

#[derive(Debug)]
pub(super) struct Counter {
    /// The lower half of its key; the upper half is that of its subject.
    pub low: u64,
    pub window_ms: u64,
    pub limit: u32,
    /// Highest count of one session within `minute`.
    peak: u32,
    /// Minute of `peak`, since 1970.
    minute: u32,
    /// Whether it waits in the list of those to be sent.
    pub queued: bool,
    pub first: u64,
    pub last: u64,
    pub window: Window,
    pub distinct: Option<Box<Distinct>>,
    pub shared: Option<Box<SharedState>>,
}

impl Counter {
    /// An empty counter; `is_shared` if other replicas are to know it.
    pub fn new(low: u64, spec: Spec, now: u64, is_shared: bool) -> Self {
        Self {
            low,
            window_ms: spec.window_ms,
            limit: spec.limit,
            peak: 0,
            minute: 0,
            queued: false,
            first: now,
            last: now,
            window: Window::default(),
            distinct: None,
            shared: is_shared.then(Box::default),
        }
    }

    /// Takes the window and the limit of `spec`: a rule may have been changed.
    pub fn adapt(&mut self, spec: Spec, is_shared: bool) {
        if self.window_ms != spec.window_ms {
            // Slots of another length cannot be added up.
            (self.window, self.distinct) = (Window::default(), None);
            self.shared = is_shared.then(Box::default);
        }
        if is_shared && self.shared.is_none() {
            self.shared = Some(Box::new(SharedState::with(&self.window)));
        }
        (self.window_ms, self.limit) = (spec.window_ms, spec.limit);
    }

    /// The slot of `time`: mostly the newest one, which needs no division.
    #[inline(always)]
    pub fn slot(&self, time: u64) -> u64 {
        let slot_ms = Window::slot_ms(self.window_ms);
        let newest = self.window.newest();
        let since = time.wrapping_sub(newest.wrapping_mul(slot_ms));
        if since < slot_ms { newest } else { time / slot_ms }
    }

    /// Events, or different values, in the window that ends at `now`, which lies in `slot`.
    #[inline]
    pub fn count_in(&self, slot: u64, now: u64) -> u32 {
        if let Some(distinct) = &self.distinct {
            let all = self.shared.as_ref().map_or(0, |shared| shared.distinct(slot));
            return all.max(if self.is_expired(now) { 0 } else { distinct.count() });
        }
        let all = self.shared.as_ref().map_or(0, |shared| shared.sum(slot));
        u32::try_from(self.window.sum(slot).max(all).max(0)).unwrap_or(u32::MAX)
    }

    pub fn count(&self, now: u64) -> u32 {
        self.count_in(self.slot(now), now)
    }

    /// Whether its window has passed since the last event.
    pub fn is_expired(&self, now: u64) -> bool {
        self.last.saturating_add(self.window_ms) < now
    }

    /// What it says besides its count at `now`, which lies in `slot`.
    pub fn details(&self, slot: u64, now: u64) -> Details {
        let wait_ms = match &self.distinct {
            _ if self.count_in(slot, now) <= self.limit => 0,
            Some(_) => self.window_ms,
            None => {
                let slot_ms = Window::slot_ms(self.window_ms);
                self.window.slots_until(slot, i64::from(self.limit)).max(1) * slot_ms - now % slot_ms
            }
        };
        let sequential = self.distinct.as_ref().is_some_and(|distinct| distinct.is_sequential());
        Details { since: self.first, sequential, wait_ms }
    }

    /// Whether it counts events under `spec`, and none but those of this node: the usual case.
    #[inline(always)]
    pub fn is_plain(&self, spec: Spec) -> bool {
        self.window_ms == spec.window_ms && self.distinct.is_none() && self.shared.is_none()
    }

    /// Counts `n` events at `now`, which lies in `minute`, in a plain counter; `None` if the clock was set back, and nothing is
    /// counted.
    #[inline(always)]
    pub fn add_newest(&mut self, now: u64, minute: u32, n: i32, shares: u32) -> Option<Observation> {
        let slot = self.slot(now);
        if slot != self.window.newest() {
            self.window.advance(slot);
            if self.window.newest() != slot {
                return None;
            }
        }
        let sum = self.window.add_newest(n);
        if sum <= i64::from(n) {
            self.first = now;
        }
        self.last = self.last.max(now);
        let count = u32::try_from(sum.max(0)).unwrap_or(u32::MAX);
        Some(Observation { count, peak: self.raise_peak(count, minute, shares) })
    }

    /// Counts `n` events at `time`, which lies in `slot`; it is `now`, which lies in `present`.
    #[inline]
    pub fn add_at(&mut self, slot: u64, present: u64, (time, now): (u64, u64), n: i32) {
        self.window.advance(present);
        // Whether others counted is asked only where nothing was counted here.
        if self.window.sum(present) <= 0 && self.count_in(present, now) == 0 {
            self.first = time;
        }
        self.window.add(slot, n);
        self.last = self.last.max(now);
        if let Some(shared) = &mut self.shared {
            shared.add(slot, n);
        }
    }

    /// What an event makes of it: its count, and the highest one of the minute.
    #[inline]
    pub fn observed(&mut self, slot: u64, now: u64, shares: u32) -> Observation {
        let count = self.count_in(slot, now);
        Observation { count, peak: self.raise_peak(count, minute(now), shares) }
    }

    /// The highest count of the minute, if `all` raised it to another bucket.
    #[inline(always)]
    fn raise_peak(&mut self, all: u32, minute: u32, shares: u32) -> Option<Peak> {
        let is_first = minute != self.minute;
        if !is_first && all <= self.peak {
            return None;
        }
        let count = if shares > 1 { all.div_ceil(shares) } else { all };
        if all == 0 || !(is_first || count > self.peak) {
            return None;
        }
        let (from, to) = ((!is_first).then(|| bucket(self.peak)), bucket(count));
        (self.minute, self.peak) = (minute, count);
        (from != Some(to)).then_some(Peak { minute, from, to })
    }

    /// Bytes on the heap.
    pub fn heap(&self) -> usize {
        let distinct = self.distinct.as_ref().map_or(0, |distinct| size_of::<Distinct>() + distinct.heap());
        distinct + self.shared.as_ref().map_or(0, |shared| shared.heap())
    }
}
