//! From a verdict to a delivered record: redact, ids an id, spool, ship.
//!
//! A record is accepted when it is in the file of the [`spool`], which is before the answer to its request leaves.
//! [`ship`] takes records from there and keeps them until the other side said that it has them.

pub mod id;
pub mod record;
pub mod recorder;
pub mod redact;
pub mod sampling;
pub mod ship;
pub mod spool;
pub mod statistics;

pub use recorder::{PendingRecord, Recorder, RecorderSettings};
pub use ship::{Batch, Shipper, Upload, UploadError};
pub use spool::{DropReason, Reader, Spool};

use std::time::{SystemTime, UNIX_EPOCH};

/// The time in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
