//! `weir`: processing and control plane in one process, connected over loopback with a token made at start. The code
//! paths are those of separate processes: the node registers, ships and polls like any other.

use super::signals::Signals;
use super::{StartError, control_plane, processing};
use crate::config::types::{ListenAddress, Secret, Setting};
use crate::config::{Resolved, Sources};
use std::net::{IpAddr, Ipv4Addr};
use tokio_util::sync::CancellationToken;
use weir_control_plane::auth::secret;
use weir_control_plane::metrics::ControlPlaneMetrics;
use weir_runtime::serve::ServeMetrics;

/// Default address of the Console: reachable from this machine only.
const ADDRESS: ListenAddress = ListenAddress { ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), port: 8088 };

/// Runs both until a signal stops them. True if every call under way was answered.
pub async fn run(sources: Sources, mut resolved: Resolved, signals: Signals) -> Result<bool, StartError> {
    if !resolved.control_plane.enabled {
        return processing::run(sources, resolved, signals).await;
    }
    if let Some(host) = &resolved.api.host {
        tracing::info!(host, "events go to `api.host`: no control plane runs in this process");
        return processing::run(sources, resolved, signals).await;
    }
    let token = secret::random().map_err(StartError::control_plane)?;
    let address = resolved.control_plane.address.unwrap_or(ADDRESS);
    // Stopped after the node, so that what it spooled last is still taken.
    let stop = CancellationToken::new();
    let counts = ServeMetrics::default();
    let metrics = ControlPlaneMetrics::default();
    let counted = (&counts, &metrics);
    let mut running = control_plane::start(&resolved, address, Some(token.clone()), counted, stop.clone()).await?;
    let port = control_plane::join(&resolved, &running, &counts, stop.clone()).await?;
    let configured = Some(Box::new(resolved.clone()));
    let api = &mut resolved.api;
    (api.host, api.port, api.use_ssl) = (Some(Ipv4Addr::LOCALHOST.to_string()), port, false);
    api.token = Secret::parse(&token).ok();
    api.token_file = None;
    let beside = processing::Beside {
        configured,
        counts,
        control_plane: Some(metrics),
        tls: running.tls.clone(),
        store: Some(running.store_check()),
        started: Some(running.started()),
    };
    let drained = processing::run_with(sources, resolved, beside, signals).await;
    stop.cancel();
    let stopped = running.wait().await;
    Ok(drained? && stopped)
}
