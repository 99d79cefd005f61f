//! How long a connection that is ready waits for a worker of the runtime: the signal of overload by many small calls.
//!
//! Connections for which a worker has no room wait in a queue that all workers share. A thread of its own hands a task to
//! that queue every [`PROBE`] and sees how many are ahead of it and how long it waits, which gives the time that each takes.
//! The delay is that time for those which wait now: a queue that grows or shrinks shows at once, not only when the task has
//! got through it. While the task waits, it is at least what the task has waited for. A timer would not do: a worker runs first what it has woken itself, however many connections wait.

use super::pool::microseconds;
use prometheus_client::metrics::gauge::Gauge;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How often the delay is measured.
const PROBE: Duration = Duration::from_millis(10);
/// Fewer connections that wait are no queue: with these, a long wait comes from a machine that is busy with something else,
/// and refusing calls would not help.
const QUEUE: usize = 32;

/// The delay of a runtime.
pub struct SchedulingDelay {
    /// In microseconds.
    current: AtomicU64,
    measured: AtomicBool,
    gauge: Gauge,
}

impl SchedulingDelay {
    /// No delay yet; `gauge` shows it in microseconds.
    pub fn new(gauge: Gauge) -> Self {
        Self { current: AtomicU64::new(0), measured: AtomicBool::new(false), gauge }
    }

    /// How long a connection that is ready now is going to wait.
    pub fn current(&self) -> Duration {
        Duration::from_micros(self.current.load(Ordering::Relaxed))
    }

    /// Starts the thread that measures `runtime` until this value is dropped or the runtime ends. Further calls do
    /// nothing.
    pub fn measure(self: &Arc<Self>, runtime: &Handle) -> std::io::Result<()> {
        if self.measured.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let (delay, runtime) = (Arc::downgrade(self), runtime.clone());
        let run = move || {
            let mut pace = Duration::ZERO;
            while probe(&delay, &runtime, &mut pace) {}
        };
        std::thread::Builder::new().name("delay".to_owned()).spawn(run).map(drop)
    }

    /// Sets the delay.
    pub(super) fn set(&self, delay: Duration) {
        let delay = microseconds(delay);
        self.current.store(delay, Ordering::Relaxed);
        self.gauge.set(i64::try_from(delay).unwrap_or(i64::MAX));
    }
}

/// Measures once: `pace` is the time that each in the queue takes. Returns false if there is nothing to measure any more.
fn probe(delay: &Weak<SchedulingDelay>, runtime: &Handle, pace: &mut Duration) -> bool {
    let (sender, receiver) = mpsc::sync_channel(1);
    let waiting = || runtime.metrics().global_queue_depth();
    let (ahead, begin) = (waiting(), Instant::now());
    // The thread has ended if the node stops.
    runtime.spawn(async move {
        let _stopped = sender.send(begin.elapsed());
    });
    loop {
        let finished = match receiver.recv_timeout(PROBE) {
            Ok(waited) => Some(waited),
            Err(RecvTimeoutError::Timeout) => None,
            // The runtime dropped the task: it has ended.
            Err(RecvTimeoutError::Disconnected) => return false,
        };
        let Some(delay) = delay.upgrade() else { return false };
        // A task that still waits shows at least this.
        let waited = finished.unwrap_or_else(|| (*pace * small(ahead)).max(begin.elapsed()));
        if ahead >= QUEUE {
            *pace = waited / small(ahead);
        }
        let behind = (finished.is_none() && ahead >= QUEUE).then(|| begin.elapsed());
        delay.set(delay_of(waiting(), *pace, behind));
        drop(delay);
        if finished.is_some() {
            std::thread::sleep(PROBE);
            return true;
        }
    }
}

/// The delay with so many in the queue, each of which takes `pace`. A task that came later than what runs now has waited
/// `behind` already: in a queue that shrinks, those that have waited longest must not be served as if they had just come.
fn delay_of(waiting: usize, pace: Duration, behind: Option<Duration>) -> Duration {
    let ahead = if waiting < QUEUE { Duration::ZERO } else { pace * small(waiting) };
    ahead.max(behind.unwrap_or_default())
}

/// A length of the queue as a factor, at least one.
fn small(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay() -> Arc<SchedulingDelay> {
        Arc::new(SchedulingDelay::new(Gauge::default()))
    }

    fn measured_once(delay: &Weak<SchedulingDelay>, runtime: &Handle) -> bool {
        let mut pace = Duration::ZERO;
        probe(delay, runtime, &mut pace)
    }

    /// Connections that make themselves ready again, as those under load do, keep a task from outside waiting.
    #[test]
    fn connections_that_wait_show_as_a_delay() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let delay = delay();
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..1000 {
            let stop = Arc::clone(&stop);
            runtime.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
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
    fn the_delay_is_what_new_ones_will_wait_or_what_served_ones_have_waited() {
        let millis = Duration::from_millis;
        assert_eq!(delay_of(QUEUE - 1, millis(1), None), Duration::ZERO);
        assert_eq!(delay_of(100, millis(1), None), millis(100));
        assert_eq!(delay_of(100, millis(1), Some(millis(50))), millis(100));
        assert_eq!(delay_of(100, millis(1), Some(millis(400))), millis(400), "the queue was longer");
        assert_eq!(delay_of(QUEUE - 1, millis(1), Some(millis(400))), millis(400), "its last ones are served");
    }

    #[test]
    fn few_connections_are_no_queue_however_long_they_wait() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let delay = delay();
        let (started, start) = mpsc::channel();
        runtime.spawn(async move {
            started.send(()).unwrap();
            std::thread::sleep(5 * PROBE);
        });
        start.recv().unwrap();
        assert!(measured_once(&Arc::downgrade(&delay), runtime.handle()));
        assert_eq!(delay.current(), Duration::ZERO);
    }

    #[test]
    fn the_thread_ends_with_the_runtime_or_the_measurement() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let gone = Arc::downgrade(&delay());
        assert!(!measured_once(&gone, runtime.handle()));
        let (delay, handle) = (delay(), runtime.handle().clone());
        assert!(measured_once(&Arc::downgrade(&delay), &handle));
        runtime.shutdown_background();
        assert!(!measured_once(&Arc::downgrade(&delay), &handle));
    }
}
