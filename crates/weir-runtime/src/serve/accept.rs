//! The accept loop of every listener.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Accepts connections until `stop`, then closes the listener.
///
/// Before each accept it awaits `admit`, which yields a permit for one connection. While no permit is free, new
/// connections wait in the listener's backlog. Listeners that refuse connections instead yield `()` and decide in
/// `on_connection`. After an error, usually because file descriptors have run out, it calls `on_error` and waits for
/// `pause`.
pub async fn accept_connections<P, A: Future<Output = io::Result<P>>>(
    listener: TcpListener,
    stop: &CancellationToken,
    pause: Duration,
    admit: impl Fn() -> A,
    on_connection: impl Fn(TcpStream, SocketAddr, P),
    on_error: impl Fn(&io::Error),
) {
    loop {
        let accept = async {
            let permit = admit().await?;
            let (stream, peer) = listener.accept().await?;
            Ok((stream, peer, permit))
        };
        let accepted = tokio::select! {
            // A stopping listener accepts nothing more, even if connections wait.
            biased;
            () = stop.cancelled() => return,
            accepted = accept => accepted,
        };
        match accepted {
            Ok((stream, peer, permit)) => on_connection(stream, peer, permit),
            Err(error) => {
                on_error(&error);
                tokio::time::sleep(pause).await;
            }
        }
    }
}
