//! Files that a policy names, by hash.

use super::identity::Authenticated;
use crate::api;
use crate::app::App;
use crate::error::{Error, Result};
use axum::extract::{Path, State};
use axum::response::Response;

/// Length of a SHA-256 in hex.
const HASH: usize = 64;

/// `GET /node/v1/blobs/SHA256`
pub async fn blob(
    State(app): State<App>,
    Authenticated(_): Authenticated,
    Path(sha256): Path<String>,
) -> Result<Response> {
    const NONE: Error = Error::NotFound("file");
    if sha256.len() != HASH || !sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Err(NONE);
    }
    let bytes = app.blob_length(&sha256).await?.ok_or(NONE)?;
    Ok(api::packs::send(app, sha256, bytes))
}
