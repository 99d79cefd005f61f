//! Spans of verdicts for an OpenTelemetry collector: `verdict` with its parts `parse`, `inspect` and `decide`; and the
//! metrics of the process for the same collector.
//!
//! Nothing waits for the collector: spans go into a bounded queue, and what does not fit is counted and dropped. Attributes
//! hold no personal data: neither host, nor client, nor values of the request.

mod collector;
mod exporter;
mod metrics;
pub mod metrics_proto;
mod open_metrics;
pub mod proto;
mod sampling;
mod span;
#[cfg(test)]
mod tests;

pub use collector::header;
pub use exporter::{Config, Exporter, ExporterError, TraceMetrics, Traces};
pub use metrics::MetricsExporter;
pub use sampling::Sampled;
pub use span::{Facts, Parts, VerdictSpan};
