//! The counters of one subject, under one lock.

use super::counter::{Counter, Details, Observation, Spec};
use super::distinct::Distinct;
use super::table::{COUNTER_BYTES, SUBJECT_BYTES, Shard, Subject, Table};
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

/// The counters whose keys have the same upper half, at one time. Their shard is locked as long as this lives.
///
/// Counters are found in no time if they are asked for in the order in which they were made, as the rules of a policy are.
#[derive(Debug)]
pub struct Group<'t> {
    table: &'t Table,
    shard: MutexGuard<'t, Shard>,
    is_shared: bool,
    high: u64,
    now: u64,
    /// Counters that may be made.
    expected: usize,
    /// Place of the subject, if there is one.
    place: Option<usize>,
    /// Where the next counter is likely to be.
    next: usize,
}

impl<'t> Group<'t> {
    pub(super) fn new(table: &'t Table, shard: MutexGuard<'t, Shard>, high: u64, now: u64, expected: usize) -> Self {
        let (is_shared, place) = (table.is_shared(), shard.place(high));
        Self { table, shard, is_shared, high, now, expected, place, next: 0 }
    }

    /// Adds `n` events under `key`, and says what the count is then.
    #[inline]
    pub fn add(&mut self, key: u128, spec: Spec, n: i32) -> Observation {
        if n == 1
            && let Some((place, at)) = self.find(key)
        {
            let now = self.now;
            let counter = self.shard.subjects[place].counters.get_mut(at);
            let plain = counter.filter(|counter| !self.is_shared && counter.is_plain(spec));
            if let Some(seen) = plain.and_then(|counter| counter.add_one(now, spec.limit, spec.shares)) {
                return seen;
            }
            self.next = at;
        }
        self.add_at(key, spec, self.now, n)
    }

    /// Like [`Self::add`], for events that were at `time`: negative `n` takes back what was added then.
    pub fn add_at(&mut self, key: u128, spec: Spec, time: u64, n: i32) -> Observation {
        let now = self.now;
        let Some((place, at)) = self.find_or_make(key, spec) else { return Observation::default() };
        let counter = &mut self.shard.subjects[place].counters[at];
        let present = counter.slot(now);
        let slot = if time == now { present } else { counter.slot(time) };
        counter.window.advance(present);
        // Whether others counted is asked only where nothing was counted here.
        if counter.window.sum(present) <= 0 && counter.count_in(present, now) == 0 {
            counter.first = time;
        }
        counter.window.add(slot, n);
        counter.last = counter.last.max(now);
        if let Some(shared) = &mut counter.shared {
            shared.add(slot, n);
        }
        let seen = counter.observed(present, now, spec.shares);
        self.enqueue(place, at);
        seen
    }

    /// Notes a value under `key`, by its hash and the number that it is, and says how many different ones there are.
    pub fn add_value(&mut self, key: u128, spec: Spec, hash: u64, number: Option<u64>) -> Observation {
        let now = self.now;
        let Some((place, at)) = self.find_or_make(key, spec) else { return Observation::default() };
        let counter = &mut self.shard.subjects[place].counters[at];
        let (before, slot) = (counter.heap(), counter.slot(now));
        let is_new = counter.distinct.get_or_insert_default().add(slot, hash, number);
        if is_new && counter.count_in(slot, now) <= 1 {
            counter.first = now;
        }
        counter.last = counter.last.max(now);
        if let Some(shared) = &mut counter.shared
            && is_new
        {
            shared.add_value(hash);
        }
        let (seen, after) = (counter.observed(slot, now, spec.shares), counter.heap());
        self.shard.resized(before, after);
        if is_new {
            self.enqueue(place, at);
        }
        seen
    }

    /// The count under `key`; nothing is added.
    pub fn peek(&mut self, key: u128) -> Observation {
        let Some((place, at)) = self.find(key) else { return Observation::default() };
        let counter = &self.shard.subjects[place].counters[at];
        Observation { count: counter.count(self.now), peak: None }
    }

    /// What the counter of `key` says besides its count.
    pub fn details(&mut self, key: u128) -> Details {
        let Some((place, at)) = self.find(key) else { return Details::default() };
        let counter = &self.shard.subjects[place].counters[at];
        counter.details(counter.slot(self.now), self.now)
    }

