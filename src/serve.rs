//! Serving a router on a listener, in plain text or over TLS, until told to stop: for the parts beside the verdict path.

use crate::tls::Tls;
use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// Longest TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// TLS handshakes at once; further connections wait in the system's queue.
const HANDSHAKES: usize = 256;
/// Pause after an error of the listener itself, as when file descriptors have run out.
const BACKOFF: Duration = Duration::from_millis(100);

/// Connections whose handshake is done.
struct TlsListener {
    done: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    local: SocketAddr,
}

impl TlsListener {
    fn start(listener: TcpListener, tls: Arc<Tls>, stop: CancellationToken) -> io::Result<Self> {
        let local = listener.local_addr()?;
        let (ready, done) = mpsc::channel(HANDSHAKES);
        let room = Arc::new(Semaphore::new(HANDSHAKES));
        tokio::spawn(async move {
            loop {
                let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = stop.cancelled() => return,
                };
                let Ok((stream, peer)) = accepted else {
                    tokio::time::sleep(BACKOFF).await;
                    continue;
                };
                let (tls, ready) = (TlsAcceptor::from(tls.current()), ready.clone());
                tokio::spawn(async move {
                    let _held = permit;
                    match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                        // The receiver is gone only when the server has stopped.
                        Ok(Ok(stream)) => drop(ready.send((stream, peer)).await),
                        Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
                        Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
                    }
                });
            }
        });
        Ok(Self { done, local })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.done.recv().await {
            Some(connection) => connection,
            // Stopped: the server stops waiting for us by its own signal.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

/// The peer of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Peer(*stream.remote_addr())
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        Peer(*stream.remote_addr())
    }
}

/// Serves `router` until `stop`; connections under way are then finished. Handlers can extract `ConnectInfo<Peer>`.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    let app = router.into_make_service_with_connect_info::<Peer>();
    let stopped = stop.clone().cancelled_owned();
    match tls {
        None => axum::serve(listener, app).with_graceful_shutdown(stopped).await,
        Some(tls) => {
            let listener = TlsListener::start(listener, tls, stop)?;
            axum::serve(listener, app).with_graceful_shutdown(stopped).await
        }
    }
}
