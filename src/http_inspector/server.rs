//! Connections: accepts, TLS, HTTP/1.1 and h2 (by ALPN, or by prior knowledge in plain text), bounds, drain.

use super::service::Service;
use crate::telemetry::metrics::{Metrics, Reason};
use crate::tls::Tls;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Streams of one h2 connection at once: a worker of a gateway shares one connection.
const MAX_STREAMS: u32 = 250;
/// Octets of the head of a call.
const MAX_HEAD: usize = 64 << 10;
/// Header lines of the head of a call.
const MAX_HEADERS: usize = 100;
/// Least wait between two looks at an idle connection.
const LEAST_WAIT: Duration = Duration::from_millis(50);
/// Wait after a failed accept: out of file descriptors, mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// One connection.
pub struct Connection {
    /// Who called.
    pub peer: SocketAddr,
    /// Whether it showed a valid client certificate.
    pub certificate: bool,
    /// Calls answered.
    pub(super) calls: AtomicU64,
    /// Octets received.
    pub(super) bytes: AtomicU64,
    under_way: AtomicU64,
    /// Milliseconds after `start` when the last call ended.
    last: AtomicU64,
    start: Instant,
    ended: AtomicBool,
    end: CancellationToken,
}

impl Connection {
    fn new(peer: SocketAddr, certificate: bool, end: CancellationToken) -> Self {
        let (calls, bytes, under_way, last, ended) = Default::default();
        Self { peer, certificate, calls, bytes, under_way, last, start: Instant::now(), ended, end }
    }

    /// Counts octets received.
    pub fn received(&self, octets: usize) {
        self.bytes.fetch_add(octets as u64, Ordering::Relaxed);
    }

    /// Ends the connection after the answers under way: `Connection: close`, GOAWAY.
    pub fn end(&self) {
        self.end.cancel();
    }

    /// Ends the connection and counts why, once.
    pub fn end_because(&self, metrics: &Metrics, reason: &'static str) {
        if !self.ended.swap(true, Ordering::Relaxed) {
            metrics.connections_ended.get_or_create(&Reason { reason }).inc();
        }
        self.end();
    }

    /// Whether it ends after the answers under way.
    pub fn is_ending(&self) -> bool {
        self.end.is_cancelled()
    }

    fn idle(&self) -> Option<Duration> {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        (self.under_way.load(Ordering::Relaxed) == 0).then(|| self.start.elapsed().saturating_sub(last))
    }
}

/// Marks a call under way.
struct UnderWay<'c>(&'c Connection);

