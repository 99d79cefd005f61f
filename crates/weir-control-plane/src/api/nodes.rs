//! Nodes and their groups.

use super::json::{Json, Path, all};
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::nodes::Node;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// `GET /api/v1/nodes`
pub async fn list(State(app): State<App>) -> Result<axum::Json<Value>> {
    app.nodes.list().await.map(all)
}

/// `GET /api/v1/nodes/{id}`
pub async fn get(State(app): State<App>, Path(id): Path<String>) -> Result<axum::Json<Node>> {
    app.nodes.find(&id).await?.map(axum::Json).ok_or(Error::NotFound("node"))
}

/// What changes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeChange {
    enabled: bool,
}

/// `PATCH /api/v1/nodes/{id}`
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Json(change): Json<NodeChange>,
) -> Result<axum::Json<Node>> {
    app.set_node_enabled(&caller, &id, change.enabled).await.map(axum::Json)
}

/// `DELETE /api/v1/nodes/{id}`
pub async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode> {
    app.remove_node(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/v1/groups`
pub async fn groups(State(app): State<App>) -> Result<axum::Json<Value>> {
    let head = app.policy.head();
    let mut groups: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    groups.entry(crate::policy::state::DEFAULT_GROUP.into()).or_default();
    groups.extend(head.state.own_groups().into_iter().map(|name| (name.to_owned(), (0, 0))));
    for node in app.nodes.list().await? {
        let counts = groups.entry(node.group).or_default();
        counts.0 += 1;
        counts.1 += usize::from(node.active);
    }
    let shown = groups.into_iter().map(|(name, (nodes, active))| {
        let scope = head.state.groups.get(&name);
        json!({"name": name, "nodes": nodes, "active": active, "settings": scope})
    });
    Ok(all(shown.collect::<Vec<_>>()))
}
