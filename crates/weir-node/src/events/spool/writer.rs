//! The writer thread. It takes all queued requests, writes them with one call, and sends the outcomes.

use super::disk::{SegmentFile, is_full};
use super::format::{self, FrameKind, HEADER};
use super::index::{self, END_BYTES, Segment};
use super::write_request::{DropReason, WriteRequest};
use super::{Shared, syncer};
use std::io;
use std::ops::Range;
use std::sync::{Arc, PoisonError};
use weir_runtime::clock::now_millis;

/// Bytes of frames that are written at once, to limit the memory of the writer.
const CHUNK: usize = 4 << 20;

/// Entries that wait for the writer.
#[derive(Default)]
pub(super) struct Queue {
    pub waiting: Vec<WriteRequest>,
    pub bytes: u64,
    pub closed: bool,
}

/// The segment being written.
struct ActiveSegment {
    number: u64,
    file: Arc<dyn SegmentFile>,
    length: u64,
    records: u64,
}

/// A request whose frames are in the buffer.
struct BufferedWrite {
    request: WriteRequest,
    frames: Vec<Range<usize>>,
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    active: Option<ActiveSegment>,
    next: u64,
    buffer: Vec<u8>,
    buffered: Vec<BufferedWrite>,
}

impl Writer {
    pub fn new(shared: Arc<Shared>, next: u64) -> Self {
        Self { shared, active: None, next, buffer: Vec::new(), buffered: Vec::new() }
    }

    /// Writes until the spool is closed and the queue is empty.
    pub fn run(mut self) {
        self.shared.writer.watch_this_thread();
        while let Some(requests) = self.take() {
            for request in requests {
                self.buffer_frames(request);
                if self.buffer.len() >= CHUNK {
                    self.flush();
                }
            }
            self.flush();
        }
        self.seal();
        self.shared.syncer.close();
    }

