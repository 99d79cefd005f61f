//! How long a connection that is ready waits for a worker of the runtime: the signal of overload by many small calls.
//!
//! A thread of its own hands a task to the runtime every [`PROBE`] and sees when it runs. Tasks from outside wait in the
//! same queue as connections that do not fit into a worker's own; a timer would not do, since a worker runs first what it
//! has woken itself, however many connections wait.

use prometheus_client::metrics::gauge::Gauge;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How often the delay is measured.
const PROBE: Duration = Duration::from_millis(10);
/// A delay during which fewer calls began is none: no queue of calls causes it but a machine that is busy with something
/// else, where refusing calls would not help.
const QUEUE: u64 = 32;

/// The last measured delay of a runtime.
pub struct SchedulingDelay {
    /// In microseconds.
    last: AtomicU64,
    /// Calls that have begun.
    calls: AtomicU64,
    measured: AtomicBool,
    gauge: Gauge,
}

impl SchedulingDelay {
    /// No delay yet; `gauge` shows it in microseconds.
    pub fn new(gauge: Gauge) -> Self {
        Self { last: AtomicU64::new(0), calls: AtomicU64::new(0), measured: AtomicBool::new(false), gauge }
    }

    /// Counts a call that a worker begins with.
    pub fn count_call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// The delay now: that of a task that still waits, else of the last one that ran.
    pub fn current(&self) -> Duration {
        Duration::from_micros(self.last.load(Ordering::Relaxed))
    }

    /// Starts the thread that measures `runtime` until this value is dropped or the runtime ends. Further calls do
    /// nothing.
    pub fn measure(self: &Arc<Self>, runtime: &Handle) -> std::io::Result<()> {
        if self.measured.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let (delay, runtime) = (Arc::downgrade(self), runtime.clone());
        std::thread::Builder::new().name("delay".to_owned()).spawn(move || while probe(&delay, &runtime) {}).map(drop)
    }

    /// Sets the delay.
    pub(super) fn set(&self, delay: Duration) {
        let delay = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.last.store(delay, Ordering::Relaxed);
        self.gauge.set(i64::try_from(delay).unwrap_or(i64::MAX));
    }

    /// Sets the delay to that of a task which waited for `waited`, since `before` calls had begun.
    fn observe(&self, waited: Duration, before: u64) {
        let began = self.calls.load(Ordering::Relaxed).wrapping_sub(before);
        self.set(if began < QUEUE { Duration::ZERO } else { waited });
    }
}

/// Measures once. Returns false if there is nothing to measure any more.
fn probe(delay: &Weak<SchedulingDelay>, runtime: &Handle) -> bool {
    let Some(before) = delay.upgrade().map(|delay| delay.calls.load(Ordering::Relaxed)) else { return false };
    let (tell, told) = mpsc::sync_channel(1);
    let begin = Instant::now();
    // Nobody listens any more if the node stops.
    runtime.spawn(async move {
        let _stopped = tell.send(begin.elapsed());
    });
    loop {
        let ran = match told.recv_timeout(PROBE) {
            Ok(waited) => Some(waited),
            Err(RecvTimeoutError::Timeout) => None,
            // The runtime dropped the task: it has ended.
            Err(RecvTimeoutError::Disconnected) => return false,
        };
        let Some(delay) = delay.upgrade() else { return false };
        delay.observe(ran.unwrap_or_else(|| begin.elapsed()), before);
        drop(delay);
        if ran.is_some() {
            std::thread::sleep(PROBE);
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay() -> Arc<SchedulingDelay> {
        Arc::new(SchedulingDelay::new(Gauge::default()))
    }

    #[test]
    fn a_delay_counts_only_with_a_queue_of_calls() {
        let delay = delay();
        delay.observe(Duration::from_secs(1), 0);
        assert_eq!(delay.current(), Duration::ZERO);
        (0..QUEUE).for_each(|_| delay.count_call());
        delay.observe(Duration::from_secs(1), 0);
        assert_eq!(delay.current(), Duration::from_secs(1));
        delay.observe(Duration::from_secs(1), 1);
        assert_eq!(delay.current(), Duration::ZERO);
    }

    /// Connections that make themselves ready again, as those under load do, keep a task from outside waiting.
    #[test]
    fn calls_that_are_always_ready_show_as_a_delay() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let delay = delay();
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..1000 {
            let (delay, stop) = (Arc::clone(&delay), Arc::clone(&stop));
            runtime.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    delay.count_call();
                    std::thread::sleep(Duration::from_micros(100));
                    tokio::task::yield_now().await;
                }
            });
        }
        delay.measure(runtime.handle()).unwrap();
        while delay.current() < Duration::from_millis(20) {
            std::thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
        while delay.current() > Duration::ZERO {
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_thread_ends_with_the_runtime_or_the_measurement() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let gone = Arc::downgrade(&delay());
        assert!(!probe(&gone, runtime.handle()));
        let (delay, handle) = (delay(), runtime.handle().clone());
        assert!(probe(&Arc::downgrade(&delay), &handle));
        runtime.shutdown_background();
        assert!(!probe(&Arc::downgrade(&delay), &handle));
    }
}
