//! The accept loop of every listener.

use super::caller::Caller;
use super::unix_socket::UnixSocket;
use std::fmt::Display;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;

/// A listening socket.
pub trait Accept {
    /// A connection to it.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// The peer of a connection.
    type Peer: Copy + Display + Into<Caller> + Send + 'static;
    /// Waits for the next connection.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::Peer)>> + Send;
}

impl Accept for TcpListener {
    type Stream = TcpStream;
    type Peer = SocketAddr;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, %peer, "cannot set TCP_NODELAY");
        }
        Ok((stream, peer))
    }
}

impl Accept for UnixSocket {
    type Stream = UnixStream;
    type Peer = Caller;

    async fn accept(&self) -> io::Result<(UnixStream, Caller)> {
        let (stream, _) = self.listener.accept().await?;
        let caller = Caller::Unix(stream.peer_cred()?.uid());
        Ok((stream, caller))
    }
}

/// Accepts connections until `stop`, then closes the listener.
///
/// Before each accept it awaits `admit`, which yields a permit for one connection. While no permit is free, new
/// connections wait in the listener's backlog. Listeners that refuse connections instead yield `()` and decide in
/// `on_connection`. After an error, usually because file descriptors have run out, it calls `on_error` and waits for
/// `pause`.
pub async fn accept_connections<L: Accept, P, A: Future<Output = io::Result<P>>>(
    listener: L,
    stop: &CancellationToken,
    pause: Duration,
    admit: impl Fn() -> A,
    on_connection: impl Fn(L::Stream, L::Peer, P),
    on_error: impl Fn(&io::Error),
) {
    loop {
        let accept = async {
            let permit = admit().await?;
            let (stream, peer) = listener.accept().await?;
            Ok((stream, peer, permit))
        };
        // Unconstrained: whoever waits in the backlog is accepted in one turn of this task. With tokio's budget of 128 a turn,
        // an overloaded node, on which a turn comes every 100 ms, would let callers wait for seconds before it refuses them.
        let accepted = tokio::task::unconstrained(async {
            tokio::select! {
                // A stopping listener accepts nothing more, even if connections wait.
                biased;
                () = stop.cancelled() => None,
                accepted = accept => Some(accepted),
            }
        });
        let Some(accepted) = accepted.await else { return };
        match accepted {
            Ok((stream, peer, permit)) => on_connection(stream, peer, permit),
            Err(error) => {
                on_error(&error);
                tokio::time::sleep(pause).await;
            }
        }
    }
}
