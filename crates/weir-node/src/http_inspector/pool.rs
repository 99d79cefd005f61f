//! Threads for large messages and for out-of-band copies, each behind a bounded queue.

use prometheus_client::metrics::gauge::Gauge;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

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
struct Waiting(Arc<AtomicUsize>, Gauge);

impl Waiting {
    fn new(count: &Arc<AtomicUsize>, gauge: &Gauge) -> Self {
        gauge.inc();
        Self(Arc::clone(count), gauge.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
        self.1.dec();
    }
}

/// Counts a job until its end.
struct Unfinished(Arc<AtomicUsize>);

impl Unfinished {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(count))
    }
}

impl Drop for Unfinished {
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

    /// Runs `job`, which must not panic, when a thread is free. The answer is none when that took longer than
    /// `patience`: nobody waits for it any more.
    pub fn run<T: Send + 'static>(
        &self,
        patience: Duration,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<Option<T>>, Full> {
        let waiting = self.admit()?;
        let (answer, receiver) = oneshot::channel();
        let enqueued = Instant::now();
        let unfinished = Unfinished::new(&self.unfinished);
        self.threads.spawn_fifo(move || {
            let _running = unfinished;
            drop(waiting);
            let late = enqueued.elapsed() > patience || answer.is_closed();
            // The receiver is gone when the connection broke: then nobody is left to tell.
            let _gone = answer.send(if late { None } else { Some(job()) });
        });
        Ok(receiver)
    }

    /// Runs `job`, which must not panic, some time.
    pub fn spawn(&self, job: impl FnOnce() + Send + 'static) -> Result<(), Full> {
        let waiting = self.admit()?;
        let unfinished = Unfinished::new(&self.unfinished);
        self.threads.spawn_fifo(move || {
            let _running = unfinished;
            drop(waiting);
            job();
        });
        Ok(())
    }

    fn admit(&self) -> Result<Waiting, Full> {
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        let waiting = Waiting::new(&self.waiting, &self.gauge);
        if before >= self.bound { Err(Full) } else { Ok(waiting) }
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
        assert_eq!(pool.spawn(|| ()).err(), Some(Full));
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
