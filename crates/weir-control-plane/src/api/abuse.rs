//! Automatic entries, and thresholds that rules could have.

use super::json::{Json, all};
use crate::abuse::Decision;
use crate::app::App;
use crate::auth::Caller;
use crate::error::Result;
use crate::thresholds::Thresholds;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::Value;

/// `GET /api/v1/abuse/entries`
pub async fn entries(State(app): State<App>) -> Result<axum::Json<Value>> {
    Ok(all(app.abuse_entries().await?))
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
