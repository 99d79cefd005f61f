//! Serving a router on a listener, in plain text or over TLS, until told to stop: for the parts beside the verdict path.
//! The API for connectors has a listener of its own, whose connections are held by the same code.
//!
//! Who connects is not known yet, so everything that a connection can hold is bounded: how many there are, how many one
//! address may have, the time for a head, the time without a call, the time in which nothing moves.

mod connection;
mod leftover;
mod metrics;
mod room;
mod seen;
mod watched;

pub use connection::{Conversation, builder, shake_hands};
pub use leftover::drain;
pub use metrics::ServeMetrics;
pub use seen::{Patience, STILL};

use crate::tls::Tls;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use room::Room;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// Streams of one h2 connection at once.
const MAX_STREAMS: u32 = 100;
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
    let here = Here::new(&settings, router);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => match room.enter(peer.ip()) {
                Ok(place) => {
                    let talk = Arc::clone(&here).talk(stream, peer, stop.child_token());
                    let abort = abort.clone();
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

/// What the connections of a listener share.
struct Here {
    settings: Settings,
    conversation: Conversation,
    router: Router,
}

impl Here {
    fn new(settings: &Settings, router: Router) -> Arc<Self> {
        let Limits { head, idle, .. } = settings.limits;
        let patience = Patience { head, idle, still: STILL, age: None };
        let conversation = Conversation::new(builder(MAX_STREAMS), patience);
        Arc::new(Self { settings: settings.clone(), conversation, router })
    }

    async fn talk(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, end: CancellationToken) {
        let Settings { name, limits, metrics, tls } = &self.settings;
        let _counted = metrics.open(name);
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, %peer, "TCP_NODELAY");
        }
        match tls {
            None => self.hold(stream, peer, &end).await,
            Some(tls) => match shake_hands(tls, stream, peer, limits.head).await {
                Ok(stream) => self.hold(stream, peer, &end).await,
                Err(reason) => metrics.ended(name, reason),
            },
        }
    }

    async fn hold<S>(&self, stream: S, peer: SocketAddr, end: &CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let told = |reason| self.settings.metrics.ended(self.settings.name, reason);
        let answer = |request| answer(self.router.clone(), request, peer);
        self.conversation.hold(stream, peer, end, told, answer).await;
    }
}

async fn answer(router: Router, request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
    let (mut head, body) = request.into_parts();
    head.extensions.insert(ConnectInfo(Peer(peer)));
    let (body, leftover) = match leftover::lend(body, head.version, &head.headers) {
        Ok((body, leftover)) => (Body::new(body), Some(leftover)),
        Err(body) => (Body::new(body), None),
    };
    let Ok(mut response) = router.oneshot(Request::from_parts(head, body)).await;
    if let Some(leftover) = leftover
        && !leftover.drain().await
    {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
