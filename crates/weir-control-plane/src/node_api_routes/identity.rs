//! Registration and heartbeats, and the check that a call comes from a node.

use crate::app::App;
use crate::audit::Record;
use crate::auth::token::Usage;
use crate::body::WholeBody;
use crate::error::{Error, Result};
use crate::nodes::Node;
use crate::routes::bearer;
use axum::Json;
use axum::extract::{ConnectInfo, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use weir_protocol::node_api::{Heartbeat, Identity, REGISTRATION_TOKEN, Register, Registered};
use weir_runtime::serve::Peer;

/// Longest credential, in bytes.
const MAX_CREDENTIAL: usize = 256;

/// The node that calls, by `Authorization: Bearer NODE_ID.SECRET`.
pub struct Authenticated(pub Node);

impl FromRequestParts<App> for Authenticated {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let (node_id, secret) = credential(&parts.headers)?.split_once('.').ok_or(Error::Unauthenticated)?;
        let identity = Identity { node_id: node_id.into(), secret: secret.into() };
        app.nodes.verify(&identity).await?.map(Authenticated).ok_or(Error::Unauthenticated)
    }
}

fn credential(headers: &HeaderMap) -> Result<&str> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| bearer(value.to_str().ok()?));
    given.filter(|given| given.len() <= MAX_CREDENTIAL).ok_or(Error::Unauthenticated)
}

/// Reads the JSON of a node; members that are not known are ignored.
pub fn json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| Error::invalid("", error.to_string()))
}

fn address(peer: Peer) -> String {
    peer.0.ip().to_canonical().to_string()
}

/// `POST /node/v1/register`
pub async fn register(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    WholeBody(body): WholeBody,
) -> Result<Json<Registered>> {
    let token = app.tokens.verify(credential(&headers)?, Usage::NodeDeployment).await?;
    let token = token.ok_or(Error::Unauthenticated)?;
    let asked: Register = json(&body)?;
    let known = asked.identity.clone();
    let mut change = app.audit.begin().await?;
    let identity = app.nodes.register(change.on(), &asked, &address(peer)).await?;
    if known.as_ref() != Some(&identity) {
        let node = app.nodes.find_on(change.on(), &identity.node_id).await?;
        let record = Record::new("node.register", format!("node/{}", identity.node_id), (), node)?;
        change.record(&format!("token:{}", token.name), &address(peer), &record).await?;
    }
    change.store().await?;
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(Json(Registered { identity, policy_key: app.policy.key(), version }))
}

/// `POST /node/v1/heartbeat`
pub async fn heartbeat(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Authenticated(node): Authenticated,
    headers: HeaderMap,
    WholeBody(body): WholeBody,
) -> Result<StatusCode> {
    let beat: Heartbeat = json(&body)?;
    let token = headers.get(REGISTRATION_TOKEN).and_then(|token| token.to_str().ok());
    if let Some(token) = token.filter(|token| token.len() <= MAX_CREDENTIAL && !beat.replicas.is_empty())
        && let Some(token) = app.tokens.verify(token, Usage::NodeDeployment).await?
    {
        take_over(&app, &node, &beat, &token.name, &address(peer)).await?;
    }
    app.nodes.heartbeat(&node, beat, &address(peer)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Puts nodes that are silent here and speak through `aggregation` behind it. The audit log has each, since it makes the node's
/// own secret void.
async fn take_over(app: &App, aggregation: &Node, beat: &Heartbeat, token: &str, address: &str) -> Result<()> {
    for id in app.nodes.silent(aggregation, beat).await? {
        let mut change = app.audit.begin().await?;
        let before = app.nodes.find_on(change.on(), &id).await?;
        if app.nodes.take_over(change.on(), aggregation, &id).await? {
            let after = app.nodes.find_on(change.on(), &id).await?;
            let record = Record::new("node.take_over", format!("node/{id}"), before, after)?;
            change.commit_record(&format!("token:{token}"), address, &record).await?;
        }
    }
    Ok(())
}
