//! All counters of a node in bounded memory.
//!
//! The upper half of a key names a subject: what a request is counted by. The counters of a subject, one for each rule, lie
//! together under one lock, so that many rules with the same key cost one look-up. Subjects are divided among shards. When
//! one is full, a new counter takes the place of the least valuable subject of some that are looked at: one whose windows
//! have passed, else the one that is farthest from its limits. A subject with a counter past half its limit is never given
//! up for a new one; where only such are found, the new key is not counted, which is counted itself.

use super::counter::{Counter, Observation, Spec};
use super::group::Group;
use super::run::{Run, SetPeak};
use super::shared::Outgoing;
use hashbrown::HashTable;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 64;
/// Subjects looked at to find one to give up, and counters after which the best one so far is taken.
const LOOKED_AT: usize = 16;
const ENOUGH: usize = 64;
/// Subjects whose events are added to their counters without a break.
const SETTLED: usize = 64;
/// Bytes of a counter.
pub(super) const COUNTER_BYTES: usize = size_of::<Counter>();
/// Bytes of a subject: itself and its place in the map, which are at most half empty, and what its allocation takes.
pub(super) const SUBJECT_BYTES: usize = 2 * (size_of::<Subject>() + size_of::<u32>() + 1) + 16;

/// Bytes of what counters of one subject count together.
pub(super) const RUN_BYTES: usize = size_of::<Run>() + 16;

/// Slots that are not empty, with their counts.
pub type Slots = Vec<(u64, i32)>;

/// The counters under keys with the same upper half. What is needed to find it and to note an event comes first.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Subject {
    pub high: u64,
    /// What several of the counters count together; subjects with one counter have none.
    pub run: Option<Box<Run>>,
    pub counters: Vec<Counter>,
    /// Whether it waits in the list of those with something to be sent.
    queued: bool,
}

impl Subject {
    pub fn heap(&self) -> usize {
        let run = if self.run.is_some() { RUN_BYTES } else { 0 };
        run + self.counters.capacity() * COUNTER_BYTES + self.counters.iter().map(Counter::heap).sum::<usize>()
    }

    /// Adds what waits to the counters.
    pub fn settle(&mut self, peaks: &mut Vec<SetPeak>) {
        if let Some(run) = &mut self.run {
            run.settle(&mut self.counters, peaks);
        }
    }

    /// Adds what waits to the counters, which change from now on.
    pub fn end_run(&mut self, peaks: &mut Vec<SetPeak>) {
        if let Some(run) = &mut self.run {
            run.end(&mut self.counters, peaks);
        }
    }

    pub fn find(&self, low: u64) -> Option<usize> {
        self.counters.iter().position(|counter| counter.low == low)
    }
}

/// The hash of a key: it looks random already, but those of a shard have their lowest bits in common.
fn hash(high: u64) -> u64 {
    high.rotate_right(u64::BITS / 2)
}

#[derive(Debug, Default)]
pub(super) struct Shard {
    /// Places of `subjects` by the hashes of their keys.
    places: HashTable<u32>,
    pub subjects: Vec<Subject>,
    hand: usize,
    counters: usize,
    heap: usize,
    /// Subjects with something to tell other replicas, by the upper halves of their keys; the first has waited longest.
    queue: VecDeque<u64>,
    /// Peaks that noted events reached, until they are taken.
    pub peaks: Vec<SetPeak>,
}

impl Shard {
    /// The place of a subject.
    pub fn place(&self, high: u64) -> Option<usize> {
        self.places.find(hash(high), |&place| self.subjects[place as usize].high == high).map(|&place| place as usize)
    }

    /// Adds a subject without counters, with room for so many.
    pub fn insert(&mut self, high: u64, room: usize) -> usize {
        let run = (room > 1).then(Box::default);
        let subject = Subject { high, counters: Vec::with_capacity(room), run, queued: false };
        self.heap += subject.heap();
        let Self { places, subjects, .. } = self;
        subjects.push(subject);
        let place = subjects.len() - 1;
        places.insert_unique(hash(high), place as u32, |&place| hash(subjects[place as usize].high));
        place
    }

