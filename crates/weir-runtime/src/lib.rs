//! Building blocks that every weir process shares.
//!
//! [`serve`] accepts connections and serves HTTP on them within limits, with [`tls`] certificates that can be reloaded.
//! [`telemetry`] provides logs, metrics and health probes. [`backoff`], [`bounded_body`], [`clock`], [`error_chain`],
//! [`hex`] and [`pem`] are small utilities.
//!
//! ```
//! use weir_runtime::{backoff::Backoff, clock, hex};
//!
//! let mut backoff = Backoff::default();
//! let pauses = [backoff.pause(), backoff.pause()];
//! assert_eq!((backoff.failures(), pauses[1] <= std::time::Duration::from_millis(500)), (2, true));
//! assert!(clock::now_millis() / 1000 <= clock::now_seconds());
//! assert_eq!(hex::encode(b"weir"), "77656972");
//! ```

pub mod backoff;
pub mod bounded_body;
pub mod clock;
pub mod error_chain;
pub mod hex;
pub mod pem;
pub mod serve;
pub mod telemetry;
pub mod tls;
