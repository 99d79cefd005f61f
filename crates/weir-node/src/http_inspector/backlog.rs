//! How long a large call that is accepted now would wait for a thread, by the bytes that were accepted before it.
//!
//! The queue of the pool alone says too little: while thousands of bodies are on their way, none of their calls is in it yet.

use super::pool::microseconds;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Parts of the time in which a body is expected, 256 ms, in which what is announced is added up. A body that is slower is no
/// longer counted, so that callers who announce much and send nothing do not keep others out.
const SLOTS: u64 = 16;
/// Milliseconds of one part.
const SLOT_MILLIS: u64 = 16;
/// Nanoseconds a byte until a first call was measured: a slow machine, so that few calls too many are accepted.
const FIRST_PACE: f64 = 25.0;
/// Share of the newest call in the average.
const NEWEST: f64 = 1.0 / 8.0;

/// Bytes of the large calls that are to be inspected, and how fast that goes.
pub struct Backlog {
    threads: f64,
    start: Instant,
    bytes: Mutex<Bytes>,
}

struct Bytes {
    /// Of calls that wait for a thread or have one.
    received: u64,
    /// Of calls whose bodies are on their way, by the time at which they were announced.
    announced: [u64; SLOTS as usize],
    /// The part of time that is newest in `announced`, counted from the start.
    newest: u64,
    /// Nanoseconds of one thread for a byte, an average.
    pace: f64,
}

impl Backlog {
    /// Nothing to inspect yet, with so many threads.
    pub fn new(threads: usize) -> Arc<Self> {
        let bytes = Bytes { received: 0, announced: [0; SLOTS as usize], newest: 0, pace: FIRST_PACE };
        Arc::new(Self { threads: threads.max(1) as f64, start: Instant::now(), bytes: Mutex::new(bytes) })
    }

    /// How long a call waits that is accepted now.
    pub fn wait(&self) -> Duration {
        let mut bytes = self.bytes();
        bytes.forget_until(self.slot());
        let ahead = bytes.received + bytes.announced.iter().sum::<u64>();
        Duration::from_nanos((ahead as f64 * bytes.pace / self.threads) as u64)
    }

    /// Counts a call whose body of so many bytes is on its way, until the value is dropped, or for 256 ms.
    pub fn announce(self: &Arc<Self>, bytes: u64) -> Share {
        let slot = self.slot();
        let mut all = self.bytes();
        all.forget_until(slot);
        // Another thread may have counted later ones meanwhile.
        let slot = all.newest;
        all.announced[(slot % SLOTS) as usize] += bytes;
        Share { backlog: Arc::clone(self), bytes, announced: Some(slot) }
    }

    /// Counts a call whose body has arrived, until the value is dropped.
    pub fn receive(self: &Arc<Self>, bytes: u64) -> Share {
        self.bytes().received += bytes;
        Share { backlog: Arc::clone(self), bytes, announced: None }
    }

    /// Notes that a thread took so long for so many bytes.
    pub fn inspected(&self, bytes: u64, time: Duration) {
        let pace = microseconds(time) as f64 * 1e3 / bytes.max(1) as f64;
        let mut all = self.bytes();
        all.pace += (pace - all.pace) * NEWEST;
    }

    fn bytes(&self) -> MutexGuard<'_, Bytes> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self) -> u64 {
        microseconds(self.start.elapsed()) / 1000 / SLOT_MILLIS
    }
}

impl Bytes {
    /// Forgets what was announced [`SLOTS`] parts of time or more before `slot`.
    fn forget_until(&mut self, slot: u64) {
        let passed = slot.saturating_sub(self.newest).min(SLOTS);
        for number in 1..=passed {
            self.announced[((self.newest + number) % SLOTS) as usize] = 0;
        }
        self.newest = self.newest.max(slot);
    }
}

/// A call in a [`Backlog`].
pub struct Share {
    backlog: Arc<Backlog>,
    bytes: u64,
    /// The part of time in which it was announced; none if its body has arrived.
    announced: Option<u64>,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = self.backlog.bytes();
        match self.announced {
            None => all.received -= self.bytes,
            Some(slot) if all.newest - slot < SLOTS => all.announced[(slot % SLOTS) as usize] -= self.bytes,
            // Forgotten already.
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A backlog in which 1 MiB takes a thread 10 ms.
    fn measured(threads: usize) -> Arc<Backlog> {
        let backlog = Backlog::new(threads);
        for _ in 0..100 {
            backlog.inspected(MIB, Duration::from_millis(10));
        }
        backlog
    }

    fn millis(backlog: &Backlog) -> u128 {
        (backlog.wait() + Duration::from_micros(500)).as_millis()
    }

    #[test]
    fn calls_that_wait_and_bodies_on_their_way_count() {
        let backlog = measured(2);
        assert_eq!(backlog.wait(), Duration::ZERO);
        let waits = backlog.receive(4 * MIB);
        assert_eq!(millis(&backlog), 20);
        let announced = backlog.announce(8 * MIB);
        drop((waits, announced));
        assert_eq!(backlog.wait(), Duration::ZERO);
    }

    #[test]
    fn what_was_announced_long_ago_is_forgotten_and_not_subtracted_twice() {
        let mut bytes = Bytes { received: 0, announced: [0; SLOTS as usize], newest: 7, pace: 1.0 };
        bytes.announced[7] = 5;
        bytes.announced[6] = 3;
        bytes.forget_until(7 + SLOTS - 1);
        assert_eq!(bytes.announced.iter().sum::<u64>(), 5, "announced at 6 is forgotten");
        bytes.forget_until(7 + SLOTS);
        assert_eq!(bytes.announced.iter().sum::<u64>(), 0);
        bytes.forget_until(3);
        assert_eq!(bytes.newest, 7 + SLOTS, "time does not go back");

        let backlog = measured(1);
        let slow = backlog.announce(MIB);
        backlog.bytes().forget_until(backlog.slot() + 2 * SLOTS);
        let next = backlog.announce(MIB);
        drop(slow);
        assert_eq!(backlog.bytes().announced.iter().sum::<u64>(), MIB);
        drop(next);
        assert_eq!(backlog.bytes().announced.iter().sum::<u64>(), 0);
    }

    #[test]
    fn the_pace_follows_what_calls_take() {
        let backlog = measured(1);
        let _waits = backlog.receive(MIB);
        assert_eq!(millis(&backlog), 10);
        for _ in 0..100 {
            backlog.inspected(MIB, Duration::from_millis(50));
        }
        assert_eq!(millis(&backlog), 50);
    }
}
