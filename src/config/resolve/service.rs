//! `load`, `log`, `metrics`, `health_check`: the service around the inspection.

use super::{OWN, V4};
use crate::config::defaults;
use crate::config::reader::Section;
use crate::config::resolved::{AccessLog, HealthCheck, Load, Log, Metrics, Resolved, Spoe, Traces};
use crate::config::types::{ByteSize, ConnectorAddress, LogTarget};
use std::time::Duration;

/// Longest wait that can be set for anything a gateway waits for.
const MAX_WAIT: Duration = Duration::from_secs(600);
/// Most of anything that can be queued.
const MAX_COUNT: usize = 1_000_000;

/// Reads `load`.
pub fn load(root: &mut Section<'_>) -> Load {
    let meaning = "Limits of the listeners. `max_connections`, `header_timeout`, `idle_timeout` and `drain_timeout` \
                   apply to each listener: connector API, aggregation, control plane, probes and metrics. The other \
                   keys apply to the connector API only: calls beyond them get 503 at once instead of being queued.";
    root.section("load", OWN, meaning, |s| {
        let max_connections = count(
            s,
            "max_connections",
            defaults::MAX_CONNECTIONS,
            "Open connections of each listener. More wait on the connector API; other listeners close them at \
             once and grant one address at most half.",
        );
        let max_concurrent_calls = count(
            s,
            "max_concurrent_calls",
            defaults::MAX_CONCURRENT_CALLS,
            "Calls of connectors read, inspected or answered at once.",
        );
        let buffered = s.bounded(
            "max_buffered_bytes",
            OWN,
            defaults::MAX_BUFFERED_BYTES,
            ByteSize(1 << 20)..=ByteSize(1 << 40),
            "Bytes of calls of connectors held in memory at once.",
        );
        let inline = s.bounded(
            "inline_bytes",
            OWN,
            defaults::INLINE_BYTES,
            ByteSize(0)..=ByteSize(16 << 20),
            "Messages up to this size are inspected at once; larger ones on a pool of threads.",
        );
        Load {
            max_connections,
            max_concurrent_calls,
            max_buffered_bytes: usize::try_from(buffered.0).unwrap_or(usize::MAX),
            inline_bytes: usize::try_from(inline.0).unwrap_or(usize::MAX),
            queue: count(s, "queue", defaults::POOL_QUEUE, "Larger messages that wait for the pool."),
            queue_timeout: wait(s, "queue_timeout", defaults::QUEUE_TIMEOUT, "Longest wait for the pool."),
            background_queue: count(
                s,
                "background_queue",
                defaults::BACKGROUND_QUEUE,
                "Out-of-band copies that wait to be inspected. More are dropped and counted.",
            ),
            retry_after: wait(s, "retry_after", defaults::RETRY_AFTER, "`Retry-After` of a 503, in whole seconds."),
            header_timeout: wait(
                s,
                "header_timeout",
                defaults::HEADER_TIMEOUT,
                "Longest time for a TLS handshake, from the connection to its first call, and for the head of each further \
                 one, on each listener.",
            ),
            body_timeout: wait(s, "body_timeout", defaults::BODY_TIMEOUT, "Longest time to read the rest of a \
                 call of a connector."),
            idle_timeout: wait(
                s,
                "idle_timeout",
                defaults::IDLE_TIMEOUT,
                "Longest time without a call on a connection, on each listener. Set it higher than the idle \
                 time of gateways: the gateway must close first.",
            ),
            drain_timeout: wait(
                s,
                "drain_timeout",
                defaults::DRAIN_TIMEOUT,
                "Longest time to wait for calls under way when the process stops, on each listener.",
            ),
        }
    })
}

fn count(s: &mut Section<'_>, name: &'static str, default: usize, meaning: &'static str) -> usize {
    s.bounded(name, OWN, default, 1..=MAX_COUNT, meaning)
}

fn wait(s: &mut Section<'_>, name: &'static str, default: Duration, meaning: &'static str) -> Duration {
    s.bounded(name, OWN, default, Duration::from_millis(1)..=MAX_WAIT, meaning)
}

/// Reads `log`.
pub fn log(root: &mut Section<'_>) -> Log {
    root.section("log", V4, "Logs.", |s| {
        let log = Log {
            level: s.get("level", V4, defaults::LOG_LEVEL, "Lowest severity that is logged."),
            pretty: s.optional("pretty", V4, "true on a terminal, otherwise false", "Readable lines instead of JSON."),
            target: s.get("log_file", V4, LogTarget::Stdout, "Where lines go."),
            access_log: s.section("access_log", V4, "One line for each call, with its verdict.", |s| {
                let enabled = s.get("enabled", V4, true, "Whether it is written.");
                let verbose = s.get(
                    "verbose",
                    V4,
                    false,
                    "Points of findings and of what was not inspected, besides the verdict and the rules that decided.",
                );
                let target = s.get("log_file", V4, LogTarget::Stdout, "Where lines go.");
                enabled.then_some(AccessLog { verbose, target })
            }),
        };
        s.ignored("proton_log_mask", V4, "there is no such module; `level` sets what is logged");
        log
    })
}

