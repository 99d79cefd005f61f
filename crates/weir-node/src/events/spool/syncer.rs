//! The thread that forces files to the disk, beside the one that writes: a slow disk must not hold up answers.

use super::Shared;
use super::disk::SegmentFile;
use super::write_request::{DropReason, OutcomeSender};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

/// Who waits for the disk.
pub(super) type Waiter = OutcomeSender;

#[derive(Default)]
struct Work {
    files: BTreeMap<u64, Arc<dyn SegmentFile>>,
    /// A file was made since the directory was last forced.
    directory: bool,
    waiters: Vec<Waiter>,
    closed: bool,
}

/// What is still to be forced.
#[derive(Default)]
pub(super) struct Syncer {
    work: Mutex<Work>,
    more: Condvar,
}

impl Syncer {
    /// Notes that segment `number` was written to.
    pub fn dirty(&self, number: u64, file: &Arc<dyn SegmentFile>, created: bool) {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let first = work.files.is_empty();
        work.files.entry(number).or_insert_with(|| Arc::clone(file));
        work.directory |= created;
        if first {
            self.more.notify_one();
        }
    }

    /// Tells `waiters` once all that was noted is on the disk.
    pub fn wait_for(&self, waiters: Vec<Waiter>) {
        if !waiters.is_empty() {
            self.work.lock().unwrap_or_else(PoisonError::into_inner).waiters.extend(waiters);
            self.more.notify_one();
        }
    }

    /// Lets [`Self::run`] end once all is forced.
    pub fn close(&self) {
        self.work.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.more.notify_one();
    }

    /// Forces files to the disk as often as the configuration says, at once where someone waits.
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
                let forced = force(shared, &files, directory);
                let outcome = forced.map_err(|error| log_failure(shared, &error));
                waiters.into_iter().for_each(|waiter| waiter.send(outcome));
                last = Instant::now();
                work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

fn force(shared: &Shared, files: &BTreeMap<u64, Arc<dyn SegmentFile>>, directory: bool) -> io::Result<()> {
    files.values().try_for_each(|file| file.sync())?;
    if directory { shared.disk.sync_directory(&shared.config.directory) } else { Ok(()) }
}

fn log_failure(shared: &Shared, error: &io::Error) -> DropReason {
    if shared.should_log_error() {
        tracing::error!(%error, "the spool cannot be forced to the disk; a power failure may count_lost records");
    }
    DropReason::Io
}
