//! Logging in and out, and who one is.

use super::json::Json;
use crate::app::App;
use crate::auth::Caller;
use crate::auth::session::Session;
use crate::error::{Error, Result};
use crate::routes::is_foreign;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use weir_runtime::serve::Peer;

/// Login and password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    login: String,
    password: String,
    /// Of the second factor, where the user has one.
    #[serde(default)]
    code: Option<String>,
}

/// `POST /api/v1/session`
pub async fn login(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    Json(given): Json<Login>,
) -> Result<Response> {
    if is_foreign(&headers, app.config.public_url.as_deref()) {
        return Err(Error::Forbidden("this came from another site"));
    }
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let (cookie, session) = app.login(peer.0.ip(), agent, &given.login, given.password, given.code.as_deref()).await?;
    let cookie = [(header::SET_COOKIE, app.session_cookie(&cookie))];
    Ok((cookie, axum::Json(shown(&session))).into_response())
}

/// `DELETE /api/v1/session`
pub async fn logout(State(app): State<App>, caller: Caller) -> Result<Response> {
    if let Some(session) = caller.session() {
        app.logout(session, &caller.address).await?;
    }
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, app.no_session_cookie())]).into_response())
}

/// `GET /api/v1/me`
pub async fn me(caller: Caller) -> axum::Json<Value> {
    axum::Json(match caller.session() {
        Some(session) => shown(session),
        None => json!({"name": caller.name(), "role": caller.role()}),
    })
}

fn shown(session: &Session) -> Value {
    json!({"name": format!("user:{}", session.user.login), "role": session.user.role, "csrf": session.csrf, "user": session.user})
}

/// The description of the API, as written.
pub const OPENAPI_YAML: &str = include_str!("../../../../docs/control-plane-openapi.yaml");

/// `GET /api/v1/openapi.json`
pub async fn openapi() -> Result<Response> {
    static JSON: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let read = || serde_saphyr::from_str::<Value>(OPENAPI_YAML).map(|value| value.to_string());
    let text = JSON.get_or_init(|| read().unwrap_or_default());
    if text.is_empty() {
        return Err(Error::internal("docs/control-plane-openapi.yaml is no YAML"));
    }
    Ok(([(header::CONTENT_TYPE, "application/json")], text.as_str()).into_response())
}
