//! Rule packs and address databases. The same handlers serve both: the path says which.

use super::json::{Json, Path, Query, all, changed};
use super::stream;
use crate::app::App;
use crate::auth::Caller;
use crate::body::WholeBody;
use crate::error::Result;
use crate::packs::{Differences, Kind, Mirror, NewMirror};
use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::convert::Infallible;

impl<S: Send + Sync> FromRequestParts<S> for Kind {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let packs = parts.uri.path().contains("/rule-packs");
        Ok(if packs { Kind::RulePack } else { Kind::Database })
    }
}

/// How a version is brought.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Upload {
    /// Notes.
    note: String,
    /// Whether it is put in use at once.
    activate: bool,
}

/// `GET /api/v1/rule-packs`, `GET /api/v1/databases`
pub async fn list(State(app): State<App>, kind: Kind) -> Result<axum::Json<Value>> {
    Ok(all(app.packs(kind).await?))
}

/// `POST /api/v1/rule-packs/{name}`, `POST /api/v1/databases/{name}`
pub async fn upload(
    State(app): State<App>,
    caller: Caller,
    kind: Kind,
    Path(name): Path<String>,
    Query(how): Query<Upload>,
    WholeBody(content): WholeBody,
) -> Result<Response> {
    let (stored, serial) = app.upload_pack(&caller, kind, &name, content.into(), &how.note, how.activate).await?;
    Ok((StatusCode::CREATED, axum::Json(json!({"item": stored, "serial": serial}))).into_response())
}

/// `GET /api/v1/rule-packs/{name}/versions/{version}/content` and that of databases
pub async fn content(
    State(app): State<App>,
    kind: Kind,
    Path((name, version)): Path<(String, u64)>,
) -> Result<Response> {
    let version = app.pack(kind, &name, version).await?;
    Ok(send(app, version.sha256, version.bytes))
}

/// `GET /api/v1/rule-packs/{name}/versions/{version}/diff`
pub async fn compare(
    State(app): State<App>,
    Path((name, version)): Path<(String, u64)>,
    Query(against): Query<Against>,
) -> Result<axum::Json<Differences>> {
    Ok(axum::Json(app.diff_packs(&name, version, against.from).await?))
}

/// With which version to compare.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Against {
    /// A version; the one before without.
    from: Option<u64>,
}

/// `POST /api/v1/rule-packs/{name}/versions/{version}/activate` and that of databases
pub async fn activate(
    State(app): State<App>,
    caller: Caller,
    kind: Kind,
    Path((name, version)): Path<(String, u64)>,
) -> Result<axum::Json<Value>> {
    app.activate_pack(&caller, kind, &name, version).await.map(changed)
}

/// `POST /api/v1/rule-packs/{name}/deactivate` and that of databases
pub async fn deactivate(
    State(app): State<App>,
    caller: Caller,
    kind: Kind,
    Path(name): Path<String>,
) -> Result<axum::Json<Value>> {
    app.deactivate_pack(&caller, kind, &name).await.map(changed)
}

/// `DELETE /api/v1/rule-packs/{name}/versions/{version}` and that of databases
pub async fn remove(
    State(app): State<App>,
    caller: Caller,
    kind: Kind,
    Path((name, version)): Path<(String, u64)>,
) -> Result<StatusCode> {
    app.remove_pack(&caller, kind, &name, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The answer that sends content piece by piece. If the store fails meanwhile it ends early, against its length.
pub fn send(app: App, sha256: String, bytes: u64) -> Response {
    let (pieces, body): (_, Body) = stream::body();
    let tag = format!("\"{sha256}\"");
    tokio::spawn(async move {
        let (mut sent, mut at) = (0, 0);
        while sent < bytes {
            match app.blob_piece(&sha256, at).await {
                Ok(Some(piece)) if !piece.is_empty() => {
                    sent += piece.len() as u64;
                    at += 1;
                    if !pieces.send(piece).await {
                        return;
                    }
                }
                Ok(_) => return tracing::error!(sha256, at, "a piece of content is missing"),
                Err(error) => return tracing::error!(sha256, %error, "content cannot be read"),
            }
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
        (header::ETAG, tag),
        (header::CONTENT_DISPOSITION, "attachment".to_owned()),
    ];
    (headers, body).into_response()
}

/// `GET /api/v1/mirrors`
pub async fn mirrors(State(app): State<App>) -> Result<axum::Json<Value>> {
    Ok(all(app.mirrors().await?))
}

/// `PUT /api/v1/rule-packs/{name}/mirror` and that of databases
pub async fn set_mirror(
    State(app): State<App>,
    caller: Caller,
    kind: Kind,
    Path(name): Path<String>,
    Json(new): Json<NewMirror>,
) -> Result<axum::Json<Mirror>> {
    Ok(axum::Json(app.set_mirror(&caller, kind, &name, &new).await?))
}

/// `DELETE /api/v1/rule-packs/{name}/mirror` and that of databases
pub async fn remove_mirror(
    State(app): State<App>,
    caller: Caller,
    kind: Kind,
    Path(name): Path<String>,
) -> Result<StatusCode> {
    app.remove_mirror(&caller, kind, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
