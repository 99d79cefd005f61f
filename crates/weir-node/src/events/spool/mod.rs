//! A queue on disk: append-only, checksummed segments, written by one thread, read by one reader.
//!
//! # Guarantees
//! A record is *accepted* when it is written to the segment file: it then survives the end of the process. It survives a
//! failure of the machine once the file is synced to disk, at most `fsync_interval` later; [`Spool::append`] waits for
//! that. Accepted records are read in order, repeatedly until they are acknowledged. A caller that waits for a record
//! withdraws it if the disk stalls longer than allowed: it is counted as dropped and will not be read. One atomic per
//! record decides (see [`write_request`]). A writer thread that waits for a CPU core is not a stall (see
//! [`write_deadline`]). No record is lost without notice: each is accepted, or counted by its [`DropReason`].
//!
//! # Directory
//! | file | content |
//! |---|---|
//! | `lock` | an advisory lock: one process uses a spool at a time |
//! | `NNNNNNNNNNNNNNNNNNNN.seg` | a segment; numbers increase; a process never writes to a segment of an earlier one |
//! | `cursor` | how far records are delivered; without it, all are delivered again |
//!
//! # Segment
//! All numbers are little-endian. Checksums are CRC-32 (ISO-HDLC, as in gzip).
//! ```text
//! header   "weirspl" 0x01 | number u64 | crc32 of the 16 bytes before, u32 | 0 u32
//! frame    0xF5 "REC"     | length u32 | time u64 ms since 1970 | crc32 u32 | payload
//!          0xF5 "END"     | 8      u32 | time u64               | crc32 u32 | records in the segment u64
//! ```
//! The checksum of a frame covers its first 16 bytes and its payload; inverted, it marks a withdrawn record. `END` is the
//! last frame of a segment that was closed properly. The byte 0xF5 does not occur in UTF-8 text: after damage, it locates
//! the next frame. A segment whose file is removed or cut while it is read is given up, and what it held counted as lost. A torn end (the process was killed, the machine lost power) is damage up to the end of the file, and
//! is skipped. `cursor` is `"weircur" 0x01 | segment u64 | offset u64 |
//! records u64 | crc32 u32`, replaced as a whole.

mod disk;
mod format;
mod index;
mod open;
mod reader;
mod scan;
mod shared;
mod syncer;
#[cfg(test)]
mod tests;
mod write_deadline;
mod write_request;
mod writer;

pub use disk::{Disk, SegmentFile, SystemDisk};
pub use format::MAX_PAYLOAD;
pub use index::Cursor;
pub use open::OpenError;
pub use reader::{Chunk, Reader};
pub use shared::SpoolStatus;
pub use write_request::{DropReason, Ticket, WriteOutcome};

use shared::Shared;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use weir_runtime::telemetry::Telemetry;
use write_deadline::{MAX_WAIT, WriteDeadline};
use write_request::WriteRequest;

/// Bytes of records that wait for the writer: a disk writes several times as much within the time of a stall.
const MAX_QUEUED_BYTES: u64 = 32 << 20;
/// Largest segment: the most that a search after damage reads, and that is freed only when all of it is delivered.
const MAX_SEGMENT: u64 = 16 << 20;
/// Smallest segment.
const MIN_SEGMENT: u64 = 64 << 10;
/// Segments of a full spool, unless they would be larger than [`MAX_SEGMENT`].
const SEGMENTS: u64 = 16;
/// Settings of a spool.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its directory.
    pub directory: PathBuf,
    /// Its name in metrics and logs.
    pub name: &'static str,
    /// Largest size of all its segments, in bytes.
    pub size: u64,
    /// Longest time from writing a record to syncing it to disk.
    pub fsync_interval: Duration,
}

impl Config {
    fn segment_bytes(&self) -> u64 {
        (self.size / SEGMENTS).clamp(MIN_SEGMENT, MAX_SEGMENT)
    }
}

