//! Index of the segments of a spool, and how far they are delivered.

use super::format;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Name of the cursor file.
const CURSOR: &str = "cursor";
/// First bytes of that file.
const CURSOR_MAGIC: [u8; 8] = *b"weircur\x01";
/// Its length: magic, segment, offset, records, checksum.
const CURSOR_BYTES: usize = 36;

/// A position between two records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Number of the segment.
    pub segment: u64,
    /// Offset in it.
    pub offset: u64,
    /// Number of records before it in the segment.
    pub records: u64,
}

impl Cursor {
    /// The cursor stored in `directory`; `None` if it is missing or damaged.
    pub fn load(directory: &Path) -> io::Result<Option<Cursor>> {
        let bytes = match std::fs::read(directory.join(CURSOR)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(bytes) = bytes.first_chunk::<CURSOR_BYTES>().filter(|_| bytes.len() == CURSOR_BYTES) else {
            return Ok(None);
        };
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let whole = bytes[..8] == CURSOR_MAGIC && bytes[32..] == crc32fast::hash(&bytes[..32]).to_le_bytes();
        Ok(whole.then(|| Cursor { segment: number(8), offset: number(16), records: number(24) }))
    }

    /// Stores the cursor atomically.
    pub fn store(&self, directory: &Path) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(CURSOR_BYTES);
        bytes.extend_from_slice(&CURSOR_MAGIC);
        for number in [self.segment, self.offset, self.records] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let sum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        let next = directory.join("cursor.next");
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        std::fs::rename(&next, directory.join(CURSOR))
    }
}

/// One segment.
#[derive(Clone, Debug, Default)]
pub struct Segment {
    /// Bytes that may be read.
    pub length: u64,
    /// Records in them that were not withdrawn.
    pub records: u64,
    /// Whether it is complete.
    pub sealed: bool,
    /// Withdrawn frames that could not be marked in the file.
    pub void: BTreeSet<u64>,
}

/// The segments and the cursor.
#[derive(Debug, Default)]
pub struct Index {
    /// Segments by number.
    pub segments: BTreeMap<u64, Segment>,
    /// How far records are delivered.
    pub cursor: Cursor,
    /// When the oldest record that is not delivered was written, in milliseconds since 1970.
    pub oldest: Option<u64>,
}

impl Index {
    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.length).sum()
    }

    /// Records that are not delivered.
    pub fn pending(&self) -> u64 {
        let all: u64 = self.segments.values().map(|segment| segment.records).sum();
        let here = self.segments.contains_key(&self.cursor.segment);
        all.saturating_sub(if here { self.cursor.records } else { 0 })
    }

    /// Where to continue reading from `at`: there, or at the start of the next segment.
    pub fn next_after(&self, at: Cursor) -> Option<Cursor> {
        let (&number, segment) = self.segments.range(at.segment..).next()?;
        if number > at.segment {
            return Some(Cursor { segment: number, ..Cursor::default() });
        }
        if at.offset < segment.length {
            return Some(at);
        }
        let (&number, _) = self.segments.range(number + 1..).next()?;
        Some(Cursor { segment: number, ..Cursor::default() })
    }

    /// Removes the delivered segments: those before the cursor, and the current one if it is complete and delivered.
    pub fn take_delivered(&mut self) -> Vec<u64> {
        let at = self.cursor;
        let over = |number: u64, segment: &Segment| {
            number < at.segment || (number == at.segment && segment.sealed && at.offset >= segment.length)
        };
        let done: Vec<u64> = self.segments.iter().filter(|(n, s)| over(**n, s)).map(|(n, _)| *n).collect();
        done.iter().for_each(|number| drop(self.segments.remove(number)));
        done
    }
}

/// Path of segment `number`.
pub fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:020}.seg"))
}

/// The number of the segment with this file name.
pub fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg").filter(|digits| digits.len() == 20)?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The payload of an end frame.
pub fn end_payload(records: u64) -> [u8; 8] {
    records.to_le_bytes()
}

/// Bytes of an end frame.
pub const END_BYTES: u64 = (format::FRAME + 8) as u64;
