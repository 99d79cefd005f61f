//! `weir aggregation`: takes events from nodes and gives them policy.

use super::error::SettingsError;
use super::signals::Signals;
use super::{StartError, listen, local, probe_servers, reload, settings};
use crate::config::Resolved;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use weir_node::aggregation::{Aggregation, AggregationMetrics, AggregationParts, Config, OpenError};
use weir_node::sync::SyncMetrics;
use weir_protocol::code::NodeRole;
use weir_runtime::serve::{self, ServeMetrics};
use weir_runtime::telemetry::logs::{self, AccessLog};
use weir_runtime::telemetry::{Health, Metrics, Telemetry};
use weir_runtime::tls::{PemFiles, Tls};

/// Runs it until a signal stops it. True if nothing was left to be shipped.
pub async fn run(resolved: Resolved, signals: Signals) -> Result<bool, StartError> {
    let (metrics, mut registry) = Metrics::new(&resolved.metrics.namespace);
    let telemetry = Arc::new(Telemetry { metrics, access: AccessLog::Off.into() });
    logs::count_dropped_lines(Arc::clone(&telemetry));
    let sync = SyncMetrics::register(&mut registry);
    let parts = AggregationParts {
        telemetry: Arc::clone(&telemetry),
        sync,
        metrics: AggregationMetrics::register(&mut registry),
    };
    let stop = CancellationToken::new();
    let opened = Aggregation::open(config(&resolved)?, parts, stop.clone()).await;
    let aggregation = opened.map_err(|error| match error {
        OpenError::Upstream(error) => StartError::Upstream(error),
        error => StartError::Aggregation(error),
    })?;
    let tls = tls(&resolved).map(Tls::load).transpose()?.map(Arc::new);
    let listener = listen("aggregation.address", resolved.aggregation.address).await?;
    let health = Arc::new(Health::default());
    let ended = CancellationToken::new();
    let counts = ServeMetrics::default();
    probe_servers(&resolved, &health, registry, &counts, &ended).await?;
    if let Some(tls) = &tls {
        reload::certificates(Arc::clone(tls), Arc::clone(&telemetry))?;
    }
    let address = local(&listener);
    tracing::info!(address, tls = tls.is_some(), "aggregation");
    logs::flush();
    eprintln!("weir {} aggregation listens on {address}", env!("CARGO_PKG_VERSION"));
    signals.listen(stop.clone(), Arc::clone(&health))?;
    health.set_ready(true);
    let settings = settings::listener(&resolved, "aggregation", &counts, tls);
    serve::serve(listener, settings, aggregation.router(), stop).await;
    let drained = aggregation.close(resolved.load.drain_timeout).await;
    ended.cancel();
    tracing::info!(drained, "stopped");
    Ok(drained)
}

fn config(resolved: &Resolved) -> Result<Config, StartError> {
    let upstream = settings::upstream(resolved, NodeRole::Aggregation)?.ok_or(SettingsError::NoUpstream)?;
    Ok(Config {
        directory: resolved.data_dir.join("aggregation"),
        upstream,
        abuse_memory: usize::try_from(resolved.abuse.memory).unwrap_or(usize::MAX),
        spool_size: resolved.events.spool_size,
        fsync_interval: resolved.events.fsync_interval,
    })
}

fn tls(resolved: &Resolved) -> Option<PemFiles> {
    resolved.aggregation.tls.as_ref().map(|files| PemFiles {
        cert: files.cert.clone(),
        key: files.key.clone(),
        client_ca: None,
        certificate_optional: false,
    })
}
