//! The counters of one subject, under one lock.

use super::counter::{Counter, Details, Observation, Spec, minute};
use super::distinct::Distinct;
use super::run::{Noted, Set, SetPeak};
use super::table::{COUNTER_BYTES, RUN_BYTES, SUBJECT_BYTES, Shard, Subject, Table};
use std::any::Any;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};

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
    /// Whether a counter was made: others may have come to other places then.
    has_made: bool,
}

impl<'t> Group<'t> {
    pub(super) fn new(table: &'t Table, shard: MutexGuard<'t, Shard>, high: u64, now: u64, expected: usize) -> Self {
        let (is_shared, place) = (table.is_shared(), shard.place(high));
        Self { table, shard, is_shared, high, now, minute: minute(now), expected, place, next: 0, has_made: false }
    }

    /// Notes one event for all counters of `set`, which was given to [`Self::add_to_each`] before. False if it must be counted
    /// under each: it may be past half of a limit. The peaks that noted events raise are in [`Self::take_peaks`] later.
    #[inline]
    pub fn note<T>(&mut self, set: &Arc<T>) -> bool {
        let Some(place) = self.place else { return false };
        let Shard { subjects, peaks, .. } = &mut *self.shard;
        let Subject { counters, run: Some(run), .. } = &mut subjects[place] else { return false };
        let mut noted = run.note(set, self.is_shared, self.now);
        if noted == Noted::Full {
            run.settle(counters, peaks);
            noted = run.note(set, self.is_shared, self.now);
        }
        let Noted::Before(next) = noted else { return false };
        self.next = next;
        if self.is_shared {
            self.shard.enqueue_subject(place);
        }
        true
    }

    /// Adds one event under each of `keys`, and gives those that may matter to `seen`, with their places among them: what is
    /// past half of its limit, and what raised the peak of its minute. `set` stands for the keys with their specs: if all are
    /// far from their limits, further events can be noted.
    #[inline(never)]
    pub fn add_to_each<T: Any + Send + Sync>(
        &mut self,
        set: &Arc<T>,
        keys: impl Iterator<Item = (u128, Spec)>,
        mut seen: impl FnMut(usize, u32, Observation),
    ) {
        let (mut start, mut len, mut is_run) = (0, 0, true);
        self.has_made = false;
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
        if is_run && !self.has_made && len > 1 {
            self.begin_run(set, start, len);
        }
    }

    fn begin_run<T: Any + Send + Sync>(&mut self, set: &Arc<T>, start: usize, len: usize) {
        let Some(place) = self.place else { return };
        let Shard { subjects, peaks, .. } = &mut *self.shard;
        let Subject { counters, run: Some(run), .. } = &mut subjects[place] else { return };
        if run.gives_way_to(len) {
            run.end(counters, peaks);
            run.begin(Arc::clone(set) as Set, &counters[start..start + len], start, self.is_shared);
        }
    }

    /// Takes the peaks that events reached which were noted, of any subject of the shard.
    #[inline]
    pub fn take_peaks(&mut self, into: &mut Vec<SetPeak>) {
        if !self.shard.peaks.is_empty() {
            into.append(&mut self.shard.peaks);
        }
    }

    /// Adds `n` events under `key`, and says what the count is then.
    #[inline]
    pub fn add(&mut self, key: u128, spec: Spec, n: i32) -> Observation {
        let (now, minute) = (self.now, self.minute);
        let likely = if n == 1 && !self.is_shared { self.find_to_change(key) } else { None };
        let counter = likely.map(|(place, at)| &mut self.shard.subjects[place].counters[at]);
        let seen = counter.filter(|counter| counter.is_plain(spec)).and_then(|one| {
            one.limit = spec.limit;
            one.add_newest(now, minute, n, spec.shares)
        });
        seen.unwrap_or_else(|| self.add_at(key, spec, now, n))
    }

    /// Like [`Self::add`], for events that were at `time`: negative `n` takes back what was added then.
    pub fn add_at(&mut self, key: u128, spec: Spec, time: u64, n: i32) -> Observation {
        let now = self.now;
        let Some((place, at)) = self.find_or_make(key, spec) else { return Observation::default() };
        let counter = &mut self.shard.subjects[place].counters[at];
        let present = counter.slot(now);
        let slot = if time == now { present } else { counter.slot(time) };
        counter.add_at(slot, present, (time, now), n);
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
        let Shard { subjects, peaks, .. } = &mut *self.shard;
        let subject = &mut subjects[place];
        let is_next = subject.counters.get(self.next).is_some_and(|counter| counter.low == low);
        let at = if is_next { self.next } else { subject.find(low)? };
        self.next = at + 1;
        if let Some(run) = subject.run.as_deref_mut().filter(|run| run.covers(at)) {
            run.settle(&mut subject.counters, peaks);
        }
        Some((place, at))
    }

