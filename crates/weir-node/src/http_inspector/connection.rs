//! [`Connection`]: state of one connection of a gateway, shared by the calls on it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio_util::sync::CancellationToken;
use weir_runtime::serve::Caller;
use weir_runtime::telemetry::metrics::{Metrics, Reason};

/// One connection.
pub struct Connection {
    /// Who calls.
    pub caller: Caller,
    /// Whether it presented a valid client certificate.
    pub certificate: bool,
    /// Calls answered.
    pub(super) calls: AtomicU64,
    /// Bytes received.
    pub(super) bytes: AtomicU64,
    ended: AtomicBool,
    pub(super) end: CancellationToken,
}

impl Connection {
    /// A connection from `caller`, which ends once `end` is cancelled.
    pub fn new(caller: Caller, certificate: bool, end: CancellationToken) -> Self {
        let (calls, bytes, ended) = Default::default();
        Self { caller, certificate, calls, bytes, ended, end }
    }

    /// Counts bytes received.
    pub fn received(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Ends the connection after the calls in progress: `Connection: close`, GOAWAY.
    pub fn end(&self) {
        self.end.cancel();
    }

    /// Ends the connection and counts the reason, once.
    pub fn end_because(&self, metrics: &Metrics, reason: &'static str) {
        if !self.ended.swap(true, Ordering::Relaxed) {
            metrics.connections_ended.get_or_create(&Reason { reason }).inc();
        }
        self.end();
    }

    /// Whether it ends after the calls in progress.
    pub fn is_ending(&self) -> bool {
        self.end.is_cancelled()
    }
}
