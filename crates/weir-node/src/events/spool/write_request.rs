//! A record on its way into the file, and who waits for it.
//!
//! One atomic decides what becomes of an request: the writer makes it written or failed, the waiter withdrawn, whoever is
//! first. So each record is either in the spool or counted as dropped, never both and never neither.

use super::format::FRAME;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// Why a record is not in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// It was not written in time; its answer went out without it.
    Stalled,
    /// The spool has no room: records are not delivered fast enough.
    Full,
    /// The disk has no room.
    DiskFull,
    /// The disk failed.
    Io,
    /// More records wait to be written than may.
    Queue,
    /// Larger than a record may be.
    TooLarge,
    /// The spool is closed.
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

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DropReason::Stalled => "not written in time",
            DropReason::Full => "the spool is full",
            DropReason::DiskFull => "the disk is full",
            DropReason::Io => "the disk failed",
            DropReason::Queue => "too many records wait to be written",
            DropReason::TooLarge => "too large for the spool",
            DropReason::Closed => "the spool is closed",
        })
    }
}

impl std::error::Error for DropReason {}

/// What became of an request.
pub type WriteOutcome = Result<(), DropReason>;

const WAITING: u8 = 0;
const WRITTEN: u8 = 1;
const FAILED: u8 = 2;
const WITHDRAWN: u8 = 3;

/// Records that are written together or not at all.
pub(super) struct WriteRequest {
    pub records: Vec<Vec<u8>>,
    /// Whether the answer waits for the disk.
    pub durable: bool,
    /// Whether its records are lost where they are not written. Otherwise who hands them in keeps them.
    pub only_copy: bool,
    state: Arc<AtomicU8>,
    done: oneshot::Sender<WriteOutcome>,
}

/// Tells the one who waits that the records are on the disk, or not.
pub(super) struct OutcomeSender(oneshot::Sender<WriteOutcome>);

impl OutcomeSender {
    pub fn send(self, outcome: WriteOutcome) {
        // Nobody waits where the connection broke, or the wait was over: the state has decided then.
        let _nobody = self.0.send(outcome);
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

    /// Bytes that its frames take.
    pub fn bytes(&self) -> u64 {
        self.records.iter().map(|record| (record.len() + FRAME) as u64).sum()
    }

    pub fn is_withdrawn(&self) -> bool {
        self.state.load(Ordering::Acquire) == WITHDRAWN
    }

    /// Decides that it is written; false where it was withdrawn before.
    pub fn mark_written(&self) -> bool {
        decide(&self.state, WRITTEN)
    }

    /// Decides that it failed. True unless it was withdrawn, and thereby counted, before.
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

/// A record that was handed to the writer. Dropping it leaves the record on its way.
#[must_use = "await_written it to know whether the record was written"]
#[derive(Debug)]
pub struct Ticket {
    state: Arc<AtomicU8>,
    outcome: oneshot::Receiver<WriteOutcome>,
    count: u64,
}

impl Ticket {
    /// Waits for the outcome, for at most `time`; none where there is none by then.
    pub(super) async fn wait(&mut self, time: Duration) -> Option<WriteOutcome> {
        let done = tokio::time::timeout(time, &mut self.outcome).await.ok()?;
        Some(done.unwrap_or(Err(DropReason::Closed)))
    }

    /// Withdraws the records, unless their outcome is decided.
    /// The number is that of records which this call withdrew, to be counted as dropped.
    pub(super) fn withdraw(mut self) -> (WriteOutcome, u64) {
        match self.state.compare_exchange(WAITING, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => (Err(DropReason::Stalled), self.count),
            Err(WRITTEN) => (Ok(()), 0),
            // It failed this moment; the reason is on its way and was counted.
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
