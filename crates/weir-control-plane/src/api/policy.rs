//! General settings, versions, keys.

use super::json::{Json, Path, Query, all, changed};
use crate::app::App;
use crate::auth::Caller;
use crate::body::WholeBody;
use crate::download::download;
use crate::error::{Error, Result};
use crate::policy::as_code::{Document, Plan};
use crate::policy::{Differences, Scope, diff};
use axum::extract::{FromRequest, Request, State};
use axum::http::header;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

/// `GET /api/v1/policy`
pub async fn get(State(app): State<App>) -> axum::Json<Value> {
    let head = app.policy.head();
    axum::Json(json!({
        "serial": head.version.serial,
        "published_at": head.version.published_at,
        "author": head.version.author,
        "note": head.version.note,
        "general": head.state.base,
        "groups": head.state.groups,
        "rules": head.state.rules.len(),
        "ip_lists": head.state.ip_lists.len(),
        "rule_packs": head.state.rule_packs,
        "databases": head.state.databases,
        "key": app.policy.key(),
    }))
}

/// `PUT /api/v1/policy/general`
pub async fn set_general(
    State(app): State<App>,
    caller: Caller,
    Json(scope): Json<Scope>,
) -> Result<axum::Json<Value>> {
    app.set_scope(&caller, None, scope).await.map(changed)
}

/// `PUT /api/v1/policy/groups/{group}`
pub async fn set_group(
    State(app): State<App>,
    caller: Caller,
    Path(group): Path<String>,
    Json(scope): Json<Scope>,
) -> Result<axum::Json<Value>> {
    app.set_scope(&caller, Some(&group), scope).await.map(changed)
}

/// `GET /api/v1/policy/export`: the policy in force as a YAML document.
pub async fn export(State(app): State<App>) -> Result<Response> {
    Ok(download("application/yaml; charset=utf-8", "weir-policy.yaml", app.policy_document().yaml()?))
}

/// The document in a body of YAML or JSON.
async fn document(request: Request) -> Result<Document> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !["application/yaml", "application/json"].contains(&kind.as_str()) {
        return Err(Error::invalid("", "expected a body of type application/yaml or application/json"));
    }
    Document::parse(&WholeBody::from_request(request, &()).await?.0)
}

/// `POST /api/v1/policy/diff`: what `apply` would change.
pub async fn plan(State(app): State<App>, caller: Caller, request: Request) -> Result<axum::Json<Plan>> {
    app.plan_policy(&caller, &document(request).await?).await.map(axum::Json)
}

/// `POST /api/v1/policy/apply`: makes the policy what the document says.
pub async fn apply(State(app): State<App>, caller: Caller, request: Request) -> Result<axum::Json<Value>> {
    let change = app.apply_policy(&caller, &document(request).await?).await?;
    Ok(axum::Json(json!({"serial": change.serial, "notices": change.notices, "changes": change.value})))
}

/// `GET /api/v1/policy/versions`
pub async fn versions(State(app): State<App>) -> Result<axum::Json<Value>> {
    app.policy.versions().await.map(all)
}

/// `GET /api/v1/policy/versions/{serial}`
pub async fn version(State(app): State<App>, Path(serial): Path<u64>) -> Result<axum::Json<Value>> {
    let (version, state) = app.policy.version(serial).await?;
    Ok(axum::Json(json!({"version": version, "state": state})))
}

/// With which version to compare.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Against {
    /// A serial; the one in force without.
    to: Option<u64>,
}

/// `GET /api/v1/policy/versions/{serial}/diff`
pub async fn compare(
    State(app): State<App>,
    Path(serial): Path<u64>,
    Query(against): Query<Against>,
) -> Result<axum::Json<Differences>> {
    let (_, from) = app.policy.version(serial).await?;
    let changes = match against.to {
        Some(to) => diff(&from, &app.policy.version(to).await?.1),
        None => diff(&from, &app.policy.head().state),
    };
    Ok(axum::Json(changes))
}

/// `POST /api/v1/policy/versions/{serial}/rollback`
pub async fn rollback(State(app): State<App>, caller: Caller, Path(serial): Path<u64>) -> Result<axum::Json<Value>> {
    app.rollback(&caller, serial).await.map(changed)
}

/// `POST /api/v1/policy/rotate-key`
pub async fn rotate_key(State(app): State<App>, caller: Caller) -> Result<axum::Json<Value>> {
    let key = app.rotate_key(&caller).await?;
    Ok(axum::Json(json!({"key": key})))
}
