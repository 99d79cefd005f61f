//! Rules.

use super::json::{Json, Path, Query, changed, page};
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::policy::{NewRule, RuleEntry};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

/// Which rules.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    after: u64,
    limit: Option<u32>,
    #[serde(rename = "type")]
    kind: Option<String>,
    group: Option<String>,
}

/// `GET /api/v1/rules`
pub async fn list(State(app): State<App>, Query(wanted): Query<Wanted>) -> axum::Json<Value> {
    let head = app.policy.head();
    let fits = |rule: &&RuleEntry| {
        wanted.kind.as_ref().is_none_or(|kind| rule.kind() == kind)
            && wanted.group.as_ref().is_none_or(|group| crate::policy::is_for(&rule.groups, group))
    };
    axum::Json(page(head.state.rules.iter().filter(fits), wanted.after, wanted.limit, |rule| rule.id))
}

/// `GET /api/v1/rules/{id}`
pub async fn get(State(app): State<App>, Path(id): Path<u64>) -> Result<axum::Json<RuleEntry>> {
    app.policy.head().state.rule(id).cloned().map(axum::Json).ok_or(Error::NotFound("rule"))
}

/// `POST /api/v1/rules`
pub async fn create(State(app): State<App>, caller: Caller, Json(new): Json<NewRule>) -> Result<Response> {
    let change = app.create_rule(&caller, new).await?;
    Ok((StatusCode::CREATED, changed(change)).into_response())
}

/// `PUT /api/v1/rules/{id}`
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<u64>,
    Json(new): Json<NewRule>,
) -> Result<axum::Json<Value>> {
    app.change_rule(&caller, id, new).await.map(changed)
}

/// `DELETE /api/v1/rules/{id}`
pub async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<u64>) -> Result<axum::Json<Value>> {
    app.remove_rule(&caller, id).await.map(changed)
}

/// `POST /api/v1/rules/check`
pub async fn check(State(app): State<App>, Json(new): Json<NewRule>) -> Result<axum::Json<Value>> {
    let notices = app.check_rule(&new, None).await?;
    Ok(axum::Json(json!({"notices": notices})))
}

/// `GET /api/v1/applications`
pub async fn applications(State(app): State<App>) -> axum::Json<Value> {
    let head = app.policy.head();
    let named = head.state.applications.iter();
    super::json::all(
        named.map(|(id, one)| json!({"id": id, "name": one.name, "comment": one.comment})).collect::<Vec<_>>(),
    )
}

/// `PUT /api/v1/applications/{id}`
pub async fn set_application(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<i64>,
    Json(new): Json<crate::policy::Application>,
) -> Result<axum::Json<Value>> {
    app.set_application(&caller, id, Some(new)).await.map(changed)
}

/// `DELETE /api/v1/applications/{id}`
pub async fn remove_application(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<i64>,
) -> Result<axum::Json<Value>> {
    app.set_application(&caller, id, None).await.map(changed)
}
