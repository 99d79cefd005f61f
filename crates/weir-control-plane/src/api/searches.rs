//! Searches that people saved for themselves.

use super::json::{Json, Path};
use crate::app::App;
use crate::auth::Caller;
use crate::error::Result;
use crate::searches::{NewSearch, SavedSearch};
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;

/// `GET /api/v1/me/searches`
pub async fn list(State(app): State<App>, caller: Caller) -> Result<axum::Json<Value>> {
    Ok(super::json::all(app.searches(&caller).await?))
}

/// `POST /api/v1/me/searches`
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(new): Json<NewSearch>,
) -> Result<(StatusCode, axum::Json<SavedSearch>)> {
    Ok((StatusCode::CREATED, axum::Json(app.save_search(&caller, new).await?)))
}

/// `DELETE /api/v1/me/searches/{id}`
pub async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode> {
    app.delete_search(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
