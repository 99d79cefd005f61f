//! One connection: HTTP/1.1 or h2 (by ALPN, or by prior knowledge in plain text), watched so that it ends where it only
//! takes up room.

use super::seen::{Look, Patience, Seen, UnderWay};
use super::watched::{Answer, Watched};
use crate::tls::Tls;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// Bytes of the head of a call.
const MAX_HEAD: usize = 64 << 10;
/// Header lines of the head of a call.
const MAX_HEADERS: usize = 100;

/// How hyper is set up.
pub type Builder = auto::Builder<TokioExecutor>;

/// hyper with the bounds that every listener has; `streams`: those of one h2 connection at once.
pub fn builder(streams: u32) -> Builder {
    let mut builder = Builder::new(TokioExecutor::new());
    // No `header_read_timeout`: hyper's runs while a connection idles, too. `Seen` knows the difference.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(streams).max_header_list_size(MAX_HEAD as u32);
    builder
}

/// The stream over TLS, or why there is none.
pub async fn shake_hands(
    tls: &Tls,
    stream: TcpStream,
    peer: SocketAddr,
    limit: Duration,
) -> Result<TlsStream<TcpStream>, &'static str> {
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

/// How the connections of a listener are served.
pub struct Conversation {
    builder: Builder,
    patience: Patience,
}

impl Conversation {
    /// With hyper set up as `builder`.
    pub fn new(builder: Builder, patience: Patience) -> Self {
        Self { builder, patience }
    }

    /// Answers the calls of a connection until it ends, or until `end` and the answers that are under way then. `told`
    /// hears why it ends where it does not end by itself.
    pub async fn hold<S, F, A>(
        &self,
        stream: S,
        peer: SocketAddr,
        end: &CancellationToken,
        told: impl Fn(&'static str) + Send,
        answer: F,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Fn(Request<Incoming>) -> A + Send,
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        let seen = Arc::new(Seen::new());
        let stream = TokioIo::new(Watched { stream, seen: Arc::clone(&seen) });
        let calls = Arc::clone(&seen);
        let service = service_fn(move |request: Request<Incoming>| {
            let call = UnderWay::new(&calls, request.version());
            let answered = answer(request);
            async move { Ok::<_, Infallible>(answered.await.map(|body| Answer { body, _call: call })) }
        });
        let mut talking = pin!(self.builder.serve_connection(stream, service));
        let mut ending = None;
        loop {
            let wait = match seen.look(&self.patience, ending) {
                Look::Wait(wait) => wait,
                Look::End(reason) => {
                    told(reason);
                    end.cancel();
                    self.patience.head
                }
                Look::Cut(reason) => {
                    if ending.is_none() {
                        told(reason);
                    }
                    return;
                }
            };
            tokio::select! {
                // What has come counts before the time that it took.
                biased;
                ended = talking.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%peer, %error, "connection");
                    }
                    return;
                }
                () = end.cancelled(), if ending.is_none() => {
                    ending = Some(Instant::now());
                    talking.as_mut().graceful_shutdown();
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}
