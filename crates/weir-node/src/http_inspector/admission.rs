//! Load shedding: limits the calls in progress, the bytes they hold, and the scheduling delay of the runtime.

use super::api_error::{ApiError, ShedReason};
use super::config::LoadLimits;
use super::scheduling_delay::SchedulingDelay;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::runtime::Handle;
use weir_runtime::telemetry::Telemetry;

/// The fraction of the golden ratio, in parts of 2^64.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Counts the calls in progress.
pub struct Admission {
    load: LoadLimits,
    calls: AtomicUsize,
    bytes: AtomicUsize,
    delay: Arc<SchedulingDelay>,
    /// Decides together with the delay whether the next call is refused.
    turn: AtomicU64,
    telemetry: Arc<Telemetry>,
}

impl Admission {
    /// No calls in progress yet.
    pub fn new(load: LoadLimits, telemetry: Arc<Telemetry>) -> Self {
        let delay = Arc::new(SchedulingDelay::new(telemetry.metrics.lag_microseconds.clone()));
        let (calls, bytes, turn) = Default::default();
        Self { load, calls, bytes, delay, turn, telemetry }
    }

    /// The error for a call that is shed.
    pub fn overloaded(&self, reason: ShedReason) -> ApiError {
        ApiError::Overloaded(reason, self.load.retry_after)
    }

    /// Admits one call.
    pub fn admit(self: &Arc<Self>) -> Result<AdmissionPermit, ApiError> {
        if self.sheds() {
            return Err(self.overloaded(ShedReason::Lag));
        }
        let before = self.calls.fetch_add(1, Ordering::Relaxed);
        let permit = AdmissionPermit { admission: Arc::clone(self), bytes: 0, call: true };
        self.telemetry.metrics.calls.inc();
        if before >= self.load.calls { Err(self.overloaded(ShedReason::Calls)) } else { Ok(permit) }
    }

    /// Counts bytes that are held outside of calls.
    pub fn hold(self: &Arc<Self>) -> AdmissionPermit {
        AdmissionPermit { admission: Arc::clone(self), bytes: 0, call: false }
    }

    /// Bytes that are held.
    #[cfg(test)]
    pub fn buffered(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether the next call is refused for the delay: none up to the limit, from there on the more the longer it is, and
    /// all from twice the limit on. Refusing all at once would leave the workers idle a moment later, and the calls that
    /// were refused would all come back together.
    fn sheds(&self) -> bool {
        let over = self.delay.current().saturating_sub(self.load.lag);
        if over.is_zero() {
            return false;
        }
        let share = over.as_secs_f64() / self.load.lag.as_secs_f64();
        // Spreads the refusals evenly over the calls: the fractions of multiples of the golden ratio.
        let turn = self.turn.fetch_add(GOLDEN, Ordering::Relaxed);
        (turn as f64) < share * u64::MAX as f64
    }

    /// Measures from now on how long calls wait for a worker of `runtime`. Further calls do nothing.
    pub fn watch(&self, runtime: &Handle) -> std::io::Result<()> {
        self.delay.measure(runtime)
    }
}

/// An admitted call and the bytes it holds, released when dropped.
pub struct AdmissionPermit {
    admission: Arc<Admission>,
    bytes: usize,
    /// Whether it counts as a call in progress.
    call: bool,
}

impl AdmissionPermit {
    /// Counts `more` bytes of memory.
    pub fn reserve(&mut self, more: usize) -> Result<(), ApiError> {
        let before = self.admission.bytes.fetch_add(more, Ordering::Relaxed);
        self.bytes += more;
        self.admission.telemetry.metrics.buffered_bytes.inc_by(more as i64);
        if before + more > self.admission.load.buffered_bytes {
            Err(self.admission.overloaded(ShedReason::BufferedBytes))
        } else {
            Ok(())
        }
    }

