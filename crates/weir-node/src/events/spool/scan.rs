//! Reads frames from a segment file, and finds the next one after damage.

use super::format::{FRAME, Frame, FrameKind, FrameState, HEADER, HeaderState, MARK, read_header};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes read in one step of a search.
const WINDOW: usize = 64 << 10;
/// Marks without a valid frame that one search tries. Text contains no marks, so more of them mean that the file is not a
/// segment.
const MAX_CANDIDATES: usize = 4096;

/// A part of a segment.
#[derive(Debug)]
pub enum ScanItem {
    /// A valid frame from `from` to `to`; its payload is in [`Scan::payload`].
    Frame {
        /// What it holds.
        kind: FrameKind,
        /// Whether its record was withdrawn.
        state: FrameState,
        /// When it was written.
        time: u64,
        /// Its first byte.
        from: u64,
        /// End offset.
        to: u64,
    },
    /// Bytes that are not a frame.
    Damage {
        /// Whether they reach to the end: most likely, a write was interrupted.
        torn: bool,
        /// End offset.
        to: u64,
    },
}

/// Iterates over a segment.
pub struct Scan<'f> {
    file: &'f File,
    at: u64,
    end: u64,
    payload: &'f mut Vec<u8>,
}

impl<'f> Scan<'f> {
    /// Scans `file` from `at` to `end`; `payload` is the buffer for payloads.
    pub fn new(file: &'f File, at: u64, end: u64, payload: &'f mut Vec<u8>) -> Self {
        Self { file, at, end, payload }
    }

    /// The payload of the last frame.
    pub fn payload(&self) -> &[u8] {
        self.payload
    }

    /// The next item; `None` at the end.
    pub fn next(&mut self) -> io::Result<Option<ScanItem>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let from = self.at;
        if let Some((frame, state)) = self.frame(from)? {
            self.at = from + (FRAME + frame.length) as u64;
            let (kind, time, to) = (frame.kind, frame.time, self.at);
            return Ok(Some(ScanItem::Frame { kind, state, time, from, to }));
        }
        self.at = self.search(from + 1)?;
        Ok(Some(ScanItem::Damage { torn: self.at == self.end, to: self.at }))
    }

    /// The valid frame at `at`; reads its payload.
    fn frame(&mut self, at: u64) -> io::Result<Option<(Frame, FrameState)>> {
        let mut head = [0; FRAME];
        if self.end - at < FRAME as u64 {
            return Ok(None);
        }
        self.file.read_exact_at(&mut head, at)?;
        let Some(frame) = Frame::read(&head) else { return Ok(None) };
        if self.end - at - (FRAME as u64) < frame.length as u64 {
            return Ok(None);
        }
        self.payload.resize(frame.length, 0);
        self.file.read_exact_at(self.payload, at + FRAME as u64)?;
        Ok(frame.check(self.payload).map(|state| (frame, state)))
    }

    /// Offset of the next valid frame at or after `from`, or the end.
    fn search(&mut self, from: u64) -> io::Result<u64> {
        let mut window = vec![0; WINDOW];
        let mut tried = 0;
        let mut at = from;
        while at < self.end {
            let take = usize::try_from(self.end - at).map_or(WINDOW, |left| left.min(WINDOW));
            self.file.read_exact_at(&mut window[..take], at)?;
            for mark in memchr::memchr_iter(MARK, &window[..take]) {
                let candidate = at + mark as u64;
                if self.frame(candidate)?.is_some() {
                    return Ok(candidate);
                }
                tried += 1;
                if tried == MAX_CANDIDATES {
                    return Ok(self.end);
                }
            }
            at += take as u64;
        }
        Ok(self.end)
    }
}

/// Offset of the first frame of segment `number`: after its header, or 0 if that is damaged. The inner error is the version
/// of a segment that this build cannot read.
pub fn start(file: &File, number: u64, length: u64) -> io::Result<Result<u64, u8>> {
    let mut header = [0; HEADER as usize];
    if length < HEADER {
        return Ok(Ok(0));
    }
    file.read_exact_at(&mut header, 0)?;
    Ok(match read_header(&header, number) {
        HeaderState::Good => Ok(HEADER),
        HeaderState::Newer(version) => Err(version),
        HeaderState::Bad => Ok(0),
    })
}
