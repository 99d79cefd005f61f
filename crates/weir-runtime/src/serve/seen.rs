//! What is known of a connection, and whether it only takes up room.
//!
//! A client that has not begun its next call may wait for long: gateways keep pools of connections. One that has begun
//! a head and does not end it gets little time. hyper's own time limit for heads runs in both cases, so it is not used.

use http::Version;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Longest time in which no byte moves though a call is under way: a long poll is silent for less.
pub const STILL: Duration = Duration::from_secs(150);
/// Least wait between two looks at a connection.
const LEAST_WAIT: Duration = Duration::from_millis(50);
/// Value of [`Seen::head`] where no head is being read.
const NO_HEAD: u64 = u64::MAX;

/// How long a connection may take for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From the connection to its first call, and for the head of each further one.
    pub head: Duration,
    /// Without a call.
    pub idle: Duration,
    /// Without a byte that moves, while a call is under way.
    pub still: Duration,
    /// In all, where that is bounded.
    pub age: Option<Duration>,
}

/// What is to happen to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing for so long.
    Wait(Duration),
    /// It ends after the answers under way, for this reason.
    End(&'static str),
    /// It ends at once, for this reason.
    Cut(&'static str),
}

/// What is known of a connection. Times are milliseconds after `start`.
pub(super) struct Seen {
    start: Instant,
    under_way: AtomicU64,
    /// A call has begun.
    called: AtomicBool,
    /// When the last call ended.
    last: AtomicU64,
    /// When the first byte came that may be the head of the next call.
    head: AtomicU64,
    /// When a byte moved last.
    moved: AtomicU64,
    h2: AtomicBool,
}

impl Seen {
    pub fn new() -> Self {
        let (under_way, called, last, moved, h2) = Default::default();
        Self { start: Instant::now(), under_way, called, last, head: NO_HEAD.into(), moved, h2 }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(NO_HEAD - 1)
    }

    fn since(&self, time: &AtomicU64) -> Duration {
        Duration::from_millis(self.now().saturating_sub(time.load(Ordering::Relaxed)))
    }

    /// Bytes came.
    pub fn read(&self) {
        let now = self.now();
        self.moved.store(now, Ordering::Relaxed);
        if self.under_way.load(Ordering::Relaxed) == 0 {
            // The first one counts; nobody minds who wins.
            let _first = self.head.compare_exchange(NO_HEAD, now, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Bytes went.
    pub fn wrote(&self) {
        self.moved.store(self.now(), Ordering::Relaxed);
    }

    /// What is to happen to the connection; `ending`: since when it is to end after the answers under way.
    pub fn look(&self, patience: &Patience, ending: Option<Instant>) -> Look {
        let (reason, spent, limit) = self.spends(patience, ending);
        if spent >= limit {
            return if reason == "idle" && ending.is_none() { Look::End(reason) } else { Look::Cut(reason) };
        }
        // What it spends its time on may change at any moment: to something that has less.
        let wait = (limit - spent).min(patience.head).min(patience.idle);
        let young = patience.age.filter(|_| ending.is_none()).map(|age| age.saturating_sub(self.start.elapsed()));
        match young {
            Some(Duration::ZERO) => Look::End("age"),
            young => Look::Wait(young.map_or(wait, |young| young.min(wait)).max(LEAST_WAIT)),
        }
    }

    /// What the connection spends its time on, how much of it, and how much it has.
    fn spends(&self, patience: &Patience, ending: Option<Instant>) -> (&'static str, Duration, Duration) {
        if self.under_way.load(Ordering::Relaxed) > 0 {
            return ("still", self.since(&self.moved), patience.still);
        }
        if !self.called.load(Ordering::Relaxed) {
            return ("silent", self.start.elapsed(), patience.head);
        }
        if !self.h2.load(Ordering::Relaxed) && self.head.load(Ordering::Relaxed) != NO_HEAD {
            return ("head", self.since(&self.head), patience.head);
        }
        let idle = self.since(&self.last);
        match ending {
            None => ("idle", idle, patience.idle),
            // It was told to end: little is left to be done.
            Some(ending) => ("idle", idle.min(ending.elapsed()), patience.head),
        }
    }
}

/// Marks a call under way, from its head to the end of its answer.
pub(super) struct UnderWay(Arc<Seen>);

impl UnderWay {
    pub fn new(seen: &Arc<Seen>, version: Version) -> Self {
        seen.under_way.fetch_add(1, Ordering::Relaxed);
        seen.called.store(true, Ordering::Relaxed);
        seen.head.store(NO_HEAD, Ordering::Relaxed);
        seen.h2.store(version >= Version::HTTP_2, Ordering::Relaxed);
        Self(Arc::clone(seen))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.last.store(self.0.now(), Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const SECOND: Duration = Duration::from_secs(1);
    const PATIENCE: Patience = Patience { head: SECOND, idle: HOUR, still: HOUR, age: None };

    /// A connection that began a minute ago.
    fn old() -> Arc<Seen> {
        let start = Instant::now().checked_sub(60 * SECOND).expect("a clock that has run for a minute");
        Arc::new(Seen { start, ..Seen::new() })
    }

    fn waits(look: Look) -> bool {
        matches!(look, Look::Wait(_))
    }

    #[test]
    fn a_head_gets_little_time_and_the_wait_for_one_gets_much() {
        let seen = old();
        assert_eq!(seen.look(&PATIENCE, None), Look::Cut("silent"));
        let call = UnderWay::new(&seen, Version::HTTP_11);
        assert!(waits(seen.look(&PATIENCE, None)), "a call is under way");
        assert_eq!(seen.look(&Patience { still: SECOND, ..PATIENCE }, None), Look::Cut("still"));
        drop(call);
        seen.last.store(0, Ordering::Relaxed);
        assert_eq!(seen.look(&PATIENCE, None), Look::Wait(SECOND), "nothing came since, but a head may begin");
        assert_eq!(seen.look(&Patience { idle: SECOND, ..PATIENCE }, None), Look::End("idle"));
        seen.read();
        assert!(waits(seen.look(&PATIENCE, None)), "a head has just begun");
        seen.head.store(0, Ordering::Relaxed);
        assert_eq!(seen.look(&PATIENCE, None), Look::Cut("head"));
        drop(UnderWay::new(&seen, Version::HTTP_2));
        seen.read();
        seen.head.store(0, Ordering::Relaxed);
        assert!(waits(seen.look(&PATIENCE, None)), "bytes of h2 are no head");
    }

    #[test]
    fn a_connection_that_is_to_end_has_the_time_of_a_head() {
        let seen = old();
        drop(UnderWay::new(&seen, Version::HTTP_2));
        seen.last.store(0, Ordering::Relaxed);
        let aged = Patience { age: Some(SECOND), ..PATIENCE };
        assert_eq!(seen.look(&aged, None), Look::End("age"));
        assert!(waits(seen.look(&aged, Some(Instant::now()))), "it has just been told");
        let told = Instant::now().checked_sub(2 * SECOND).unwrap();
        assert_eq!(seen.look(&aged, Some(told)), Look::Cut("idle"));
    }
}
