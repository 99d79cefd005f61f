//! How long a response waits for its record: as long as the disk may stall, if it is the disk that delays the record.
//!
//! By wall-clock time, a writer thread without a CPU core looks like a stalled disk. So only the time that the writer
//! spends in disk calls counts as a stall, and not even that if the thread is runnable at the end of it: a call that slept
//! briefly often waits for a core longer than it slept. All other delays are waited for, up to [`MAX_WAIT`].

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Longest wait for a record while the disk does not stall: enough for many thread switches, and callers still wait.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(1);
/// Shortest time between two checks: the resolution of timers.
const SHORTEST: Duration = Duration::from_millis(1);

/// Set while a stopwatch runs.
const RUNS: u64 = 1 << 63;

/// A stopwatch that one thread starts and stops, and any thread reads. Times are nanoseconds of a monotonic clock.
///
/// While stopped, it contains the accumulated time. While running, it contains the start time minus the accumulated time,
/// so that the time since then is the total.
#[derive(Debug, Default)]
struct Stopwatch(AtomicU64);

impl Stopwatch {
    fn start(&self, now: u64) {
        let ran = self.read(now);
        self.0.store(RUNS | now.saturating_sub(ran), Ordering::Release);
    }

    fn stop(&self, now: u64) {
        self.0.store(self.read(now), Ordering::Release);
    }

    fn read(&self, now: u64) -> u64 {
        let held = self.0.load(Ordering::Acquire);
        if held & RUNS == 0 { held } else { now.saturating_sub(held & !RUNS) }
    }
}

/// Activity of the writer thread, observed by waiting callers.
#[derive(Debug)]
pub(super) struct WriterActivity {
    origin: std::time::Instant,
    disk: Stopwatch,
    /// State of the thread in /proc, if available.
    thread: OnceLock<File>,
}

impl Default for WriterActivity {
    fn default() -> Self {
        Self { origin: std::time::Instant::now(), disk: Stopwatch::default(), thread: OnceLock::new() }
    }
}

impl WriterActivity {
    /// Registers the calling thread as the writer.
    pub fn watch_this_thread(&self) {
        // Available on Linux. Elsewhere, all time in a call counts.
        if let Ok(file) = File::open("/proc/thread-self/stat") {
            let _first = self.thread.set(file);
        }
    }

    /// Runs `call`, which accesses the disk. Only for the writer, and not nested.
    pub fn on_disk<T>(&self, call: impl FnOnce() -> T) -> T {
        self.disk.start(self.now());
        let done = call();
        self.disk.stop(self.now());
        done
    }

    /// Time that the writer has spent in disk calls.
    fn spent(&self) -> Duration {
        Duration::from_nanos(self.disk.read(self.now()))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX) & !RUNS
    }

    /// Whether the thread is running or runnable.
    fn is_runnable(&self) -> bool {
        let mut bytes = [0; 128];
        let read = self.thread.get().and_then(|file| file.read_at(&mut bytes, 0).ok());
        read.is_some_and(|length| state(&bytes[..length]) == Some(b'R'))
    }
}

/// The state in a `stat` file of proc(5): `42 (name) R 1 ...`. The name may contain any character.
fn state(stat: &[u8]) -> Option<u8> {
    let name_ends = stat.iter().rposition(|&byte| byte == b')')?;
    stat.get(name_ends + 2).copied()
}

/// The remaining time to wait for the writer.
pub(super) struct WriteDeadline<'w> {
    writer: &'w WriterActivity,
    stall: Duration,
    /// Time that the writer had spent in disk calls when the wait began.
    before: Duration,
    until: Instant,
}

impl<'w> WriteDeadline<'w> {
    /// Starts now. Ends when the disk has stalled for `stall`, or after `longest` (or `stall`, if that is longer).
    pub fn new(writer: &'w WriterActivity, stall: Duration, longest: Duration) -> Self {
        Self { writer, stall, before: writer.spent(), until: Instant::now() + stall.max(longest) }
    }

    /// How long to wait before the next check; `None` once the deadline has passed.
    pub fn next(&mut self) -> Option<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        let spent = self.writer.spent();
        let mut stall = self.stall.saturating_sub(spent.saturating_sub(self.before));
        if stall.is_zero() && self.writer.is_runnable() {
            (self.before, stall) = (spent, self.stall);
        }
        (!stall.is_zero() && !left.is_zero()).then(|| stall.max(SHORTEST).min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A deadline with a short stall, for any speed of the machine.
    fn deadline(writer: &WriterActivity) -> WriteDeadline<'_> {
        WriteDeadline::new(writer, Duration::from_millis(1), Duration::from_secs(60))
    }

    #[test]
    fn a_watch_runs_between_start_and_stop() {
        let watch = Stopwatch::default();
        assert_eq!(watch.read(70), 0);
        watch.start(100);
        assert_eq!((watch.read(99), watch.read(100), watch.read(130)), (0, 0, 30));
        watch.stop(140);
        assert_eq!((watch.read(140), watch.read(9_000)), (40, 40));
        watch.start(1_000);
        assert_eq!((watch.read(1_000), watch.read(1_005)), (40, 45));
        watch.stop(1_010);
        assert_eq!(watch.read(2_000), 50);
        // From the first moment of the clock.
        let watch = Stopwatch::default();
        watch.start(0);
        watch.stop(5);
        watch.start(5);
        assert_eq!(watch.read(5), 5);
    }

    #[test]
    fn the_state_stands_behind_the_name() {
        for (stat, want) in [
            (&b"42 (hits-write) R 1 42"[..], Some(b'R')),
            (b"42 (a) S (b) D 1 42", Some(b'D')),
            (b"42 (cut", None),
            (b"42 (cut)", None),
            (b"", None),
        ] {
            assert_eq!(state(stat), want);
        }
    }

    #[test]
    fn only_time_in_disk_calls_counts_as_a_stall() {
        let writer = WriterActivity::default();
        let mut left = deadline(&writer);
        assert!(left.next().is_some());
        std::thread::sleep(Duration::from_millis(5));
        assert!(left.next().is_some(), "the writer did nothing");
        writer.on_disk(|| {
            std::thread::sleep(Duration::from_millis(5));
            assert_eq!(left.next(), None);
        });
        assert!(deadline(&writer).next().is_some(), "what was before does not count");
    }

    /// Linux reports that a thread is runnable.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_runnable_writer_does_not_stall() {
        let writer = WriterActivity::default();
        writer.watch_this_thread();
        let mut left = deadline(&writer);
        writer.on_disk(|| {
            std::thread::sleep(Duration::from_millis(5));
            // This thread runs: it is the one that asks.
            assert!(left.next().is_some());
        });
    }
}
