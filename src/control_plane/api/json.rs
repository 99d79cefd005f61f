//! JSON bodies, read strictly: the right content type, no unknown members (by the types), and a mistake named as a problem.

use crate::control_plane::error::Error;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use serde::de::DeserializeOwned;

/// A JSON body.
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.split(';').next().is_none_or(|kind| !kind.trim().eq_ignore_ascii_case("application/json")) {
            return Err(Error::invalid("", "a body of type application/json is wanted"));
        }
        let body =
            Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status().as_u16() {
                413 => Error::TooLarge(crate::control_plane::routes::BODY_LIMIT),
                _ => Error::invalid("", "the body broke off"),
            })?;
        serde_json::from_slice(&body).map(Json).map_err(|error| Error::invalid("", error.to_string()))
    }
}
