//! What every listener of weir needs: connections ([`serve`]), certificates that are reloaded ([`tls`]), logs, metrics
//! and probes ([`telemetry`]), pauses between failing attempts ([`backoff`]) and the time ([`clock`]).

pub mod backoff;
pub mod clock;
pub mod serve;
pub mod telemetry;
pub mod tls;
