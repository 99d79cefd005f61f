//! Reads the records of a spool in order, and advances the cursor when they are delivered.

use super::disk::is_full;
use super::format::{FrameKind, FrameState};
use super::index::{self, Cursor};
use super::scan::{self, Scan, ScanItem};
use super::shared::{LossReason, Shared};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Records to deliver.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Their payloads.
    pub records: Vec<Vec<u8>>,
    /// The cursor after them.
    pub end: Cursor,
}

/// The only reader of a spool. It reads files: call it on a thread that may block.
pub struct Reader {
    pub(super) shared: Arc<Shared>,
    pub(super) open: Option<(u64, File)>,
}

/// Whether a file is shorter than it was: another program cut it.
fn is_cut(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

/// `error` with the file that cannot be read, which may be moved away to go on without it.
fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Remaining limits of a chunk.
struct Remaining {
    records: usize,
    bytes: usize,
}

impl Reader {
    /// The records at the cursor: at most `records`, and at most `bytes` of payloads plus one byte each, but at least one.
    /// Empty if none is pending. The same records are returned until they are acknowledged.
    pub fn next(&mut self, records: usize, bytes: usize) -> io::Result<Chunk> {
        self.close_deleted();
        let mut remaining = Remaining { records, bytes };
        let mut chunk = Chunk { end: self.shared.index().cursor, ..Chunk::default() };
        loop {
            let next = self.shared.index().next_after(chunk.end);
            let Some(from) = next else { break };
            chunk.end = from;
            if !self.read(&mut chunk, &mut remaining)? {
                break;
            }
        }
        Ok(chunk)
    }

    /// Closes a deleted segment: while it is open, it occupies disk space.
    fn close_deleted(&mut self) {
        if self.open.as_ref().is_some_and(|(number, _)| !self.shared.index().segments.contains_key(number)) {
            self.open = None;
        }
    }

    /// Reads the segment at the end of `chunk`. Returns true if there may be room for the next one.
    fn read(&mut self, chunk: &mut Chunk, remaining: &mut Remaining) -> io::Result<bool> {
        let number = chunk.end.segment;
        let Some(segment) = self.shared.index().segments.get(&number).cloned() else { return Ok(false) };
        let path = index::path(&self.shared.config.directory, number);
        if self.open.as_ref().is_none_or(|(open, _)| *open != number) {
            match File::open(&path) {
                Ok(file) => self.open = Some((number, file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.shared.give_up(number);
                    return Ok(true);
                }
                Err(error) => return Err(naming(&path, &error)),
            }
        }
        let Some((_, file)) = &self.open else { return Ok(false) };
        if chunk.end.offset == 0 {
            // The version was checked when the spool was opened.
            chunk.end.offset = match scan::start(file, number, segment.length) {
                Ok(start) => start.unwrap_or_default(),
                Err(error) if is_cut(&error) => 0,
                Err(error) => return Err(naming(&path, &error)),
            };
        }
        let mut payload = Vec::new();
        let mut scan = Scan::new(file, chunk.end.offset, segment.length, &mut payload);
        loop {
            let item = match scan.next() {
                Ok(Some(item)) => item,
                Ok(None) => break,
                Err(error) if is_cut(&error) => {
                    self.shared.damage(number, chunk.end.offset, segment.length, false);
                    chunk.end.offset = segment.length;
                    break;
                }
                Err(error) => return Err(naming(&path, &error)),
            };
            match item {
                ScanItem::Frame { kind: FrameKind::Record, state: FrameState::Live, time, from, to }
                    if !segment.void.contains(&from) =>
                {
                    let cost = scan.payload().len() + 1;
                    if !chunk.records.is_empty() && (remaining.records == 0 || remaining.bytes < cost) {
                        return Ok(false);
                    }
                    if chunk.records.is_empty() {
                        self.shared.index().oldest = Some(time);
                    }
                    remaining.records = remaining.records.saturating_sub(1);
                    remaining.bytes = remaining.bytes.saturating_sub(cost);
                    chunk.records.push(scan.payload().to_vec());
                    chunk.end = Cursor { offset: to, records: chunk.end.records + 1, ..chunk.end };
                }
                ScanItem::Frame { to, .. } => chunk.end.offset = to,
                ScanItem::Damage { torn, to } => {
                    self.shared.damage(number, chunk.end.offset, to, torn);
                    chunk.end.offset = to;
                }
            }
        }
        Ok(remaining.records > 0 && remaining.bytes > 0)
    }

    /// Records that everything before `end`, the end of a chunk, is delivered. Delivered segments are deleted. After an
    /// error, the same records may be returned again.
    ///
    /// A full disk has no room for the cursor either. The spool itself may be what fills it, so segments are deleted anyway:
    /// the cursor is stored once there is room; a process that is killed before delivers some records again.
    pub fn acknowledge(&mut self, end: Cursor) -> io::Result<()> {
        let stored = end.store(&self.shared.config.directory);
        if stored.as_ref().is_err_and(|error| !is_full(error)) {
            return stored;
        }
        self.advance(end);
        self.close_deleted();
        match stored.or_else(|_| end.store(&self.shared.config.directory)) {
            Err(error) if is_full(&error) => {
                if self.shared.should_log_error() {
                    let spool = self.name();
                    tracing::error!(%error, spool, "the cursor of the spool cannot be stored");
                }
                Ok(())
            }
            stored => stored,
        }
    }

    fn advance(&self, end: Cursor) {
        {
            let mut index = self.shared.index();
            index.cursor = end;
            if index.pending() == 0 {
                index.oldest = None;
            }
        }
        self.shared.remove_delivered();
    }

    /// Waits until there may be more to read.
    pub async fn wait(&self) {
        self.shared.grown.notified().await;
    }

    /// The cursor.
    pub fn cursor(&self) -> Cursor {
        self.shared.index().cursor
    }

    /// Whether all records are delivered.
    pub fn is_empty(&self) -> bool {
        self.shared.index().pending() == 0
    }

    /// Counts records that the receiver rejected.
    pub fn rejected(&self, records: u64) {
        self.shared.count(LossReason::Rejected, records);
    }

    /// Counts records that the receiver accepted.
    pub fn delivered(&self, records: u64) {
        self.shared.delivered(records);
    }

    /// Name of the spool, for metrics and logs.
    pub fn name(&self) -> &'static str {
        self.shared.config.name
    }

    /// Updates the gauges.
    pub fn measure(&self) {
        self.shared.measure();
    }
}
