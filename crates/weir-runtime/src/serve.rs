//! Serves a router on a listener, in plain text or over TLS, until stopped. The connector API has a listener of its own,
//! which shares the accept loop ([`accept_connections`]) and the connections ([`HttpConnection`]).
//!
//! A peer is not authenticated when it connects, so everything that a connection can use is bounded: the number of
//! connections in total and per address, the time for a head, the time without a request, the time without progress.

mod accept;
mod activity;
mod body_drain;
mod caller;
mod connection;
mod connection_limit;
mod metrics;
mod tracked_io;
mod unix_socket;

pub use accept::{Accept, accept_connections};
pub use activity::{DEFAULT_STALLED, Timeouts};
pub use body_drain::drain;
pub use caller::Caller;
pub use connection::{HttpConnection, http_builder, tls_handshake};
pub use metrics::ServeMetrics;
pub use unix_socket::{MAX_PATH as MAX_SOCKET_PATH, UnixSocket};

use crate::tls::Tls;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use connection_limit::ConnectionLimiter;
use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// Most concurrent streams of one h2 connection.
const MAX_STREAMS: u32 = 100;
/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most open connections; further ones are closed at once. One address may have half of them.
    pub connections: usize,
    /// Longest time for a TLS handshake, from the connection to its first request, and for the head of each further one.
    pub head: Duration,
    /// Longest time without a request.
    pub idle: Duration,
    /// Longest wait for active requests on stop.
    pub drain: Duration,
}

/// Settings of a listener.
#[derive(Clone)]
pub struct Settings {
    /// Its label in metrics.
    pub name: &'static str,
    /// Its bounds.
    pub limits: Limits,
    /// Its connections are counted here.
    pub metrics: ServeMetrics,
    /// Certificates; plain text if none.
    pub tls: Option<Arc<Tls>>,
}

/// The peer of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Serves `router` until `stop`, then finishes active requests for at most [`Limits::drain`]. Handlers can extract
/// `ConnectInfo<Peer>`.
pub async fn serve(listener: TcpListener, settings: Settings, router: Router, stop: CancellationToken) {
    let (tasks, abort) = (TaskTracker::new(), CancellationToken::new());
    let limiter = ConnectionLimiter::new(settings.limits.connections);
    let state = ListenerState::new(&settings, router);
    let on_connection = |stream, peer: SocketAddr, ()| match limiter.acquire(peer.ip()) {
        Ok(permit) => {
            let connection = Arc::clone(&state).serve_connection(stream, peer, stop.child_token());
            let abort = abort.clone();
            tasks.spawn(async move {
                let _permit = permit;
                abort.run_until_cancelled(connection).await
            });
        }
        Err(exceeded) => settings.metrics.ended(settings.name, exceeded.code()),
    };
    let on_error = |error: &std::io::Error| {
        settings.metrics.ended(settings.name, "accept_error");
        tracing::warn!(%error, listener = settings.name, "cannot accept a connection");
    };
    accept_connections(listener, &stop, ACCEPT_PAUSE, async || Ok(()), on_connection, on_error).await;
    tasks.close();
    if tokio::time::timeout(settings.limits.drain, tasks.wait()).await.is_err() {
        tracing::warn!(
            listener = settings.name,
            connections = tasks.len(),
            "closing connections that did not drain in time"
        );
        abort.cancel();
        tasks.wait().await;
    }
}

/// Shared by the connections of a listener.
struct ListenerState {
    settings: Settings,
    http: HttpConnection,
    router: Router,
}

impl ListenerState {
    fn new(settings: &Settings, router: Router) -> Arc<Self> {
        let Limits { head, idle, .. } = settings.limits;
        let timeouts = Timeouts { head, idle, stalled: DEFAULT_STALLED, age: None };
        let http = HttpConnection::new(http_builder(MAX_STREAMS), timeouts);
        Arc::new(Self { settings: settings.clone(), http, router })
    }

    async fn serve_connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, stop: CancellationToken) {
        let Settings { name, limits, metrics, tls } = &self.settings;
        let _open = metrics.open(name);
        match tls {
            None => self.serve_http(stream, peer, &stop).await,
            Some(tls) => match tls_handshake(tls, stream, peer, limits.head).await {
                Ok(stream) => self.serve_http(stream, peer, &stop).await,
                Err(reason) => metrics.ended(name, reason),
            },
        }
    }

    async fn serve_http<S>(&self, stream: S, peer: SocketAddr, stop: &CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let on_close = |reason| self.settings.metrics.ended(self.settings.name, reason);
        let handler = |request| respond(self.router.clone(), request, peer);
        self.http.serve(stream, peer, stop, on_close, handler).await;
    }
}

async fn respond(router: Router, request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
    let (mut head, body) = request.into_parts();
    head.extensions.insert(ConnectInfo(Peer(peer)));
    let (body, rest) = match body_drain::drainable(body, head.version, &head.headers) {
        Ok((body, rest)) => (Body::new(body), Some(rest)),
        Err(body) => (Body::new(body), None),
    };
    let Ok(mut response) = router.oneshot(Request::from_parts(head, body)).await;
    if let Some(rest) = rest
        && !rest.drain().await
    {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
