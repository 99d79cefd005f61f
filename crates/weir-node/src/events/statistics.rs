//! Traffic statistics by application and host, collected every half minute and shipped like records.
//!
//! Counting a request takes a lookup under a shared lock, and does not allocate for a host already counted in the same
//! half minute. No request is counted twice or lost: taking the counters excludes counting.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use weir_protocol::node_api::{LATENCY_BOUNDS_US, Statistics, StatisticsRow};

/// Rows for hosts. A gateway serves some dozens; clients can send any number.
const MAX_ROWS: usize = 1000;
/// Rows for further hosts, one per application; beyond this number, applications share a row.
const MAX_OTHERS: usize = 200;
/// Host of these rows.
const OTHER: &str = "*";
/// Application of the shared row.
const NO_APPLICATION: i64 = -1;
/// Longest host with a row of its own: the longest DNS name.
const MAX_HOST: usize = 253;
/// Latency buckets.
const BUCKETS: usize = LATENCY_BOUNDS_US.len() + 1;

/// A request to be counted.
#[derive(Clone, Copy, Debug)]
pub struct RequestSample<'a> {
    /// Its application.
    pub application: i64,
    /// Its host.
    pub host: &'a [u8],
    /// Whether an attack was found.
    pub attack: bool,
    /// Whether it was blocked.
    pub blocked: bool,
    /// Whether it passed without inspection.
    pub bypassed: bool,
    /// Size in bytes.
    pub bytes: usize,
    /// Duration of its inspection.
    pub elapsed: Duration,
}

#[derive(Debug, Default)]
struct HostCounters {
    requests: AtomicU64,
    attacks: AtomicU64,
    blocked: AtomicU64,
    bypassed: AtomicU64,
    bytes: AtomicU64,
    latency: [AtomicU64; BUCKETS],
}

impl HostCounters {
    fn add(&self, sample: &RequestSample<'_>) {
        let add = |counter: &AtomicU64, more: u64| counter.fetch_add(more, Ordering::Relaxed);
        add(&self.requests, 1);
        add(&self.attacks, u64::from(sample.attack));
        add(&self.blocked, u64::from(sample.blocked));
        add(&self.bypassed, u64::from(sample.bypassed));
        add(&self.bytes, sample.bytes as u64);
        add(&self.latency[bucket(sample.elapsed)], 1);
    }

    fn report(&self, application: i64, host: String) -> StatisticsRow {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StatisticsRow {
            application,
            host,
            requests: get(&self.requests),
            attacks: get(&self.attacks),
            blocked: get(&self.blocked),
            bypassed: get(&self.bypassed),
            bytes: get(&self.bytes),
            latency: self.latency.iter().map(get).collect(),
        }
    }
}

/// The bucket of a duration: the first whose bound it does not exceed.
fn bucket(elapsed: Duration) -> usize {
    let micros = elapsed.as_micros();
    LATENCY_BOUNDS_US.iter().position(|bound| micros <= u128::from(*bound)).unwrap_or(BUCKETS - 1)
}

#[derive(Debug, Default)]
struct CounterTable {
    /// By application, then host.
    hosts: HashMap<i64, HashMap<Box<[u8]>, HostCounters>>,
    count: usize,
    others: HashMap<i64, HostCounters>,
    /// Start of the period, in seconds since 1970.
    from: u64,
}

impl CounterTable {
    fn find(&self, sample: &RequestSample<'_>) -> Option<&HostCounters> {
        self.hosts.get(&sample.application)?.get(sample.host)
    }

    fn find_or_add(&mut self, sample: &RequestSample<'_>) -> &HostCounters {
        let known = self.find(sample).is_some();
        if known || (self.count < MAX_ROWS && is_host(sample.host)) {
            self.count += usize::from(!known);
            return self.hosts.entry(sample.application).or_default().entry(sample.host.into()).or_default();
        }
        let room = self.others.len() < MAX_OTHERS || self.others.contains_key(&sample.application);
        self.others.entry(if room { sample.application } else { NO_APPLICATION }).or_default()
    }
}

fn is_host(host: &[u8]) -> bool {
    let legal = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    (1..=MAX_HOST).contains(&host.len()) && host.iter().all(legal)
}

/// Counters since the last [`TrafficCounters::take`].
#[derive(Debug)]
pub struct TrafficCounters(RwLock<CounterTable>);

impl TrafficCounters {
    /// Starts counting at `from`, in seconds since 1970.
    pub fn new(from: u64) -> Self {
        Self(RwLock::new(CounterTable { from, ..CounterTable::default() }))
    }

