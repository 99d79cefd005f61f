//! Serving a router on a listener, in plain text or over TLS, until told to stop: for the parts beside the verdict path.
//!
//! Who connects is not known yet, so everything that a connection can hold is bounded: how many there are, how many one
//! address may have, the time for a head, the time without a call, the time in which nothing moves.

mod connection;
mod metrics;
mod room;

pub use metrics::ServeMetrics;

use crate::tls::Tls;
use axum::Router;
use connection::Here;
use room::Room;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Pause after an error of the listener itself, as when file descriptors have run out.
const BACKOFF: Duration = Duration::from_millis(100);

/// Bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections; further ones are closed at once. One address may have half of them.
    pub connections: usize,
    /// Longest time for a TLS handshake, from the connection to its first call, and for the head of each further one.
    pub head: Duration,
    /// Longest time without a call.
    pub idle: Duration,
    /// Longest time that calls under way are waited for on stop.
    pub drain: Duration,
}

/// A listener's settings.
#[derive(Clone)]
pub struct Settings {
    /// Its name in metrics.
    pub name: &'static str,
    /// Its bounds.
    pub limits: Limits,
    /// Where it counts.
    pub metrics: ServeMetrics,
    /// Certificates; plain text without.
    pub tls: Option<Arc<Tls>>,
}

/// The peer of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Serves `router` until `stop`; calls under way are then finished, for as long as the limits say. Handlers can extract
/// `ConnectInfo<Peer>`.
pub async fn serve(listener: TcpListener, settings: Settings, router: Router, stop: CancellationToken) {
    let (tasks, abort) = (TaskTracker::new(), CancellationToken::new());
    let (drain, room) = (settings.limits.drain, Room::new(settings.limits.connections));
    let here = Here::new(&settings, router, stop.clone());
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => match room.enter(peer.ip()) {
                Ok(place) => {
                    let (talk, abort) = (talk(Arc::clone(&here), settings.clone(), stream, peer), abort.clone());
                    tasks.spawn(async move {
                        let _held = place;
                        abort.run_until_cancelled(talk).await
                    });
                }
                Err(full) => settings.metrics.ended(settings.name, full.code()),
            },
            Err(error) => pause(&settings, &error).await,
        }
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(drain, tasks.wait()).await.is_err() {
        tracing::warn!(listener = settings.name, connections = tasks.len(), "connections that did not end are cut");
        abort.cancel();
        tasks.wait().await;
    }
}

async fn pause(settings: &Settings, error: &io::Error) {
    settings.metrics.ended(settings.name, "accept_error");
    tracing::warn!(%error, listener = settings.name, "a connection could not be accepted");
    tokio::time::sleep(BACKOFF).await;
}

async fn talk(here: Arc<Here>, settings: Settings, stream: TcpStream, peer: SocketAddr) {
    let (name, metrics) = (settings.name, settings.metrics);
    let _counted = metrics.open(name);
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, %peer, "TCP_NODELAY");
    }
    let ended = match settings.tls {
        None => here.talk(stream, peer).await,
        Some(tls) => {
            let handshake = TlsAcceptor::from(tls.current()).accept(stream);
            match tokio::time::timeout(settings.limits.head, handshake).await {
                Ok(Ok(stream)) => here.talk(stream, peer).await,
                Ok(Err(error)) => {
                    tracing::debug!(%peer, %error, "TLS handshake failed");
                    Some("tls")
                }
                Err(_) => Some("silent"),
            }
        }
    };
    ended.into_iter().for_each(|reason| metrics.ended(name, reason));
}
