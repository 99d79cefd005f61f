//! The long poll for a policy.

use super::identity::Authenticated;
use crate::app::App;
use crate::error::Result;
use crate::policy::Understands;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::time::Duration;
use weir_protocol::node_api::{MAX_WAIT_SECONDS, SignedPolicy};

/// What is asked for.
#[derive(Debug, Deserialize)]
pub struct Asked {
    /// The serial that the node has.
    #[serde(default)]
    after: u64,
    /// Seconds that it waits for a newer one.
    #[serde(default)]
    wait: u64,
}

/// `GET /node/v1/policy?after=SERIAL&wait=SECONDS`
pub async fn poll(
    State(app): State<App>,
    Authenticated(node): Authenticated,
    Query(asked): Query<Asked>,
) -> Result<Response> {
    let understands = Understands::new(&node.capabilities);
    let _waiting = app.config.metrics.poll();
    let mut news = app.policy.subscribe();
    let newer = news.wait_for(|head| head.version.serial > asked.after);
    let wait = Duration::from_secs(asked.wait.min(MAX_WAIT_SECONDS));
    let in_time = tokio::time::timeout(wait, newer).await;
    if !matches!(in_time, Ok(Ok(_))) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    drop(in_time);
    let signed: Option<std::sync::Arc<SignedPolicy>> = app.policy.signed(&node.group, &understands).await?;
    Ok(match signed {
        Some(signed) => Json(&*signed).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}
