//! How long an answer waits for its record: as long as the disk may stall, where it is the disk that it waits for.
//!
//! To a clock on the wall, a writer that gets no core looks like one that hangs. So only the time that the writer spends in
//! calls on the disk counts against the stall, and not even that where the system says, at the end of it, that the thread
//! wants a core: a call that slept for a moment is often kept waiting for one longer than it slept. Everything else is
//! waited out, up to [`MAX_WAIT`].

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Longest wait for a record where no disk stalls: cores change hands many times in it, and callers still wait.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(1);
/// Shortest time between two looks at the watch: timers are no finer.
const SHORTEST: Duration = Duration::from_millis(1);

/// Set while a watch runs.
const RUNS: u64 = 1 << 63;

/// A stopwatch that one thread starts and stops, and any may read. Times are nanoseconds of a clock that never goes back.
///
/// At rest it holds how long it ran. While it runs it holds when it was started, less how long it ran before: the time
/// since then is how long it has run.
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

/// The writer as those see it who wait for it.
#[derive(Debug)]
pub(super) struct WriterActivity {
    origin: std::time::Instant,
    disk: Stopwatch,
    /// What the system tells of the thread, where it does.
    thread: OnceLock<File>,
}

impl Default for WriterActivity {
    fn default() -> Self {
        Self { origin: std::time::Instant::now(), disk: Stopwatch::default(), thread: OnceLock::new() }
    }
}

impl WriterActivity {
    /// Notes that the calling thread is the writer.
    pub fn watch_this_thread(&self) {
        // Linux has it. Elsewhere all time in a call counts.
        if let Ok(file) = File::open("/proc/thread-self/stat") {
            let _first = self.thread.set(file);
        }
    }

    /// Runs `call`, which is on the disk. For the writer alone, and not within another.
    pub fn on_disk<T>(&self, call: impl FnOnce() -> T) -> T {
        self.disk.start(self.now());
        let done = call();
        self.disk.stop(self.now());
        done
    }

    /// Time that the writer spent on the disk since the start.
    fn spent(&self) -> Duration {
        Duration::from_nanos(self.disk.read(self.now()))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX) & !RUNS
    }

    /// Whether the thread runs, or would if there was a core for it.
    fn wants_core(&self) -> bool {
        let mut bytes = [0; 128];
        let read = self.thread.get().and_then(|file| file.read_at(&mut bytes, 0).ok());
        read.is_some_and(|length| state(&bytes[..length]) == Some(b'R'))
    }
}

/// The state in a `stat` of proc(5): `42 (name) R 1 ...`. The name may hold anything.
fn state(stat: &[u8]) -> Option<u8> {
    let name_ends = stat.iter().rposition(|&byte| byte == b')')?;
    stat.get(name_ends + 2).copied()
}

/// What is left of one's write_deadline with the writer.
pub(super) struct WriteDeadline<'w> {
    writer: &'w WriterActivity,
    stall: Duration,
    /// What the writer had spent on the disk when the stall began.
    before: Duration,
    until: Instant,
}

impl<'w> WriteDeadline<'w> {
    /// WriteDeadline from now on: with a disk that stalls for `stall`, with everything for `longest`, or `stall` if that is
    /// longer.
    pub fn new(writer: &'w WriterActivity, stall: Duration, longest: Duration) -> Self {
        Self { writer, stall, before: writer.spent(), until: Instant::now() + stall.max(longest) }
    }

    /// How long to wait before the next look; none when it is over.
    pub fn next(&mut self) -> Option<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        let spent = self.writer.spent();
        let mut stall = self.stall.saturating_sub(spent.saturating_sub(self.before));
        if stall.is_zero() && self.writer.wants_core() {
            (self.before, stall) = (spent, self.stall);
        }
        (!stall.is_zero() && !left.is_zero()).then(|| stall.max(SHORTEST).min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WriteDeadline for a short stall, on however slow a machine.
    fn write_deadline(writer: &WriterActivity) -> WriteDeadline<'_> {
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
    fn only_time_on_the_disk_uses_patience_up() {
        let writer = WriterActivity::default();
        let mut left = write_deadline(&writer);
        assert!(left.next().is_some());
        std::thread::sleep(Duration::from_millis(5));
        assert!(left.next().is_some(), "the writer did nothing");
        writer.on_disk(|| {
            std::thread::sleep(Duration::from_millis(5));
            assert_eq!(left.next(), None);
        });
        assert!(write_deadline(&writer).next().is_some(), "what was before does not count");
    }

    /// Linux tells of a thread that it runs.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_writer_that_wants_a_core_does_not_stall() {
        let writer = WriterActivity::default();
        writer.watch_this_thread();
        let mut left = write_deadline(&writer);
        writer.on_disk(|| {
            std::thread::sleep(Duration::from_millis(5));
            // This thread runs: it is the one that asks.
            assert!(left.next().is_some());
        });
    }
}
