//! Automatic entries, thresholds that rules could have, and requests of sessions.

use super::json::{Json, Path, Query, all};
use crate::abuse::Decision;
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::thresholds::Thresholds;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

/// `GET /api/v1/abuse/entries`
pub async fn entries(State(app): State<App>) -> Result<axum::Json<Value>> {
    Ok(all(app.abuse_entries().await?))
}

/// `GET /api/v1/abuse/exceptions`
pub async fn exceptions(State(app): State<App>) -> Result<axum::Json<Value>> {
    Ok(all(app.abuse_exceptions().await?))
}

/// `POST /api/v1/abuse/decisions`
pub async fn decide(State(app): State<App>, caller: Caller, Json(decision): Json<Decision>) -> Result<StatusCode> {
    app.decide_abuse(&caller, &decision).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/v1/rules/{id}/thresholds`
pub async fn thresholds(State(app): State<App>, Path(id): Path<u64>) -> Result<axum::Json<Thresholds>> {
    app.thresholds(id).await.map(axum::Json)
}

/// Parameters of the list of sessions.
#[derive(Debug, Deserialize)]
pub struct SessionQuery {
    /// Address of a client.
    client: Option<String>,
}

/// `GET /api/v1/sessions`
pub async fn sessions(State(app): State<App>, Query(query): Query<SessionQuery>) -> Result<axum::Json<Value>> {
    Ok(all(app.store.sessions(query.client.as_deref()).await?))
}

/// `GET /api/v1/sessions/{session}`
pub async fn session(State(app): State<App>, Path(session): Path<String>) -> Result<axum::Json<Value>> {
    let requests = app.store.session_requests(&session).await?;
    if requests.is_empty() { Err(Error::NotFound("session")) } else { Ok(all(requests)) }
}
