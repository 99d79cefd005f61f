//! Bodies of requests, within the limit of their route.

use crate::error::{Error, Result};
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;

/// With a request: most bytes that its body may have. Whatever sets `DefaultBodyLimit` sets this too, for the answer to a body
/// that is longer.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit(pub usize);

impl BodyLimit {
    /// The limit of the route of `request`.
    pub fn of(request: &Request) -> usize {
        request.extensions().get().map_or(usize::MAX, |limit: &BodyLimit| limit.0)
    }
}

/// A whole body.
#[derive(Debug)]
pub struct WholeBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for WholeBody {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let most = BodyLimit::of(&request);
        let read = Bytes::from_request(request, state).await;
        read.map(WholeBody).map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Error::TooLarge(most),
            _ => Error::invalid("", "the body broke off"),
        })
    }
}