    /// Counts a request.
    pub fn count(&self, sample: &RequestSample<'_>) {
        {
            let rows = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(row) = rows.find(sample) {
                return row.add(sample);
            }
        }
        self.0.write().unwrap_or_else(PoisonError::into_inner).find_or_add(sample).add(sample);
    }

    /// Takes the counters up to `now`, in seconds since 1970, as statistics with this `id`; `None` if there were no requests.
    pub fn take(&self, now: u64, id: String) -> Option<Statistics> {
        let rows = {
            let mut rows = self.0.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *rows, CounterTable { from: now, ..CounterTable::default() })
        };
        let hosts = rows.hosts.iter().flat_map(|(application, hosts)| {
            hosts.iter().map(|(host, row)| row.report(*application, String::from_utf8_lossy(host).into_owned()))
        });
        let others = rows.others.iter().map(|(application, row)| row.report(*application, OTHER.to_owned()));
        let mut all: Vec<StatisticsRow> = hosts.chain(others).collect();
        all.sort_by(|a, b| (a.application, &a.host).cmp(&(b.application, &b.host)));
        // The period is positive even if the clock was set back.
        let seconds = u32::try_from(now.saturating_sub(rows.from)).unwrap_or(u32::MAX).max(1);
        (!all.is_empty()).then(|| Statistics {
            id,
            node: String::new(),
            from: rows.from,
            seconds,
            rows: all,
            rules: Vec::new(),
            sessions: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn sample(application: i64, host: &[u8]) -> RequestSample<'_> {
        let elapsed = Duration::from_micros(70);
        RequestSample { application, host, attack: true, blocked: false, bypassed: false, bytes: 10, elapsed }
    }

    #[test]
    fn requests_are_counted_by_application_and_host() {
        let counts = TrafficCounters::new(100);
        counts.count(&sample(1, b"a"));
        counts.count(&sample(1, b"a"));
        counts.count(&RequestSample { blocked: true, attack: false, ..sample(2, b"a") });
        let taken = counts.take(130, "id".into()).unwrap();
        assert_eq!((taken.from, taken.seconds, taken.rows.len()), (100, 30, 2));
        let row = &taken.rows[0];
        assert_eq!((row.application, row.requests, row.attacks, row.blocked, row.bytes), (1, 2, 2, 0, 20));
        assert_eq!(row.latency, [0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!((taken.rows[1].blocked, taken.rows[1].attacks), (1, 0));
        assert_eq!(counts.take(160, "id".into()), None);
        counts.count(&sample(1, b"a"));
        assert_eq!(counts.take(150, "id".into()).map(|s| (s.from, s.seconds)), Some((160, 1)), "a jump back");
    }

    #[test]
    fn classes_hold_their_bounds() {
        for (micros, want) in [(0, 0), (50, 0), (51, 1), (250_000, 9), (250_001, 10), (u64::MAX, 10)] {
            assert_eq!(bucket(Duration::from_micros(micros)), want, "{micros}");
        }
    }

    #[test]
    fn rows_are_bounded_and_nothing_is_lost() {
        let counts = TrafficCounters::new(0);
        for n in 0..5000 {
            counts.count(&sample(n % 500, format!("host-{n}").as_bytes()));
        }
        counts.count(&sample(1, b"no host\xff"));
        counts.count(&sample(1, b""));
        let taken = counts.take(1, "id".into()).unwrap();
        assert!(taken.rows.len() <= MAX_ROWS + MAX_OTHERS + 1, "{}", taken.rows.len());
        assert_eq!(taken.rows.iter().map(|row| row.requests).sum::<u64>(), 5002);
    }

    #[test]
    fn counts_and_takes_at_once_lose_nothing() {
        let counts = Arc::new(TrafficCounters::new(0));
        let threads: Vec<_> = (0..4)
            .map(|n| {
                let counts = Arc::clone(&counts);
                std::thread::spawn(move || {
                    (0..5000).for_each(|i| counts.count(&sample(n, format!("h{}", i % 7).as_bytes())));
                })
            })
            .collect();
        let mut sum = 0;
        let add = |taken: Option<Statistics>| taken.map_or(0, |t| t.rows.iter().map(|row| row.requests).sum());
        while threads.iter().any(|thread| !thread.is_finished()) {
            sum += add(counts.take(1, "id".into()));
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        sum += add(counts.take(2, "id".into()));
        assert_eq!(sum, 20_000);
    }
}
