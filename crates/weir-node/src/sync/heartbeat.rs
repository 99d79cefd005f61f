//! How the node is, told every 30 seconds and when its policy changes.

use super::link::Link;
use super::status::Status;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use weir_protocol::node_api::{CAPABILITIES, HEARTBEAT_SECONDS, Heartbeat};
use weir_runtime::backoff::Backoff;

/// What only the rest of the node knows: spool, signatures, replicas. Where it names no capabilities, those of this
/// build are told.
pub type Vitals = Arc<dyn Fn() -> Heartbeat + Send + Sync>;

/// Pause in which changes that follow one another are told as one.
const GATHER: Duration = Duration::from_millis(50);

/// The same for changes of many nodes: they get a policy together, and compile it for different times.
const GATHER_NODES: Duration = Duration::from_millis(500);

/// Tells how the node is until `stop`.
pub(super) async fn run(
    link: Arc<Link>,
    status: Arc<Status>,
    vitals: Vitals,
    nudged: Arc<Notify>,
    stop: CancellationToken,
) {
    let (started, mut backoff) = (Instant::now(), Backoff::default());
    let mut news = status.watch();
    loop {
        let beat = beat(&vitals, &status, started);
        news.mark_unchanged();
        let token = if beat.replicas.is_empty() { None } else { link.registration_token() };
        let told = tokio::select! {
            told = link.call(|client, identity| {
                let (beat, token) = (beat.clone(), token.clone());
                async move {
                    match token {
                        Some(token) => client.heartbeat_with(&identity, &beat, &token).await,
                        None => client.heartbeat(&identity, &beat).await,
                    }
                }
            }) => told,
            () = stop.cancelled() => return,
        };
        let pause = match told {
            Ok(()) => {
                backoff.reset();
                Duration::from_secs(HEARTBEAT_SECONDS)
            }
            Err(error) => {
                tracing::debug!(%error, "heartbeat");
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

fn beat(vitals: &Vitals, status: &Status, started: Instant) -> Heartbeat {
    let (mut beat, view) = (vitals(), status.view());
    beat.version = env!("CARGO_PKG_VERSION").into();
    if beat.capabilities.is_empty() {
        beat.capabilities = CAPABILITIES.iter().map(ToString::to_string).collect();
    }
    (beat.policy_serial, beat.policy_error) = (view.serial, view.error);
    beat.uptime = started.elapsed().as_secs();
    beat
}
