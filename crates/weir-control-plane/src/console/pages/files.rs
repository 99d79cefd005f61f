//! Assets, under addresses that change with their content.

use crate::console::assets;
use crate::error::{Error, Result};
use axum::extract::Request;
use axum::http::header;
use axum::response::{IntoResponse, Response};

/// `GET /assets/{file}`
pub async fn asset(request: Request) -> Result<Response> {
    file(request.uri().path())
}

/// `GET /favicon.ico`: browsers ask for it on their own.
pub async fn favicon() -> Result<Response> {
    file(assets::url("favicon.svg"))
}

fn file(path: &str) -> Result<Response> {
    let asset = assets::at(path).ok_or(Error::NotFound("file"))?;
    let headers = [
        (header::CONTENT_TYPE, asset.media_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    Ok((headers, asset.content).into_response())
}
