//! What happened on a connection so far, and the decision whether it may stay open.
//!
//! A client that has not begun its next request may wait for long, because gateways keep pools of connections. A client
//! that has begun to send a request head must finish it soon. hyper's own time limit for heads runs in both cases, so it
//! is not used.

use http::Version;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Default for [`Timeouts::stalled`]. Long polls are silent for a shorter time than this.
pub const DEFAULT_STALLED: Duration = Duration::from_secs(150);
/// Shortest wait between two checks of a connection.
const MIN_WAIT: Duration = Duration::from_millis(50);
/// Value of [`ConnectionActivity::head_started`] while no head is being read.
const NO_HEAD: u64 = u64::MAX;

/// Time limits of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// From the connection to its first request, and for the head of each further one.
    pub head: Duration,
    /// Without a request.
    pub idle: Duration,
    /// Without a byte in either direction while a request is active.
    pub stalled: Duration,
    /// Total age of the connection; unlimited if none.
    pub age: Option<Duration>,
}

/// What to do with a connection now. The reasons are values of a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Keep it and check again after this time.
    Wait(Duration),
    /// Close it after the responses to the active requests.
    Drain(&'static str),
    /// Close it at once.
    Abort(&'static str),
}

/// What happened on a connection so far. Times are milliseconds after `start`.
pub(super) struct ConnectionActivity {
    start: Instant,
    active_requests: AtomicU64,
    /// At least one request has begun.
    had_request: AtomicBool,
    /// When the last request ended.
    last_request_ended: AtomicU64,
    /// When the first byte arrived that may belong to the head of the next request.
    head_started: AtomicU64,
    /// When a byte was last read or written.
    last_io: AtomicU64,
    h2: AtomicBool,
}

impl ConnectionActivity {
    /// A connection that opens now.
    pub fn new() -> Self {
        let (active_requests, had_request, last_request_ended, last_io, h2) = Default::default();
        let head_started = NO_HEAD.into();
        Self { start: Instant::now(), active_requests, had_request, last_request_ended, head_started, last_io, h2 }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(NO_HEAD - 1)
    }

    fn since(&self, time: &AtomicU64) -> Duration {
        Duration::from_millis(self.now().saturating_sub(time.load(Ordering::Relaxed)))
    }

    /// Records that bytes were read.
    pub fn record_read(&self) {
        let now = self.now();
        self.last_io.store(now, Ordering::Relaxed);
        if self.active_requests.load(Ordering::Relaxed) == 0 {
            // Only the first read starts the timer; a lost race is harmless.
            let _first = self.head_started.compare_exchange(NO_HEAD, now, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Records that bytes were written.
    pub fn record_write(&self) {
        self.last_io.store(self.now(), Ordering::Relaxed);
    }

    /// What to do with the connection now. `draining_since` is set once it only waits for active requests.
    pub fn decide(&self, timeouts: &Timeouts, draining_since: Option<Instant>) -> Decision {
        let State { reason, spent, limit } = self.state(timeouts, draining_since);
        if spent >= limit {
            let drain = reason == "idle" && draining_since.is_none();
            return if drain { Decision::Drain(reason) } else { Decision::Abort(reason) };
        }
        // The state may change at any moment to one with a shorter limit, so do not wait for longer than the shortest.
        let wait = (limit - spent).min(timeouts.head).min(timeouts.idle);
        let age = timeouts.age.filter(|_| draining_since.is_none());
        match age.map(|age| age.saturating_sub(self.start.elapsed())) {
            Some(Duration::ZERO) => Decision::Drain("age"),
            left => Decision::Wait(left.map_or(wait, |left| left.min(wait)).max(MIN_WAIT)),
        }
    }

    fn state(&self, timeouts: &Timeouts, draining_since: Option<Instant>) -> State {
        let state = |reason, spent, limit| State { reason, spent, limit };
        if self.active_requests.load(Ordering::Relaxed) > 0 {
            return state("still", self.since(&self.last_io), timeouts.stalled);
        }
        if !self.had_request.load(Ordering::Relaxed) {
            return state("silent", self.start.elapsed(), timeouts.head);
        }
        // In HTTP/2, bytes without a request are not a head: pings and window updates look the same from here.
        if !self.h2.load(Ordering::Relaxed) && self.head_started.load(Ordering::Relaxed) != NO_HEAD {
            return state("head", self.since(&self.head_started), timeouts.head);
        }
        let idle = self.since(&self.last_request_ended);
        match draining_since {
            None => state("idle", idle, timeouts.idle),
            // A draining connection has nothing left to do, so it gets the short limit.
            Some(since) => state("idle", idle.min(since.elapsed()), timeouts.head),
        }
    }
}

/// What a connection currently spends its time on.
struct State {
    /// Value of the metric label if the limit is exceeded.
    reason: &'static str,
    /// Time spent in this state.
    spent: Duration,
    /// Longest time in this state.
    limit: Duration,
}

/// Counts a request as active from its head to the end of its response.
pub(super) struct ActiveRequest(Arc<ConnectionActivity>);

impl ActiveRequest {
    /// Counts one more active request on the connection.
    pub fn new(activity: &Arc<ConnectionActivity>, version: Version) -> Self {
        activity.active_requests.fetch_add(1, Ordering::Relaxed);
        activity.had_request.store(true, Ordering::Relaxed);
        activity.head_started.store(NO_HEAD, Ordering::Relaxed);
        activity.h2.store(version >= Version::HTTP_2, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.last_request_ended.store(self.0.now(), Ordering::Relaxed);
        self.0.active_requests.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const SECOND: Duration = Duration::from_secs(1);
    const TIMEOUTS: Timeouts = Timeouts { head: SECOND, idle: HOUR, stalled: HOUR, age: None };

    /// A connection that opened a minute ago.
    fn opened_a_minute_ago() -> Arc<ConnectionActivity> {
        let start = Instant::now().checked_sub(60 * SECOND).expect("a clock that has run for a minute");
        Arc::new(ConnectionActivity { start, ..ConnectionActivity::new() })
    }

    fn waits(decision: Decision) -> bool {
        matches!(decision, Decision::Wait(_))
    }

    #[test]
    fn a_started_head_has_a_short_limit_and_an_idle_connection_a_long_one() {
        let activity = opened_a_minute_ago();
        assert_eq!(activity.decide(&TIMEOUTS, None), Decision::Abort("silent"));
        let request = ActiveRequest::new(&activity, Version::HTTP_11);
        assert!(waits(activity.decide(&TIMEOUTS, None)), "a request is active");
        assert_eq!(activity.decide(&Timeouts { stalled: SECOND, ..TIMEOUTS }, None), Decision::Abort("still"));
        drop(request);
        activity.last_request_ended.store(0, Ordering::Relaxed);
        assert_eq!(activity.decide(&TIMEOUTS, None), Decision::Wait(SECOND), "idle, but a head may begin");
        assert_eq!(activity.decide(&Timeouts { idle: SECOND, ..TIMEOUTS }, None), Decision::Drain("idle"));
        activity.record_read();
        assert!(waits(activity.decide(&TIMEOUTS, None)), "a head has just begun");
        activity.head_started.store(0, Ordering::Relaxed);
        assert_eq!(activity.decide(&TIMEOUTS, None), Decision::Abort("head"));
        drop(ActiveRequest::new(&activity, Version::HTTP_2));
        activity.record_read();
        activity.head_started.store(0, Ordering::Relaxed);
        assert!(waits(activity.decide(&TIMEOUTS, None)), "h2 bytes do not start a head");
    }

    #[test]
    fn a_draining_connection_has_the_head_timeout() {
        let activity = opened_a_minute_ago();
        drop(ActiveRequest::new(&activity, Version::HTTP_2));
        activity.last_request_ended.store(0, Ordering::Relaxed);
        let aged = Timeouts { age: Some(SECOND), ..TIMEOUTS };
        assert_eq!(activity.decide(&aged, None), Decision::Drain("age"));
        assert!(waits(activity.decide(&aged, Some(Instant::now()))), "draining has just begun");
        let drained = Instant::now().checked_sub(2 * SECOND).unwrap();
        assert_eq!(activity.decide(&aged, Some(drained)), Decision::Abort("idle"));
    }
}
