//! The server's side of [`weir_protocol::node_api`]: what nodes and aggregations call.

mod abuse;
mod blobs;
mod events;
mod identity;
mod policy;

use super::app::App;
use super::body::BodyLimit;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Extension, Router};
use weir_protocol::node_api;

/// Largest body of other calls, in bytes: a heartbeat for a thousand replicas.
const BODY_LIMIT: usize = 1 << 20;

/// The routes.
pub fn router(app: App) -> Router {
    let small = Router::new()
        .route(node_api::REGISTER, post(identity::register))
        .route(node_api::HEARTBEAT, post(identity::heartbeat))
        .route(node_api::STATISTICS, post(events::statistics))
        .route(node_api::POLICY, get(policy::poll))
        .route(&format!("{}/{{sha256}}", node_api::BLOBS), get(blobs::blob));
    let events = Router::new().route(node_api::EVENTS, post(events::events));
    let abuse = Router::new().route(node_api::ABUSE, post(abuse::exchange));
    limited(small, BODY_LIMIT)
        .merge(limited(events, node_api::MAX_BATCH_BYTES))
        .merge(limited(abuse, node_api::MAX_ABUSE_BYTES))
        .with_state(app)
}

/// `routes` with bodies of up to `most` bytes.
fn limited(routes: Router<App>, most: usize) -> Router<App> {
    routes.layer(DefaultBodyLimit::max(most)).layer(Extension(BodyLimit(most)))
}
