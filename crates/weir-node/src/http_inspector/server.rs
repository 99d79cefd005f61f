//! Connections: accept loop, TLS, limits, drain. HTTP itself is served by [`weir_runtime::serve`].

use super::config::Config;
use super::connection::Connection;
use super::service::Service;
use hyper::body::Incoming;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use weir_runtime::serve::{self, Accept, Caller, HttpConnection, Timeouts};
use weir_runtime::tls::Tls;

/// Streams of one h2 connection at once: a worker of a gateway shares one connection.
const MAX_STREAMS: u32 = 250;
/// Interval between pings on an h2 connection.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Longest wait for the answer to a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Interval between checks for unfinished copies when the node stops.
const DRAIN_PAUSE: Duration = Duration::from_millis(50);
/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The listening service.
pub struct Server {
    service: Arc<Service>,
    tls: Option<Arc<Tls>>,
    http: HttpConnection,
    tasks: TaskTracker,
}

impl Server {
    /// A server for `service`.
    pub fn new(service: Arc<Service>, tls: Option<Arc<Tls>>) -> Self {
        let mut builder = serve::http_builder(MAX_STREAMS);
        builder.http1().pipeline_flush(true);
        // A stream of Envoy is silent while the application works: the answers to pings show that the peer is there.
        builder.http2().keep_alive_interval(Some(PING_INTERVAL)).keep_alive_timeout(PING_TIMEOUT);
        let http = HttpConnection::new(builder, timeouts(service.config()));
        Self { service, tls, http, tasks: TaskTracker::new() }
    }

    /// Serves `listener` until `drain`, then finishes the calls in progress, for at most the configured time.
    /// Returns true if none was left unanswered.
    pub async fn serve(self, listener: impl Accept, drain: CancellationToken) -> bool {
        let slots = Arc::new(Semaphore::new(self.service.config().load.connections));
        if let Err(error) = self.service.admission().watch(&Handle::current()) {
            tracing::error!(%error, "overload by many calls will not be noticed: cannot start the thread that measures delays");
        }
        let server = Arc::new(self);
        let admit = || {
            let slots = Arc::clone(&slots);
            async move { slots.acquire_owned().await.map_err(std::io::Error::other) }
        };
        let on_connection = |stream, peer, permit| {
            server.tasks.spawn(Arc::clone(&server).connection(stream, peer, drain.child_token(), permit));
        };
        let on_error = |error: &std::io::Error| {
            server.service.telemetry().metrics.accept_errors.inc();
            tracing::warn!(%error, "cannot accept a connection");
        };
        serve::accept_connections(listener, &drain, ACCEPT_PAUSE, admit, on_connection, on_error).await;
        server.finish().await
    }

    async fn finish(&self) -> bool {
        self.tasks.close();
        let limit = self.service.config().drain_timeout;
        let rest = async {
            self.tasks.wait().await;
            while self.service.copies() > 0 {
                tokio::time::sleep(DRAIN_PAUSE).await;
            }
        };
        tokio::time::timeout(limit, rest).await.is_ok()
    }

    async fn connection<S>(
        self: Arc<Self>,
        stream: S,
        peer: impl Copy + Display + Into<Caller>,
        end: CancellationToken,
        _permit: OwnedSemaphorePermit,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let metrics = &self.service.telemetry().metrics;
        metrics.connections.inc();
        match &self.tls {
            None => self.serve_http(stream, Connection::new(peer.into(), false, end)).await,
            Some(tls) => match serve::tls_handshake(tls, stream, peer, self.service.config().header_timeout).await {
                Ok(stream) => {
                    let certificate = stream.get_ref().1.peer_certificates().is_some_and(|c| !c.is_empty());
                    self.serve_http(stream, Connection::new(peer.into(), certificate, end)).await;
                }
                Err(_) => {
                    metrics.tls_handshake_failures.inc();
                }
            },
        }
        metrics.connections.dec();
    }

    async fn serve_http<S>(&self, stream: S, connection: Connection)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connection = Arc::new(connection);
        let on_close = |reason| connection.end_because(&self.service.telemetry().metrics, reason);
        let handler = |request: http::Request<Incoming>| {
            let (service, connection) = (Arc::clone(&self.service), Arc::clone(&connection));
            async move {
                let http1 = request.version() < http::Version::HTTP_2;
                let mut response = service.handle(request, &connection).await;
                service.count_call(&connection, &mut response, http1);
                response
            }
        };
        self.http.serve(stream, connection.caller, &connection.end, on_close, handler).await;
    }
}

/// Time limits of connections. Up to `body_timeout` may pass without a byte while a request body is awaited.
fn timeouts(config: &Config) -> Timeouts {
    Timeouts {
        head: config.header_timeout,
        idle: config.idle_timeout,
        stalled: serve::DEFAULT_STALLED + config.body_timeout,
        age: config.per_connection.age,
    }
}
