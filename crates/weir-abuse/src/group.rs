//! The counters of one subject, under one lock.

use super::counter::{Counter, Details, Observation, Spec, minute};
use super::distinct::Distinct;
use super::table::{COUNTER_BYTES, RUN_BYTES, SUBJECT_BYTES, Shard, Subject, Table};
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
    /// Minute of `now`.
    minute: u32,
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
        Self { table, shard, is_shared, high, now, minute: minute(now), expected, place, next: 0 }
    }

    /// Adds one event under each of `keys`, and gives those that may matter to `seen`, with their places among them: what is
    /// past half of its limit, and what raised the peak of its minute. `set` identifies the keys with their specs.
    #[inline]
    pub fn add_to_each(
        &mut self,
        set: u64,
        keys: impl Iterator<Item = (u128, Spec)>,
        seen: impl FnMut(usize, u32, Observation),
    ) {
        let run =
            self.place.filter(|_| !self.is_shared).and_then(|place| self.shard.subjects[place].run.as_deref_mut());
        match run.and_then(|run| run.add(set, self.now)) {
            Some(next) => self.next = next,
            None => self.add_one_by_one(set, keys, seen),
        }
    }

    #[inline(never)]
    fn add_one_by_one(
        &mut self,
        set: u64,
        keys: impl Iterator<Item = (u128, Spec)>,
        mut seen: impl FnMut(usize, u32, Observation),
    ) {
        let (mut start, mut len, mut is_run) = (0, 0, !self.is_shared);
        for (number, (key, spec)) in keys.enumerate() {
            let now = self.add(key, spec, 1);
            if now.count > spec.limit / 2 || now.peak.is_some() {
                seen(number, spec.limit, now);
            }
            len = number + 1;
            if number == 0 {
                start = self.next.saturating_sub(1);
            }
            is_run &= spec.shares <= 1 && now.count > 0 && self.next == start + len;
        }
        if is_run && len > 1 {
            self.begin_run(set, start, len);
        }
    }

    fn begin_run(&mut self, set: u64, start: usize, len: usize) {
        let Some(place) = self.place else { return };
        let Subject { counters, run: Some(run), .. } = &mut self.shard.subjects[place] else { return };
        run.end(counters);
        run.begin(set, &counters[start..start + len], start, self.now);
    }

    /// Adds `n` events under `key`, and says what the count is then.
    #[inline]
    pub fn add(&mut self, key: u128, spec: Spec, n: i32) -> Observation {
        let (now, minute) = (self.now, self.minute);
        let likely = if n == 1 && !self.is_shared { self.find_to_change(key) } else { None };
        let counter = likely.map(|(place, at)| &mut self.shard.subjects[place].counters[at]);
        let seen = counter.filter(|counter| counter.is_plain(spec)).and_then(|one| one.add_one(now, minute, spec));
        seen.unwrap_or_else(|| self.add_at(key, spec, now, n))
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
        let subject = &mut self.shard.subjects[place];
        let is_next = subject.counters.get(self.next).is_some_and(|counter| counter.low == low);
        let at = if is_next { self.next } else { subject.find(low)? };
        self.next = at + 1;
        if let Some(run) = subject.run.as_deref_mut().filter(|run| run.covers(at)) {
            run.settle(&mut subject.counters);
        }
        Some((place, at))
    }

    #[inline]
    fn find_to_change(&mut self, key: u128) -> Option<(usize, usize)> {
        let (place, at) = self.find(key)?;
        let subject = &mut self.shard.subjects[place];
        if let Some(run) = subject.run.as_deref_mut().filter(|run| run.covers(at)) {
            run.end(&mut subject.counters);
        }
        Some((place, at))
    }

    #[inline]
    fn find_or_make(&mut self, key: u128, spec: Spec) -> Option<(usize, usize)> {
        let Some((place, at)) = self.find_to_change(key) else { return self.make(key as u64, spec) };
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
                self.make_room(more * COUNTER_BYTES + RUN_BYTES)?;
                let place = self.place?;
                self.shard.resize(place, |subject| {
                    subject.counters.reserve_exact(more);
                    subject.run.get_or_insert_default();
                });
            }
            None => {
                let room = self.expected.max(1);
                self.make_room(SUBJECT_BYTES + room * COUNTER_BYTES + if room > 1 { RUN_BYTES } else { 0 })?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keys;
    use proptest::prelude::*;

    proptest! {
        /// Whichever rules apply, however often they do, whatever the clock does, and whether counters are shared or not.
        #[test]
        fn counters_that_are_counted_together_are_those_that_are_counted_one_by_one(
            is_shared in any::<bool>(),
            limit in prop::sample::select(vec![3u32, 40, 900]),
            steps in prop::collection::vec(
                ((-40_000i64..40_000, 0u64..4, 1u64..6, any::<bool>()), (0u64..8, 0u8..4), (1u32..60, 0u64..2_000)),
                1..40,
            ),
        ) {
            let (together, single) = (Table::new(1 << 20, is_shared), Table::new(1 << 20, is_shared));
            let (subject, mut now) = (Keys::new(b"k").key(0, &[b"a"]), 1_000_000_000_000u64);
            for ((pause, first, rules, is_longer), (other, what), (times, apart)) in steps {
                now = now.saturating_add_signed(pause);
                let window_ms = if is_longer { 300_000 } else { 60_000 };
                let key = |rule: u64| (Keys::counter(subject, rule), Spec { window_ms, limit, shares: 1 });
                let set = 1 + first * 100 + rules * 10 + u64::from(is_longer);
                for _ in 0..times {
                    let mut seen = Vec::new();
                    let keys = (first..first + rules).map(key);
                    together.group(subject, now, 3).add_to_each(set, keys, |at, limit, one| seen.push((at, limit, one)));
                    // In groups of the same size, so that counters whose windows have passed are given up at the same time.
                    let mut group = single.group(subject, now, 3);
                    let each = (first..first + rules).map(key).enumerate();
                    let each = each.map(|(at, (key, spec))| (at, limit, group.add_at(key, spec, now, 1)));
                    let matters = |(_, _, one): &(usize, u32, Observation)| one.count > limit / 2 || one.peak.is_some();
                    prop_assert_eq!(seen, each.filter(matters).collect::<Vec<_>>());
                    now += apart;
                }
                let (key, spec) = key(other);
                let both = |then: &dyn Fn(&Table) -> Observation| (then(&together), then(&single));
                let (a, b) = match what {
                    0 => both(&|table| table.add(key, spec, now, -1)),
                    1 => both(&|table| table.peek(key, now)),
                    2 => both(&|table| table.add(Keys::counter(subject, 20), spec, now, 1)),
                    _ => both(&|table| { table.forget(key); Observation::default() }),
                };
                prop_assert_eq!(a, b);
                let totals = |table: &Table| (0..21).map(|rule| table.totals(Keys::counter(subject, rule), now)).collect::<Vec<_>>();
                if what != 1 {
                    prop_assert_eq!(totals(&together), totals(&single));
                }
            }
        }
    }

    const SPEC: Spec = Spec { window_ms: 60_000, limit: 1_000, shares: 1 };

    #[test]
    fn what_waits_for_its_counters_is_never_lost() {
        let subject = Keys::new(b"k").key(0, &[b"a"]);
        let keys = || (0..3).map(|rule| (Keys::counter(subject, rule), SPEC));
        let table = Table::new(1 << 20, false);
        let add =
            |n: u64| (0..n).for_each(|_| table.group(subject, 60_000_000, 3).add_to_each(1, keys(), |_, _, _| {}));
        add(100);
        let counts = || [0, 1, 2].map(|rule| table.peek(Keys::counter(subject, rule), 60_000_000).count);
        assert_eq!(counts(), [100; 3]);
        add(100);
        table.forget(Keys::counter(subject, 0));
        assert_eq!(counts(), [0, 200, 200]);
        add(100);
        table.set_shared(true);
        add(1);
        assert_eq!(counts(), [101, 301, 301]);
        assert_eq!(table.outgoing(10).len(), 3);
    }

    #[test]
    fn a_run_ends_before_a_count_is_past_half_of_its_limit() {
        let subject = Keys::new(b"k").key(0, &[b"a"]);
        let spec = |rule: u64| Spec { limit: 100 + rule as u32 * 20, ..SPEC };
        let table = Table::new(1 << 20, false);
        let mut first = [0; 2];
        for n in 1..=70 {
            let keys = (0..2).map(|rule| (Keys::counter(subject, rule), spec(rule)));
            table.group(subject, 60_000_000, 2).add_to_each(1, keys, |at, limit, one| {
                if one.count > limit / 2 && first[at] == 0 {
                    first[at] = n;
                }
            });
        }
        assert_eq!(first, [51, 61]);
    }
}
