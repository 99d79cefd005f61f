//! What every listener of weir needs.
//!
//! [`serve`] accepts connections and serves HTTP on them within bounds, and [`tls`] holds the certificates, which can be
//! reloaded while it runs. [`telemetry`] has logs, metrics and probes. [`backoff`] (pauses between failing attempts),
//! [`clock`] (the current time), [`hex`] and [`pem`] are small tools that several crates share.

pub mod backoff;
pub mod clock;
pub mod hex;
pub mod pem;
pub mod serve;
pub mod telemetry;
pub mod tls;