    fn take(&self) -> Option<Vec<WriteRequest>> {
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        while queue.waiting.is_empty() && !queue.closed {
            queue = self.shared.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.bytes = 0;
        let requests = std::mem::take(&mut queue.waiting);
        (!requests.is_empty()).then_some(requests)
    }

    /// Appends the frames of `request` to the buffer, or fails it.
    fn buffer_frames(&mut self, request: WriteRequest) {
        if request.is_withdrawn() {
            return;
        }
        let need = request.bytes();
        if let Err(why) = self.make_room(need) {
            return self.shared.fail(request, why);
        }
        let time = now_millis();
        let mut frames = Vec::with_capacity(request.records.len());
        for record in &request.records {
            let start = self.buffer.len();
            format::append(&mut self.buffer, FrameKind::Record, time, record);
            frames.push(start..self.buffer.len());
        }
        self.buffered.push(BufferedWrite { request, frames });
    }

    /// Makes sure that the active segment has room for `need` more bytes.
    fn make_room(&mut self, need: u64) -> Result<(), DropReason> {
        let pending = self.buffer.len() as u64;
        let fits = |active: &ActiveSegment| active.length + pending + need <= self.shared.config.segment_bytes();
        // A request larger than a segment gets its own segment.
        let fresh = |active: &ActiveSegment| active.length == HEADER && pending == 0;
        if !self.active.as_ref().is_some_and(|active| fits(active) || fresh(active)) {
            self.flush();
            self.seal();
            self.begin_segment(need)?;
        }
        let used = self.shared.index().bytes() + self.buffer.len() as u64;
        if used + need + END_BYTES > self.shared.config.size { Err(DropReason::Full) } else { Ok(()) }
    }

    /// Begins a segment for a request of `need` bytes.
    fn begin_segment(&mut self, need: u64) -> Result<(), DropReason> {
        if self.shared.index().bytes() + HEADER + need + END_BYTES > self.shared.config.size {
            return Err(DropReason::Full);
        }
        let number = self.next;
        let path = index::path(&self.shared.config.directory, number);
        let create = || {
            let file = self.shared.disk.create(&path)?;
            file.write(&format::header(number), 0).inspect_err(|_| remove(&path))?;
            Ok(file)
        };
        let created: io::Result<_> = self.shared.writer.on_disk(create);
        let file = created.map_err(|error| self.log_failure("begin a segment", &error))?;
        self.next += 1;
        self.shared.syncer.dirty(number, &file, true);
        self.shared.index().segments.insert(number, Segment { length: HEADER, ..Segment::default() });
        self.active = Some(ActiveSegment { number, file, length: HEADER, records: 0 });
        Ok(())
    }

    fn log_failure(&self, what: &str, error: &io::Error) -> DropReason {
        if self.shared.should_log_error() {
            let directory = self.shared.config.directory.display();
            tracing::error!(%error, %directory, "the spool cannot {what}; records are dropped until it can");
        }
        if is_full(error) { DropReason::DiskFull } else { DropReason::Io }
    }

    /// Writes the buffer and completes the requests in it.
    fn flush(&mut self) {
        if self.buffered.is_empty() {
            return;
        }
        let Some(active) = &self.active else { return };
        let (file, number, start) = (Arc::clone(&active.file), active.number, active.length);
        match self.shared.writer.on_disk(|| file.write(&self.buffer, start)) {
            Ok(()) => self.complete_writes(&file, number, start),
            Err(error) => {
                let why = self.log_failure("write", &error);
                self.buffered.drain(..).for_each(|buffered| self.shared.fail(buffered.request, why));
                // Partially written frames must not be read after a restart.
                if let Err(error) = self.shared.writer.on_disk(|| file.cut(start)) {
                    tracing::error!(%error, "a segment could not be truncated");
                }
                // Only sealed segments are freed: this one may be what fills the disk.
                self.seal();
            }
        }
        self.buffer.clear();
    }

    /// Completes the requests of the buffer, which has been written, and publishes those that were not withdrawn.
    fn complete_writes(&mut self, file: &Arc<dyn SegmentFile>, number: u64, start: u64) {
        let (mut records, mut void, mut replies) = (0, Vec::new(), Vec::new());
        for buffered in self.buffered.drain(..) {
            if buffered.request.mark_written() {
                records += buffered.frames.len() as u64;
                replies.push((buffered.request.durable, buffered.request.reply()));
                continue;
            }
            for frame in buffered.frames {
                let at = start + frame.start as u64;
                let (offset, bytes) = format::voided(&self.buffer[frame]);
                if let Err(error) = self.shared.writer.on_disk(|| file.write(&bytes, at + offset)) {
                    tracing::error!(%error, "a withdrawn record could not be marked on disk");
                    void.push(at);
                }
            }
        }
        let Some(active) = &mut self.active else { return };
        active.length = start + self.buffer.len() as u64;
        active.records += records;
        if !self.shared.publish(number, active.length, records, void) {
            self.active = None;
        }
        self.shared.syncer.dirty(number, file, false);
        let (durable, at_once): (Vec<_>, Vec<_>) = replies.into_iter().partition(|(durable, _)| *durable);
        at_once.into_iter().for_each(|(_, reply)| reply.send(Ok(())));
        let durable: Vec<syncer::Waiter> = durable.into_iter().map(|(_, reply)| reply).collect();
        self.shared.syncer.wait_for(durable);
    }

    /// Seals the active segment.
    fn seal(&mut self) {
        let Some(active) = self.active.take() else { return };
        if active.length == HEADER {
            self.shared.index().segments.remove(&active.number);
            let path = index::path(&self.shared.config.directory, active.number);
            return self.shared.writer.on_disk(|| remove(&path));
        }
        let mut end = Vec::new();
        format::append(&mut end, FrameKind::End, now_millis(), &index::end_payload(active.records));
        let written = self.shared.writer.on_disk(|| active.file.write(&end, active.length));
        if let Err(error) = &written {
            // Only costs time at the next start: the records are then counted by reading them.
            tracing::warn!(%error, "the end frame of a segment could not be written");
        }
        let mut index = self.shared.index();
        if let Some(segment) = index.segments.get_mut(&active.number) {
            segment.sealed = true;
            segment.length += if written.is_ok() { END_BYTES } else { 0 };
        }
        drop(index);
        self.shared.syncer.dirty(active.number, &active.file, false);
        let done = self.shared.index().take_delivered();
        self.shared.writer.on_disk(|| self.shared.delete(&done));
        self.shared.measure();
    }
}

fn remove(path: &std::path::Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(%error, path = %path.display(), "an empty segment could not be removed");
    }
}
