//! Bodies that are made while they are read: exports of any length in little memory.

use axum::body::{Body, Bytes};
use http_body::Frame;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;

/// Pieces made ahead of the reader.
const AHEAD: usize = 4;
/// Longest wait for a reader who takes nothing; then the export ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the pieces of a body go.
pub struct Pieces(mpsc::Sender<Bytes>);

impl Pieces {
    /// Hands out a piece; false when the reader is gone.
    pub async fn send(&self, piece: impl Into<Bytes>) -> bool {
        let sent = tokio::time::timeout(PATIENCE, self.0.send(piece.into())).await;
        matches!(sent, Ok(Ok(())))
    }
}

struct Chunks(mpsc::Receiver<Bytes>);

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// A body and where its pieces go.
pub fn body() -> (Pieces, Body) {
    let (send, receive) = mpsc::channel(AHEAD);
    (Pieces(send), Body::new(Chunks(receive)))
}
