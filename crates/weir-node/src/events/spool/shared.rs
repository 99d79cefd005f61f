//! State shared by the spool, its threads and its reader, and the reporting of losses, status and metrics.

use super::disk::Disk;
use super::index::{self, Index};
use super::write_deadline::WriterActivity;
use super::write_request::{DropReason, WriteRequest};
use super::{Config, syncer, writer};
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use weir_runtime::clock::now_millis;
use weir_runtime::telemetry::{Telemetry, metrics};

/// Time between two log lines about disk errors of the same spool.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// State of a spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolStatus {
    /// Records that are not delivered.
    pub records: u64,
    /// Bytes of its segments.
    pub bytes: u64,
    /// When the oldest record that is not delivered was written, in milliseconds since 1970.
    pub oldest: Option<u64>,
    /// Records dropped since the start.
    pub dropped: u64,
}

/// Why accepted records will not be delivered, in addition to [`DropReason`].
#[derive(Clone, Copy, Debug)]
pub(super) enum LossReason {
    /// The receiver rejected them.
    Rejected,
    /// A damaged range of a segment: at least one record.
    Damaged,
    /// The file of their segment was removed.
    Removed,
}

/// State shared by the spool, its threads and its reader.
pub(super) struct Shared {
    pub config: Config,
    pub disk: Box<dyn Disk>,
    pub queue: Mutex<writer::Queue>,
    pub filled: Condvar,
    index: Mutex<Index>,
    pub grown: Notify,
    pub syncer: syncer::Syncer,
    pub writer: WriterActivity,
    telemetry: Arc<Telemetry>,
    dropped: AtomicU64,
    last_logged: Mutex<Option<Instant>>,
    _lock: File,
}

impl Shared {
    pub fn new(config: Config, disk: Box<dyn Disk>, index: Index, lock: File, telemetry: Arc<Telemetry>) -> Shared {
        Shared {
            config,
            disk,
            queue: Mutex::default(),
            filled: Condvar::new(),
            index: Mutex::new(index),
            grown: Notify::new(),
            syncer: syncer::Syncer::default(),
            writer: WriterActivity::default(),
            telemetry,
            dropped: AtomicU64::new(0),
            last_logged: Mutex::default(),
            _lock: lock,
        }
    }

    pub fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes `records` more, up to `length`, to the reader. False if the segment was given up: they are lost.
    pub fn publish(&self, number: u64, length: u64, records: u64, void: Vec<u64>) -> bool {
        let mut index = self.index();
        if !index.segments.contains_key(&number) {
            drop(index);
            self.count(LossReason::Removed, records);
            return false;
        }
        if records > 0 && index.pending() == 0 {
            index.oldest = Some(now_millis());
        }
        if let Some(segment) = index.segments.get_mut(&number) {
            segment.length = length;
            segment.records += records;
            segment.void.extend(void);
        }
        drop(index);
        let metrics = &self.telemetry.metrics;
        metrics.events_spooled.get_or_create(&self.label()).inc_by(records);
        self.measure();
        self.grown.notify_one();
        true
    }

    /// Goes on without a segment whose file was removed, e.g. to make room on a full disk.
    pub fn give_up(&self, number: u64) {
        let mut index = self.index();
        let delivered = if index.cursor.segment == number { index.cursor.records } else { 0 };
        let Some(segment) = index.segments.remove(&number) else { return };
        drop(index);
        let lost = segment.records.saturating_sub(delivered);
        self.count(LossReason::Removed, lost);
        let (spool, path) = (self.config.name, index::path(&self.config.directory, number));
        tracing::error!(spool, path = %path.display(), lost, "a segment of the spool is gone; its records are lost");
        self.measure();
    }

    fn label(&self) -> metrics::Spool {
        metrics::Spool { spool: self.config.name }
    }

    /// Fails `request` and counts its records, unless they are counted already.
    pub fn fail(&self, request: WriteRequest, why: DropReason) {
        let count = if request.only_copy { request.records.len() as u64 } else { 0 };
        if request.fail(why) {
            self.count_lost(why.code(), count);
        }
    }

    pub fn reject(&self, why: DropReason, count: u64) -> DropReason {
        self.count_lost(why.code(), count);
        why
    }

    pub fn count_lost(&self, reason: &'static str, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
        let label = metrics::SpoolLoss { spool: self.config.name, reason };
        self.telemetry.metrics.events_dropped.get_or_create(&label).inc_by(count);
    }

    pub fn count(&self, loss: LossReason, count: u64) {
        let reason = match loss {
            LossReason::Rejected => "rejected",
            LossReason::Damaged => "damaged",
            LossReason::Removed => "removed",
        };
        self.count_lost(reason, count);
    }

    pub fn delivered(&self, records: u64) {
        self.telemetry.metrics.events_delivered.get_or_create(&self.label()).inc_by(records);
    }

    /// Reports bytes that are not a record. A torn end was not an accepted record, unless the machine lost power.
    pub fn damage(&self, segment: u64, from: u64, to: u64, torn: bool) {
        if !torn {
            self.count(LossReason::Damaged, 1);
        }
        let (spool, bytes) = (self.config.name, to.saturating_sub(from));
        tracing::warn!(spool, segment, from, bytes, torn, "skipped damaged bytes in the spool");
    }

    /// Whether to log a disk error again.
    pub fn should_log_error(&self) -> bool {
        let mut last = self.last_logged.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| last.elapsed() >= LOG_INTERVAL);
        if due {
            *last = Some(Instant::now());
        }
        due
    }

    /// Deletes completely delivered segments.
    pub fn remove_delivered(&self) {
        let done = self.index().take_delivered();
        self.delete(&done);
        self.measure();
    }

    pub fn delete(&self, segments: &[u64]) {
        for &number in segments {
            let path = index::path(&self.config.directory, number);
            if let Err(error) = std::fs::remove_file(&path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::error!(%error, path = %path.display(), "a delivered segment could not be deleted");
            }
        }
    }

    pub fn status(&self) -> SpoolStatus {
        let index = self.index();
        let dropped = self.dropped.load(Ordering::Relaxed);
        SpoolStatus { records: index.pending(), bytes: index.bytes(), oldest: index.oldest, dropped }
    }

    pub fn measure(&self) {
        let (status, metrics, label) = (self.status(), &self.telemetry.metrics, self.label());
        let age = status.oldest.map_or(0, |oldest| now_millis().saturating_sub(oldest) / 1000);
        metrics.events_spool_records.get_or_create(&label).set(status.records as i64);
        metrics.events_spool_bytes.get_or_create(&label).set(status.bytes as i64);
        metrics.events_spool_oldest.get_or_create(&label).set(age as i64);
    }
}
