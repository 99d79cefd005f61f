//! Responses that browsers save as files.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// CSV in UTF-8.
pub const CSV: &str = "text/csv; charset=utf-8";

/// `body` of type `kind`, to be saved as `name`.
pub fn download(kind: &'static str, name: &str, body: impl IntoResponse) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)], body).into_response()
}
