//! Threads for large messages and for out-of-band copies, each behind a bounded queue.

use prometheus_client::metrics::gauge::Gauge;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

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
        Ok(Self { threads, waiting: Arc::default(), unfinished: Arc::default(), bound, gauge })
    }

    /// Runs `job`, which must not panic, when a thread is free. Sends `None` if that took longer than `max_wait`: the
    /// caller has given up by then.
    pub fn run<T: Send + 'static>(
        &self,
        max_wait: Duration,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<Option<T>>, QueueFull> {
        let waiting = self.admit()?;
        let (sender, receiver) = oneshot::channel();
        let enqueued = Instant::now();
        let unfinished = UnfinishedGuard::new(&self.unfinished);
        self.threads.spawn_fifo(move || {
            let _running = unfinished;
            drop(waiting);
            let late = enqueued.elapsed() > max_wait || sender.is_closed();
            // The receiver is gone if the connection broke; the result is then not needed.
            let _ = sender.send(if late { None } else { Some(job()) });
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
}