    /// Removes the subject at `place`; the last one takes its place.
    pub fn remove(&mut self, place: usize) {
        let gone = self.subjects.swap_remove(place);
        if let Ok(entry) = self.places.find_entry(hash(gone.high), |&at| at as usize == place) {
            entry.remove();
        }
        self.counters -= gone.counters.len();
        self.heap = self.heap.saturating_sub(gone.heap());
        let last = self.subjects.len();
        if let Some(moved) = self.subjects.get(place)
            && let Some(at) = self.places.find_mut(hash(moved.high), |&at| at as usize == last)
        {
            *at = place as u32;
        }
    }

    /// Adds a counter to the subject at `place`, which has room for it.
    pub fn push(&mut self, place: usize, counter: Counter) {
        self.heap += counter.heap();
        self.counters += 1;
        self.subjects[place].counters.push(counter);
    }

    /// Changes the subject at `place`, keeping account of its size.
    pub fn resize<T>(&mut self, place: usize, change: impl FnOnce(&mut Subject) -> T) -> T {
        let subject = &mut self.subjects[place];
        subject.end_run(&mut self.peaks);
        let (len, heap) = (subject.counters.len(), subject.heap());
        let result = change(subject);
        self.counters = self.counters + subject.counters.len() - len;
        self.heap = (self.heap + subject.heap()).saturating_sub(heap);
        result
    }

    /// Keeps account of a counter that grew from `before` to `after` bytes on the heap.
    pub fn resized(&mut self, before: usize, after: usize) {
        self.heap = (self.heap + after).saturating_sub(before);
    }

    /// Adds what waits to the counters of the subject at `place`.
    pub fn settle(&mut self, place: usize) {
        self.subjects[place].settle(&mut self.peaks);
    }

    /// Notes that a counter has something to tell other replicas.
    pub fn enqueue(&mut self, place: usize, at: usize) {
        self.subjects[place].counters[at].queued = true;
        self.enqueue_subject(place);
    }

    /// Notes that counters of a subject have something to tell other replicas, or will have it once they have what waits.
    #[inline]
    pub fn enqueue_subject(&mut self, place: usize) {
        let subject = &mut self.subjects[place];
        if !std::mem::replace(&mut subject.queued, true) {
            self.queue.push_back(subject.high);
        }
    }

    /// Gives the counters of the subject that has waited longest, which have something to tell, to `then`, at most `most` of
    /// them; how many these are, or `None` if no subject waits.
    fn dequeue(&mut self, most: usize, mut then: impl FnMut(u128, &mut Counter)) -> Option<usize> {
        let high = self.queue.pop_front()?;
        let Some(place) = self.place(high) else { return Some(0) };
        self.settle(place);
        let subject = &mut self.subjects[place];
        subject.queued = false;
        let mut waiting = subject.counters.iter_mut().filter(|counter| counter.queued);
        let mut count = 0;
        for counter in waiting.by_ref().take(most) {
            counter.queued = false;
            then(u128::from(high) << 64 | u128::from(counter.low), counter);
            count += 1;
        }
        if waiting.next().is_some() {
            self.enqueue_subject(place);
        }
        Some(count)
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.subjects.len() * SUBJECT_BYTES + self.heap
    }

    /// The least valuable of the next subjects, but for that at `spared`: expired, else farthest below its limits, then the
    /// one unused for longest. The flag says whether its windows have passed.
    pub fn victim(&mut self, now: u64, spared: Option<usize>) -> Option<(usize, bool)> {
        let (mut best, mut seen): (Option<(u64, u64, usize)>, usize) = (None, 0);
        for _ in 0..LOOKED_AT.min(self.subjects.len()) {
            if seen > ENOUGH && best.is_some() {
                break;
            }
            self.hand = (self.hand + 1) % self.subjects.len();
            if spared == Some(self.hand) {
                continue;
            }
            self.settle(self.hand);
            let subject = &self.subjects[self.hand];
            seen += subject.counters.len();
            let live = subject.counters.iter().filter(|counter| !counter.is_expired(now));
            let (mut share, mut last, mut is_expired) = (0, 0, true);
            for counter in live {
                let (count, limit) = (u64::from(counter.count(now)), u64::from(counter.limit));
                // Past half of the limit is more than any other.
                share = share.max(if 2 * count > limit { u64::MAX } else { count * 1_000 / limit.max(1) });
                (last, is_expired) = (counter.last.max(last), false);
            }
            if is_expired {
                return Some((self.hand, true));
            }
            if share < u64::MAX {
                let value = (share, last, self.hand);
                best = Some(best.map_or(value, |best| best.min(value)));
            }
        }
        best.map(|(.., place)| (place, false))
    }
}

