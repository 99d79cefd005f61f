//! Alerts for people.

use super::json::{Json, Path, all};
use crate::alerts::{Alert, NewAlert};
use crate::app::App;
use crate::auth::Caller;
use crate::error::Result;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// `GET /api/v1/alerts`
pub async fn list(State(app): State<App>) -> Result<axum::Json<Value>> {
    app.alerts().await.map(all)
}

/// `GET /api/v1/alerts/{id}`
pub async fn get(State(app): State<App>, Path(id): Path<String>) -> Result<axum::Json<Alert>> {
    app.alert(&id).await.map(axum::Json)
}

/// `POST /api/v1/alerts`
pub async fn create(State(app): State<App>, caller: Caller, Json(new): Json<NewAlert>) -> Result<Response> {
    Ok((StatusCode::CREATED, axum::Json(app.create_alert(&caller, &new).await?)).into_response())
}

/// `PUT /api/v1/alerts/{id}`
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Json(new): Json<NewAlert>,
) -> Result<axum::Json<Alert>> {
    app.change_alert(&caller, &id, new).await.map(axum::Json)
}

/// `DELETE /api/v1/alerts/{id}`
pub async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode> {
    app.remove_alert(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/alerts/{id}/test`
pub async fn test(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<axum::Json<Value>> {
    let outcome = app.test_alert(&caller, &id).await?;
    Ok(axum::Json(json!({"delivered": outcome.is_ok(), "error": outcome.err().map(|error| error.to_string())})))
}
