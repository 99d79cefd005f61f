//! File operations of a spool, as a trait so that tests can simulate a full or slow disk.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// Creates segment files.
pub trait Disk: Send + Sync {
    /// Creates an empty file, accessible to the owner only.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn SegmentFile>>;
    /// Syncs created and removed names in `directory`.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
}

/// A segment file open for writing.
pub trait SegmentFile: Send + Sync {
    /// Writes all of `bytes` at `offset`.
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Truncates the file to `length`.
    fn cut(&self, length: u64) -> io::Result<()>;
    /// Syncs written data to disk.
    fn sync(&self) -> io::Result<()>;
}

/// Whether `error` means that the disk is full, or as much as the process may write.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// The system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn SegmentFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Arc::new(file))
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }
}

impl SegmentFile for File {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
