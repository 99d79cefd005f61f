//! Every metric family of the node. Label sets are bounded: enums of the code, or [`CappedCounter`].

use super::capped::CappedCounter;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;

/// Series kept for hosts and for applications, each.
const CAPPED_SERIES: usize = 100;
/// Longest host that gets a series: the longest DNS name.
const MAX_HOST: usize = 253;

/// Raises `counter` to a total that is counted elsewhere.
pub fn raise(counter: &Counter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

/// Declares a label set: a struct of `&'static str`.
macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($field:ident),+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
        pub struct $name { $(#[doc = "Bounded value."] pub $field: &'static str,)+ }
    )+};
}

labels! {
    /// By message of the exchange: `request`, `response`.
    Leg { leg }
    /// By kind of call: `request`, `response`, `coverage`, `health`, `other`.
    Kind { r#type }
    /// By code of the reason.
    Reason { reason }
    /// By verdict.
    Verdict { leg, verdict, mode, blocking }
    /// By attack type and outcome: `blocked`, `would_block`, `monitored`.
    Attack { r#type, outcome }
    /// By list: `allow`, `deny`, `gray`.
    List { list }
    /// By state.
    State { state }
    /// By message of the exchange and reason.
    Dropped { leg, reason }
    /// By spool: `events`, `statistics`, `aggregation`.
    Spool { spool }
    /// By spool and reason of the loss.
    SpoolLoss { spool, reason }
}

/// By route of the gateway, extent of the inspection, and reason.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Extent {
    /// The route as reported by the connector, or a placeholder; the number of routes is bounded.
    pub route: String,
    /// `full`, `partial`, `none`.
    pub inspected: &'static str,
    /// Bounded value.
    pub reason: &'static str,
}

/// By host of the request.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Host {
    /// The host, or a placeholder.
    pub host: String,
}

/// By application.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Application {
    /// The application id, or a placeholder.
    pub application_id: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

/// A histogram family with the bounds of inspections.
pub type Timing = Family<Leg, Histogram, fn() -> Histogram>;

/// Upper bounds, in seconds, of inspection times: from what a small request takes to the usual time limit.
fn inspection_buckets() -> Histogram {
    Histogram::new([5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 0.25, 1.0])
}

