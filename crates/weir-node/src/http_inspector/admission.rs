//! Load shedding: what is let in is bounded in number, in bytes and by how far the runtime is behind.

use super::config::Load;
use super::refusal::{Refusal, Shed};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use weir_runtime::telemetry::Telemetry;

/// How often the delay of the runtime is measured.
const PROBE: Duration = Duration::from_millis(10);
/// Measurements of which the least counts: a delay stands when none of them was short.
const WINDOW: usize = 8;

/// Counts what is under way.
pub struct Admission {
    load: Load,
    calls: AtomicUsize,
    bytes: AtomicUsize,
    lag_us: AtomicU64,
    telemetry: Arc<Telemetry>,
}

impl Admission {
    /// Nothing under way yet.
    pub fn new(load: Load, telemetry: Arc<Telemetry>) -> Self {
        let (calls, bytes, lag_us) = Default::default();
        Self { load, calls, bytes, lag_us, telemetry }
    }

    /// The refusal for `shed`.
    pub fn refuse(&self, shed: Shed) -> Refusal {
        Refusal::Overloaded(shed, self.load.retry_after)
    }

    /// Lets one call in.
    pub fn enter(self: &Arc<Self>) -> Result<Entry, Refusal> {
        if self.lag_us.load(Ordering::Relaxed) > self.load.lag.as_micros() as u64 {
            return Err(self.refuse(Shed::Lag));
        }
        let before = self.calls.fetch_add(1, Ordering::Relaxed);
        let entry = Entry { gate: Arc::clone(self), bytes: 0 };
        self.telemetry.metrics.calls.inc();
        if before >= self.load.calls { Err(self.refuse(Shed::Calls)) } else { Ok(entry) }
    }

    /// Measures how late timers of the runtime fire, for ever.
    pub async fn probe(self: Arc<Self>) {
        let mut window = [0u64; WINDOW];
        let mut at = 0;
        loop {
            let before = Instant::now();
            tokio::time::sleep(PROBE).await;
            window[at] = before.elapsed().saturating_sub(PROBE).as_micros() as u64;
            at = (at + 1) % WINDOW;
            let standing = window.iter().copied().min().unwrap_or_default();
            self.lag_us.store(standing, Ordering::Relaxed);
            self.telemetry.metrics.lag_microseconds.set(standing as i64);
        }
    }

    #[cfg(test)]
    fn set_lag(&self, lag: Duration) {
        self.lag_us.store(lag.as_micros() as u64, Ordering::Relaxed);
    }
}

/// A call that was let in, with the bytes it holds. Given back when dropped.
pub struct Entry {
    gate: Arc<Admission>,
    bytes: usize,
}

impl Entry {
    /// Takes `more` bytes of memory.
    pub fn grow(&mut self, more: usize) -> Result<(), Refusal> {
        let before = self.gate.bytes.fetch_add(more, Ordering::Relaxed);
        self.bytes += more;
        self.gate.telemetry.metrics.buffered_bytes.inc_by(more as i64);
        if before + more > self.gate.load.buffered_bytes { Err(self.gate.refuse(Shed::BufferedBytes)) } else { Ok(()) }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.gate.calls.fetch_sub(1, Ordering::Relaxed);
        self.gate.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.gate.telemetry.metrics.calls.dec();
        self.gate.telemetry.metrics.buffered_bytes.dec_by(self.bytes as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_runtime::telemetry::{Metrics, logs::AccessLog};

    fn gate(load: Load) -> Arc<Admission> {
        let telemetry = Telemetry { metrics: Metrics::unregistered(), access: AccessLog::Off.into() };
        Arc::new(Admission::new(load, Arc::new(telemetry)))
    }

    #[test]
    fn calls_and_bytes_are_bounded_and_given_back() {
        let gate = gate(Load { calls: 2, buffered_bytes: 100, ..Load::default() });
        let mut first = gate.enter().unwrap();
        let second = gate.enter().unwrap();
        assert_eq!(gate.enter().err(), Some(gate.refuse(Shed::Calls)));
        drop(second);
        let mut third = gate.enter().unwrap();
        first.grow(60).unwrap();
        assert_eq!(third.grow(60).err(), Some(gate.refuse(Shed::BufferedBytes)));
        drop((first, third));
        gate.enter().unwrap().grow(100).unwrap();
        assert_eq!(gate.calls.load(Ordering::Relaxed), 0);
        assert_eq!(gate.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_standing_delay_sheds() {
        let gate = gate(Load::default());
        gate.set_lag(Duration::from_secs(1));
        assert_eq!(gate.enter().err(), Some(gate.refuse(Shed::Lag)));
        gate.set_lag(Duration::ZERO);
        assert!(gate.enter().is_ok());
    }
}
