//! The thread that syncs files to disk, separate from the writer: a slow disk must not delay responses.

use super::Shared;
use super::disk::SegmentFile;
use super::write_request::{DropReason, OutcomeSender};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

/// A caller that waits for the sync.
pub(super) type Waiter = OutcomeSender;

#[derive(Default)]
struct Work {
    files: BTreeMap<u64, Arc<dyn SegmentFile>>,
    /// A file was created since the directory was last synced.
    directory: bool,
    waiters: Vec<Waiter>,
    closed: bool,
}

/// Files that are not synced yet.
#[derive(Default)]
pub(super) struct Syncer {
    work: Mutex<Work>,
    more: Condvar,
}

impl Syncer {
    /// Records that segment `number` was written to.
    pub fn dirty(&self, number: u64, file: &Arc<dyn SegmentFile>, created: bool) {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let first = work.files.is_empty();
        work.files.entry(number).or_insert_with(|| Arc::clone(file));
        work.directory |= created;
        if first {
            self.more.notify_one();
        }
    }

    /// Notifies `waiters` once all recorded files are synced.
    pub fn wait_for(&self, waiters: Vec<Waiter>) {
        if !waiters.is_empty() {
            self.work.lock().unwrap_or_else(PoisonError::into_inner).waiters.extend(waiters);
            self.more.notify_one();
        }
    }

    /// Ends [`Self::run`] once all files are synced.
    pub fn close(&self) {
        self.work.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.more.notify_one();
    }

    /// Syncs files at the configured interval, immediately if a caller waits.
    pub fn run(&self, shared: &Shared) {
        let interval = shared.config.fsync_interval;
        let mut last = Instant::now();
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let idle = work.files.is_empty() && work.waiters.is_empty();
            if idle && work.closed {
                return;
            }
            let left = interval.saturating_sub(last.elapsed());
            if idle {
                work = self.more.wait(work).unwrap_or_else(PoisonError::into_inner);
            } else if work.waiters.is_empty() && !left.is_zero() && !work.closed {
                work = self.more.wait_timeout(work, left).unwrap_or_else(PoisonError::into_inner).0;
            } else {
                let Work { files, directory, waiters, closed } = std::mem::take(&mut *work);
                work.closed = closed;
                drop(work);
                let synced = sync(shared, &files, directory);
                let outcome = synced.map_err(|error| log_failure(shared, &error));
                waiters.into_iter().for_each(|waiter| waiter.send(outcome));
                last = Instant::now();
                work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

fn sync(shared: &Shared, files: &BTreeMap<u64, Arc<dyn SegmentFile>>, directory: bool) -> io::Result<()> {
    files.values().try_for_each(|file| file.sync())?;
    if directory { shared.disk.sync_directory(&shared.config.directory) } else { Ok(()) }
}

fn log_failure(shared: &Shared, error: &io::Error) -> DropReason {
    if shared.should_log_error() {
        tracing::error!(%error, "the spool cannot be synced to disk; a power failure may lose records");
    }
    DropReason::Io
}
