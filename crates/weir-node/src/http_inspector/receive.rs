//! Reads the body of a call, never more than allowed, never longer than allowed.

use super::admission::Entry;
use super::refusal::Refusal;
use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use std::time::Duration;

/// The bytes of `body`. One that arrives in one piece, as small ones do, is not copied.
pub async fn receive<B>(body: &mut B, entry: &mut Entry, max: usize, patience: Duration) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > max as u64 {
        return Err(Refusal::TooLarge(max));
    }
    let reading = tokio::time::timeout(patience, collect(body, entry, max));
    reading.await.unwrap_or(Err(Refusal::BodyTimeout))
}

async fn collect<B>(body: &mut B, entry: &mut Entry, max: usize) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(max).min(max);
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::BodyBroken)?.into_data() else { continue };
        let had = first.len() + all.len();
        if had + data.len() > max {
            return Err(Refusal::TooLarge(max));
        }
        entry.grow(data.len())?;
        if had == 0 {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.reserve(expected.max(had + data.len()));
            all.extend_from_slice(&first);
            first = Bytes::new();
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}
