//! One connection: HTTP/1.1 or h2 (chosen by ALPN, or by prior knowledge in plain text), closed when it exceeds one of
//! its [`Timeouts`].

use super::activity::{ActiveRequest, ConnectionActivity, Decision, Timeouts};
use super::tracked_io::{TrackedBody, TrackedStream};
use crate::tls::Tls;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::fmt::Display;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// Most bytes of a request head.
const MAX_HEAD: usize = 64 << 10;
/// Most header lines of a request head.
const MAX_HEADERS: usize = 100;

/// hyper's builder for server connections.
pub type Builder = auto::Builder<TokioExecutor>;

/// hyper with the bounds that every listener has. `streams` is the most concurrent streams of one h2 connection.
pub fn http_builder(streams: u32) -> Builder {
    let mut builder = Builder::new(TokioExecutor::new());
    // No `header_read_timeout`: it would also run while a connection is idle. `ConnectionActivity` distinguishes the two.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(streams).max_header_list_size(MAX_HEAD as u32);
    builder
}

/// Performs the TLS handshake within `limit`. The error is a value of a metric label: `tls` or `silent`.
pub async fn tls_handshake<S: AsyncRead + AsyncWrite + Unpin>(
    tls: &Tls,
    stream: S,
    peer: impl Display,
    limit: Duration,
) -> Result<TlsStream<S>, &'static str> {
    match tokio::time::timeout(limit, TlsAcceptor::from(tls.current()).accept(stream)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "TLS handshake failed");
            Err("tls")
        }
        Err(_) => {
            tracing::debug!(%peer, "TLS handshake timed out");
            Err("silent")
        }
    }
}

/// Serves HTTP on the connections of a listener.
pub struct HttpConnection {
    builder: Builder,
    timeouts: Timeouts,
}

impl HttpConnection {
    /// Connections set up by `builder` and bounded by `timeouts`.
    pub fn new(builder: Builder, timeouts: Timeouts) -> Self {
        Self { builder, timeouts }
    }

    /// Serves requests on `stream` until the connection closes. After `stop` it finishes the active requests, then
    /// closes. `on_close` gets the reason, a value of a metric label, if a timeout closes the connection.
    pub async fn serve<S, F, R>(
        &self,
        stream: S,
        peer: impl Display + Send,
        stop: &CancellationToken,
        on_close: impl Fn(&'static str) + Send,
        handler: F,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Fn(Request<Incoming>) -> R + Send,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        let activity = Arc::new(ConnectionActivity::new());
        let stream = TokioIo::new(TrackedStream { stream, activity: Arc::clone(&activity) });
        let requests = Arc::clone(&activity);
        let service = service_fn(move |request: Request<Incoming>| {
            let active = ActiveRequest::new(&requests, request.version());
            let response = handler(request);
            async move { Ok::<_, Infallible>(response.await.map(|body| TrackedBody { body, _request: active })) }
        });
        let mut http = pin!(self.builder.serve_connection(stream, service));
        let mut draining_since = None;
        loop {
            let wait = match activity.decide(&self.timeouts, draining_since) {
                Decision::Wait(wait) => wait,
                Decision::Drain(reason) => {
                    on_close(reason);
                    stop.cancel();
                    self.timeouts.head
                }
                Decision::Abort(reason) => {
                    if draining_since.is_none() {
                        on_close(reason);
                    }
                    return;
                }
            };
            tokio::select! {
                // Handle arrived bytes before the timer: the request may have come in time.
                biased;
                ended = http.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%peer, %error, "connection closed with an error");
                    }
                    return;
                }
                () = stop.cancelled(), if draining_since.is_none() => {
                    draining_since = Some(Instant::now());
                    http.as_mut().graceful_shutdown();
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}
