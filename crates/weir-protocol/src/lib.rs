//! The protocol between nodes, aggregations and control planes of weir.
//!
//! [`node_api`] defines the calls and their bodies, [`hit`] the record of one malicious request, [`code`] the codes in
//! them as enums, and [`batch`] reads a batch of records. [`record`] makes the record for a verdict, after [`redact`] has
//! masked the message. Readers ignore members that they do not know and keep codes that
//! they do not know, so that nodes and control planes of different versions work together.
//!
//! ```
//! use weir_protocol::{batch, node_api::Record};
//!
//! let body = br#"{"record": "hit", "id": "0190b0c8-0000-7000-8000-000000000000", "mode": "block"}"#;
//! let parse = |line: &[u8]| serde_json::from_slice::<Record>(line).map_err(|error| error.to_string());
//! let batch = batch::read(body, false, parse).unwrap();
//! assert_eq!((batch.records.len(), batch.rejected.len()), (1, 0));
//! ```

pub mod batch;
pub mod code;
pub mod hit;
pub mod node_api;
pub mod record;
pub mod redact;

pub use hit::Hit;
