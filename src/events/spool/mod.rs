//! A queue on disk: append-only, checksummed segments, written by one thread, read by one reader.
//!
//! # Guarantees
//! A record is *accepted* when the system has it in the segment file: it outlives the process. It outlives the machine
//! once the file is forced to the disk, at most `fsync_interval` later; [`Spool::append`] waits for that. Accepted
//! records are read in order, again and again until they are acknowledged. Whoever waits for a record longer than
//! allowed withdraws it: it is counted as dropped and will not be read. One atomic a record decides (see [`entry`]).
//! Records are never lost in silence: each is accepted or counted under the reason in [`Dropped`].
//!
//! # Directory
//! | file | holds |
//! |---|---|
//! | `lock` | an advisory lock: one process uses a spool at a time |
//! | `NNNNNNNNNNNNNNNNNNNN.seg` | a segment; numbers rise; a process never writes to a segment of an earlier one |
//! | `cursor` | how far records are delivered; without it they are delivered from the start, again |
//!
//! # Segment
//! All numbers are little-endian. Checksums are CRC-32 (ISO-HDLC, as in gzip).
//! ```text
//! header   "weirspl" 0x01 | number u64 | crc32 of the 16 octets before, u32 | 0 u32
//! frame    0xF5 "REC"     | length u32 | time u64 ms since 1970 | crc32 u32 | payload
//!          0xF5 "END"     | 8      u32 | time u64               | crc32 u32 | records in the segment u64
//! ```
//! The checksum of a frame is over its first 16 octets and its payload; inverted, it says that the record was withdrawn.
//! `END` is the last frame of a segment that was closed in order. The octet 0xF5 occurs in no UTF-8 text: behind damage
//! the next frame is found by it. A torn end (the process was killed, the machine lost power) reads as damage that
//! reaches to the end of the file, and is skipped. `cursor` is `"weircur" 0x01 | segment u64 | offset u64 |
//! records u64 | crc32 u32`, replaced as a whole.

mod disk;
mod entry;
mod format;
mod index;
mod open;
mod reader;
mod scan;
mod syncer;
#[cfg(test)]
mod tests;
mod writer;

pub use disk::{Disk, SegmentFile, SystemDisk};
pub use entry::{Dropped, Outcome, Ticket};
pub use format::MAX_PAYLOAD;
pub use index::Cursor;
pub use open::OpenError;
pub use reader::{Chunk, Reader};

use crate::telemetry::Telemetry;
use crate::telemetry::metrics;
use entry::Entry;
use index::Index;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Octets of records that wait for the writer: what a disk takes in well under the time of a stall, several times.
const MAX_QUEUED_OCTETS: u64 = 32 << 20;
/// Largest segment: what a search behind damage reads, and what is not given back until all of it is delivered.
const MAX_SEGMENT: u64 = 16 << 20;
/// Smallest segment.
const MIN_SEGMENT: u64 = 64 << 10;
/// Segments that fill a spool, where that makes them no larger than [`MAX_SEGMENT`].
const SEGMENTS: u64 = 16;
/// Time between two complaints in the log about the same spool: a broken disk is told, not repeated a thousand times.
const COMPLAINTS: Duration = Duration::from_secs(10);

/// Settings of a spool.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where its files are.
    pub directory: PathBuf,
    /// Its name in metrics and logs.
    pub name: &'static str,
    /// Octets that its segments may take, at most.
    pub size: u64,
    /// Longest time from writing a record to forcing it to the disk.
    pub fsync_interval: Duration,
}

impl Config {
    fn segment_octets(&self) -> u64 {
        (self.size / SEGMENTS).clamp(MIN_SEGMENT, MAX_SEGMENT)
    }
}

/// How a spool is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Records that are not delivered.
    pub records: u64,
    /// Octets of its segments.
    pub octets: u64,
    /// When the oldest record that is not delivered was written, in milliseconds since 1970.
    pub oldest: Option<u64>,
    /// Records dropped since the start.
    pub dropped: u64,
}

/// Why records that were accepted will not be delivered, besides [`Dropped`].
#[derive(Clone, Copy, Debug)]
enum Loss {
    /// The other side says that it can never store them.
    Rejected,
    /// A stretch of damage in a segment: at least one record.
    Damaged,
}

