//! A queue on disk: append-only, checksummed segments, written by one thread, read by one reader.
//!
//! # Guarantees
//! A record is *accepted* when the system has it in the segment file: it outlives the process. It outlives the machine
//! once the file is forced to the disk, at most `fsync_interval` later; [`Spool::append`] waits for that. Accepted
//! records are read in order, again and again until they are acknowledged. Whoever waits for a record while the disk
//! stalls longer than allowed withdraws it: it is counted as dropped and will not be read. One atomic a record decides
//! (see [`write_request`]). That the writer gets no core is no stall (see [`write_deadline`]).
//! Records are never lost in silence: each is accepted or counted under the reason in [`DropReason`].
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
//! header   "weirspl" 0x01 | number u64 | crc32 of the 16 bytes before, u32 | 0 u32
//! frame    0xF5 "REC"     | length u32 | time u64 ms since 1970 | crc32 u32 | payload
//!          0xF5 "END"     | 8      u32 | time u64               | crc32 u32 | records in the segment u64
//! ```
//! The checksum of a frame is over its first 16 bytes and its payload; inverted, it says that the record was withdrawn.
//! `END` is the last frame of a segment that was closed in order. The byte 0xF5 occurs in no UTF-8 text: behind damage
//! the next frame is opened by it. A torn end (the process was killed, the machine lost power) reads as damage that
//! reaches to the end of the file, and is skipped. `cursor` is `"weircur" 0x01 | segment u64 | offset u64 |
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

/// Bytes of records that wait for the writer: what a disk takes in well under the time of a stall, several times.
const MAX_QUEUED_BYTES: u64 = 32 << 20;
/// Largest segment: what a search behind damage reads, and what is not given back until all of it is delivered.
const MAX_SEGMENT: u64 = 16 << 20;
/// Smallest segment.
const MIN_SEGMENT: u64 = 64 << 10;
/// Segments that fill a spool, where that makes them no larger than [`MAX_SEGMENT`].
const SEGMENTS: u64 = 16;
/// Settings of a spool.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where its files are.
    pub directory: PathBuf,
    /// Its name in metrics and logs.
    pub name: &'static str,
    /// Bytes that its segments may take, at most.
    pub size: u64,
    /// Longest time from writing a record to forcing it to the disk.
    pub fsync_interval: Duration,
}

impl Config {
    fn segment_bytes(&self) -> u64 {
        (self.size / SEGMENTS).clamp(MIN_SEGMENT, MAX_SEGMENT)
    }
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
        let open::OpenedSpool { index, lock, next, damaged, torn } = open::open(&config.directory)?;
        if damaged + torn > 0 {
            let directory = config.directory.display();
            tracing::warn!(%directory, damaged, torn, "the spool was not closed in order; what is whole in it is used");
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

    /// Hands `record` to the writer, without waiting.
    pub fn submit(&self, record: Vec<u8>) -> Result<Ticket, DropReason> {
        self.enqueue(vec![record], false, true)
    }

    /// Waits until the record of `ticket` is in the file. Once the disk has held it up for `stall` it is withdrawn; a
    /// writer that merely waits for a core is waited for, up to a second (see [`write_deadline`]).
    pub async fn await_written(&self, ticket: Ticket, stall: Duration) -> WriteOutcome {
        self.await_written_within(ticket, stall, MAX_WAIT).await
    }

    async fn await_written_within(&self, mut ticket: Ticket, stall: Duration, longest: Duration) -> WriteOutcome {
        let mut write_deadline = WriteDeadline::new(&self.0.shared.writer, stall, longest);
        while let Some(time) = write_deadline.next() {
            if let Some(outcome) = ticket.wait(time).await {
                return outcome;
            }
        }
        self.withdraw(ticket)
    }

    /// Takes the record of `ticket` back, and counts it, unless its outcome is decided.
    fn withdraw(&self, ticket: Ticket) -> WriteOutcome {
        let (outcome, withdrawn) = ticket.withdraw();
        if withdrawn > 0 {
            self.0.shared.count_lost(DropReason::Stalled.code(), withdrawn);
        }
        outcome
    }

    /// Accepts `record`: once this returns well it is in the file. Waits as [`Self::await_written`] does.
    pub async fn accept(&self, record: Vec<u8>, stall: Duration) -> WriteOutcome {
        let ticket = self.submit(record)?;
        self.await_written(ticket, stall).await
    }

    /// Appends all of `records` or none, and waits until they are on the disk.
    pub async fn append(&self, records: Vec<Vec<u8>>) -> WriteOutcome {
        if records.is_empty() { Ok(()) } else { self.enqueue(records, true, true)?.finish().await }
    }

    /// Like [`Self::append`], for records that the caller still has where they are not taken: they are not counted as
    /// dropped then.
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
        // One request always fits, however large, so that a batch is not refused for ever.
        if queue.bytes > 0 && queue.bytes + bytes > MAX_QUEUED_BYTES {
            return Err(shared.reject(DropReason::Queue, count));
        }
        queue.bytes += bytes;
        queue.waiting.push(request);
        drop(queue);
        shared.filled.notify_one();
        Ok(ticket)
    }

    /// How the spool is.
    pub fn status(&self) -> SpoolStatus {
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