/// A handle on a spool; clones share the spool. Dropping the last one writes queued records and joins the threads.
#[derive(Clone)]
pub struct Spool(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Spool {
    /// Opens or creates the spool of `config`. Reads segments that were not closed properly.
    pub fn open(config: Config, telemetry: Arc<Telemetry>) -> Result<(Spool, Reader), OpenError> {
        Self::open_on(Box::new(SystemDisk), config, telemetry)
    }

    /// Like [`Self::open`], with writes that go through `disk`.
    pub fn open_on(
        disk: Box<dyn Disk>,
        config: Config,
        telemetry: Arc<Telemetry>,
    ) -> Result<(Spool, Reader), OpenError> {
        let open::OpenedSpool { index, lock, next, damaged, torn } = open::open(&config.directory)?;
        if damaged + torn > 0 {
            let directory = config.directory.display();
            tracing::warn!(%directory, damaged, torn, "the spool was not closed properly; its intact records are used");
        }
        let shared = Arc::new(Shared::new(config, disk, index, lock, telemetry));
        shared.measure();
        let handle = Handle { shared: Arc::clone(&shared), threads: Mutex::default() };
        let writer = writer::Writer::new(Arc::clone(&shared), next);
        handle.start("write", move || writer.run())?;
        let sync = Arc::clone(&shared);
        handle.start("sync", move || sync.syncer.run(&sync))?;
        Ok((Spool(Arc::new(handle)), Reader { shared, open: None }))
    }

    /// Queues `record` for the writer, without waiting.
    pub fn submit(&self, record: Vec<u8>) -> Result<Ticket, DropReason> {
        self.enqueue(vec![record], false, true)
    }

    /// Waits until the record of `ticket` is in the file. Withdraws it if the disk stalls for `stall`. If the writer thread
    /// only waits for a CPU core, waits up to a second (see [`write_deadline`]).
    pub async fn await_written(&self, ticket: Ticket, stall: Duration) -> WriteOutcome {
        self.await_written_within(ticket, stall, MAX_WAIT).await
    }

    async fn await_written_within(&self, mut ticket: Ticket, stall: Duration, longest: Duration) -> WriteOutcome {
        let mut deadline = WriteDeadline::new(&self.0.shared.writer, stall, longest);
        while let Some(time) = deadline.next() {
            if let Some(outcome) = ticket.wait(time).await {
                return outcome;
            }
        }
        self.withdraw(ticket)
    }

    /// Withdraws the record of `ticket` and counts it, unless its outcome is decided.
    fn withdraw(&self, ticket: Ticket) -> WriteOutcome {
        let (outcome, withdrawn) = ticket.withdraw();
        if withdrawn > 0 {
            self.0.shared.count_lost(DropReason::Stalled.code(), withdrawn);
        }
        outcome
    }

    /// Writes `record` and waits like [`Self::await_written`] until it is in the file.
    pub async fn accept(&self, record: Vec<u8>, stall: Duration) -> WriteOutcome {
        let ticket = self.submit(record)?;
        self.await_written(ticket, stall).await
    }

    /// Appends all of `records` or none, and waits until they are on the disk.
    pub async fn append(&self, records: Vec<Vec<u8>>) -> WriteOutcome {
        if records.is_empty() { Ok(()) } else { self.enqueue(records, true, true)?.finish().await }
    }

    /// Like [`Self::append`], for records that the caller keeps if they are rejected: they are not counted as dropped.
    pub async fn offer(&self, records: Vec<Vec<u8>>) -> WriteOutcome {
        if records.is_empty() { Ok(()) } else { self.enqueue(records, true, false)?.finish().await }
    }

    /// Like [`Self::append`], for a thread that may block.
    pub fn append_blocking(&self, records: Vec<Vec<u8>>) -> WriteOutcome {
        if records.is_empty() { Ok(()) } else { self.enqueue(records, true, true)?.finish_blocking() }
    }

    fn enqueue(&self, records: Vec<Vec<u8>>, durable: bool, only_copy: bool) -> Result<Ticket, DropReason> {
        let shared = &self.0.shared;
        let count = if only_copy { records.len() as u64 } else { 0 };
        if records.iter().any(|record| record.is_empty() || record.len() > MAX_PAYLOAD) {
            return Err(shared.reject(DropReason::TooLarge, count));
        }
        let (request, ticket) = WriteRequest::new(records, durable, only_copy);
        let mut queue = shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.closed {
            return Err(shared.reject(DropReason::Closed, count));
        }
        let bytes = request.bytes();
        // One request is always accepted, however large, so that a batch is not rejected forever.
        if queue.bytes > 0 && queue.bytes + bytes > MAX_QUEUED_BYTES {
            return Err(shared.reject(DropReason::Queue, count));
        }
        queue.bytes += bytes;
        queue.waiting.push(request);
        drop(queue);
        shared.filled.notify_one();
        Ok(ticket)
    }

    /// State of the spool.
    pub fn status(&self) -> SpoolStatus {
        self.0.shared.status()
    }

    /// Rejects further records, writes and syncs the queued ones, and joins the threads. Blocks.
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
