//! `weir processing`: the API for connectors, inspection, events.

use super::abuse::Behaviour;
use super::compose::{self, Composer};
use super::error::{SettingsError, StartError};
use super::events::Events;
use super::listener::Listener;
use super::signals::Signals;
use super::spans::Spans;
use super::{ProbesAt, openapi, probe_servers, reload, settings};
use crate::config::{Resolved, Sources};
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weir_control_plane::metrics::ControlPlaneMetrics;
use weir_core::ruleset::losses;
use weir_node::crowdsec::{Reader, ReaderMetrics};
use weir_node::events::Spool;
use weir_node::http_inspector::context::ContextKeys;
use weir_node::http_inspector::{Server, Service, ServiceParts};
use weir_node::spoe::Agent;
use weir_node::sync::{HeartbeatSource, PolicySync, SyncMetrics};
use weir_protocol::code::NodeRole;
use weir_protocol::node_api::Heartbeat;
use weir_runtime::clock::now_millis;
use weir_runtime::serve::ServeMetrics;
use weir_runtime::telemetry::probes::Check;
use weir_runtime::telemetry::{Health, Metrics, Telemetry, logs};
use weir_runtime::tls::Tls;

/// Longest wait of a node that has no policy yet for its control plane, before it says that it is ready.
const FIRST_POLICY: Duration = Duration::from_secs(5);

/// What else runs in the process.
#[derive(Default)]
pub struct Beside {
    /// The configuration as it was read, where what runs differs from it.
    pub configured: Option<Box<Resolved>>,
    /// Where its listeners count.
    pub counts: ServeMetrics,
    /// Where its control plane counts.
    pub control_plane: Option<ControlPlaneMetrics>,
    /// Certificates of its control plane.
    pub tls: Option<Arc<Tls>>,
    /// Whether the store of its control plane can write: the node goes on where it cannot.
    pub store: Option<Check>,
    /// Called once everything has started.
    pub started: Option<Box<dyn FnOnce() + Send>>,
}

/// Runs the node until a signal stops it: alone, or with the control plane or aggregation that `api` names. True if
/// every call under way was answered.
pub async fn run(sources: Sources, resolved: Resolved, signals: Signals) -> Result<bool, StartError> {
    run_with(sources, resolved, Beside::default(), signals).await
}

/// Like [`run`], beside something else.
pub async fn run_with(
    sources: Sources,
    resolved: Resolved,
    beside: Beside,
    signals: Signals,
) -> Result<bool, StartError> {
    let (metrics, mut registry) = Metrics::new(&resolved.metrics.namespace);
    beside.control_plane.iter().for_each(|own| own.enlist(&mut registry));
    let upstream = settings::upstream(&resolved, NodeRole::Processing)?;
    let sync = upstream.map(|config| PolicySync::open(config, SyncMetrics::register(&mut registry)));
    let sync = sync.transpose()?;
    let telemetry = Arc::new(Telemetry { metrics, access: settings::access_log(&resolved).into() });
    let first = compose::first(&resolved, sync.as_ref())?;
    let status = sync.as_ref().map(|sync| Arc::clone(sync.status()));
    let (composer, access) = Composer::new(sources.clone(), &resolved, first, status, Arc::clone(&telemetry));
    let composer = Arc::new(composer);
    logs::count_dropped_lines(Arc::clone(&telemetry));
    if let Some(tls) = beside.tls {
        reload::certificates(tls, Arc::clone(&telemetry))?;
    }
    let health = Arc::new(Health::default());
    if let Some(check) = beside.store {
        health.watch(check, false);
    }
    let keys = settings::keys(&resolved)?;
    let keys = ContextKeys::new(&keys).map_err(|_| SettingsError::NoRandomness)?;
    let behaviour = Behaviour::open(&resolved, &mut registry)?;
    let events = Events::open(&resolved, sync.as_ref().map(PolicySync::link), &telemetry, &behaviour.abuse())?;
    let lists = lists(&resolved, &mut registry)?;
    let spans = Spans::open(&resolved, &mut registry)?;
    let parts = ServiceParts {
        config: settings::service(&resolved),
        current: Arc::clone(composer.current()),
        access,
        keys,
        telemetry: Arc::clone(&telemetry),
        health: Arc::clone(&health),
        openapi: openapi().into(),
        recorder: events.as_ref().map(Events::recorder),
        abuse: behaviour.abuse(),
        decided: lists.as_ref().map(Reader::decided).unwrap_or_default(),
        traces: spans.traces(),
    };
    let service = Arc::new(StartError::system("threads", Service::new(parts))?);
    let tls = settings::tls(&resolved).map(Tls::load).transpose()?.map(Arc::new);
    let (listener, spoe) = listeners(&resolved).await?;
    let stop = CancellationToken::new();
    lists.map(|lists| tokio::spawn(lists.run(stop.clone())));
    let behaviour = behaviour.start(sync.as_ref().map(PolicySync::link), &stop);
    let probes = probe_servers(&resolved, &health, registry, &beside.counts, &stop).await?;
    let spans = spans.start(&probes.registry, &stop);
    let watched =
        reload::Watched { sources, service: Arc::clone(&service), composer: Arc::clone(&composer), tls: tls.clone() };
    reload::start(watched, beside.configured.as_deref().unwrap_or(&resolved))?;
    if let Some(sync) = &sync {
        service.gaps().notify(sync.nudger());
        sync.start(Arc::clone(&composer), heartbeat(&composer, events.as_ref(), &service), stop.clone());
        if composer.current().get().policy_serial == 0 {
            sync.asked(FIRST_POLICY).await;
        }
    }
    announce(&listener, &probes, tls.is_some(), &resolved);
    let drain = CancellationToken::new();
    let agent = spoe.map(|listener| tokio::spawn(spoe_agent(listener, Arc::clone(&service), drain.clone())));
    health.set_ready(true);
    if let Some(started) = beside.started {
        started();
    }
    signals.listen(drain.clone(), Arc::clone(&health))?;
    let drained = serve(Server::new(service, tls), listener, drain, agent).await;
    if let Some(events) = events {
        events.finish(resolved.load.drain_timeout).await;
    }
    stop.cancel();
    behaviour.finish().await;
    spans.finish().await;
    tracing::info!(drained, "stopped");
    Ok(drained)
}

