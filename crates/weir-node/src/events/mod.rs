//! Records of malicious requests: masking, ids, spool, shipping.
//!
//! [`recorder`] masks a hit ([`weir_protocol::redact`]), assigns an id and writes it to the [`spool`] before the response to its request
//! is sent. [`ship`] delivers the records of the spool and keeps them until the receiver has acknowledged them.

pub mod id;
pub mod recorder;
pub mod sampling;
pub mod ship;
pub mod spool;
pub mod statistics;

pub use recorder::{PendingRecord, Recorder, RecorderSettings};
pub use ship::{Batch, Shipper, Upload, UploadError};
pub use spool::{DropReason, Reader, Spool};
