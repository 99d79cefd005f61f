//! Composition root: builds each component from the configuration, owns start, reload, drain and stop.

mod aggregation;
mod all;
pub mod backup;
mod compose;
mod control_plane;
mod events;
mod processing;
mod reload;
pub mod rule_files;
mod settings;

use crate::config::{Loaded, Report, Resolved, Sources, load};
use weir_runtime::serve::{self, ServeMetrics};
use weir_node::sync::SetupError;
use weir_runtime::telemetry::{Health, logs, probes};
use weir_runtime::tls::TlsError;
use axum::Router;
use prometheus_client::registry::Registry;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The description of the API, as written.
pub const OPENAPI_YAML: &str = include_str!("../docs/openapi.yaml");

pub use settings::mistakes;

/// Why the node does not start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration, the rules or the policy are wrong: everything that is, in words.
    Settings(String),
    /// A certificate or key cannot be used.
    Tls(TlsError),
    /// An address cannot be listened on, a log cannot be opened, a thread cannot be started.
    System(String, std::io::Error),
    /// The control plane cannot be called.
    Upstream(SetupError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Settings(text) => f.write_str(text),
            StartError::Tls(error) => error.fmt(f),
            StartError::System(what, error) => write!(f, "{what}: {error}"),
            StartError::Upstream(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

fn system<T>(what: impl fmt::Display, result: std::io::Result<T>) -> Result<T, StartError> {
    result.map_err(|error| StartError::System(what.to_string(), error))
}

/// Reads the configuration; warnings are in the report.
fn configuration(sources: &Sources) -> Result<(Resolved, Report), StartError> {
    let Loaded { resolved, report } = load(sources);
    match resolved {
        Some(resolved) => Ok((resolved, report)),
        None => Err(StartError::Settings(report.render())),
    }
}

/// What of weir a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Processing and control plane, joined over loopback.
    All,
    /// Inspection alone.
    Processing,
    /// Between nodes and a control plane.
    Aggregation,
    /// Console, API and store.
    ControlPlane,
}

/// Runs until it is told to stop. True if every call under way was answered.
pub fn run(sources: Sources, role: Role) -> Result<bool, StartError> {
    let (resolved, report) = configuration(&sources)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(settings::threads(&resolved)).enable_all().build();
    let guard = system("log", logs::init(&settings::logs(&resolved)))?;
    if !report.diagnostics.is_empty() {
        tracing::warn!("{}", report.render());
    }
    let runtime = system("runtime", runtime)?;
    let drained = match role {
        Role::All => runtime.block_on(all::run(sources, resolved)),
        Role::Processing => runtime.block_on(processing::run(sources, resolved)),
        Role::Aggregation => runtime.block_on(aggregation::run(resolved)),
        Role::ControlPlane => runtime.block_on(control_plane::run(resolved)),
    };
    drop(guard);
    drained
}

/// Binds `address`; every address means IPv6 and IPv4, or IPv4 alone where the system has no IPv6.
async fn listen(address: crate::config::types::ListenAddress) -> Result<TcpListener, StartError> {
    let bound = match (TcpListener::bind(address.socket()).await, address.ip) {
        (Err(error), None) if error.kind() != std::io::ErrorKind::AddrInUse => {
            TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], address.port))).await
        }
        (bound, _) => bound,
    };
    system(format!("listen on {address}"), bound)
}

/// Where probes and metrics are served; `off` where they are not.
struct ProbesAt {
    health: String,
    metrics: String,
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
    let metrics = resolved.metrics.address.map(|at| (at, probes::metrics_routes(Arc::new(registry))));
    let mut at = ProbesAt { health: "off".into(), metrics: "off".into() };
    match (probes, metrics) {
        (Some((address, probes)), Some((same, metrics))) if address == same && address.port != 0 => {
            at.health = probe_server(address, probes.merge(metrics), settings, stop).await?;
            at.metrics = at.health.clone();
        }
        (probes, metrics) => {
            if let Some((address, probes)) = probes {
                at.health = probe_server(address, probes, settings.clone(), stop).await?;
            }
            if let Some((address, metrics)) = metrics {
                at.metrics = probe_server(address, metrics, settings, stop).await?;
            }
        }
    }
    Ok(at)
}

/// Serves `router` until `stop`; answers where.
async fn probe_server(
    address: crate::config::types::ListenAddress,
    router: Router,
    settings: serve::Settings,
    stop: &CancellationToken,
) -> Result<String, StartError> {
    let listener = listen(address).await?;
    let at = local(&listener);
    tracing::info!(address = %at, "probes and metrics");
    tokio::spawn(serve::serve(listener, settings, router, stop.clone()));
    Ok(at)
}

/// On the first SIGTERM or SIGINT the node drains, on the second it is gone.
fn on_stop_signal(drain: CancellationToken, health: Arc<Health>) -> Result<(), StartError> {
    let mut terminate = system("SIGTERM", signal(SignalKind::terminate()))?;
    let mut interrupt = system("SIGINT", signal(SignalKind::interrupt()))?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if drain.is_cancelled() {
                std::process::exit(crate::cli::EXIT_UNANSWERED.into());
            }
            tracing::info!("draining");
            health.set_ready(false);
            drain.cancel();
        }
    });
    Ok(())
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