    /// Another replica reports that the counts of all replicas under `key` are `slots` and `distinct`.
    pub(super) fn learn(&mut self, key: u128, spec: Spec, slots: &[(u64, i32)], distinct: u32) {
        let now = self.now;
        // A replica with another version of the policy must not reset what is counted here.
        if let Some((place, at)) = self.find(key)
            && self.shard.subjects[place].counters[at].window_ms != spec.window_ms
        {
            return;
        }
        let Some((place, at)) = self.find_or_make(key, spec) else { return };
        let counter = &mut self.shard.subjects[place].counters[at];
        let (before, slot) = (counter.heap(), counter.slot(now));
        if distinct > 0 {
            counter.distinct.get_or_insert_with(Box::<Distinct>::default);
        }
        counter.last = counter.last.max(now);
        if let Some(shared) = &mut counter.shared {
            shared.learn(slots, distinct, slot);
        }
        let after = counter.heap();
        self.shard.resized(before, after);
    }

    fn enqueue(&mut self, place: usize, at: usize) {
        if self.is_shared {
            self.shard.enqueue(place, at);
        }
    }

    #[inline]
    fn find(&mut self, key: u128) -> Option<(usize, usize)> {
        debug_assert_eq!((key >> 64) as u64, self.high, "a key of another subject");
        let (place, low) = (self.place?, key as u64);
        let subject = &self.shard.subjects[place];
        let is_next = subject.counters.get(self.next).is_some_and(|counter| counter.low == low);
        let at = if is_next { self.next } else { subject.find(low)? };
        self.next = at + 1;
        Some((place, at))
    }

    #[inline]
    fn find_or_make(&mut self, key: u128, spec: Spec) -> Option<(usize, usize)> {
        let Some((place, at)) = self.find(key) else { return self.make(key as u64, spec) };
        let counter = &mut self.shard.subjects[place].counters[at];
        if counter.window_ms != spec.window_ms || (self.is_shared && counter.shared.is_none()) {
            let before = counter.heap();
            counter.adapt(spec, self.is_shared);
            let after = counter.heap();
            self.shard.resized(before, after);
        } else {
            counter.limit = spec.limit;
        }
        Some((place, at))
    }

    /// Makes a counter; none if there is no room for it.
    #[cold]
    fn make(&mut self, low: u64, spec: Spec) -> Option<(usize, usize)> {
        let now = self.now;
        if let Some(place) = self.place
            && is_full(&self.shard.subjects[place])
        {
            self.shard.resize(place, |subject| subject.counters.retain(|counter| !counter.is_expired(now)));
        }
        match self.place {
            Some(place) if !is_full(&self.shard.subjects[place]) => {}
            Some(place) => {
                // Rules come one by one, or are those of another route.
                let more = self.shard.subjects[place].counters.len() / 4 + 1;
                self.make_room(more * COUNTER_BYTES)?;
                let place = self.place?;
                self.shard.resize(place, |subject| subject.counters.reserve_exact(more));
            }
            None => {
                let room = self.expected.max(1);
                self.make_room(SUBJECT_BYTES + room * COUNTER_BYTES)?;
                self.place = Some(self.shard.insert(self.high, room));
            }
        }
        let place = self.place?;
        let counter = Counter::new(low, spec, now, self.is_shared);
        let at = self.shard.subjects[place].counters.len();
        self.shard.push(place, counter);
        self.next = at + 1;
        Some((place, at))
    }

    /// Gives up subjects until `bytes` more fit.
    fn make_room(&mut self, bytes: usize) -> Option<()> {
        while self.shard.used() + bytes > self.table.bytes_per_shard {
            let Some((victim, is_expired)) = self.shard.victim(self.now, self.place) else {
                self.table.not_counted.fetch_add(1, Ordering::Relaxed);
                return None;
            };
            let gone = if is_expired { 0 } else { self.shard.subjects[victim].counters.len() };
            self.table.given_up.fetch_add(gone as u64, Ordering::Relaxed);
            self.shard.remove(victim);
            if self.place == Some(self.shard.subjects.len()) {
                self.place = Some(victim);
            }
        }
        Some(())
    }
}

fn is_full(subject: &Subject) -> bool {
    subject.counters.len() == subject.counters.capacity()
}
