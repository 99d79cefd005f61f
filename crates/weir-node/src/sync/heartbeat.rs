//! Heartbeats: report the status of the node every few seconds and when its policy changes.

use super::call_error::CallError;
use super::link::Link;
use super::status::PolicyStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use weir_protocol::node_api::{CAPABILITIES, HEARTBEAT_SECONDS, Heartbeat, OLD_HEARTBEAT_SECONDS};
use weir_runtime::backoff::Backoff;

/// Provides the parts of a heartbeat that other components know: spool, signatures, replicas. Without capabilities, those
/// of this build are reported.
pub type HeartbeatSource = Arc<dyn Fn() -> Heartbeat + Send + Sync>;

/// Replicas from which on an aggregation sends heartbeats less often: each is a write of the control plane.
const MANY_REPLICAS: usize = 100;

/// Time in which consecutive changes are collected into one heartbeat.
const GATHER: Duration = Duration::from_millis(50);

/// The same for changes of many nodes, which receive a policy together and take different times to compile it.
const GATHER_NODES: Duration = Duration::from_millis(500);

/// Sends heartbeats until `stop`.
pub(super) async fn run(
    link: Arc<Link>,
    status: Arc<PolicyStatus>,
    heartbeat: HeartbeatSource,
    nudged: Arc<Notify>,
    stop: CancellationToken,
) {
    let (started, mut backoff) = (Instant::now(), Backoff::default());
    let mut news = status.watch();
    loop {
        link.store().await;
        let beat = beat(&heartbeat, &status, started);
        news.mark_unchanged();
        let token = if beat.replicas.is_empty() { None } else { link.registration_token() };
        let sent = tokio::select! {
            sent = link.call(|client, identity| {
                let (beat, token) = (beat.clone(), token.clone());
                async move {
                    match token {
                        Some(token) => client.heartbeat_with(&identity, &beat, &token).await,
                        None => client.heartbeat(&identity, &beat).await,
                    }
                }
            }) => sent,
            () = stop.cancelled() => return,
        };
        let pause = match sent {
            Ok(()) => {
                backoff.reset();
                Duration::from_secs(beat.interval())
            }
            Err(error) => {
                match error {
                    // The server is up, and the node will look gone there.
                    CallError::Refused(..) => tracing::warn!(%error, "the heartbeat was refused"),
                    _ => tracing::debug!(%error, "heartbeat"),
                }
                backoff.pause()
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = news.changed() => tokio::time::sleep(GATHER).await,
            () = nudged.notified() => tokio::time::sleep(GATHER_NODES).await,
            () = stop.cancelled() => return,
        }
    }
}

fn beat(heartbeat: &HeartbeatSource, status: &PolicyStatus, started: Instant) -> Heartbeat {
    let (mut beat, view) = (heartbeat(), status.view());
    beat.version = env!("CARGO_PKG_VERSION").into();
    if beat.capabilities.is_empty() {
        beat.capabilities = CAPABILITIES.iter().map(ToString::to_string).collect();
    }
    (beat.policy_serial, beat.policy_error) = (view.serial, view.error);
    beat.uptime = started.elapsed().as_secs();
    beat.interval = if beat.replicas.len() > MANY_REPLICAS { OLD_HEARTBEAT_SECONDS } else { HEARTBEAT_SECONDS };
    for (_, replica) in &mut beat.replicas {
        replica.interval = replica.interval().max(beat.interval);
    }
    beat
}
