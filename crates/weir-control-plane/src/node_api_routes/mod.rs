//! The server's side of [`weir_protocol::node_api`]: what nodes and aggregations call.

mod abuse;
mod blobs;
mod events;
mod identity;
mod policy;

use super::app::App;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use weir_protocol::node_api;

/// Largest body of a call but for events, in bytes: a heartbeat for a thousand replicas.
const BODY_LIMIT: usize = 1 << 20;

/// The routes.
pub fn router(app: App) -> Router {
    let small = Router::new()
        .route(node_api::REGISTER, post(identity::register))
        .route(node_api::HEARTBEAT, post(identity::heartbeat))
        .route(node_api::STATISTICS, post(events::statistics))
        .route(node_api::ABUSE, post(abuse::exchange))
        .route(node_api::POLICY, get(policy::poll))
        .route(&format!("{}/{{sha256}}", node_api::BLOBS), get(blobs::blob))
        .layer(DefaultBodyLimit::max(BODY_LIMIT));
    let events = Router::new()
        .route(node_api::EVENTS, post(events::events))
        .layer(DefaultBodyLimit::max(node_api::MAX_BATCH_BYTES));
    small.merge(events).with_state(app)
}