/// The listener of the API, and that of the agent for HAProxy where it is on.
async fn listeners(resolved: &Resolved) -> Result<(Listener, Option<Listener>), StartError> {
    let file = &resolved.connector.unix_socket;
    let listener = Listener::bind("connector.address", &resolved.connector.address, file).await?;
    let spoe = match &resolved.spoe.address {
        Some(address) => Some(Listener::bind("spoe.address", address, file).await?),
        None => None,
    };
    Ok((listener, spoe))
}

/// The reader of CrowdSec's decisions, where they are configured.
fn lists(resolved: &Resolved, registry: &mut Registry) -> Result<Option<Reader>, StartError> {
    let config = settings::crowdsec(resolved)?;
    let reader = config.map(|config| Reader::new(config, ReaderMetrics::register(registry)));
    Ok(reader.transpose().map_err(SettingsError::CrowdSec)?)
}

/// Serves the API until `drain`, and waits for `agent`. True if every call under way was answered.
async fn serve(server: Server, listener: Listener, drain: CancellationToken, agent: Option<JoinHandle<bool>>) -> bool {
    let drained = match listener {
        Listener::Tcp(listener) => server.serve(listener, drain).await,
        Listener::Unix(socket) => server.serve(socket, drain).await,
    };
    match agent {
        Some(agent) => drained & agent.await.unwrap_or(false),
        None => drained,
    }
}

/// Serves HAProxy until `drain`. True if every message under way was answered.
async fn spoe_agent(listener: Listener, service: Arc<Service>, drain: CancellationToken) -> bool {
    tracing::info!(address = listener.address(), "spoe");
    let agent = Agent::new(service);
    match listener {
        Listener::Tcp(listener) => agent.serve(listener, drain).await,
        Listener::Unix(socket) => agent.serve(socket, drain).await,
    }
}

/// The state of the node that heartbeats report.
fn heartbeat(composer: &Arc<Composer>, events: Option<&Events>, service: &Service) -> HeartbeatSource {
    let (gaps, abuse) = (Arc::clone(service.gaps()), Arc::clone(service.abuse()));
    let current = Arc::clone(composer.current());
    let spool = events.map(|events| events.spool().clone());
    Arc::new(move || {
        let spooled = spool.as_ref().map(Spool::status).unwrap_or_default();
        let now = now_millis();
        let generation = current.get();
        Heartbeat {
            signatures: generation.ruleset.signatures.len() as u64,
            missing_signatures: losses::missing(&generation.ruleset) as u64,
            spooled: spooled.records,
            dropped: spooled.dropped,
            gaps: gaps.latest(now),
            behaviour: abuse.status(now),
            ..Heartbeat::default()
        }
    })
}

/// Says on standard error what it listens on, and what to try, below what was logged so far.
fn announce(listener: &Listener, probes: &ProbesAt, tls: bool, resolved: &Resolved) {
    let address = listener.address();
    tracing::info!(address, tls, "http_inspector");
    logs::flush();
    let url = listener.url(tls);
    let auth = &resolved.connector.auth;
    let keyed = !auth.keys.is_empty() || !auth.key_files.is_empty();
    let key = if keyed { "-H \"Authorization: Bearer $WEIR_CONNECTOR_KEY\" \\\n    " } else { "" };
    eprintln!(
        "weir {} listens on {address} (API), {} (probes), {} (metrics)\n\ntry it:\n  \
         printf 'GET /etc/passwd HTTP/1.1\\r\\nHost: example.com\\r\\n\\r\\n' | curl -i --data-binary @- \\\n    \
         -H 'Content-Type: message/http; msgtype=request' -H 'Inspector-Request-Id: try-1' \\\n    \
         -H 'Inspector-Client: 203.0.113.9' -H 'Inspector-Connector: curl/1' \\\n    {key}{url}/v1/requests\n",
        env!("CARGO_PKG_VERSION"),
        probes.health,
        probes.metrics,
    );
}
