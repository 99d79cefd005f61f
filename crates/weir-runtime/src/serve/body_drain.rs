//! Discards the rest of a request body after the response.
//!
//! A request that was refused for its size, or before its body was read, is still being sent. Closing the connection at
//! that moment resets it, and a client that has not read the response yet never sees it. So the rest is read and
//! discarded first, within bounds. The connection can then be used again.

use bytes::Bytes;
use http::{HeaderMap, Version, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// Longest time spent on discarding a body.
const DRAIN_TIME: Duration = Duration::from_secs(2);
/// Most bytes discarded: twice the largest body of any route except uploads of rule packs. If a client sends more, the
/// connection closes.
const DRAIN_BYTES: usize = 32 << 20;

/// Reads and discards the rest of `body`. Returns true if it ended within `max` bytes and 2 seconds.
pub async fn drain<B>(body: &mut B, max: usize) -> bool
where
    B: Body<Data = Bytes> + Unpin,
{
    let discard = async {
        let mut read = 0usize;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            read = read.saturating_add(frame.data_ref().map_or(0, Bytes::len));
            if read > max {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(DRAIN_TIME, discard).await.unwrap_or(false)
}

/// A request body that goes back to its [`BodyDrain`] when the handler drops it.
pub(super) struct DrainableBody {
    body: Option<Incoming>,
    polled: bool,
    return_to: Option<oneshot::Sender<(Incoming, bool)>>,
}

/// Receives the body of a request when the handler has dropped it.
pub(super) struct BodyDrain {
    returned: oneshot::Receiver<(Incoming, bool)>,
    /// The client sends the body only after `100 Continue`, which hyper sends when the body is first polled.
    expects_continue: bool,
}

/// Makes `body` drainable. Gives it back unchanged if there is nothing to drain: it has ended already, or the request is
/// h2, where resetting a stream leaves the connection open.
pub(super) fn drainable(
    body: Incoming,
    version: Version,
    headers: &HeaderMap,
) -> Result<(DrainableBody, BodyDrain), Incoming> {
    if body.is_end_stream() || version >= Version::HTTP_2 {
        return Err(body);
    }
    let (return_to, returned) = oneshot::channel();
    let expects_continue = headers.contains_key(header::EXPECT);
    let body = DrainableBody { body: Some(body), polled: false, return_to: Some(return_to) };
    Ok((body, BodyDrain { returned, expects_continue }))
}

impl BodyDrain {
    /// Discards the rest of the body. Returns false if the connection must be closed because the rest is too long.
    pub async fn drain(mut self) -> bool {
        match self.returned.try_recv() {
            Ok((body, polled)) if body.is_end_stream() || (self.expects_continue && !polled) => true,
            Ok((mut body, _)) => drain(&mut body, DRAIN_BYTES).await,
            // The response body still reads the request body.
            Err(_) => true,
        }
    }
}

impl Drop for DrainableBody {
    fn drop(&mut self) {
        if let (Some(body), Some(return_to)) = (self.body.take(), self.return_to.take()) {
            // Fails if the request was cancelled; the body is dropped then.
            let _cancelled = return_to.send((body, self.polled));
        }
    }
}

impl Body for DrainableBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.polled = true;
        self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}