/// What the spool, its threads and its reader share.
struct Shared {
    config: Config,
    disk: Box<dyn Disk>,
    queue: Mutex<writer::Queue>,
    filled: Condvar,
    index: Mutex<Index>,
    grown: Notify,
    syncer: syncer::Syncer,
    telemetry: Arc<Telemetry>,
    dropped: AtomicU64,
    complained: Mutex<Option<Instant>>,
    _lock: File,
}

/// A handle on a spool; clones are handles on the same one. When the last one is gone, what waits is written and the
/// threads end, for which its drop waits.
#[derive(Clone)]
pub struct Spool(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Spool {
    /// Opens the spool of `config`, or begins one. Reads segments that were not closed in order.
    pub fn open(config: Config, telemetry: Arc<Telemetry>) -> Result<(Spool, Reader), OpenError> {
        Self::open_on(Box::new(SystemDisk), config, telemetry)
    }

    /// Like [`Self::open`], with writes that go through `disk`.
    pub fn open_on(
        disk: Box<dyn Disk>,
        config: Config,
        telemetry: Arc<Telemetry>,
    ) -> Result<(Spool, Reader), OpenError> {
        let open::Found { index, lock, next, damaged, torn } = open::open(&config.directory)?;
        if damaged + torn > 0 {
            let directory = config.directory.display();
            tracing::warn!(%directory, damaged, torn, "the spool was not closed in order; what is whole in it is used");
        }
        let shared = Arc::new(Shared {
            config,
            disk,
            queue: Mutex::default(),
            filled: Condvar::new(),
            index: Mutex::new(index),
            grown: Notify::new(),
            syncer: syncer::Syncer::default(),
            telemetry,
            dropped: AtomicU64::new(0),
            complained: Mutex::default(),
            _lock: lock,
        });
        shared.measure();
        let handle = Handle { shared: Arc::clone(&shared), threads: Mutex::default() };
        let writer = writer::Writer::new(Arc::clone(&shared), next);
        handle.start("write", move || writer.run())?;
        let sync = Arc::clone(&shared);
        handle.start("sync", move || sync.syncer.run(&sync))?;
        Ok((Spool(Arc::new(handle)), Reader { shared, open: None }))
    }

    /// Hands `record` to the writer, without waiting.
    pub fn submit(&self, record: Vec<u8>) -> Result<Ticket, Dropped> {
        self.enqueue(vec![record], false, true)
    }

    /// Waits until the record of `ticket` is in the file, for at most `stall`; past it the record is withdrawn.
    pub async fn settle(&self, ticket: Ticket, stall: Duration) -> Outcome {
        let (outcome, withdrawn) = ticket.settle(stall).await;
        if withdrawn > 0 {
            self.0.shared.lose(Dropped::Stalled.code(), withdrawn);
        }
        outcome
    }

    /// Accepts `record`: once this returns well it is in the file. Waits for at most `stall`.
    pub async fn accept(&self, record: Vec<u8>, stall: Duration) -> Outcome {
        let ticket = self.submit(record)?;
        self.settle(ticket, stall).await
    }

    /// Appends all of `records` or none, and waits until they are on the disk.
    pub async fn append(&self, records: Vec<Vec<u8>>) -> Outcome {
        if records.is_empty() { Ok(()) } else { self.enqueue(records, true, true)?.finish().await }
    }

    /// Like [`Self::append`], for records that the caller still has where they are not taken: they are not counted as
    /// dropped then.
    pub async fn offer(&self, records: Vec<Vec<u8>>) -> Outcome {
        if records.is_empty() { Ok(()) } else { self.enqueue(records, true, false)?.finish().await }
    }

    /// Like [`Self::append`], for a thread that may block.
    pub fn append_blocking(&self, records: Vec<Vec<u8>>) -> Outcome {
        if records.is_empty() { Ok(()) } else { self.enqueue(records, true, true)?.finish_blocking() }
    }

    fn enqueue(&self, records: Vec<Vec<u8>>, durable: bool, sole: bool) -> Result<Ticket, Dropped> {
        let shared = &self.0.shared;
        let count = if sole { records.len() as u64 } else { 0 };
        if records.iter().any(|record| record.is_empty() || record.len() > MAX_PAYLOAD) {
            return Err(shared.lose_as(Dropped::TooLarge, count));
        }
        let (entry, ticket) = Entry::new(records, durable, sole);
        let mut queue = shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.closed {
            return Err(shared.lose_as(Dropped::Closed, count));
        }
        let octets = entry.octets();
        // One entry always fits, however large, so that a batch is not refused for ever.
        if queue.octets > 0 && queue.octets + octets > MAX_QUEUED_OCTETS {
            return Err(shared.lose_as(Dropped::Queue, count));
        }
        queue.octets += octets;
        queue.waiting.push(entry);
        drop(queue);
        shared.filled.notify_one();
        Ok(ticket)
    }

    /// How the spool is.
    pub fn status(&self) -> Status {
        self.0.shared.status()
    }

    /// Refuses further records, writes what waits, forces it to the disk and ends the threads. Blocks.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Handle {
    fn start(&self, what: &str, run: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
        let config = &self.shared.config;
        let thread = std::thread::Builder::new().name(format!("{}-{what}", config.name)).spawn(run);
        let thread = thread.map_err(|error| OpenError::Io(config.directory.clone(), error))?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    fn close(&self) {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.shared.filled.notify_one();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the spool panicked");
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the reader see `records` more, up to `length`.
    fn publish(&self, number: u64, length: u64, records: u64, void: Vec<u64>) {
        let mut index = self.index();
        if records > 0 && index.pending() == 0 {
            index.oldest = Some(crate::events::now_ms());
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
    }

    fn label(&self) -> metrics::Spool {
        metrics::Spool { spool: self.config.name }
    }

    /// Fails `entry` and counts its records, unless they are counted already.
    fn fail(&self, entry: Entry, why: Dropped) {
        let count = if entry.sole { entry.records.len() as u64 } else { 0 };
        if entry.fail(why) {
            self.lose(why.code(), count);
        }
    }

    fn lose_as(&self, why: Dropped, count: u64) -> Dropped {
        self.lose(why.code(), count);
        why
    }

    fn lose(&self, reason: &'static str, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
        let label = metrics::SpoolLoss { spool: self.config.name, reason };
        self.telemetry.metrics.events_dropped.get_or_create(&label).inc_by(count);
    }

    fn count(&self, loss: Loss, count: u64) {
        let reason = match loss {
            Loss::Rejected => "rejected",
            Loss::Damaged => "damaged",
        };
        self.lose(reason, count);
    }

    fn delivered(&self, records: u64) {
        self.telemetry.metrics.events_delivered.get_or_create(&self.label()).inc_by(records);
    }

    /// Tells of octets that are no record. A torn end was no accepted record unless the machine lost power.
    fn damage(&self, segment: u64, from: u64, to: u64, torn: bool) {
        if !torn {
            self.count(Loss::Damaged, 1);
        }
        let (spool, octets) = (self.config.name, to.saturating_sub(from));
        tracing::warn!(spool, segment, from, octets, torn, "octets in the spool that are no record were skipped");
    }

    /// Whether it is time to complain about the disk again.
    fn complain(&self) -> bool {
        let mut last = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| last.elapsed() >= COMPLAINTS);
        if due {
            *last = Some(Instant::now());
        }
        due
    }

    /// Deletes the segments that are delivered whole.
    fn remove_delivered(&self) {
        let done = self.index().take_delivered();
        for number in done {
            let path = index::path(&self.config.directory, number);
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::error!(%error, path = %path.display(), "a delivered segment could not be deleted");
            }
        }
        self.measure();
    }

    fn status(&self) -> Status {
        let index = self.index();
        let dropped = self.dropped.load(Ordering::Relaxed);
        Status { records: index.pending(), octets: index.octets(), oldest: index.oldest, dropped }
    }

    fn measure(&self) {
        let (status, metrics, label) = (self.status(), &self.telemetry.metrics, self.label());
        let age = status.oldest.map_or(0, |oldest| crate::events::now_ms().saturating_sub(oldest) / 1000);
        metrics.events_spool_records.get_or_create(&label).set(status.records as i64);
        metrics.events_spool_bytes.get_or_create(&label).set(status.octets as i64);
        metrics.events_spool_oldest.get_or_create(&label).set(age as i64);
    }
}
