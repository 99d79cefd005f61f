//! Logs, metrics, probes, trace context. One type per internal event: its log line and its metrics together.

pub mod capped;
pub mod events;
mod json_line;
pub mod logs;
pub mod metrics;
pub mod probes;
pub mod trace;

pub use events::{RejectedCallEvent, VerdictEvent};
pub use metrics::Metrics;
pub use probes::Health;
pub use trace::TraceParent;

/// What components report to.
pub struct Telemetry {
    /// The metrics.
    pub metrics: Metrics,
    /// What the access log says.
    pub access: logs::AccessSwitch,
}
