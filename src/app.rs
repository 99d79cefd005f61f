//! Composition root: builds each component from the configuration, owns start, reload, drain and stop.

mod reload;
mod settings;

use crate::config::{Loaded, Report, Resolved, Sources, load};
use crate::generation::{Current, Generation};
use crate::http_inspector::context::Keys;
use crate::http_inspector::tls::{Tls, TlsError};
use crate::http_inspector::{Access, Server, Service, service};
use crate::telemetry::{Health, Metrics, Telemetry, logs, probes};
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
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Settings(text) => f.write_str(text),
            StartError::Tls(error) => error.fmt(f),
            StartError::System(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

fn system<T>(what: impl fmt::Display, result: std::io::Result<T>) -> Result<T, StartError> {
    result.map_err(|error| StartError::System(what.to_string(), error))
}

/// What a reload replaces, built from configuration, rules and policy.
struct Reloadable {
    generation: Generation,
    access: Access,
}

/// Reads the configuration; warnings are in the report.
fn configuration(sources: &Sources) -> Result<(Resolved, Report), StartError> {
    let Loaded { resolved, report } = load(sources);
    match resolved {
        Some(resolved) => Ok((resolved, report)),
        None => Err(StartError::Settings(report.render())),
    }
}

fn reloadable(resolved: &Resolved) -> Result<Reloadable, StartError> {
    let policy = settings::policy(resolved).map_err(StartError::Settings)?;
    let ruleset = settings::ruleset(resolved, &policy).map_err(StartError::Settings)?;
    let geo = settings::geo(resolved).map_err(StartError::Settings)?;
    let keys = settings::keys(resolved).map_err(StartError::Settings)?;
    let generation =
        Generation::new(ruleset, policy, geo, settings::client_rules(resolved), resolved.connector.blocking);
    Ok(Reloadable { generation, access: settings::access(resolved, &keys) })
}

/// Runs the node until it is told to stop. True if every call under way was answered.
pub fn run(sources: Sources) -> Result<bool, StartError> {
    let (resolved, report) = configuration(&sources)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(settings::threads(&resolved)).enable_all().build();
    let guard = system("log", logs::init(&settings::logs(&resolved)))?;
    if !report.diagnostics.is_empty() {
        tracing::warn!("{}", report.render());
    }
    let drained = system("runtime", runtime)?.block_on(node(sources, resolved));
    drop(guard);
    drained
}

async fn node(sources: Sources, resolved: Resolved) -> Result<bool, StartError> {
    let first = reloadable(&resolved)?;
    let (metrics, registry) = Metrics::new(&resolved.metrics.namespace);
    metrics.generation.set(1);
    metrics.signatures.set(first.generation.ruleset.signatures.len() as i64);
    let telemetry = Arc::new(Telemetry { metrics, access: settings::access_log(&resolved) });
    logs::count_dropped_lines(Arc::clone(&telemetry));
    let current = Arc::new(Current::new(first.generation));
    let health = Arc::new(Health::default());
    let keys = settings::keys(&resolved).map_err(StartError::Settings)?;
    let keys = Keys::new(&keys).map_err(|_| StartError::Settings("no randomness from the system".into()))?;
    let open = first.access.is_open();
    let parts = service::Parts {
        config: settings::service(&resolved),
        current: Arc::clone(&current),
        access: first.access,
        keys,
        telemetry: Arc::clone(&telemetry),
        health: Arc::clone(&health),
        openapi: openapi().into(),
    };
    let service = Arc::new(system("threads", Service::new(parts))?);
    let tls = settings::tls(&resolved).map(Tls::load).transpose().map_err(StartError::Tls)?.map(Arc::new);
    let listener = listen(resolved.connector.address).await?;
    let stop = CancellationToken::new();
    probe_servers(&resolved, &health, registry, &stop).await?;
    let watched = reload::Watched { sources, service: Arc::clone(&service), current, tls: tls.clone() };
    reload::start(watched, &resolved)?;
    announce(&listener, &resolved, tls.is_some(), open);
    health.set_ready(true);
    let drain = CancellationToken::new();
    on_stop_signal(drain.clone(), Arc::clone(&health))?;
    let drained = Server::new(service, tls).serve(listener, drain).await;
    stop.cancel();
    tracing::info!(drained, "stopped");
    Ok(drained)
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

/// Starts the servers for probes and metrics: one where both share an address.
async fn probe_servers(
    resolved: &Resolved,
    health: &Arc<Health>,
    registry: Registry,
    stop: &CancellationToken,
) -> Result<(), StartError> {
    let probes = resolved.health_check.address.map(|at| (at, probes::health_routes(Arc::clone(health))));
    let metrics = resolved.metrics.address.map(|at| (at, probes::metrics_routes(Arc::new(registry))));
    let servers: Vec<(_, Router)> = match (probes, metrics) {
        (Some((at, probes)), Some((same, metrics))) if at == same && at.port != 0 => vec![(at, probes.merge(metrics))],
        (probes, metrics) => probes.into_iter().chain(metrics).collect(),
    };
    for (address, router) in servers {
        let listener = listen(address).await?;
        tracing::info!(address = %local(&listener), "probes and metrics");
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
                tracing::error!(%error, "probes ended");
            }
        });
    }
    Ok(())
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

/// Says on standard error what it listens on, and what to try: the log on standard output stays JSON.
fn announce(listener: &TcpListener, resolved: &Resolved, tls: bool, open: bool) {
    let address = local(listener);
    tracing::info!(address, tls, "http_inspector");
    if open {
        tracing::warn!(
            "connectors are not authenticated: calls are accepted from {} network(s) without key or certificate; \
             set connector.auth",
            resolved.connector.allowed_networks.len()
        );
    }
    let port = listener.local_addr().map_or(0, |address| address.port());
    let scheme = if tls { "https" } else { "http" };
    eprintln!(
        "weir {} listens on {address} (API), {} (probes), {} (metrics)\n\ntry it:\n  \
         printf 'GET /etc/passwd HTTP/1.1\\r\\nHost: example.com\\r\\n\\r\\n' | curl -i --data-binary @- \\\n    \
         -H 'Content-Type: message/http; msgtype=request' -H 'Inspector-Request-Id: try-1' \\\n    \
         -H 'Inspector-Client: 203.0.113.9' -H 'Inspector-Connector: curl/1' {scheme}://127.0.0.1:{port}/v1/requests\n",
        env!("CARGO_PKG_VERSION"),
        resolved.health_check.address.map_or_else(|| "off".into(), |a| a.to_string()),
        resolved.metrics.address.map_or_else(|| "off".into(), |a| a.to_string()),
    );
}

/// `/openapi.json`: the description as JSON.
pub fn openapi() -> Vec<u8> {
    let value: serde_json::Value =
        serde_saphyr::from_str(OPENAPI_YAML).expect("docs/openapi.yaml is YAML, by its test");
    serde_json::to_vec(&value).expect("plain data")
}
