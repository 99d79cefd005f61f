//! Threads for large messages and for out-of-band copies, each behind a bounded queue.

use prometheus_client::metrics::gauge::Gauge;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Time without a job that was refused or waited too long, after which jobs may wait for as long as is configured again.
const STANDING: Duration = Duration::from_secs(1);
/// Part of the longest wait that jobs may wait until then: while more comes than can be done, a long wait for each job
/// gains nothing over a short one.
const STANDING_SHARE: u32 = 4;

/// Error: the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

/// A thread pool whose waiting jobs are bounded.
pub struct Pool {
    threads: rayon::ThreadPool,
    waiting: Arc<AtomicUsize>,
    /// Jobs that wait or run.
    unfinished: Arc<AtomicUsize>,
    bound: usize,
    gauge: Gauge,
    waits: Arc<Waits>,
}

/// How long jobs may wait.
struct Waits {
    start: Instant,
    /// When a job was last refused or waited too long, in microseconds since `start`; 0 for never.
    refused: AtomicU64,
}

impl Waits {
    fn new() -> Self {
        Self { start: Instant::now(), refused: AtomicU64::new(0) }
    }

    /// Notes that a job is refused or waited too long.
    fn refuse(&self) {
        self.refused.store(microseconds(self.start.elapsed()).max(1), Ordering::Relaxed);
    }

    /// How long a job may wait now where the configuration allows `longest`.
    fn allowed(&self, longest: Duration) -> Duration {
        let refused = self.refused.load(Ordering::Relaxed);
        let since = self.start.elapsed().saturating_sub(Duration::from_micros(refused));
        if refused > 0 && since < STANDING { longest / STANDING_SHARE } else { longest }
    }
}

/// A time in microseconds.
pub(super) fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Counts a waiting job until it starts.
struct QueuedGuard(Arc<AtomicUsize>, Gauge);

impl QueuedGuard {
    fn new(count: &Arc<AtomicUsize>, gauge: &Gauge) -> Self {
        gauge.inc();
        Self(Arc::clone(count), gauge.clone())
    }
}

impl Drop for QueuedGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
        self.1.dec();
    }
}

/// Counts a job until it has ended.
struct UnfinishedGuard(Arc<AtomicUsize>);

impl UnfinishedGuard {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(count))
    }
}

impl Drop for UnfinishedGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Pool {
    /// `threads` threads with at most `bound` jobs waiting; `gauge` shows how many do.
    pub fn new(name: &'static str, threads: usize, bound: usize, gauge: Gauge) -> std::io::Result<Self> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(move |n| format!("{name}-{n}"))
            .build()
            .map_err(std::io::Error::other)?;
        let (waiting, unfinished, waits) = (Arc::default(), Arc::default(), Arc::new(Waits::new()));
        Ok(Self { threads, waiting, unfinished, bound, gauge, waits })
    }

    /// Whether a further job is refused before it is queued: the queue is full, or it would wait for `ahead`, which is longer
    /// than jobs may where the configuration allows `max_wait`.
    pub fn is_backed_up(&self, ahead: Duration, max_wait: Duration) -> bool {
        let late = self.waiting.load(Ordering::Acquire) >= self.bound || ahead > self.waits.allowed(max_wait);
        if late {
            self.waits.refuse();
        }
        late
    }

    /// Runs `job`, which must not panic, when a thread is free. Sends `None` if that took longer than `max_wait`, or than a
    /// quarter of it while more jobs come than can be done.
    pub fn run<T: Send + 'static>(
        &self,
        max_wait: Duration,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<Option<T>>, QueueFull> {
        let waiting = self.admit()?;
        let (sender, receiver) = oneshot::channel();
        let (enqueued, waits) = (Instant::now(), Arc::clone(&self.waits));
        let unfinished = UnfinishedGuard::new(&self.unfinished);
        self.threads.spawn_fifo(move || {
            let _running = unfinished;
            drop(waiting);
            let late = enqueued.elapsed() > waits.allowed(max_wait);
            if late {
                waits.refuse();
            }
            let unwanted = late || sender.is_closed();
            // The receiver is gone if the connection broke; the result is then not needed.
            let _ = sender.send(if unwanted { None } else { Some(job()) });
        });
        Ok(receiver)
    }

    /// Queues `job`, which must not panic; its result is not awaited.
    pub fn spawn(&self, job: impl FnOnce() + Send + 'static) -> Result<(), QueueFull> {
        let waiting = self.admit()?;
        let unfinished = UnfinishedGuard::new(&self.unfinished);
        self.threads.spawn_fifo(move || {
            let _running = unfinished;
            drop(waiting);
            job();
        });
        Ok(())
    }

    fn admit(&self) -> Result<QueuedGuard, QueueFull> {
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        let waiting = QueuedGuard::new(&self.waiting, &self.gauge);
        if before >= self.bound { Err(QueueFull) } else { Ok(waiting) }
    }

    /// Jobs that wait or run.
    pub fn unfinished(&self) -> usize {
        self.unfinished.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn the_queue_is_bounded_and_late_jobs_are_dropped() {
        let pool = Pool::new("test", 1, 1, Gauge::default()).unwrap();
        let (hold, held) = mpsc::channel::<()>();
        let (started, start) = mpsc::channel();
        pool.spawn(move || {
            started.send(()).unwrap();
            held.recv().unwrap();
        })
        .unwrap();
        start.recv().unwrap();
        let late = pool.run(Duration::ZERO, || 1).unwrap();
        assert_eq!(pool.spawn(|| ()).err(), Some(QueueFull));
        assert_eq!((pool.waiting.load(Ordering::Acquire), pool.unfinished()), (1, 2));
        hold.send(()).unwrap();
        assert_eq!(late.blocking_recv().unwrap(), None);
        assert_eq!(pool.run(Duration::from_secs(60), || 2).unwrap().blocking_recv().unwrap(), Some(2));
        assert_eq!(pool.waiting.load(Ordering::Acquire), 0);
        while pool.unfinished() > 0 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn after_a_refusal_jobs_may_wait_for_a_shorter_time() {
        let longest = Duration::from_secs(3600);
        let mut waits = Waits::new();
        assert_eq!(waits.allowed(longest), longest);
        waits.refuse();
        assert_eq!(waits.allowed(longest), longest / STANDING_SHARE);
        // As if it was a while ago.
        waits.start -= 2 * STANDING;
        assert_eq!(waits.allowed(longest), longest);
    }

    #[test]
    fn a_job_that_would_wait_too_long_is_refused_before_it_is_queued() {
        let pool = Pool::new("test", 1, 9, Gauge::default()).unwrap();
        let hour = Duration::from_secs(3600);
        assert!(!pool.is_backed_up(hour, hour));
        assert!(pool.is_backed_up(hour + Duration::from_secs(1), hour));
        assert!(pool.is_backed_up(hour, hour), "after a refusal jobs may wait for a shorter time");
        assert!(!pool.is_backed_up(hour / STANDING_SHARE, hour));
    }
}
