//! Bodies that are made while they are read: exports of any length in little memory. One that cannot be made to its end is broken
//! off, so that no reader takes a part for the whole.

use axum::body::{Body, Bytes};
use http_body::Frame;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;

/// Pieces made ahead of the reader.
const AHEAD: usize = 4;
/// Longest wait for a reader who takes nothing; then the export ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the pieces of a body go.
pub struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Pieces {
    /// Hands out a piece; false when the reader is gone.
    pub async fn send(&self, piece: impl Into<Bytes>) -> bool {
        self.pass(Ok(piece.into())).await
    }

    /// Ends the body as one that is not whole: the connection breaks off.
    pub async fn break_off(self) {
        let _gone = self.pass(Err(io::Error::other("the body broke off"))).await;
    }

    async fn pass(&self, piece: io::Result<Bytes>) -> bool {
        let sent = tokio::time::timeout(PATIENCE, self.0.send(piece)).await;
        matches!(sent, Ok(Ok(())))
    }
}

struct Chunks(mpsc::Receiver<io::Result<Bytes>>);

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// A body and where its pieces go.
pub fn body() -> (Pieces, Body) {
    let (send, receive) = mpsc::channel(AHEAD);
    (Pieces(send), Body::new(Chunks(receive)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_breaks_off_is_not_taken_for_a_whole_one() {
        for whole in [true, false] {
            let (pieces, body) = body();
            assert!(pieces.send("a part").await);
            if whole {
                drop(pieces);
            } else {
                pieces.break_off().await;
            }
            assert_eq!(axum::body::to_bytes(body, 100).await.is_ok(), whole);
        }
    }
}