/// Counters of a node.
#[derive(Debug)]
pub struct Table {
    shards: Vec<Mutex<Shard>>,
    pub(super) bytes_per_shard: usize,
    is_shared: AtomicBool,
    batches: AtomicU64,
    pub(super) given_up: AtomicU64,
    pub(super) not_counted: AtomicU64,
}

impl Table {
    /// A table of at most `bytes` bytes; `is_shared` if it is to tell other replicas.
    pub fn new(bytes: usize, is_shared: bool) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            bytes_per_shard: (bytes / SHARDS).max(2 * (SUBJECT_BYTES + COUNTER_BYTES)),
            is_shared: AtomicBool::new(is_shared),
            batches: AtomicU64::new(1),
            given_up: AtomicU64::new(0),
            not_counted: AtomicU64::new(0),
        }
    }

    /// Sets whether counters are shared with other replicas. What was counted before is sent with the next event of its
    /// counter; different values that were noted before are not sent.
    pub fn set_shared(&self, is_shared: bool) {
        self.is_shared.store(is_shared, Ordering::Relaxed);
    }

    /// Whether counters are shared with other replicas.
    pub fn is_shared(&self) -> bool {
        self.is_shared.load(Ordering::Relaxed)
    }

    /// Locks the counters of the subject of `key` at `now`, of which `expected` may be made.
    pub fn group(&self, key: u128, now: u64, expected: usize) -> Group<'_> {
        let high = (key >> 64) as u64;
        Group::new(self, self.shard(key), high, now, expected)
    }

    /// Adds `n` events at `now` under `key`, and says what the count is then.
    pub fn add(&self, key: u128, spec: Spec, now: u64, n: i32) -> Observation {
        self.add_at(key, spec, now, now, n)
    }

    /// Like [`Self::add`], for events that were at `time`: negative `n` takes back what was added then.
    pub fn add_at(&self, key: u128, spec: Spec, now: u64, time: u64, n: i32) -> Observation {
        self.group(key, now, 1).add_at(key, spec, time, n)
    }

    /// Notes a value under `key`, by its hash and the number that it is, and says how many different ones there are.
    pub fn add_value(&self, key: u128, spec: Spec, now: u64, hash: u64, number: Option<u64>) -> Observation {
        self.group(key, now, 1).add_value(key, spec, hash, number)
    }

    /// The count under `key`; nothing is added.
    pub fn peek(&self, key: u128, now: u64) -> Observation {
        self.group(key, now, 0).peek(key)
    }

    /// What a counter holds at `now`: how it counts, counts by slot, and the number of different values.
    pub fn totals(&self, key: u128, now: u64) -> Option<(Spec, Slots, u32)> {
        self.with_counter(key, |shard, place, at| {
            let counter = &mut shard.subjects[place].counters[at];
            let slot = counter.slot(now);
            let spec = Spec { window_ms: counter.window_ms, limit: counter.limit, shares: 1 };
            let distinct = counter.distinct.as_mut().map_or(0, |distinct| distinct.count_at(slot));
            (spec, counter.window.slots().collect(), distinct)
        })
    }

    /// Forgets a counter.
    pub fn forget(&self, key: u128) {
        self.with_counter(key, |shard, place, at| {
            shard.resize(place, |subject| drop(subject.counters.swap_remove(at)));
            if shard.subjects[place].counters.is_empty() {
                shard.remove(place);
            }
        });
    }

    /// At most `most` counters that have something to tell other replicas.
    pub fn outgoing(&self, most: usize) -> Vec<Outgoing> {
        let mut out = Vec::new();
        let start = self.batches.load(Ordering::Relaxed) as usize;
        for number in 0..SHARDS {
            let mut shard = self.lock((start + number) % SHARDS);
            while out.len() < most {
                let room = most - out.len();
                let sent = shard.dequeue(room, |key, counter| {
                    let spec = Spec { window_ms: counter.window_ms, limit: counter.limit, shares: 1 };
                    let next = self.batches.fetch_add(1, Ordering::Relaxed);
                    out.extend(counter.shared.as_mut().map(|shared| shared.outgoing(key, spec, next)));
                });
                if sent.is_none() {
                    break;
                }
            }
        }
        out
    }

    /// A batch arrived; `slots` and `distinct` are the counts of all replicas then.
    pub fn arrived(&self, sent: &Outgoing, slots: &[(u64, i32)], distinct: u32, now: u64) {
        self.with_counter(sent.key, |shard, place, at| {
            let counter = &mut shard.subjects[place].counters[at];
            let slot = counter.slot(now);
            let shared = counter.shared.as_mut();
            let has_more = shared.is_some_and(|shared| shared.arrived(sent.batch, slots, distinct, slot));
            let subject = &mut shard.subjects[place];
            if let Some(run) = &mut subject.run {
                run.narrow(&subject.counters, at);
            }
            if has_more {
                shard.enqueue(place, at);
            }
        });
    }

    /// Another replica reports that the counts of all replicas under `key` are `slots` and `distinct`.
    pub fn learn(&self, key: u128, spec: Spec, slots: &[(u64, i32)], distinct: u32, now: u64) {
        self.group(key, now, 1).learn(key, spec, slots, distinct);
    }

    /// A batch may not have arrived: it is sent again.
    pub fn failed(&self, sent: &Outgoing) {
        self.with_counter(sent.key, Shard::enqueue);
    }

    /// Adds all events that were noted to their counters, and gives the peaks that they reached to `then`, in parts.
    pub fn settle(&self, mut then: impl FnMut(Vec<SetPeak>)) {
        for number in 0..SHARDS {
            let mut next = 0;
            loop {
                // Whoever counts waits for a few subjects at most. One that comes to a place before `next` meanwhile is left out.
                let mut shard = self.lock(number);
                let end = shard.subjects.len().min(next + SETTLED);
                (next..end).for_each(|place| shard.settle(place));
                let peaks = std::mem::take(&mut shard.peaks);
                let is_all = end == shard.subjects.len();
                drop(shard);
                then(peaks);
                next = end;
                if is_all {
                    break;
                }
            }
        }
    }

    /// Counters at present.
    pub fn len(&self) -> usize {
        (0..SHARDS).map(|number| self.lock(number).counters).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        (0..SHARDS).map(|number| self.lock(number).used()).sum()
    }

    /// Counters given up for others while their window had not passed.
    pub fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Events not counted because only counters past half their limit could have been given up.
    pub fn not_counted(&self) -> u64 {
        self.not_counted.load(Ordering::Relaxed)
    }

    fn lock(&self, number: usize) -> MutexGuard<'_, Shard> {
        self.shards[number].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard(&self, key: u128) -> MutexGuard<'_, Shard> {
        self.lock((key >> 64) as usize % SHARDS)
    }

    /// Calls `then` with the shard and the place of a counter, if there is one.
    fn with_counter<T>(&self, key: u128, then: impl FnOnce(&mut Shard, usize, usize) -> T) -> Option<T> {
        let mut shard = self.shard(key);
        let (place, at) = locate(&mut shard, key)?;
        Some(then(&mut shard, place, at))
    }
}

