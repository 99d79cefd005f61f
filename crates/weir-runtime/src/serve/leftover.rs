//! What is left of a body when the call has its answer.
//!
//! A call that was refused for its size, or before its body was looked at, is still being sent. To close the connection
//! then resets it, and a client that has not read the answer never sees it. So the rest is read and thrown away first,
//! within bounds; the connection can then be used again.

use bytes::Bytes;
use http::{HeaderMap, Version, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// Longest time spent on throwing a body away.
const DRAIN_TIME: Duration = Duration::from_secs(2);
/// Most bytes thrown away: twice the largest body of any route, uploads of packs apart. Whoever sends more is to notice
/// the end of the connection.
const DRAIN_BYTES: usize = 32 << 20;

/// Reads what is left of `body` and keeps nothing. True where it ended within `max` bytes and the allowed time.
pub async fn drain<B>(body: &mut B, max: usize) -> bool
where
    B: Body<Data = Bytes> + Unpin,
{
    let left = async {
        let mut seen = 0usize;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            seen = seen.saturating_add(frame.data_ref().map_or(0, Bytes::len));
            if seen > max {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(DRAIN_TIME, left).await.unwrap_or(false)
}

/// The body of a call, which comes back when whoever answers the call is done with it.
pub(super) struct Lent {
    body: Option<Incoming>,
    asked: bool,
    home: Option<oneshot::Sender<(Incoming, bool)>>,
}

/// Where the body of a call comes back to.
pub(super) struct Leftover {
    back: oneshot::Receiver<(Incoming, bool)>,
    /// The client sends the body when it is asked for it, which hyper does at the first look at it.
    waits: bool,
}

/// Lends `body`; none where nothing can be left of it, or where what is left is no matter: h2 ends one stream alone.
pub(super) fn lend(body: Incoming, version: Version, headers: &HeaderMap) -> Result<(Lent, Leftover), Incoming> {
    if body.is_end_stream() || version >= Version::HTTP_2 {
        return Err(body);
    }
    let (home, back) = oneshot::channel();
    let waits = headers.contains_key(header::EXPECT);
    Ok((Lent { body: Some(body), asked: false, home: Some(home) }, Leftover { back, waits }))
}

impl Leftover {
    /// Throws away what is left. False where the connection is of no use any more, as more comes.
    pub async fn drain(mut self) -> bool {
        match self.back.try_recv() {
            Ok((body, asked)) if body.is_end_stream() || (self.waits && !asked) => true,
            Ok((mut body, _)) => drain(&mut body, DRAIN_BYTES).await,
            // The answer itself reads it.
            Err(_) => true,
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(home)) = (self.body.take(), self.home.take()) {
            // Nobody waits for the body of a call that was given up.
            let _unwanted = home.send((body, self.asked));
        }
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.asked = true;
        self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}
