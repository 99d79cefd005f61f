//! One connection: HTTP/1.1 or h2, watched so that it ends where it only takes up room.

use super::{Limits, Peer, Settings};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Streams of one h2 connection at once.
const MAX_STREAMS: u32 = 100;
/// Octets of the head of a call.
const MAX_HEAD: usize = 64 << 10;
/// Header lines of the head of a call.
const MAX_HEADERS: usize = 100;
/// Longest time in which no octet moves though a call is under way: a long poll is silent for less.
const STILL: Duration = Duration::from_secs(150);
/// Least wait between two looks at a connection.
const LEAST_WAIT: Duration = Duration::from_millis(50);
/// Value of [`Seen::head`] where no head is being read.
const NO_HEAD: u64 = u64::MAX;

/// How hyper is set up.
type Builder = auto::Builder<TokioExecutor>;

/// What the connections of a listener share.
pub(super) struct Here {
    builder: Builder,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
}

/// What is known of a connection. Times are milliseconds after `start`.
struct Seen {
    start: Instant,
    under_way: AtomicU64,
    /// A call has begun.
    called: AtomicBool,
    /// When the last call ended.
    last: AtomicU64,
    /// When the first octet came that may be the head of the next call.
    head: AtomicU64,
    /// When an octet moved last.
    moved: AtomicU64,
    h2: AtomicBool,
}

impl Seen {
    fn new() -> Self {
        let (under_way, called, last, moved, h2) = Default::default();
        Self { start: Instant::now(), under_way, called, last, head: NO_HEAD.into(), moved, h2 }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(NO_HEAD - 1)
    }

    fn since(&self, time: &AtomicU64) -> Duration {
        Duration::from_millis(self.now().saturating_sub(time.load(Ordering::Relaxed)))
    }

    fn read(&self) {
        let now = self.now();
        self.moved.store(now, Ordering::Relaxed);
        if self.under_way.load(Ordering::Relaxed) == 0 {
            // The first one counts; nobody minds who wins.
            let _first = self.head.compare_exchange(NO_HEAD, now, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    fn wrote(&self) {
        self.moved.store(self.now(), Ordering::Relaxed);
    }

    /// Why the connection is to end, or how long until it may be.
    fn look(&self, limits: &Limits) -> Result<Duration, &'static str> {
        let h1_head = (!self.h2.load(Ordering::Relaxed)).then(|| self.since(&self.head));
        let (reason, spent, limit) = if self.under_way.load(Ordering::Relaxed) > 0 {
            ("still", self.since(&self.moved), STILL)
        } else if !self.called.load(Ordering::Relaxed) {
            ("silent", self.start.elapsed(), limits.head)
        } else {
            match h1_head.filter(|_| self.head.load(Ordering::Relaxed) != NO_HEAD) {
                Some(spent) => ("head", spent, limits.head),
                None => ("idle", self.since(&self.last), limits.idle),
            }
        };
        if spent >= limit { Err(reason) } else { Ok((limit - spent).max(LEAST_WAIT)) }
    }
}

/// Marks a call under way, from its head to the end of its answer.
struct UnderWay(Arc<Seen>);

impl UnderWay {
    fn new(seen: &Arc<Seen>, version: Version) -> Self {
        seen.under_way.fetch_add(1, Ordering::Relaxed);
        seen.called.store(true, Ordering::Relaxed);
        seen.head.store(NO_HEAD, Ordering::Relaxed);
        seen.h2.store(version >= Version::HTTP_2, Ordering::Relaxed);
        Self(Arc::clone(seen))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.last.store(self.0.now(), Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Here {
    pub fn new(settings: &Settings, router: Router, stop: CancellationToken) -> Arc<Self> {
        let mut builder = Builder::new(TokioExecutor::new());
        // No `header_read_timeout`: hyper's runs while a connection idles, too. `Seen` knows the difference.
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD as u32);
        Arc::new(Self { builder, router, limits: settings.limits, stop })
    }

    /// Answers the calls of a connection. Why it was ended, where it did not end by itself.
    pub async fn talk<S>(&self, stream: S, peer: SocketAddr) -> Option<&'static str>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let seen = Arc::new(Seen::new());
        let stream = TokioIo::new(Watched { stream, seen: Arc::clone(&seen) });
        let (router, calls) = (self.router.clone(), Arc::clone(&seen));
        let answer =
            service_fn(move |request: Request<Incoming>| answer(router.clone(), Arc::clone(&calls), request, peer));
        let mut talking = pin!(self.builder.serve_connection(stream, answer));
        let mut ending = false;
        loop {
            let wait = match seen.look(&self.limits) {
                Ok(wait) => wait,
                Err(reason) => return Some(reason),
            };
            tokio::select! {
                ended = talking.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%peer, %error, "connection");
                    }
                    return None;
                }
                () = self.stop.cancelled(), if !ending => {
                    ending = true;
                    talking.as_mut().graceful_shutdown();
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

async fn answer(
    router: Router,
    seen: Arc<Seen>,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Result<Response<Answer>, Infallible> {
    let call = UnderWay::new(&seen, request.version());
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(Peer(peer)));
    let response = router.oneshot(request).await?;
    Ok(response.map(|body| Answer { body, _call: call }))
}

/// The body of an answer; its call is under way as long as it is there.
struct Answer {
    body: Body,
    _call: UnderWay,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream whose octets are noticed.
struct Watched<S> {
    stream: S,
    seen: Arc<Seen>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.seen.read();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, octets);
        self.noted(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, octets);
        self.noted(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S> Watched<S> {
    fn noted(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(polled, Poll::Ready(Ok(1..))) {
            self.seen.wrote();
        }
        polled
    }
}