/// The place of a counter that is read or changed: of its subject, and within it.
fn locate(shard: &mut Shard, key: u128) -> Option<(usize, usize)> {
    let place = shard.place((key >> 64) as u64)?;
    shard.settle(place);
    Some((place, shard.subjects[place].find(key as u64)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Keys, Peak, Window};

    /// What the documentation says.
    const _: () = {
        assert!(SUBJECT_BYTES + COUNTER_BYTES <= 270 && COUNTER_BYTES <= 150 && RUN_BYTES <= 144);
        assert!(size_of::<crate::SharedState>() <= 336);
        assert!(size_of::<crate::Distinct>() + crate::SLOTS * 256 < 5_000);
    };

    const SPEC: Spec = Spec { window_ms: 60_000, limit: 10, shares: 1 };

    #[test]
    fn a_flood_of_new_keys_evicts_none_past_half_its_limit() {
        let (keys, table) = (Keys::new(b"k"), Table::new(1 << 20, false));
        let watched: Vec<u128> = (0..200u32).map(|n| keys.key(1, &[b"watched", &n.to_be_bytes()])).collect();
        watched.iter().for_each(|&key| {
            table.add(key, SPEC, 1_000, 6);
        });
        for n in 0..200_000u32 {
            table.add(keys.key(1, &[&n.to_be_bytes()]), SPEC, 2_000 + u64::from(n / 100), 1);
        }
        assert!(watched.iter().all(|&key| table.peek(key, 5_000).count == 6));
        assert!(table.given_up() > 100_000, "{}", table.given_up());
        assert!(table.bytes() <= 1 << 20, "{}", table.bytes());
    }

    #[test]
    fn ten_million_keys_do_not_grow_memory() {
        let table = Table::new(4 << 20, false);
        let full = (4 << 20) / (SUBJECT_BYTES + COUNTER_BYTES);
        for n in 0..10_000_000u128 {
            // Keys are hashes: any spread does.
            let key = n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            table.add(key, SPEC, 1_000, 1);
        }
        assert!(table.len() <= full && table.len() > full / 2, "{} of {full}", table.len());
        assert!(table.bytes() <= 4 << 20);
    }

    #[test]
    fn a_table_of_counters_past_half_refuses_new_ones_until_their_window_passes() {
        let (keys, table) = (Keys::new(b"k"), Table::new(0, false));
        let key = |n: u32| keys.key(1, &[&n.to_be_bytes()]);
        (0..1_000).for_each(|n| {
            table.add(key(n), SPEC, 1_000, 9);
        });
        assert!(table.not_counted() > 0);
        let kept = (0..1_000).filter(|&n| table.peek(key(n), 1_000).count == 9).count();
        assert_eq!(kept, table.len());
        assert_eq!(table.add(key(5_000), SPEC, 90_000, 1).count, 1);
    }

    #[test]
    fn a_batch_that_is_sent_again_has_the_same_number_and_content() {
        let table = Table::new(1 << 20, true);
        table.add(7, SPEC, 60_000, 3);
        let first = table.outgoing(10);
        table.failed(&first[0]);
        table.add(7, SPEC, 60_001, 2);
        let again = table.outgoing(10);
        assert_eq!(first, again);
        let slot = 60_000 / Window::slot_ms(60_000);
        // Another replica counted four.
        table.arrived(&again[0], &[(slot, 7)], 0, 60_002);
        assert_eq!(table.peek(7, 60_002).count, 9);
        let rest = table.outgoing(10);
        assert_eq!(rest[0].slots, [(slot, 2)]);
        assert!(rest[0].batch > again[0].batch);
        // The server lost everything: what this replica counted itself still holds.
        table.arrived(&rest[0], &[(slot, 2)], 0, 60_003);
        assert_eq!(table.peek(7, 60_003).count, 5);
        assert!(table.outgoing(10).is_empty());
    }

    #[test]
    fn what_was_counted_before_it_was_shared_is_told() {
        let table = Table::new(1 << 20, false);
        table.add(7, SPEC, 60_000, 3);
        let alone = table.bytes();
        table.set_shared(true);
        assert_eq!(table.add(7, SPEC, 60_000, 1).count, 4);
        let slot = 60_000 / Window::slot_ms(60_000);
        assert_eq!(table.outgoing(10)[0].slots, [(slot, 4)]);
        assert!(table.bytes() > alone);
    }

    #[test]
    fn a_replica_that_saw_nothing_learns_of_others() {
        let table = Table::new(1 << 20, true);
        let slot = 60_000 / Window::slot_ms(60_000);
        table.learn(7, SPEC, &[(slot, 10)], 0, 60_000);
        assert_eq!(table.add(7, SPEC, 60_100, 1).count, 11);
        let sent = table.outgoing(10);
        table.learn(7, SPEC, &[(slot, 11)], 0, 60_200);
        assert_eq!(table.peek(7, 60_200).count, 11, "its own batch is not counted twice");
        table.arrived(&sent[0], &[(slot, 11)], 0, 60_300);
        assert_eq!(table.peek(7, 60_300).count, 11);
    }

    #[test]
    fn a_replica_with_another_window_or_absurd_numbers_resets_nothing() {
        let table = Table::new(1 << 20, true);
        table.add(7, SPEC, 60_000, 9);
        for window_ms in [0, 1, 120_000, u64::MAX] {
            table.learn(7, Spec { window_ms, ..SPEC }, &[(u64::MAX, i32::MAX), (0, i32::MIN)], u32::MAX, 60_100);
            assert_eq!(table.peek(7, 60_200).count, 9, "{window_ms}");
        }
        // Of the same window, what is in no slot of it counts nothing.
        table.learn(7, SPEC, &[(u64::MAX, 100), (0, 100)], 0, 60_300);
        assert_eq!(table.peek(7, 60_400).count, 9);
        table.learn(8, Spec { window_ms: u64::MAX, ..SPEC }, &[], u32::MAX, 60_500);
        table.add_value(8, SPEC, 60_600, 1, None);
        assert_eq!(table.peek(8, 60_700).count, 1, "the rule's own window counts");
    }

    #[test]
    fn peaks_tell_the_highest_count_of_each_minute() {
        let table = Table::new(1 << 20, false);
        let minute = 1_000u32;
        let at = |seconds: u64| u64::from(minute) * 60_000 + seconds * 1_000;
        let peak = |seen: Observation| seen.peak;
        assert_eq!(peak(table.add(7, SPEC, at(30), 1)), Some(Peak { minute, from: None, to: 1 }));
        assert_eq!(peak(table.add(7, SPEC, at(31), 2)), Some(Peak { minute, from: Some(1), to: 3 }));
        assert_eq!(peak(table.add(7, SPEC, at(32), -1)), None, "a count that falls is no new peak");
        assert_eq!(peak(table.add(7, SPEC, at(33), 1)), None, "as high as before");
        let next = Some(Peak { minute: minute + 1, from: None, to: 4 });
        assert_eq!(peak(table.add(7, SPEC, at(60), 1)), next, "the window reaches back");
        let shared = Spec { shares: 5, ..SPEC };
        assert_eq!(peak(table.add(8, shared, at(30), 11)), Some(Peak { minute, from: None, to: 3 }));
    }

    #[test]
    fn values_of_other_replicas_count() {
        let table = Table::new(1 << 20, true);
        (0..5).for_each(|n| {
            table.add_value(9, SPEC, 60_000, n, None);
        });
        let sent = table.outgoing(10);
        assert_eq!(sent[0].values, [0, 1, 2, 3, 4]);
        table.arrived(&sent[0], &[], 12, 60_100);
        assert_eq!(table.add_value(9, SPEC, 60_200, 4, None).count, 12);
        assert_eq!(table.add_value(9, SPEC, 60_200, 77, None).count, 13);
    }

    #[test]
    fn counters_of_one_subject_are_apart_and_given_up_together() {
        let (keys, table) = (Keys::new(b"k"), Table::new(1 << 20, false));
        let subject = |n: u32| keys.key(0, &[&n.to_be_bytes()]);
        // Other rules each time, in another order: as those of different routes.
        for (round, rules) in [vec![1u64, 2, 3], vec![3, 5, 1], vec![9, 2]].into_iter().enumerate() {
            let mut group = table.group(subject(0), 1_000, rules.len());
            for rule in rules {
                group.add(Keys::counter(subject(0), rule), SPEC, 1 + round as i32);
            }
        }
        let count = |rule| table.peek(Keys::counter(subject(0), rule), 1_000).count;
        assert_eq!([1, 2, 3, 4, 5, 9].map(count), [3, 4, 3, 0, 2, 3]);
        assert_eq!(table.len(), 5);
        for n in 1..100_000 {
            let mut group = table.group(subject(n), 2_000, 2);
            for rule in [1, 2] {
                group.add(Keys::counter(subject(n), rule), SPEC, 1);
            }
        }
        assert!(table.bytes() <= 1 << 20 && table.len() % 2 == 1, "{}", table.len());
        assert_eq!(count(1), 3, "it is nearest to its limits");
        table.forget(Keys::counter(subject(99_999), 1));
        assert_eq!(table.peek(Keys::counter(subject(99_999), 2), 2_000).count, 1);
    }

    #[test]
    fn a_subject_that_grows_in_a_full_shard_takes_the_place_of_others() {
        let (keys, table) = (Keys::new(b"k"), Table::new(0, false));
        let subject = keys.key(0, &[b"a"]);
        for rule in 0..40 {
            let (now, key) = (1_000 + rule * 100_000, Keys::counter(subject, rule));
            assert_eq!(table.add(key, SPEC, now, 1).count, 1, "{rule}: what has expired makes room");
        }
        assert!(table.len() <= 3, "{}", table.len());
        let (full, others) = (table.not_counted(), 100..140);
        for rule in others {
            table.add(Keys::counter(subject, rule), SPEC, 9_000_000, 1);
        }
        assert!(table.not_counted() > full, "a subject is never given up for itself");
    }
}
