//! Spans of verdicts for an OpenTelemetry collector: `verdict` with its parts `parse`, `inspect` and `decide`.
//!
//! Nothing waits for the collector: spans go into a bounded queue, and what does not fit is counted and dropped. Attributes
//! hold no personal data: neither host, nor client, nor values of the request.

mod exporter;
pub mod proto;
mod sampling;
mod span;
#[cfg(test)]
mod tests;

pub use exporter::{Config, Exporter, ExporterError, TraceMetrics, Traces};
pub use sampling::Sampled;
pub use span::{Facts, Parts, VerdictSpan};
