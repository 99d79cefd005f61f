//! Logs, metrics, probes, trace context. Each internal event is a type that updates its metrics and writes its log line.

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

/// Metrics and access log, to which components report.
pub struct Telemetry {
    /// The metrics.
    pub metrics: Metrics,
    /// Setting of the access log.
    pub access: logs::AccessLogSetting,
}