/// Declares the families: field, type, constructor, Prometheus name, help.
macro_rules! families {
    ($($field:ident: $type:ty = $make:expr, $name:literal, $help:literal;)*) => {
        /// The families.
        pub struct Metrics { $(#[doc = $help] pub $field: $type,)* }

        impl Metrics {
            /// Families registered in `registry`.
            fn register(registry: &mut Registry) -> Self {
                let metrics = Self { $($field: $make,)* };
                $(metrics.$field.enlist(registry, $name, $help);)*
                metrics
            }
        }
    };
}

/// Metrics that can be registered.
trait Enlist {
    fn enlist(&self, registry: &mut Registry, name: &str, help: &str);
}

impl<S, M, C> Enlist for Family<S, M, C>
where
    Family<S, M, C>: prometheus_client::registry::Metric + Clone,
{
    fn enlist(&self, registry: &mut Registry, name: &str, help: &str) {
        registry.register(name, help, self.clone());
    }
}

macro_rules! enlist {
    ($($type:ty),*) => {$(
        impl Enlist for $type {
            fn enlist(&self, registry: &mut Registry, name: &str, help: &str) {
                registry.register(name, help, self.clone());
            }
        }
    )*};
}
enlist!(Counter, Gauge);

impl<L> Enlist for CappedCounter<L>
where
    L: Clone + std::hash::Hash + Eq + EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static,
{
    fn enlist(&self, registry: &mut Registry, name: &str, help: &str) {
        registry.register(name, help, self.family());
    }
}

families! {
    reloads: Counter = Counter::default(), "application_config_reloads", "Reloads of configuration and rules that took effect.";
    reload_errors: Counter = Counter::default(), "application_config_reload_errors", "Reloads refused because something was wrong; the last good state stayed.";
    generation: Gauge = Gauge::default(), "application_generation", "Number of the rules and policy generation in use.";
    signatures: Gauge = Gauge::default(), "ruleset_signatures", "Signatures in use.";
    missing_signatures: Gauge = Gauge::default(), "ruleset_missing_signatures", "Signatures built into the program that are not in use: a rule pack takes their place, or the configuration switches them off.";
    panics: Counter = Counter::default(), "application_panics", "Panics caught while a call was handled, in a parser or detector or elsewhere.";
    log_lines_dropped: Counter = Counter::default(), "log_lines_dropped", "Log lines dropped because the output did not keep up.";
    tls_reloads: Counter = Counter::default(), "tls_reloads", "Certificates put in use after a change.";
    tls_handshake_failures: Counter = Counter::default(), "tls_handshake_failures", "TLS handshakes that failed.";
    messages_seen: Family<Kind, Counter> = Family::default(), "http_connector_messages_seen", "Calls that arrived, by type.";
    messages_rejected: Family<Reason, Counter> = Family::default(), "http_connector_messages_rejected", "Calls refused, by code of the problem.";
    unauthenticated: Counter = Counter::default(), "http_connector_unauthenticated_calls", "Calls accepted without key or certificate because none is configured.";
    shed: Family<Reason, Counter> = Family::default(), "http_connector_shed", "Calls shed with 503, by what was exhausted.";
    verdicts: Family<Verdict, Counter> = Family::default(), "http_connector_messages_processed", "Verdicts.";
    bypassed: Family<Reason, Counter> = Family::default(), "http_connector_requests_bypassed", "Requests not inspected because policy said so.";
    connections: Gauge = Gauge::default(), "http_connector_connections", "Open connections.";
    connections_ended: Family<Reason, Counter> = Family::default(), "http_connector_connections_ended", "Connections ended by the node, by reason.";
    accept_errors: Counter = Counter::default(), "http_connector_accept_errors", "Connections that could not be accepted.";
    calls: Gauge = Gauge::default(), "http_connector_calls", "Calls under way.";
    buffered_bytes: Gauge = Gauge::default(), "http_connector_buffered_bytes", "Bytes of calls held in memory.";
    lag_microseconds: Gauge = Gauge::default(), "http_connector_scheduling_lag_microseconds", "How long connections that are ready wait for a worker, the overload signal.";
    queued: Gauge = Gauge::default(), "http_inspector_queued", "Large messages waiting for a thread of the pool.";
    background_queued: Gauge = Gauge::default(), "http_inspector_background_queued", "Out-of-band copies waiting to be inspected.";
    contexts: Family<State, Counter> = Family::default(), "http_inspector_contexts", "Inspector-Context tokens on response legs, by state.";
    bytes: Family<Leg, Counter> = Family::default(), "http_inspector_bytes_processed", "Bytes of messages inspected.";
    threats: Family<Attack, Counter> = Family::default(), "http_inspector_threats_found", "Attacks, by type and outcome.";
    lists: Family<List, Counter> = Family::default(), "http_inspector_acl_results", "Requests whose source is on a list.";
    anomalies: Family<Kind, Counter> = Family::default(), "http_inspector_anomalies", "Anomalies of messages.";
    not_inspected: Family<Reason, Counter> = Family::default(), "http_inspector_not_inspected", "Parts of messages that were not inspected, by reason.";
    findings_dropped: Counter = Counter::default(), "http_inspector_findings_dropped", "Findings above the limit of one message.";
    inspection: Timing = Family::new_with_constructor(inspection_buckets), "http_inspector_inspection_duration_seconds", "Time from parsed head to verdict.";
    hosts: CappedCounter<Host> = CappedCounter::new(CAPPED_SERIES, |host| Host { host: host.into() }, legal_host), "http_inspector_requests_processed_per_host", "Requests judged, by host.";
    blocked_hosts: CappedCounter<Host> = CappedCounter::new(CAPPED_SERIES, |host| Host { host: host.into() }, legal_host), "http_inspector_threats_blocked_per_host", "Requests blocked, by host.";
    applications: CappedCounter<Application> = CappedCounter::new(CAPPED_SERIES, |id| Application { application_id: id.into() }, |_| true), "http_inspector_requests_processed_per_app", "Requests judged, by application.";
    coverage_reports: Family<State, Counter> = Family::default(), "coverage_reports", "Coverage reports of connectors.";
    coverage_requests: Family<Extent, Counter> = Family::default(), "coverage_requests", "Requests that connectors saw, by route and by how much of them was inspected.";
    coverage_bytes: Family<Extent, Counter> = Family::default(), "coverage_bytes", "Body bytes that connectors handed over.";
    coverage_bytes_uninspected: Family<Extent, Counter> = Family::default(), "coverage_bytes_uninspected", "Body bytes that connectors kept from the node, as far as known.";
    coverage_dropped: Family<Dropped, Counter> = Family::default(), "coverage_dropped", "Copies and response legs that never reached the node.";
    events_spooled: Family<Spool, Counter> = Family::default(), "events_spooled", "Records written to a spool.";
    events_delivered: Family<Spool, Counter> = Family::default(), "events_delivered", "Records that the control plane or an aggregation acknowledged.";
    events_dropped: Family<SpoolLoss, Counter> = Family::default(), "events_dropped", "Records that will not be delivered, by reason.";
    events_spool_records: Family<Spool, Gauge> = Family::default(), "events_spool_records", "Records in a spool that are not delivered yet.";
    events_spool_bytes: Family<Spool, Gauge> = Family::default(), "events_spool_bytes", "Bytes of a spool on disk.";
    events_spool_oldest: Family<Spool, Gauge> = Family::default(), "events_spool_oldest_seconds", "Age of the oldest record that is not delivered yet.";
    events_ship_errors: Family<SpoolLoss, Counter> = Family::default(), "events_ship_errors", "Batches that were not taken and are sent again, by reason.";
    events_folded: Counter = Counter::default(), "events_folded", "Hits that were counted with an identical one instead of recorded each (sampling).";
    events_redactions: Counter = Counter::default(), "events_redactions", "Stretches of messages masked before they were recorded.";
    coverage_breakers: Family<State, Gauge> = Family::default(), "coverage_breakers", "Circuit breakers of connectors by last reported state.";
}

fn legal_host(host: &[u8]) -> bool {
    !host.is_empty()
        && host.len() <= MAX_HOST
        && host.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']'))
}

