//! `load`, `log`, `metrics`, `health_check`: the service around the inspection.

use crate::config::types::{ListenAddress, LogLevel, LogTarget, SecretHeader};
use std::path::PathBuf;
use std::time::Duration;

/// Limits of the listeners: what exceeds them is refused early instead of queued without limit. Connections, heads, idle
/// time and draining are limited on each listener, the rest on the connector API only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Open connections of each listener.
    pub max_connections: usize,
    /// Calls being read, inspected or answered at once.
    pub max_concurrent_calls: usize,
    /// Bytes of calls held in memory at once.
    pub max_buffered_bytes: usize,
    /// Messages up to this many bytes are inspected at once on the runtime's worker; larger ones on the pool.
    pub inline_bytes: usize,
    /// Larger messages that wait for a thread of the pool.
    pub queue: usize,
    /// Longest wait for a thread of the pool.
    pub queue_timeout: Duration,
    /// Out-of-band copies that wait to be inspected.
    pub background_queue: usize,
    /// `Retry-After` of an answer that sheds load.
    pub retry_after: Duration,
    /// Longest time for a TLS handshake, to the first call, and to read the head of each further one.
    pub header_timeout: Duration,
    /// Longest time to read the rest of a call.
    pub body_timeout: Duration,
    /// Longest time a connection of any listener may idle between calls.
    pub idle_timeout: Duration,
    /// Longest time that calls under way are waited for on stop.
    pub drain_timeout: Duration,
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Lowest severity that is logged.
    pub level: LogLevel,
    /// For people instead of JSON.
    pub pretty: Option<bool>,
    /// Where to.
    pub target: LogTarget,
    /// One line a call; none without.
    pub access_log: Option<AccessLog>,
}

/// The access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Points of findings and of what was not inspected, besides the verdict and the rules that decided.
    pub verbose: bool,
    /// Where to.
    pub target: LogTarget,
}

/// Prometheus metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Where they are served; nowhere without.
    pub address: Option<ListenAddress>,
    /// Prefix of family names.
    pub namespace: String,
}

/// Probes `/live` and `/ready`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Where they are served; nowhere without.
    pub address: Option<ListenAddress>,
}

/// Spans and metrics for an OpenTelemetry collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    /// URL of the collector; none: off.
    pub endpoint: Option<String>,
    /// Certificate authority to trust instead of the built-in ones.
    pub ca_file: Option<PathBuf>,
    /// How many of a million calls without a trace of their caller are traced.
    pub per_million: u32,
    /// `service.name` of the spans and metrics.
    pub service_name: String,
    /// Headers of each call to the collector.
    pub headers: Vec<SecretHeader>,
    /// File with further ones.
    pub headers_file: Option<PathBuf>,
    /// Time between two exports of metrics; none: not exported.
    pub metrics_interval: Option<Duration>,
}