    /// Counts `fewer` bytes of memory, at most those that it holds.
    pub fn give_back(&mut self, fewer: usize) {
        let fewer = fewer.min(self.bytes);
        self.bytes -= fewer;
        self.admission.bytes.fetch_sub(fewer, Ordering::Relaxed);
        self.admission.telemetry.metrics.buffered_bytes.dec_by(fewer as i64);
    }

    /// Counts as no call while its client sends more: slow clients must not use up the calls of others. Its bytes stay
    /// counted.
    pub fn pause(&mut self) {
        if std::mem::replace(&mut self.call, false) {
            self.admission.calls.fetch_sub(1, Ordering::Relaxed);
            self.admission.telemetry.metrics.calls.dec();
        }
    }

    /// Counts as a call again.
    pub fn resume(&mut self) -> Result<(), ApiError> {
        if std::mem::replace(&mut self.call, true) {
            return Ok(());
        }
        let before = self.admission.calls.fetch_add(1, Ordering::Relaxed);
        self.admission.telemetry.metrics.calls.inc();
        if before >= self.admission.load.calls { Err(self.admission.overloaded(ShedReason::Calls)) } else { Ok(()) }
    }
}

impl Drop for AdmissionPermit {
    fn drop(&mut self) {
        self.pause();
        self.admission.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.admission.telemetry.metrics.buffered_bytes.dec_by(self.bytes as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use weir_runtime::telemetry::{Metrics, logs::AccessLog};

    fn admission(load: LoadLimits) -> Arc<Admission> {
        let telemetry = Telemetry { metrics: Metrics::unregistered(), access: AccessLog::Off.into() };
        Arc::new(Admission::new(load, Arc::new(telemetry)))
    }

    #[test]
    fn calls_and_bytes_are_bounded_and_released() {
        let admission = admission(LoadLimits { calls: 2, buffered_bytes: 100, ..LoadLimits::default() });
        let mut first = admission.admit().unwrap();
        let second = admission.admit().unwrap();
        assert_eq!(admission.admit().err(), Some(admission.overloaded(ShedReason::Calls)));
        drop(second);
        let mut third = admission.admit().unwrap();
        first.reserve(60).unwrap();
        assert_eq!(third.reserve(60).err(), Some(admission.overloaded(ShedReason::BufferedBytes)));
        drop((first, third));
        admission.admit().unwrap().reserve(100).unwrap();
        assert_eq!(admission.calls.load(Ordering::Relaxed), 0);
        assert_eq!(admission.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_paused_call_leaves_its_place_and_keeps_its_bytes() {
        let admission = admission(LoadLimits { calls: 1, buffered_bytes: 100, ..LoadLimits::default() });
        let mut slow = admission.admit().unwrap();
        slow.reserve(60).unwrap();
        slow.pause();
        let mut other = admission.admit().unwrap();
        assert_eq!(other.reserve(60).err(), Some(admission.overloaded(ShedReason::BufferedBytes)));
        assert_eq!(slow.resume().err(), Some(admission.overloaded(ShedReason::Calls)));
        drop((slow, other));
        assert_eq!(admission.calls.load(Ordering::Relaxed), 0);
        assert_eq!(admission.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_longer_the_delay_the_more_calls_are_shed() {
        let admission = admission(LoadLimits::default());
        let lag = admission.load.lag;
        let shed = |delay| {
            admission.delay.set(delay);
            (0..1000).filter(|_| admission.admit().err() == Some(admission.overloaded(ShedReason::Lag))).count()
        };
        assert_eq!([shed(Duration::ZERO), shed(lag)], [0, 0]);
        let [quarter, half] = [shed(lag + lag / 4), shed(lag + lag / 2)];
        assert!((240..=260).contains(&quarter) && (490..=510).contains(&half), "{quarter}, {half}");
        assert_eq!([shed(2 * lag), shed(Duration::from_secs(60)), shed(Duration::ZERO)], [1000, 1000, 0]);
    }
}
