//! The few calls on files that writing a spool needs, so that tests can put a full or a slow disk in their place.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// Makes segment files.
pub trait Disk: Send + Sync {
    /// A new, empty file for the owner alone.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn SegmentFile>>;
    /// Makes new and removed names in `directory` last.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
}

/// A segment file that is written.
pub trait SegmentFile: Send + Sync {
    /// Writes all of `bytes` at `offset`.
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts the file to `length`.
    fn cut(&self, length: u64) -> io::Result<()>;
    /// Forces what was written to the disk.
    fn sync(&self) -> io::Result<()>;
}

/// Whether `error` says that the disk has no room.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
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
