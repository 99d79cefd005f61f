//! Opens a spool directory: locks it and reads the segments of earlier processes.

use super::format::{FRAME, Frame, FrameKind, FrameState};
use super::index::{self, Cursor, END_BYTES, Index, Segment};
use super::scan::{self, Scan, ScanItem};
use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why a spool cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses the directory.
    #[error("{}: another process uses this spool; give each its own `data_dir`", .0.display())]
    Locked(PathBuf),
    /// A newer version of the program wrote this segment.
    #[error(
        "{}: written in version {} of the format by a newer weir; run that one, or remove the file and lose its records",
        .0.display(), .1
    )]
    Newer(PathBuf, u8),
    /// An I/O error on this file.
    #[error("{}: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
}

/// What was opened in a directory.
pub(super) struct OpenedSpool {
    pub index: Index,
    /// Locked as long as the spool is used.
    pub lock: File,
    /// Number of the next segment.
    pub next: u64,
    /// Damaged ranges, other than torn ends.
    pub damaged: u64,
    /// Torn ends of segments.
    pub torn: u64,
}

/// Locks `directory`, which is created if it does not exist, and reads its segments.
pub(super) fn open(directory: &Path) -> Result<OpenedSpool, OpenError> {
    let at = |error| OpenError::Io(directory.to_owned(), error);
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(at)?;
    let lock_path = directory.join("lock");
    let lock = File::options().write(true).create(true).truncate(false).mode(0o600).open(&lock_path);
    let lock = lock.map_err(|error| OpenError::Io(lock_path.clone(), error))?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::Locked(directory.to_owned()),
        TryLockError::Error(error) => OpenError::Io(lock_path, error),
    })?;
    let cursor = Cursor::load(directory).map_err(at)?.unwrap_or_default();
    let mut opened = OpenedSpool { index: Index { cursor, ..Index::default() }, lock, next: 1, damaged: 0, torn: 0 };
    for number in numbers(directory).map_err(at)? {
        opened.segment(directory, number)?;
        opened.next = opened.next.max(number + 1);
    }
    opened.next = opened.next.max(cursor.segment + 1);
    for number in opened.index.take_delivered() {
        let path = index::path(directory, number);
        std::fs::remove_file(&path).map_err(|error| OpenError::Io(path, error))?;
    }
    Ok(opened)
}

fn numbers(directory: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for request in std::fs::read_dir(directory)? {
        numbers.extend(request?.file_name().to_str().and_then(index::number_of));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

impl OpenedSpool {
    /// Adds one segment.
    fn segment(&mut self, directory: &Path, number: u64) -> Result<(), OpenError> {
        let path = index::path(directory, number);
        let io = |error| OpenError::Io(path.clone(), error);
        let file = File::open(&path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let start = scan::start(&file, number, length).map_err(io)?;
        let start = start.map_err(|version| OpenError::Newer(path.clone(), version))?;
        let records = match counted(&file, start, length).map_err(io)? {
            Some(records) => records,
            None => self.count(&file, start, length).map_err(io)?,
        };
        self.index.segments.insert(number, Segment { length, records, sealed: true, ..Segment::default() });
        Ok(())
    }

    /// Counts the records of a segment that was not closed properly.
    fn count(&mut self, file: &File, start: u64, length: u64) -> io::Result<u64> {
        let mut payload = Vec::new();
        let mut scan = Scan::new(file, start, length, &mut payload);
        let mut records = 0;
        while let Some(item) = scan.next()? {
            match item {
                ScanItem::Frame { kind: FrameKind::Record, state: FrameState::Live, .. } => records += 1,
                ScanItem::Frame { .. } => {}
                ScanItem::Damage { torn: true, .. } => self.torn += 1,
                ScanItem::Damage { torn: false, .. } => self.damaged += 1,
            }
        }
        Ok(records)
    }
}

/// The number of records in the end frame of a segment, if it has one.
fn counted(file: &File, start: u64, length: u64) -> io::Result<Option<u64>> {
    let Some(at) = length.checked_sub(END_BYTES).filter(|at| *at >= start) else { return Ok(None) };
    let mut bytes = [0; END_BYTES as usize];
    file.read_exact_at(&mut bytes, at)?;
    let (head, payload) = bytes.split_first_chunk::<FRAME>().expect("an end frame is longer than its head");
    let frame = Frame::read(head).filter(|frame| frame.kind == FrameKind::End && frame.length == payload.len());
    let whole = frame.and_then(|frame| frame.check(payload)) == Some(FrameState::Live);
    Ok(whole.then(|| u64::from_le_bytes(payload.try_into().expect("eight bytes"))))
}