/// Reads `metrics`.
pub fn metrics(root: &mut Section<'_>) -> Metrics {
    root.section("metrics", V4, "Prometheus metrics at `/metrics`.", |s| {
        let enabled = s.get("enabled", V4, true, "Whether they are served.");
        let address = s.get("listen_address", V4, defaults::METRICS_ADDRESS, "Where they are served.");
        let namespace =
            s.get("namespace", V4, defaults::METRICS_NAMESPACE.to_owned(), "Prefix of the names of metrics.");
        let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
        let name = |c: char| letter(c) || c.is_ascii_digit();
        if !namespace.starts_with(letter) || !namespace.chars().all(name) || namespace.len() > 64 {
            s.error("namespace", "not a prefix of metric names", "write letters, digits and `_`, a letter first");
        }
        s.ignored("legacy_status", V4, "the older status page is not offered; see `/metrics`");
        s.ignored("per_host_stats", V4, "it would need too many labels; the access log has the host");
        Metrics { address: enabled.then_some(address), namespace }
    })
}

/// Reads `health_check`.
pub fn health_check(root: &mut Section<'_>) -> HealthCheck {
    root.section("health_check", V4, "Probes at `/live` and `/ready`.", |s| {
        let enabled = s.get("enabled", V4, true, "Whether they are served, independent of the metrics.");
        let meaning = "Where they are served; may be the address of the metrics.";
        let address = s.get("listen_address", V4, defaults::HEALTH_ADDRESS, meaning);
        HealthCheck { address: enabled.then_some(address) }
    })
}

/// Reads `traces`.
pub fn traces(root: &mut Section<'_>) -> Traces {
    let meaning = "Spans of verdicts, and metrics, for an OpenTelemetry collector, by OTLP over HTTP in binary form.";
    root.section("traces", OWN, meaning, |s| {
        let read = Traces {
        endpoint: s.optional(
            "endpoint",
            OWN,
            "none: off",
            "URL of the collector, such as `http://127.0.0.1:4318`; spans are posted to `/v1/traces` there, metrics to \
             `/v1/metrics`.",
        ),
        ca_file: s.optional("ca_file", OWN, "built-in authorities", "Certificate authority of the collector."),
        per_million: s.bounded(
            "per_million",
            OWN,
            defaults::TRACES_PER_MILLION,
            0..=1_000_000,
            "How many of a million calls without a `traceparent` are traced. With one, the caller's flag `sampled` decides.",
        ),
        service_name: s.get("service_name", OWN, "weir".to_owned(), "`service.name` of the spans and metrics."),
        headers: s
            .list("headers", OWN, "none", "Headers of each call to the collector. Their values are not shown in messages.")
            .unwrap_or_default(),
        headers_file: s.optional(
            "headers_file",
            OWN,
            "none",
            "File with further headers, one a line as `name: value`. It is read for each call.",
        ),
        metrics_interval: s.optional(
            "metrics_interval",
            OWN,
            "none: off",
            "Time between two exports of the node's metrics, those of `/metrics`, from 1s to 1h.",
        ),
        };
        let interval = Duration::from_secs(1)..=Duration::from_secs(3600);
        if read.metrics_interval.is_some_and(|time| !interval.contains(&time)) {
            s.error("metrics_interval", "expected 1s to 1h", "write for example `30s`");
        }
        if read.endpoint.is_none() && (read.metrics_interval.is_some() || s.given("headers") || s.given("headers_file")) {
            s.error("endpoint", "a collector has settings and no URL", "set `traces.endpoint`");
        }
        read
    })
}

/// Reads `spoe`.
pub fn spoe(root: &mut Section<'_>) -> Spoe {
    root.section("spoe", OWN, "The agent for HAProxy's Stream Processing Offload Engine.", |s| Spoe {
        address: s.optional(
            "address",
            OWN,
            "none: off",
            "Where it listens. HAProxy speaks a protocol without TLS; keys and networks of `connector` apply.",
        ),
    })
}

/// Ports that are asked for twice. Metrics and probes share one only if their addresses are the same.
pub fn check_ports(root: &mut Section<'_>, resolved: &Resolved) {
    let api = resolved.connector.address.tcp();
    let (metrics, health) = (resolved.metrics.address, resolved.health_check.address);
    let help = "give each its own port";
    let spoe = resolved.spoe.address.as_ref().and_then(ConnectorAddress::tcp);
    for (name, address) in [("metrics", metrics), ("health_check", health)] {
        if let (Some(address), Some(spoe)) = (address, spoe)
            && address.collides(spoe)
        {
            root.error(name, format!("`{name}` listens where `spoe` does, on {spoe}"), help);
        }
    }
    for (name, address) in [("metrics", metrics), ("health_check", health), ("spoe", spoe)] {
        if let (Some(address), Some(api)) = (address, api)
            && address.collides(api)
        {
            root.error(name, format!("`{name}` listens where `connector` does, on {api}"), help);
        }
    }
    if let (Some(metrics), Some(health)) = (metrics, health)
        && metrics != health
        && metrics.collides(health)
    {
        let message = format!("`metrics` on {metrics} and `health_check` on {health} get in each other's way");
        root.error("metrics", message, "give both the same address, or different ports");
    }
}
