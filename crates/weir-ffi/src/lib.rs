//! weir's inspection in the process of a gateway, behind a C ABI. An experiment: `docs/in-process.md` says what it costs
//! and what it cannot do.
//!
//! [`Inspector`] is the safe part: rules and policy as one unit that a reload swaps, and the verdict on one request.
//! [`abi`] is the C interface to it, described in `include/weir.h`, which is generated from this crate.
//!
//! The library reads no file, opens no socket, starts no thread and writes no log: texts come from the caller, and so does
//! the decision what happens to the record of a malicious request. It asks the system for the time.
//!
//! ```
//! use weir_ffi::{Inspector, InspectorSettings, RequestInput};
//!
//! let inspector = Inspector::new(&InspectorSettings::default()).unwrap();
//! let request = RequestInput { message: b"GET /?f=/etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", ..RequestInput::default() };
//! let outcome = inspector.inspect(&request).unwrap();
//! assert_eq!(outcome.reply.unwrap().status, 403);
//! ```

pub mod abi;
mod error;
mod generation;
mod inspector;

pub use error::InspectorError;
pub use generation::InspectorSettings;
pub use inspector::{Inspector, MAX_HEAD, MAX_MESSAGE, Outcome, RequestInput};