impl Metrics {
    /// The families, and the registry that renders them. Names start with `namespace`, by default `weir`.
    pub fn new(namespace: &str) -> (Self, Registry) {
        let mut registry = Registry::with_prefix(namespace);
        registry.register("application", "The build.", Info::new(Build { version: env!("CARGO_PKG_VERSION") }));
        let started = Gauge::<i64>::default();
        started.set(i64::try_from(crate::clock::now_seconds()).unwrap_or(i64::MAX));
        registry.register_with_unit("application_start_time", "When the process started.", Unit::Seconds, started);
        let metrics = Self::register(&mut registry);
        (metrics, registry)
    }

    /// Metrics without a registry, for tests and tools.
    pub fn unregistered() -> Self {
        Self::new("weir").0
    }
}

/// What is registered, as OpenMetrics text.
pub fn text(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)?;
    // The encoder ends the sentence of `# HELP` with a period, which ours have. No other line ends so.
    Ok(text.replace("..\n", ".\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_ends_with_one_period() {
        let (_, registry) = Metrics::new("weir");
        let text = text(&registry).unwrap();
        let mut help = text.lines().filter(|line| line.starts_with("# HELP")).peekable();
        assert!(help.peek().is_some());
        help.for_each(|line| assert!(line.ends_with('.') && !line.ends_with(".."), "{line}"));
    }

    #[test]
    fn renders_under_its_namespace() {
        let (metrics, registry) = Metrics::new("weir");
        metrics.hosts.inc(b"example.com");
        metrics.hosts.inc(b"\"} evil{");
        metrics.inspection.get_or_create(&Leg { leg: "request" }).observe(2e-5);
        let text = text(&registry).unwrap();
        assert!(
            text.contains("weir_http_inspector_requests_processed_per_host_total{host=\"example.com\"} 1"),
            "{text}"
        );
        assert!(text.contains("per_host_total{host=\"__invalid__\"} 1"));
        assert!(
            text.contains("weir_http_inspector_inspection_duration_seconds_bucket{le=\"0.000025\",leg=\"request\"} 1"),
            "{text}"
        );
        let families = text.lines().filter(|l| l.starts_with("# TYPE"));
        assert!(families.clone().count() > 15 && families.into_iter().all(|l| l.starts_with("# TYPE weir_")));
    }
}
