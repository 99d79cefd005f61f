//! All counters of a node in bounded memory.
//!
//! The memory is divided among shards. When one is full, a new counter takes the place of the least valuable of some that are
//! looked at: one whose window has passed, else the one that is farthest from its limit. A counter past half its limit is
//! never given up for a new one; where only such are found, the new key is not counted, which is counted itself.

use super::distinct::Distinct;
use super::histogram::bucket;
use super::shared::{Outgoing, SharedState};
use super::window::Window;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 64;
const MINUTE_MS: u64 = 60_000;
/// Counters looked at to find one to give up.
const LOOKED_AT: usize = 16;
/// Bytes of a counter: itself and its place in the map, which is at most half empty.
pub(super) const COUNTER_BYTES: usize = size_of::<Counter>() + 2 * (size_of::<(u128, u32)>() + 1);

/// Slots that are not empty, with their counts.
pub type Slots = Vec<(u64, i32)>;

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
    pub minute: u64,
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
    /// When the first of the present run of events was seen, in milliseconds since 1970.
    pub since: u64,
    /// Whether most values are numbers that follow each other.
    pub sequential: bool,
    /// Milliseconds until the count has fallen to the limit.
    pub wait_ms: u64,
    /// The highest count of this minute, if the event raised it to another bucket.
    pub peak: Option<Peak>,
}

#[derive(Debug)]
struct Counter {
    key: u128,
    window_ms: u64,
    limit: u32,
    /// Whether it waits in the list of those to be sent.
    queued: bool,
    /// Bucket of its highest count within `minute`.
    peak: u8,
    /// Minute of the last event, since 1970.
    minute: u32,
    first: u64,
    last: u64,
    window: Window,
    distinct: Option<Box<Distinct>>,
    shared: Option<Box<SharedState>>,
}

impl Counter {
    fn slot(&self, time: u64) -> u64 {
        time / Window::slot_ms(self.window_ms)
    }

    fn count(&self, now: u64) -> u32 {
        let slot = self.slot(now);
        let (own, all) = match &self.distinct {
            Some(distinct) => {
                let all = self.shared.as_ref().map_or(0, |shared| shared.distinct(slot));
                (if self.last + self.window_ms < now { 0 } else { distinct.count() }, all)
            }
            None => {
                let sum = |n: i64| u32::try_from(n.max(0)).unwrap_or(u32::MAX);
                (sum(self.window.sum(slot)), self.shared.as_ref().map_or(0, |shared| sum(shared.sum(slot))))
            }
        };
        own.max(all)
    }

    fn observation(&self, now: u64) -> Observation {
        let (slot, slot_ms) = (self.slot(now), Window::slot_ms(self.window_ms));
        let slots = self.window.slots_until(slot, i64::from(self.limit)).max(1);
        Observation {
            count: self.count(now),
            since: self.first,
            sequential: self.distinct.as_ref().is_some_and(|distinct| distinct.is_sequential()),
            wait_ms: if self.distinct.is_some() { self.window_ms } else { slots * slot_ms - now % slot_ms },
            peak: None,
        }
    }

    /// What an event makes of it: like [`Self::observation`], with the highest count of the minute.
    fn observed(&mut self, now: u64, shares: u32) -> Observation {
        let mut seen = self.observation(now);
        let (minute, to) = ((now / MINUTE_MS) as u32, bucket(seen.count.div_ceil(shares.max(1))));
        let from = (minute == self.minute).then_some(self.peak);
        if seen.count > 0 && from.is_none_or(|from| from < to) {
            (self.minute, self.peak) = (minute, to);
            seen.peak = Some(Peak { minute: u64::from(minute), from, to });
        }
        seen
    }

    fn heap(&self) -> usize {
        let distinct = self.distinct.as_ref().map_or(0, |distinct| size_of::<Distinct>() + distinct.heap());
        distinct + self.shared.as_ref().map_or(0, |shared| shared.heap())
    }
}

