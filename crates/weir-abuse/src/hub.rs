//! Adds up the counters of replicas that report to one server, and sends each the sums.
//!
//! A report that is sent again under the same number counts once. Counters past half of their limit are announced to all
//! replicas, so that one that has not seen a key knows it.

use super::counter::Spec;
use super::shared::{MAX_VALUES, Outgoing, read_key, write_key};
use super::table::Table;
use super::window::{SLOTS, Window};
use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128 as _, SipHasher24 as SipHasher128};
use std::collections::{BTreeMap, HashMap};
use std::hash::Hasher as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most counters of one report.
pub const MAX_REPORTED: usize = 500;
/// Announcements kept; older ones go first, and are counted.
const MAX_KEPT: usize = 20_000;
/// Announcements of one answer.
const MAX_ANNOUNCED: usize = 2_000;
/// Replicas whose last report is known; more than a server has.
const MAX_REPLICAS: usize = 4_096;
/// Longest name of a replica or run, in bytes.
const MAX_NAME: usize = 64;
/// Longest window of a rule, in milliseconds: a day.
const MAX_WINDOW_MS: u64 = 86_400_000;

/// What a replica counted since its last report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CounterReport {
    /// Random name of the run of the replica: numbers begin anew with each.
    pub run: String,
    /// Number of the report within the run, from 1. The same for a report that is sent again.
    pub number: u64,
    /// The counters, at most [`MAX_REPORTED`].
    pub counters: Vec<Outgoing>,
    /// Number of the last announcement that the replica knows.
    pub heard: u64,
}

/// The counts of all replicas under one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Slots with their counts.
    pub slots: Vec<(u64, i32)>,
    /// Different values.
    pub distinct: u32,
}

/// A counter past half of its limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// The counter.
    #[serde(serialize_with = "write_key", deserialize_with = "read_key")]
    pub key: u128,
    /// Its window, in milliseconds.
    pub window_ms: u64,
    /// Its limit.
    pub limit: u32,
    /// Its counts.
    pub counts: Counts,
}

/// What the server answers to a [`CounterReport`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CounterNews {
    /// Clock of the server, in milliseconds since 1970: slots are counted by it.
    pub time: u64,
    /// Counts of all replicas under the keys of the report, in its order.
    pub counts: Vec<Counts>,
    /// Announcements since the last one that the replica knows; perhaps not all at once.
    pub announced: Vec<Announced>,
    /// Number of the last of them.
    pub last: u64,
}

/// A report that is outside the limits of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HubError(&'static str);

#[derive(Debug, Default)]
struct State {
    /// Run and number of the last report of each replica.
    replicas: HashMap<String, (String, u64)>,
    announced: BTreeMap<u64, u128>,
    numbers: HashMap<u128, u64>,
    last: u64,
}

/// The counters of one group of replicas, in a table that several groups may share.
#[derive(Debug)]
pub struct Hub {
    table: Arc<Table>,
    group: [u8; 16],
    state: Mutex<State>,
    forgotten: AtomicU64,
}

impl Hub {
    /// The counters of the group called `name`, in `table`.
    pub fn new(table: Arc<Table>, name: &str) -> Self {
        let mut hasher = SipHasher128::new();
        hasher.write(name.as_bytes());
        let group = hasher.finish128().as_u128().to_be_bytes();
        Self { table, group, state: Mutex::default(), forgotten: AtomicU64::new(0) }
    }

    /// Takes the report of `replica` at `now`, in milliseconds since 1970.
    pub fn exchange(&self, replica: &str, report: &CounterReport, now: u64) -> Result<CounterNews, HubError> {
        check(replica, report)?;
        let mut state = self.lock();
        let is_new = is_new(&mut state, replica, report)?;
        let counts = report.counters.iter().map(|counter| {
            if is_new {
                self.add(counter, now);
            }
            let key = self.key(counter.key);
            let Some((spec, slots, distinct)) = self.table.totals(key, now) else { return Counts::default() };
            if is_new && must_announce(counter, spec, &slots, distinct) {
                self.announce(&mut state, counter.key);
            }
            Counts { slots, distinct }
        });
        let counts = counts.collect();
        let (announced, last) = self.announced_since(&state, report.heard, now);
        Ok(CounterNews { time: now, counts, announced, last })
    }

    /// Announcements given up before every replica can have heard them, for lack of space.
    pub fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A key of this group in the table.
    fn key(&self, key: u128) -> u128 {
        let mut hasher = SipHasher128::new_with_key(&self.group);
        hasher.write(&key.to_be_bytes());
        hasher.finish128().as_u128()
    }

