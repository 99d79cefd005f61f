//! Composition root: builds each component from the configuration, owns start, reload, drain and stop.

mod abuse;
pub mod admin;
mod aggregation;
mod all;
pub mod backup;
mod compose;
mod control_plane;
pub mod error;
mod events;
mod listener;
mod processing;
mod reload;
pub mod rule_files;
pub mod settings;
mod signals;
mod spans;

use crate::config::{Loaded, Report, Resolved, Severity, Sources, load};
use axum::Router;
use prometheus_client::registry::Registry;
use signals::Signals;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use weir_node::generation::Generation;
use weir_runtime::serve::{self, ServeMetrics};
use weir_runtime::telemetry::{Health, logs, probes};

/// Connections that may wait to be accepted; the system lowers it to `net.core.somaxconn`, 4096 by default.
const BACKLOG: u32 = 4096;

/// The description of the API, as written.
pub const OPENAPI_YAML: &str = include_str!("../docs/openapi.yaml");

pub use error::StartError;

/// Reads the configuration; warnings are in the report.
fn configuration(sources: &Sources) -> Result<(Resolved, Report), StartError> {
    let Loaded { resolved, report } = load(sources);
    match resolved {
        Some(resolved) => Ok((resolved, report)),
        None => Err(StartError::Configuration(Box::new(report))),
    }
}

/// What a node with this configuration inspects by before a control plane sends anything: rules, policy and databases.
pub fn local_generation(resolved: &Resolved) -> Result<Generation, StartError> {
    compose::local(resolved)
}

/// Which parts of weir a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Processing and control plane, connected over loopback.
    All,
    /// Inspection alone.
    Processing,
    /// Collects events of nodes and serves them policy, on behalf of a control plane.
    Aggregation,
    /// Console, API and store.
    ControlPlane,
}

/// How a process ended that had started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every call under way was answered, and nothing was lost.
    Drained,
    /// Calls under way were left unanswered, or a second signal ended the process at once.
    Unanswered,
}

/// Logs what the configuration warns of, once for each remark on what `role` uses.
fn log_diagnostics(report: &Report, role: Role) {
    let serves_connectors = matches!(role, Role::All | Role::Processing);
    for remark in &report.diagnostics {
        let (key, help) = (remark.key.as_str(), remark.help.as_deref().unwrap_or_default());
        if !serves_connectors && key.starts_with("connector.") {
            continue;
        }
        match remark.severity {
            Severity::Note => tracing::info!(key, help, "{}", remark.message),
            Severity::Warning | Severity::Error => tracing::warn!(key, help, "{}", remark.message),
        }
    }
}

/// Runs `role` until SIGTERM or SIGINT. A second signal makes it return at once; the caller must then end the process,
/// because threads of it may still run.
pub fn run(sources: Sources, role: Role) -> Result<Outcome, StartError> {
    let (resolved, report) = configuration(&sources)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(settings::threads(&resolved)).enable_all();
    // Connections for which a worker has no room wait in the common queue. By default a worker looks there so rarely that under
    // load some calls wait for seconds while others pass them by.
    let runtime = runtime.global_queue_interval(2).build();
    let guard = StartError::system("log", logs::init(&settings::logs(&resolved)))?;
    log_diagnostics(&report, role);
    let runtime = StartError::system("runtime", runtime)?;
    runtime.block_on(async { signals::survive_file_limit() })?;
    let signals = Signals::default();
    let abort = signals.abort().clone();
    let mut running: Pin<Box<dyn Future<Output = Result<bool, StartError>>>> = match role {
        Role::All => Box::pin(all::run(sources, resolved, signals)),
        Role::Processing => Box::pin(processing::run(sources, resolved, signals)),
        Role::Aggregation => Box::pin(aggregation::run(resolved, signals)),
        Role::ControlPlane => Box::pin(control_plane::run(resolved, signals)),
    };
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = &mut running => Some(ended),
            () = abort.cancelled() => None,
        }
    });
    let outcome = match ended {
        Some(Ok(true)) => Ok(Outcome::Drained),
        Some(Ok(false)) => Ok(Outcome::Unanswered),
        Some(Err(error)) => Err(error),
        None => {
            // To drop these would wait for what the second signal must not wait for: queues, threads, the disk.
            std::mem::forget(running);
            runtime.shutdown_background();
            Ok(Outcome::Unanswered)
        }
    };
    drop(guard);
    outcome
}