/// Keys are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (head, _) = bytes.split_at(bytes.len().min(8));
        head.iter().for_each(|&byte| self.0 = self.0.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

#[derive(Debug, Default)]
struct Shard {
    places: HashMap<u128, u32, BuildHasherDefault<AsIs>>,
    counters: Vec<Counter>,
    hand: usize,
    heap: usize,
    queue: Vec<u128>,
}

/// Counters of a node.
#[derive(Debug)]
pub struct Table {
    shards: Vec<Mutex<Shard>>,
    bytes_per_shard: usize,
    is_shared: AtomicBool,
    batches: AtomicU64,
    given_up: AtomicU64,
    not_counted: AtomicU64,
}

impl Table {
    /// A table of at most `bytes` bytes; `is_shared` if it is to tell other replicas.
    pub fn new(bytes: usize, is_shared: bool) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            bytes_per_shard: (bytes / SHARDS).max(2 * COUNTER_BYTES),
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

    /// Adds `n` events at `now` under `key`, and says what the count is then.
    pub fn add(&self, key: u128, spec: Spec, now: u64, n: i32) -> Observation {
        self.add_at(key, spec, now, now, n)
    }

    /// Like [`Self::add`], for events that were at `time`: negative `n` takes back what was added then.
    pub fn add_at(&self, key: u128, spec: Spec, now: u64, time: u64, n: i32) -> Observation {
        let mut shard = self.shard(key);
        let Some(place) = self.find_or_make(&mut shard, key, spec, now) else { return Observation::default() };
        let counter = &mut shard.counters[place];
        let slot = counter.slot(time);
        if counter.count(now) == 0 {
            counter.first = time;
        }
        counter.window.add(slot, n);
        counter.last = counter.last.max(now);
        if let Some(shared) = &mut counter.shared {
            shared.add(slot, n);
        }
        let seen = counter.observed(now, spec.shares);
        queue(&mut shard, place, self.is_shared());
        seen
    }

    /// Notes a value under `key`, by its hash and the number that it is, and says how many different ones there are.
    pub fn add_value(&self, key: u128, spec: Spec, now: u64, hash: u64, number: Option<u64>) -> Observation {
        let mut shard = self.shard(key);
        let Some(place) = self.find_or_make(&mut shard, key, spec, now) else { return Observation::default() };
        let counter = &mut shard.counters[place];
        let before = counter.heap();
        let slot = counter.slot(now);
        let is_new = counter.distinct.get_or_insert_default().add(slot, hash, number);
        if counter.count(now) <= 1 && is_new {
            counter.first = now;
        }
        counter.last = counter.last.max(now);
        if let Some(shared) = &mut counter.shared
            && is_new
        {
            shared.add_value(hash);
        }
        let (seen, after) = (counter.observed(now, spec.shares), counter.heap());
        shard.heap = (shard.heap + after).saturating_sub(before);
        if is_new {
            queue(&mut shard, place, self.is_shared());
        }
        seen
    }

    /// The count under `key`; nothing is added.
    pub fn peek(&self, key: u128, now: u64) -> Observation {
        let shard = self.shard(key);
        let place = shard.places.get(&key);
        place.map_or_else(Observation::default, |&place| shard.counters[place as usize].observation(now))
    }

    /// What a counter holds at `now`: how it counts, counts by slot, and the number of different values.
    pub fn totals(&self, key: u128, now: u64) -> Option<(Spec, Slots, u32)> {
        let mut shard = self.shard(key);
        let place = *shard.places.get(&key)?;
        let counter = &mut shard.counters[place as usize];
        let slot = counter.slot(now);
        let spec = Spec { window_ms: counter.window_ms, limit: counter.limit, shares: 1 };
        let distinct = counter.distinct.as_mut().map_or(0, |distinct| distinct.count_at(slot));
        Some((spec, counter.window.slots().collect(), distinct))
    }

    /// Forgets a counter.
    pub fn forget(&self, key: u128) {
        let mut shard = self.shard(key);
        if let Some(place) = shard.places.remove(&key) {
            remove(&mut shard, place as usize);
        }
    }

    /// At most `most` counters that have something to tell other replicas.
    pub fn outgoing(&self, most: usize) -> Vec<Outgoing> {
        let mut out = Vec::new();
        let start = self.batches.load(Ordering::Relaxed) as usize;
        for number in 0..SHARDS {
            let mut shard = self.lock((start + number) % SHARDS);
            while out.len() < most {
                let Some(key) = shard.queue.pop() else { break };
                let Some(&place) = shard.places.get(&key) else { continue };
                let counter = &mut shard.counters[place as usize];
                counter.queued = false;
                let spec = Spec { window_ms: counter.window_ms, limit: counter.limit, shares: 1 };
                let next = self.batches.fetch_add(1, Ordering::Relaxed);
                out.extend(counter.shared.as_mut().map(|shared| shared.outgoing(key, spec, next)));
            }
        }
        out
    }

    /// A batch arrived; `slots` and `distinct` are the counts of all replicas then.
    pub fn arrived(&self, sent: &Outgoing, slots: &[(u64, i32)], distinct: u32, now: u64) {
        let mut shard = self.shard(sent.key);
        let Some(&place) = shard.places.get(&sent.key) else { return };
        let counter = &mut shard.counters[place as usize];
        let slot = counter.slot(now);
        let shared = counter.shared.as_mut();
        if shared.is_some_and(|shared| shared.arrived(sent.batch, slots, distinct, slot)) {
            queue(&mut shard, place as usize, true);
        }
    }

    /// Another replica reports that the counts of all replicas under `key` are `slots` and `distinct`.
    pub fn learn(&self, key: u128, spec: Spec, slots: &[(u64, i32)], distinct: u32, now: u64) {
        let mut shard = self.shard(key);
        let Some(place) = self.find_or_make(&mut shard, key, spec, now) else { return };
        let counter = &mut shard.counters[place];
        let slot = counter.slot(now);
        if distinct > 0 && counter.distinct.is_none() {
            let made = counter.distinct.insert(Box::default());
            shard.heap += size_of::<Distinct>() + made.heap();
        }
        let counter = &mut shard.counters[place];
        counter.last = counter.last.max(now);
        if let Some(shared) = &mut counter.shared {
            shared.learn(slots, distinct, slot);
        }
    }

    /// A batch may not have arrived: it is sent again.
    pub fn failed(&self, sent: &Outgoing) {
        let mut shard = self.shard(sent.key);
        if let Some(&place) = shard.places.get(&sent.key) {
            queue(&mut shard, place as usize, true);
        }
    }

    /// Counters at present.
    pub fn len(&self) -> usize {
        (0..SHARDS).map(|number| self.lock(number).counters.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        (0..SHARDS).map(|number| self.lock(number)).map(|shard| used(&shard)).sum()
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

    fn find_or_make(&self, shard: &mut Shard, key: u128, spec: Spec, now: u64) -> Option<usize> {
        if let Some(&place) = shard.places.get(&key) {
            let counter = &mut shard.counters[place as usize];
            if counter.window_ms != spec.window_ms {
                // The rule was changed: slots of another length cannot be added up.
                (counter.window, counter.distinct) = (Window::default(), None);
                counter.shared = self.is_shared().then(Box::default);
            }
            let mut grown = 0;
            if self.is_shared() && counter.shared.is_none() {
                let shared = counter.shared.insert(Box::new(SharedState::with(&counter.window)));
                grown = shared.heap();
            }
            (counter.window_ms, counter.limit) = (spec.window_ms, spec.limit);
            shard.heap += grown;
            return Some(place as usize);
        }
        while used(shard) + COUNTER_BYTES > self.bytes_per_shard {
            let Some(victim) = self.victim(shard, now) else {
                self.not_counted.fetch_add(1, Ordering::Relaxed);
                return None;
            };
            let gone = shard.counters[victim].key;
            shard.places.remove(&gone);
            remove(shard, victim);
        }
        let shared: Option<Box<SharedState>> = self.is_shared().then(Box::default);
        let (window_ms, limit) = (spec.window_ms, spec.limit);
        let counter = Counter {
            key,
            window_ms,
            limit,
            queued: false,
            peak: 0,
            minute: 0,
            first: now,
            last: now,
            window: Window::default(),
            distinct: None,
            shared,
        };
        shard.heap += counter.heap();
        if let Slot::Vacant(place) = shard.places.entry(key) {
            place.insert(shard.counters.len() as u32);
        }
        shard.counters.push(counter);
        Some(shard.counters.len() - 1)
    }

    /// The least valuable of the next counters: expired, else farthest below its limit, then the one unused for longest.
    fn victim(&self, shard: &mut Shard, now: u64) -> Option<usize> {
        let mut best: Option<(u64, u64, usize)> = None;
        for _ in 0..LOOKED_AT.min(shard.counters.len()) {
            shard.hand = (shard.hand + 1) % shard.counters.len();
            let counter = &shard.counters[shard.hand];
            if counter.last + counter.window_ms < now {
                return Some(shard.hand);
            }
            let count = u64::from(counter.count(now));
            if 2 * count > u64::from(counter.limit) {
                continue;
            }
            let value = (count * 1_000 / u64::from(counter.limit.max(1)), counter.last, shard.hand);
            best = Some(best.map_or(value, |best| best.min(value)));
        }
        self.given_up.fetch_add(u64::from(best.is_some()), Ordering::Relaxed);
        best.map(|(.., place)| place)
    }
}

fn used(shard: &Shard) -> usize {
    shard.counters.len() * COUNTER_BYTES + shard.heap
}

/// Removes the counter at `place`, whose key is no longer in the map.
fn remove(shard: &mut Shard, place: usize) {
    let gone = shard.counters.swap_remove(place);
    shard.heap = shard.heap.saturating_sub(gone.heap());
    if let Some(moved) = shard.counters.get(place) {
        shard.places.insert(moved.key, place as u32);
    }
}

fn queue(shard: &mut Shard, place: usize, is_shared: bool) {
    let counter = &mut shard.counters[place];
    if is_shared && !std::mem::replace(&mut counter.queued, true) {
        let key = counter.key;
        shard.queue.push(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keys;

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
        let full = (4 << 20) / COUNTER_BYTES;
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
    fn peaks_tell_the_highest_count_of_each_minute() {
        let table = Table::new(1 << 20, false);
        let minute = 1_000;
        let at = |seconds: u64| minute * MINUTE_MS + seconds * 1_000;
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
}