    #[inline]
    fn find_to_change(&mut self, key: u128) -> Option<(usize, usize)> {
        let (place, at) = self.find(key)?;
        let Shard { subjects, peaks, .. } = &mut *self.shard;
        let subject = &mut subjects[place];
        if let Some(run) = subject.run.as_deref_mut().filter(|run| run.covers(at)) {
            run.end(&mut subject.counters, peaks);
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
        self.has_made = true;
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
    use crate::Peak;
    use crate::window::Window;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, HashMap, HashSet};

    /// Notes an event, or counts it under each of `keys`.
    fn count<T: Any + Send + Sync>(
        group: &mut Group<'_>,
        set: &Arc<T>,
        keys: impl Iterator<Item = (u128, Spec)>,
        seen: impl FnMut(usize, u32, Observation),
    ) {
        if !group.note(set) {
            group.add_to_each(set, keys, seen);
        }
    }

    /// The counters of some rules, whose windows are longer or not.
    #[derive(Debug, PartialEq, Eq, Hash)]
    struct Rules {
        first: u64,
        count: u64,
        window_ms: u64,
    }

    /// How many counters of a rule have their peak of a minute in a bucket.
    type Peaks = BTreeMap<(u64, u32, u8), i64>;

    fn note_peak(peaks: &mut Peaks, rule: u64, peak: Peak) {
        *peaks.entry((rule, peak.minute, peak.to)).or_default() += 1;
        peak.from.into_iter().for_each(|from| *peaks.entry((rule, peak.minute, from)).or_default() -= 1);
        peaks.retain(|_, count| *count != 0);
    }

    fn note_set_peak(peaks: &mut Peaks, SetPeak { set, number, peak }: SetPeak) {
        let rules = set.downcast::<Rules>().expect("rules");
        note_peak(peaks, rules.first + number as u64, peak);
    }

    /// What a server knows of all replicas, and the batches that reached it.
    #[derive(Default)]
    struct Server {
        counts: HashMap<u128, BTreeMap<u64, i32>>,
        batches: HashSet<(u128, u64)>,
    }

    impl Server {
        /// Takes what a table has to tell. Of some batches the answer is lost, and others do not arrive at all.
        fn exchange(&mut self, table: &Table, most: usize, lost: u8, others: i32, now: u64) {
            for (number, sent) in table.outgoing(most).into_iter().enumerate() {
                if lost & 1 << (number % 4) != 0 {
                    table.failed(&sent);
                    if number % 2 == 0 {
                        continue;
                    }
                }
                let counts = self.counts.entry(sent.key).or_default();
                if self.batches.insert((sent.key, sent.batch)) {
                    sent.slots.iter().for_each(|&(slot, n)| *counts.entry(slot).or_default() += n);
                }
                if lost & 1 << (number % 4) == 0 {
                    *counts.entry(now / Window::slot_ms(sent.window_ms)).or_default() += others;
                    let slots: Vec<(u64, i32)> = counts.iter().map(|(&slot, &n)| (slot, n)).collect();
                    table.arrived(&sent, &slots, 0, now);
                }
            }
        }
    }

    proptest! {
        /// Whichever rules apply, however often they do, whatever the clock does, and whether counters are shared or not: the
        /// counts are those of an exact log, and so are the peaks of each minute.
        #[test]
        fn counters_that_are_counted_together_are_those_that_are_counted_one_by_one(
            is_shared in any::<bool>(),
            limit in prop::sample::select(vec![3u32, 40, 900]),
            odd in prop::sample::select(vec![60_000u64, 61_000, 7_000]),
            steps in prop::collection::vec(
                ((prop_oneof![0i64..9, -40_000i64..90_000], 0u64..2, 2u64..4, any::<bool>()), (0u64..5, 0u8..9, 0i32..30), (1u32..30, 0u64..9_000)),
                1..40,
            ),
        ) {
            let (together, single) = (Table::new(1 << 20, is_shared), Table::new(1 << 20, is_shared));
            let (mut server, mut server_of_single) = (Server::default(), Server::default());
            let (mut peaks, mut exact, mut sets) = (Peaks::default(), Peaks::default(), HashMap::new());
            let (subject, mut now) = (Keys::new(b"k").key(0, &[b"a"]), 1_000_000_000_000u64);
            for ((pause, first, rules, is_longer), (other, what, others), (times, apart)) in steps {
                now = now.saturating_add_signed(pause);
                let window_ms = if is_longer { 300_000 } else { odd };
                let key = |rule: u64| (Keys::counter(subject, rule), Spec { window_ms, limit, shares: 1 });
                let set = sets.entry((first, rules, window_ms));
                let set = Arc::clone(set.or_insert_with(|| Arc::new(Rules { first, count: rules, window_ms })));
                for _ in 0..times {
                    let mut seen = Vec::new();
                    let keys = (first..first + set.count).map(key);
                    let mut group = together.group(subject, now, 3);
                    count(&mut group, &set, keys, |at, _, one| {
                        one.peak.into_iter().for_each(|peak| note_peak(&mut peaks, first + at as u64, peak));
                        if one.count > limit / 2 { seen.push((at, one.count)); }
                    });
                    let mut earlier = Vec::new();
                    group.take_peaks(&mut earlier);
                    earlier.into_iter().for_each(|peak| note_set_peak(&mut peaks, peak));
                    drop(group);
                    // In groups of the same size, so that counters whose windows have passed are given up at the same time.
                    let mut group = single.group(subject, now, 3);
                    let mut all = Vec::new();
                    for (at, (key, spec)) in (first..first + rules).map(key).enumerate() {
                        let one = group.add_at(key, spec, now, 1);
                        one.peak.into_iter().for_each(|peak| note_peak(&mut exact, first + at as u64, peak));
                        if one.count > limit / 2 { all.push((at, one.count)); }
                    }
                    prop_assert_eq!(seen, all);
                    now += apart;
                }
                let (key, spec) = key(other);
                let mut both = |then: &dyn Fn(&Table) -> Observation| {
                    let (a, b) = (then(&together), then(&single));
                    a.peak.into_iter().for_each(|peak| note_peak(&mut peaks, other, peak));
                    b.peak.into_iter().for_each(|peak| note_peak(&mut exact, other, peak));
                    (a.count, b.count)
                };
                let (a, b) = match what {
                    0 => both(&|table| table.add(key, spec, now, -1)),
                    1 => both(&|table| table.peek(key, now)),
                    2 => both(&|table| table.add(Keys::counter(subject, 20), spec, now, 1)),
                    3 => both(&|table| { table.learn(key, spec, &[(now / Window::slot_ms(window_ms), others)], 0, now); Observation::default() }),
                    4 => both(&|table| { table.forget(key); Observation::default() }),
                    _ => {
                        // Which counters are sent first depends on when they were counted, so that no table may leave one out.
                        let lost = if what < 8 { 0 } else { u8::MAX };
                        server.exchange(&together, usize::MAX, lost, others, now);
                        server_of_single.exchange(&single, usize::MAX, lost, others, now);
                        (0, 0)
                    }
                };
                prop_assert_eq!(a, b);
                let totals = |table: &Table| (0..21).map(|rule| {
                    let key = Keys::counter(subject, rule);
                    (table.totals(key, now), table.peek(key, now).count)
                }).collect::<Vec<_>>();
                if what != 1 {
                    prop_assert_eq!(totals(&together), totals(&single));
                    together.settle(|all| all.into_iter().for_each(|peak| note_set_peak(&mut peaks, peak)));
                    prop_assert_eq!(&peaks, &exact);
                }
            }
        }
    }

    const SPEC: Spec = Spec { window_ms: 60_000, limit: 1_000, shares: 1 };

    #[test]
    fn peaks_of_what_is_given_up_are_not_lost() {
        let (table, keys) = (Table::new(1 << 18, false), Keys::new(b"k"));
        let set = Arc::new(Rules { first: 0, count: 3, window_ms: SPEC.window_ms });
        let mut peaks = Peaks::default();
        for n in 0..20_000u64 {
            let subject = keys.key(0, &[&(n / 4).to_be_bytes()]);
            let of_rules = (0..3).map(|rule| (Keys::counter(subject, rule), SPEC));
            let mut group = table.group(subject, 60_000_000, 3);
            count(&mut group, &set, of_rules, |at, _, one| {
                one.peak.into_iter().for_each(|peak| note_peak(&mut peaks, at as u64, peak));
            });
        }
        table.settle(|all| all.into_iter().for_each(|peak| note_set_peak(&mut peaks, peak)));
        assert!(table.given_up() > 9_000, "{}", table.given_up());
        let each_reached_four: Vec<_> = (0..3).map(|rule| ((rule, 1_000, 4), 5_000)).collect();
        assert_eq!(peaks.into_iter().collect::<Vec<_>>(), each_reached_four);
    }

    #[test]
    fn what_waits_for_its_counters_is_never_lost() {
        let subject = Keys::new(b"k").key(0, &[b"a"]);
        let keys = || (0..3).map(|rule| (Keys::counter(subject, rule), SPEC));
        let (table, set) = (Table::new(1 << 20, false), Arc::new(()));
        let add_one = |_| count(&mut table.group(subject, 60_000_000, 3), &set, keys(), |_, _, _| {});
        let add = |n: u64| (0..n).for_each(add_one);
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
        let (table, set) = (Table::new(1 << 20, false), Arc::new(()));
        let mut first = [0; 2];
        for n in 1..=70 {
            let keys = (0..2).map(|rule| (Keys::counter(subject, rule), spec(rule)));
            count(&mut table.group(subject, 60_000_000, 2), &set, keys, |at, limit, one| {
                if one.count > limit / 2 && first[at] == 0 {
                    first[at] = n;
                }
            });
        }
        assert_eq!(first, [51, 61]);
    }
}
