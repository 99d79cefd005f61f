//! `/live`, `/ready` and `/metrics`, on separate ports.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get};
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Content type of the Prometheus text form that is served.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Readiness of the process.
#[derive(Debug, Default)]
pub struct Health {
    ready: AtomicBool,
}

impl Health {
    /// Sets whether the process is ready for traffic.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    /// Whether the process is ready for traffic: it listens and does not drain.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }
}

/// `/live`: the process responds. `/ready`: it is ready for traffic.
pub fn health_routes(health: Arc<Health>) -> Router {
    async fn ready(State(health): State<Arc<Health>>) -> Response {
        if health.is_ready() {
            (StatusCode::OK, "ready\n").into_response()
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
        }
    }
    Router::new().route("/live", get(async || "live\n")).route("/ready", get(ready)).with_state(health)
}

/// `/metrics` in OpenMetrics text.
pub fn metrics_routes(registry: Arc<Registry>) -> Router {
    async fn metrics(State(registry): State<Arc<Registry>>) -> Response {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &registry) {
            Ok(()) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
            Err(error) => {
                tracing::error!(%error, "metrics could not be rendered");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
    Router::new().route("/metrics", get(metrics)).with_state(registry)
}
