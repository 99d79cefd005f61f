//! Automatic entries.

use super::json::{Json, all};
use crate::abuse::Decision;
use crate::app::App;
use crate::auth::Caller;
use crate::error::Result;
use axum::extract::State;
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