impl<'c> UnderWay<'c> {
    fn new(connection: &'c Connection) -> Self {
        connection.under_way.fetch_add(1, Ordering::Relaxed);
        Self(connection)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.last.store(self.0.start.elapsed().as_millis() as u64, Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The listening service.
pub struct Server {
    service: Arc<Service>,
    tls: Option<Arc<Tls>>,
    builder: Arc<auto::Builder<TokioExecutor>>,
    tasks: TaskTracker,
}

impl Server {
    /// A server for `service`.
    pub fn new(service: Arc<Service>, tls: Option<Arc<Tls>>) -> Self {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        let config = service.config();
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(config.header_timeout)
            .max_buf_size(MAX_HEAD.max(8192))
            .max_headers(MAX_HEADERS)
            .pipeline_flush(true);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD as u32)
            .keep_alive_interval(config.idle_timeout / 2)
            .keep_alive_timeout(config.header_timeout);
        Self { service, tls, builder: Arc::new(builder), tasks: TaskTracker::new() }
    }

    /// Serves `listener` until `drain`, then answers what is under way, for at most the configured time.
    /// True if nothing was left unanswered.
    pub async fn serve(self, listener: TcpListener, drain: CancellationToken) -> bool {
        let room = Arc::new(Semaphore::new(self.service.config().load.connections));
        let probe = tokio::spawn(Arc::clone(self.service.admission()).probe());
        let server = Arc::new(self);
        loop {
            tokio::select! {
                biased;
                () = drain.cancelled() => break,
                accepted = accept(&listener, &room) => match accepted {
                    Ok((stream, peer, permit)) => {
                        let end = drain.child_token();
                        let task = Arc::clone(&server).connection(stream, peer, end, permit);
                        server.tasks.spawn(task);
                    }
                    Err(error) => {
                        server.service.telemetry().metrics.accept_errors.inc();
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        let drained = server.finish().await;
        probe.abort();
        drained
    }

    async fn finish(&self) -> bool {
        self.tasks.close();
        let limit = self.service.config().drain_timeout;
        let rest = async {
            self.tasks.wait().await;
            while self.service.copies() > 0 {
                tokio::time::sleep(LEAST_WAIT).await;
            }
        };
        tokio::time::timeout(limit, rest).await.is_ok()
    }

    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        end: CancellationToken,
        _permit: OwnedSemaphorePermit,
    ) {
        let metrics = &self.service.telemetry().metrics;
        metrics.connections.inc();
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, %peer, "TCP_NODELAY");
        }
        match &self.tls {
            None => self.talk(stream, Connection::new(peer, false, end)).await,
            Some(tls) => {
                let handshake = tokio_rustls::TlsAcceptor::from(tls.current()).accept(stream);
                match tokio::time::timeout(self.service.config().header_timeout, handshake).await {
                    Ok(Ok(stream)) => {
                        let certificate = stream.get_ref().1.peer_certificates().is_some_and(|c| !c.is_empty());
                        self.talk(stream, Connection::new(peer, certificate, end)).await;
                    }
                    Ok(Err(error)) => {
                        metrics.tls_handshake_failures.inc();
                        tracing::debug!(%error, %peer, "TLS handshake");
                    }
                    Err(_) => {
                        metrics.tls_handshake_failures.inc();
                        tracing::debug!(%peer, "TLS handshake timed out");
                    }
                }
            }
        }
        metrics.connections.dec();
    }

    async fn talk<S>(&self, stream: S, connection: Connection)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connection = Arc::new(connection);
        let (service, here) = (Arc::clone(&self.service), Arc::clone(&connection));
        let answer = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let (service, connection) = (Arc::clone(&service), Arc::clone(&here));
            async move {
                let _under_way = UnderWay::new(&connection);
                let http1 = request.version() < http::Version::HTTP_2;
                let mut response = service.answer(request, &connection).await;
                service.account(&connection, &mut response, http1);
                Ok::<_, Infallible>(response)
            }
        });
        let mut talking = pin!(self.builder.serve_connection(TokioIo::new(stream), answer));
        let mut ending = false;
        loop {
            let wait = self.until_next_look(&connection, ending);
            tokio::select! {
                ended = talking.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, peer = %connection.peer, "connection");
                    }
                    return;
                }
                () = connection.end.cancelled(), if !ending => {
                    ending = true;
                    talking.as_mut().graceful_shutdown();
                }
                () = tokio::time::sleep(wait) => {
                    if ending && connection.idle().is_some_and(|idle| idle > self.service.config().header_timeout) {
                        return;
                    }
                    self.look(&connection);
                }
            }
        }
    }

    /// How long until the connection may be idle or old enough to end.
    fn until_next_look(&self, connection: &Connection, ending: bool) -> Duration {
        let config = self.service.config();
        let age = config.per_connection.age.map(|max| max.saturating_sub(connection.start.elapsed()));
        // A connection that never sent anything gets the time of a head, not that of an idle one.
        let silent = connection.calls.load(Ordering::Relaxed) == 0;
        let patience = if silent || ending { config.header_timeout } else { config.idle_timeout };
        let idle = patience.saturating_sub(connection.idle().unwrap_or_default());
        age.filter(|_| !ending).map_or(idle, |age| age.min(idle)).max(LEAST_WAIT)
    }

    fn look(&self, connection: &Connection) {
        let (config, metrics) = (self.service.config(), &self.service.telemetry().metrics);
        if config.per_connection.age.is_some_and(|max| connection.start.elapsed() >= max) {
            connection.end_because(metrics, "age");
        }
        let silent = connection.calls.load(Ordering::Relaxed) == 0;
        let patience = if silent { config.header_timeout } else { config.idle_timeout };
        if connection.idle().is_some_and(|idle| idle >= patience) {
            connection.end_because(metrics, "idle");
        }
    }
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, permit))
}
