//! Users, tokens, audit.

use super::json::{Json, Path, Query, all, page_limit};
use crate::app::App;
use crate::audit;
use crate::auth::token::{NewToken, Token, Usage};
use crate::auth::user::{NewUser, User, UserChange};
use crate::auth::{Caller, Role};
use crate::error::{Error, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

/// `GET /api/v1/users`
pub async fn users(State(app): State<App>) -> Result<axum::Json<Value>> {
    app.users.list().await.map(all)
}

/// `GET /api/v1/users/{id}`
pub async fn user(State(app): State<App>, Path(id): Path<String>) -> Result<axum::Json<User>> {
    app.users.find(&id).await?.map(axum::Json).ok_or(Error::NotFound("user"))
}

/// A new user.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserAsked {
    login: String,
    #[serde(default)]
    name: String,
    role: Role,
    password: String,
}

/// `POST /api/v1/users`
pub async fn create_user(State(app): State<App>, caller: Caller, Json(new): Json<UserAsked>) -> Result<Response> {
    let UserAsked { login, name, role, password } = new;
    let new = NewUser { login, name, role, password: Some(password), subject: None };
    Ok((StatusCode::CREATED, axum::Json(app.create_user(&caller, new).await?)).into_response())
}

/// What changes of a user.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserChanges {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    role: Option<Role>,
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default)]
    password: Option<String>,
}

/// `PATCH /api/v1/users/{id}`
pub async fn change_user(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Json(change): Json<UserChanges>,
) -> Result<axum::Json<User>> {
    let UserChanges { name, role, enabled, password } = change;
    app.change_user(&caller, &id, UserChange { name, role, enabled, password }).await.map(axum::Json)
}

/// `DELETE /api/v1/users/{id}`
pub async fn remove_user(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode> {
    app.remove_user(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The old and the new password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passwords {
    current: String,
    new: String,
}

/// `PUT /api/v1/me/password`
pub async fn change_password(
    State(app): State<App>,
    caller: Caller,
    Json(given): Json<Passwords>,
) -> Result<StatusCode> {
    app.change_own_password(&caller, given.current, given.new).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The caller's password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Current {
    current: String,
}

/// `POST /api/v1/me/second-factor`
pub async fn begin_second_factor(
    State(app): State<App>,
    caller: Caller,
    Json(given): Json<Current>,
) -> Result<axum::Json<Value>> {
    let begun = app.begin_second_factor(&caller, given.current).await?;
    Ok(axum::Json(json!({"secret": begun.secret, "uri": begun.uri})))
}

/// A code of the second factor.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    code: String,
}

/// `POST /api/v1/me/second-factor/confirm`
pub async fn confirm_second_factor(
    State(app): State<App>,
    caller: Caller,
    Json(given): Json<Code>,
) -> Result<axum::Json<Value>> {
    let codes = app.confirm_second_factor(&caller, &given.code).await?;
    Ok(axum::Json(json!({"recovery_codes": codes})))
}

/// `POST /api/v1/me/second-factor/recovery-codes`
pub async fn renew_recovery_codes(
    State(app): State<App>,
    caller: Caller,
    Json(given): Json<Code>,
) -> Result<axum::Json<Value>> {
    let codes = app.renew_recovery_codes(&caller, &given.code).await?;
    Ok(axum::Json(json!({"recovery_codes": codes})))
}

/// `POST /api/v1/me/second-factor/remove`
pub async fn remove_second_factor(
    State(app): State<App>,
    caller: Caller,
    Json(given): Json<Code>,
) -> Result<StatusCode> {
    app.remove_second_factor(&caller, &given.code).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/v1/users/{id}/second-factor`
pub async fn reset_second_factor(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode> {
    app.reset_second_factor(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/v1/tokens`
pub async fn tokens(State(app): State<App>, caller: Caller) -> Result<axum::Json<Value>> {
    app.tokens_for(&caller).await.map(all)
}

/// A new token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenAsked {
    name: String,
    usage: Usage,
    #[serde(default)]
    role: Option<Role>,
    #[serde(default)]
    expires_at: Option<i64>,
}

/// `POST /api/v1/tokens`
pub async fn create_token(State(app): State<App>, caller: Caller, Json(new): Json<TokenAsked>) -> Result<Response> {
    let role = match (new.usage, new.role) {
        (_, Some(role)) => role,
        (Usage::NodeDeployment, None) => Role::Deploy,
        (Usage::Api, None) => return Err(Error::invalid("role", "say what the token may do")),
    };
    let new = NewToken { name: new.name, usage: new.usage, role, expires_at: new.expires_at };
    let (text, token) = app.create_token(&caller, new).await?;
    Ok((StatusCode::CREATED, axum::Json(json!({"token": text, "item": token}))).into_response())
}

/// What changes of a token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenChange {
    enabled: bool,
}

/// `PATCH /api/v1/tokens/{id}`
pub async fn change_token(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Json(change): Json<TokenChange>,
) -> Result<axum::Json<Token>> {
    app.set_token_enabled(&caller, &id, change.enabled).await.map(axum::Json)
}

/// `DELETE /api/v1/tokens/{id}`
pub async fn remove_token(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode> {
    app.remove_token(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which rows of the audit log.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditWanted {
    after: Option<String>,
    limit: Option<u32>,
    actor: Option<String>,
    action: Option<String>,
}

/// `GET /api/v1/audit`
pub async fn audit(State(app): State<App>, Query(wanted): Query<AuditWanted>) -> Result<axum::Json<Value>> {
    let limit = page_limit(wanted.limit) as u32;
    let query = audit::Query { before_id: wanted.after, actor: wanted.actor, action: wanted.action, limit };
    let rows = app.audit.list(&query).await?;
    let next = rows.last().filter(|_| rows.len() as u32 == limit).map(|row| row.id.clone());
    Ok(axum::Json(json!({"items": rows, "next": next})))
}
