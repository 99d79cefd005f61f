//! The current time. Tests can set it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Source of the current time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The clock of the system.
    #[default]
    System,
    /// Set by a test, in milliseconds since 1970.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// Milliseconds since 1970.
    pub fn millis(&self) -> i64 {
        match self {
            Clock::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            Clock::Manual(at) => at.load(Ordering::SeqCst),
        }
    }

    /// Seconds since 1970.
    pub fn seconds(&self) -> u64 {
        u64::try_from(self.millis() / 1000).unwrap_or(0)
    }

    /// Advances a manual clock. Does nothing to the system clock.
    pub fn advance(&self, millis: i64) {
        if let Clock::Manual(at) = self {
            at.fetch_add(millis, Ordering::SeqCst);
        }
    }
}

/// Milliseconds since 1970 by the system clock; 0 if it is set before 1970.
pub fn now_millis() -> u64 {
    u64::try_from(Clock::System.millis()).unwrap_or(0)
}

/// Nanoseconds since 1970 by the system clock; 0 if it is set before 1970.
pub fn now_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// Seconds since 1970 by the system clock; 0 if it is set before 1970.
pub fn now_seconds() -> u64 {
    Clock::System.seconds()
}