/// Binds `address`, the value of `key`; every address means IPv6 and IPv4, or IPv4 alone where the system has no IPv6.
async fn listen(key: &str, address: crate::config::types::ListenAddress) -> Result<TcpListener, StartError> {
    let bound = match (bind(address.socket()), address.ip) {
        (Err(error), None) if error.kind() != std::io::ErrorKind::AddrInUse => {
            bind(SocketAddr::from(([0, 0, 0, 0], address.port)))
        }
        (bound, _) => bound,
    };
    StartError::system(format!("{key}: cannot listen on {address}"), bound)
}

/// Listens on `address`, with a backlog for the gateways that connect while the node is busy.
fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A node that restarts must not wait until the connections of the one before are forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Where probes and metrics are served; `off` where they are not.
struct ProbesAt {
    health: String,
    metrics: String,
    /// What the metrics are read from.
    registry: Arc<Registry>,
}

/// Starts the servers for probes and metrics: one where both share an address.
async fn probe_servers(
    resolved: &Resolved,
    health: &Arc<Health>,
    mut registry: Registry,
    counts: &ServeMetrics,
    stop: &CancellationToken,
) -> Result<ProbesAt, StartError> {
    counts.register(&mut registry);
    let settings = settings::listener(resolved, "probes", counts, None);
    let probes = resolved.health_check.address.map(|at| (at, probes::health_routes(Arc::clone(health))));
    let registry = Arc::new(registry);
    let metrics = resolved.metrics.address.map(|at| (at, probes::metrics_routes(Arc::clone(&registry))));
    let mut at = ProbesAt { health: "off".into(), metrics: "off".into(), registry };
    match (probes, metrics) {
        (Some((address, probes)), Some((same, metrics))) if address == same && address.port != 0 => {
            at.health = probe_server("metrics.listen_address", address, probes.merge(metrics), settings, stop).await?;
            at.metrics = at.health.clone();
        }
        (probes, metrics) => {
            if let Some((address, probes)) = probes {
                at.health =
                    probe_server("health_check.listen_address", address, probes, settings.clone(), stop).await?;
            }
            if let Some((address, metrics)) = metrics {
                at.metrics = probe_server("metrics.listen_address", address, metrics, settings, stop).await?;
            }
        }
    }
    Ok(at)
}

/// Serves `router` until `stop` on a thread of its own, so that probes are answered however busy the workers of the
/// runtime are. Returns the address.
async fn probe_server(
    key: &str,
    address: crate::config::types::ListenAddress,
    router: Router,
    settings: serve::Settings,
    stop: &CancellationToken,
) -> Result<String, StartError> {
    let listener = listen(key, address).await?;
    let at = local(&listener);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = StartError::system("runtime of probes", runtime)?;
    let listener = StartError::system(format!("listen on {address}"), listener.into_std())?;
    let stop = stop.clone();
    let serve = move || {
        runtime.block_on(async {
            match TcpListener::from_std(listener) {
                Ok(listener) => serve::serve(listener, settings, router, stop).await,
                Err(error) => tracing::error!(%error, "cannot serve probes"),
            }
        });
    };
    StartError::system("thread of probes", std::thread::Builder::new().name("probes".into()).spawn(serve))?;
    tracing::info!(address = %at, "probes and metrics");
    Ok(at)
}

fn local(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|_| "?".into(), |address| address.to_string())
}

/// `/openapi.json`: the description as JSON.
pub fn openapi() -> Vec<u8> {
    let value: serde_json::Value =
        serde_saphyr::from_str(OPENAPI_YAML).expect("docs/openapi.yaml is YAML, by its test");
    serde_json::to_vec(&value).expect("plain data")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::time::Duration;

    /// The test blocks the only worker of its runtime while it asks.
    #[tokio::test(flavor = "current_thread")]
    async fn probes_are_answered_while_every_worker_is_busy() {
        let limits = serve::Limits {
            connections: 4,
            head: Duration::from_secs(9),
            idle: Duration::from_secs(9),
            drain: Duration::ZERO,
        };
        let settings = serve::Settings { name: "probes", limits, metrics: ServeMetrics::default(), tls: None };
        let (health, stop) = (Arc::new(Health::default()), CancellationToken::new());
        let address = crate::config::types::ListenAddress { ip: Some([127, 0, 0, 1].into()), port: 0 };
        let at = probe_server("health_check.listen_address", address, probes::health_routes(health), settings, &stop)
            .await
            .unwrap();
        let mut stream = std::net::TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(b"GET /live HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("live\n"), "{answer}");
        stop.cancel();
    }
}
