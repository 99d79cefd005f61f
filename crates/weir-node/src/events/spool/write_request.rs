//! A request to write records, and the ticket with which the caller waits for it.
//!
//! One atomic decides the outcome of a request: the writer sets it to written or failed, the waiting caller to withdrawn,
//! and the first of them wins. So each record is either in the spool or counted as dropped, never both and never neither.

use super::format::FRAME;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// Why a record is not in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum DropReason {
    /// It was not written in time; the response was sent without it.
    #[error("not written in time")]
    Stalled,
    /// The spool is full: records are not delivered fast enough.
    #[error("the spool is full")]
    Full,
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// The disk failed.
    #[error("the disk failed")]
    Io,
    /// Too many records are waiting to be written.
    #[error("too many records are waiting to be written")]
    Queue,
    /// The record is too large.
    #[error("too large for the spool")]
    TooLarge,
    /// The spool is closed.
    #[error("the spool is closed")]
    Closed,
}

impl DropReason {
    /// Stable code, a metric label.
    pub const fn code(self) -> &'static str {
        match self {
            DropReason::Stalled => "stalled",
            DropReason::Full => "full",
            DropReason::DiskFull => "disk_full",
            DropReason::Io => "io",
            DropReason::Queue => "queue",
            DropReason::TooLarge => "too_large",
            DropReason::Closed => "closed",
        }
    }
}

/// Outcome of a write request.
pub type WriteOutcome = Result<(), DropReason>;

const WAITING: u8 = 0;
const WRITTEN: u8 = 1;
const FAILED: u8 = 2;
const WITHDRAWN: u8 = 3;

/// Records that are written together or not at all.
pub(super) struct WriteRequest {
    pub records: Vec<Vec<u8>>,
    /// Whether the caller waits until the records are on the disk.
    pub durable: bool,
    /// Whether this is the only copy of the records, which are lost if they are not written.
    pub only_copy: bool,
    state: Arc<AtomicU8>,
    done: oneshot::Sender<WriteOutcome>,
}

/// Sends the outcome to the waiting caller.
pub(super) struct OutcomeSender(oneshot::Sender<WriteOutcome>);

impl OutcomeSender {
    pub fn send(self, outcome: WriteOutcome) {
        // The receiver is gone if the caller stopped waiting; the state has decided the outcome then.
        let _ = self.0.send(outcome);
    }
}

impl WriteRequest {
    pub fn new(records: Vec<Vec<u8>>, durable: bool, only_copy: bool) -> (WriteRequest, Ticket) {
        let (done, outcome) = oneshot::channel();
        let state = Arc::new(AtomicU8::new(WAITING));
        let count = records.len() as u64;
        (
            WriteRequest { records, durable, only_copy, state: Arc::clone(&state), done },
            Ticket { state, outcome, count },
        )
    }

    /// Size of its frames in bytes.
    pub fn bytes(&self) -> u64 {
        self.records.iter().map(|record| (record.len() + FRAME) as u64).sum()
    }

    pub fn is_withdrawn(&self) -> bool {
        self.state.load(Ordering::Acquire) == WITHDRAWN
    }

    /// Marks it as written. Returns false if it was withdrawn before.
    pub fn mark_written(&self) -> bool {
        decide(&self.state, WRITTEN)
    }

    /// Marks it as failed. Returns false if it was withdrawn, and thereby counted, before.
    pub fn fail(self, why: DropReason) -> bool {
        let first = decide(&self.state, FAILED);
        OutcomeSender(self.done).send(Err(why));
        first
    }

    pub fn reply(self) -> OutcomeSender {
        OutcomeSender(self.done)
    }
}

fn decide(state: &AtomicU8, outcome: u8) -> bool {
    state.compare_exchange(WAITING, outcome, Ordering::AcqRel, Ordering::Acquire).is_ok()
}

/// A record that was queued for the writer. Dropping the ticket does not cancel the write.
#[must_use = "await it to learn whether the record was written"]
#[derive(Debug)]
pub struct Ticket {
    state: Arc<AtomicU8>,
    outcome: oneshot::Receiver<WriteOutcome>,
    count: u64,
}

impl Ticket {
    /// Waits for the outcome, for at most `time`; `None` if it is not decided by then.
    pub(super) async fn wait(&mut self, time: Duration) -> Option<WriteOutcome> {
        let done = tokio::time::timeout(time, &mut self.outcome).await.ok()?;
        Some(done.unwrap_or(Err(DropReason::Closed)))
    }

    /// Withdraws the records, unless their outcome is decided. Also returns the number of records that this call
    /// withdrew, to be counted as dropped.
    pub(super) fn withdraw(mut self) -> (WriteOutcome, u64) {
        match self.state.compare_exchange(WAITING, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => (Err(DropReason::Stalled), self.count),
            Err(WRITTEN) => (Ok(()), 0),
            // It has just failed; the reason was counted and is about to arrive.
            Err(_) => (self.outcome.try_recv().unwrap_or(Err(DropReason::Io)), 0),
        }
    }

    /// Waits for the outcome, however long it takes.
    pub(super) async fn finish(self) -> WriteOutcome {
        self.outcome.await.unwrap_or(Err(DropReason::Closed))
    }

    /// Like [`Self::finish`], on a thread that may block.
    pub(super) fn finish_blocking(self) -> WriteOutcome {
        self.outcome.blocking_recv().unwrap_or(Err(DropReason::Closed))
    }
}
