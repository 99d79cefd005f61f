//! Reads the body of a call within limits of size and time.

use super::admission::AdmissionPermit;
use super::api_error::ApiError;
use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use std::time::Duration;

/// Reads `body`. A body that arrives in one piece, as small ones do, is not copied.
pub async fn receive<B>(
    body: &mut B,
    permit: &mut AdmissionPermit,
    max: usize,
    time_limit: Duration,
) -> Result<Bytes, ApiError>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > max as u64 {
        return Err(ApiError::TooLarge(max));
    }
    let reading = tokio::time::timeout(time_limit, collect(body, permit, max));
    reading.await.unwrap_or(Err(ApiError::BodyTimeout))
}

async fn collect<B>(body: &mut B, permit: &mut AdmissionPermit, max: usize) -> Result<Bytes, ApiError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(max).min(max);
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| ApiError::BodyBroken)?.into_data() else { continue };
        let had = first.len() + all.len();
        if had + data.len() > max {
            return Err(ApiError::TooLarge(max));
        }
        permit.reserve(data.len())?;
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