    fn add(&self, counter: &Outgoing, now: u64) {
        let key = self.key(counter.key);
        let spec = Spec { window_ms: counter.window_ms, limit: counter.limit, shares: 1 };
        let slot_ms = Window::slot_ms(counter.window_ms);
        let newest = now / slot_ms;
        for &(slot, n) in &counter.slots {
            // A replica whose clock is wrong neither counts ahead nor empties the window.
            if slot + SLOTS as u64 > newest {
                self.table.add_at(key, spec, now, slot.min(newest) * slot_ms, n);
            }
        }
        for &value in &counter.values {
            self.table.add_value(key, spec, now, value, None);
        }
    }

    fn announce(&self, state: &mut State, key: u128) {
        state.last += 1;
        let number = state.last;
        if let Some(before) = state.numbers.insert(key, number) {
            state.announced.remove(&before);
        }
        state.announced.insert(number, key);
        if state.announced.len() > MAX_KEPT
            && let Some((_, key)) = state.announced.pop_first()
        {
            state.numbers.remove(&key);
            self.forgotten.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Announcements past number `heard`, with the counts of now.
    fn announced_since(&self, state: &State, heard: u64, now: u64) -> (Vec<Announced>, u64) {
        let mut last = heard.min(state.last);
        let later = state.announced.range(last + 1..).take(MAX_ANNOUNCED);
        let announced = later.filter_map(|(&number, &key)| {
            last = number;
            let (spec, slots, distinct) = self.table.totals(self.key(key), now)?;
            let Spec { window_ms, limit, .. } = spec;
            Some(Announced { key, window_ms, limit, counts: Counts { slots, distinct } })
        });
        let announced = announced.collect();
        (announced, last)
    }
}

fn check(replica: &str, report: &CounterReport) -> Result<(), HubError> {
    if replica.len() > MAX_NAME || report.run.len() > MAX_NAME {
        return Err(HubError("a name is too long"));
    }
    if report.counters.len() > MAX_REPORTED {
        return Err(HubError("too many counters"));
    }
    let fits = |counter: &Outgoing| {
        (1..=MAX_WINDOW_MS).contains(&counter.window_ms)
            && counter.slots.len() <= SLOTS
            && counter.values.len() <= MAX_VALUES
            && counter.slots.iter().all(|(slot, _)| *slot < u64::MAX / 2)
    };
    if report.counters.iter().all(fits) { Ok(()) } else { Err(HubError("a counter is outside the limits")) }
}

/// Whether the report has not been counted; notes that it is.
fn is_new(state: &mut State, replica: &str, report: &CounterReport) -> Result<bool, HubError> {
    if let Some((run, number)) = state.replicas.get_mut(replica) {
        let is_new = *run != report.run || *number < report.number;
        if is_new {
            (*run, *number) = (report.run.clone(), report.number);
        }
        return Ok(is_new);
    }
    if state.replicas.len() >= MAX_REPLICAS {
        return Err(HubError("too many replicas"));
    }
    state.replicas.insert(replica.to_owned(), (report.run.clone(), report.number));
    Ok(true)
}

/// Whether others must know: past half of the limit, or lowered again.
fn must_announce(counter: &Outgoing, spec: Spec, slots: &[(u64, i32)], distinct: u32) -> bool {
    let sum: i64 = slots.iter().map(|(_, n)| i64::from(*n)).sum();
    let half = |n: i64| 2 * n >= i64::from(spec.limit);
    counter.slots.iter().any(|(_, n)| *n < 0) || half(sum) || half(i64::from(distinct))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 60_000_000;
    const SPEC: Spec = Spec { window_ms: 60_000, limit: 10, shares: 1 };

    fn hub() -> Hub {
        Hub::new(Arc::new(Table::new(1 << 20, false)), "default")
    }

    /// A replica with its own table.
    struct Replica {
        name: &'static str,
        table: Table,
        number: u64,
        heard: u64,
    }

    impl Replica {
        fn new(name: &'static str) -> Self {
            Self { name, table: Table::new(1 << 20, true), number: 0, heard: 0 }
        }

        fn report(&mut self) -> CounterReport {
            self.number += 1;
            let counters = self.table.outgoing(MAX_REPORTED);
            CounterReport { run: "r".into(), number: self.number, counters, heard: self.heard }
        }

        fn learn(&mut self, report: &CounterReport, news: &CounterNews) {
            for (sent, counts) in report.counters.iter().zip(&news.counts) {
                self.table.arrived(sent, &counts.slots, counts.distinct, NOW);
            }
            for one in &news.announced {
                let spec = Spec { window_ms: one.window_ms, limit: one.limit, shares: 1 };
                self.table.learn(one.key, spec, &one.counts.slots, one.counts.distinct, NOW);
            }
            self.heard = news.last;
        }

        fn exchange(&mut self, hub: &Hub) {
            let report = self.report();
            let news = hub.exchange(self.name, &report, NOW).unwrap();
            self.learn(&report, &news);
        }
    }

    #[test]
    fn replicas_count_together_and_one_that_saw_nothing_hears_of_it() {
        let (hub, [mut a, mut b, mut c]) = (hub(), ["a", "b", "c"].map(Replica::new));
        a.table.add(7, SPEC, NOW, 4);
        b.table.add(7, SPEC, NOW, 3);
        (0..6).for_each(|value| {
            a.table.add_value(8, SPEC, NOW, value, None);
            b.table.add_value(8, SPEC, NOW, value + 3, None);
        });
        a.exchange(&hub);
        b.exchange(&hub);
        a.exchange(&hub);
        c.exchange(&hub);
        for replica in [&a, &b, &c] {
            assert_eq!(replica.table.peek(7, NOW).count, 7, "{}", replica.name);
            assert_eq!(replica.table.peek(8, NOW).count, 9, "{}", replica.name);
        }
        b.table.add(7, SPEC, NOW, -3);
        b.exchange(&hub);
        c.exchange(&hub);
        assert_eq!(c.table.peek(7, NOW).count, 4, "what is taken back arrives");
    }

    #[test]
    fn a_report_that_is_sent_again_counts_once() {
        let (hub, mut a) = (hub(), Replica::new("a"));
        a.table.add(7, SPEC, NOW, 4);
        let report = a.report();
        hub.exchange("a", &report, NOW).unwrap();
        let news = hub.exchange("a", &report, NOW).unwrap();
        a.learn(&report, &news);
        assert_eq!(a.table.peek(7, NOW).count, 4);
        let restarted = CounterReport { run: "later".into(), ..report };
        assert_eq!(hub.exchange("a", &restarted, NOW).unwrap().counts[0].slots[0].1, 8, "another run counts anew");
    }

    #[test]
    fn groups_and_wrong_clocks_do_not_mix() {
        let table = Arc::new(Table::new(1 << 20, false));
        let [one, other] = ["one", "other"].map(|name| Hub::new(Arc::clone(&table), name));
        let mut a = Replica::new("a");
        a.table.add(7, SPEC, NOW, 4);
        let mut report = a.report();
        assert_eq!(one.exchange("a", &report, NOW).unwrap().counts[0].slots[0].1, 4);
        let slot = NOW / Window::slot_ms(60_000);
        (report.number, report.counters[0].slots) = (2, vec![(slot - 100, 50), (slot + 1_000, 2)]);
        assert_eq!(one.exchange("a", &report, NOW).unwrap().counts[0].slots, [(slot, 6)]);
        let nothing = CounterReport { run: "r".into(), number: 1, ..CounterReport::default() };
        assert!(other.exchange("b", &nothing, NOW).unwrap().announced.is_empty());
        assert_eq!(one.exchange("b", &nothing, NOW).unwrap().announced.len(), 1);
    }

    #[test]
    fn reports_outside_the_limits_are_refused_and_announcements_bounded() {
        let hub = hub();
        let counter = Outgoing { key: 1, window_ms: 60_000, limit: 1, batch: 1, slots: Vec::new(), values: Vec::new() };
        let report = |counters: Vec<Outgoing>| CounterReport { number: 1, counters, ..CounterReport::default() };
        let mut slow = counter.clone();
        slow.window_ms = 0;
        assert!(hub.exchange("a", &report(vec![slow]), NOW).is_err());
        assert!(hub.exchange("a", &report(vec![counter.clone(); MAX_REPORTED + 1]), NOW).is_err());
        assert!(hub.exchange(&"a".repeat(65), &report(Vec::new()), NOW).is_err());
        let mut state = hub.lock();
        (0..MAX_KEPT as u128 + 5).for_each(|key| hub.announce(&mut state, key));
        assert_eq!((state.announced.len(), state.numbers.len(), hub.forgotten()), (MAX_KEPT, MAX_KEPT, 5));
    }
}
