//! `/live`, `/ready` and `/metrics`, on separate ports.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get};
use prometheus_client::registry::Registry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Content type of the Prometheus text form that is served.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Says in words what is wrong with a part of the process; `None` if nothing is.
pub type Check = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// Readiness of the process.
#[derive(Default)]
pub struct Health {
    ready: AtomicBool,
    checks: OnceLock<(Check, bool)>,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health").field("ready", &self.is_ready()).finish_non_exhaustive()
    }
}

impl Health {
    /// Runs `check` on each call of `/ready`. If it is `vital`, the process is not ready while it reports a fault; otherwise
    /// the process stays ready, as a node does that can inspect while the store of its control plane cannot write. Only the
    /// first check is kept.
    pub fn watch(&self, check: Check, vital: bool) {
        // There is one part to be watched.
        let _ = self.checks.set((check, vital));
    }

    /// The current fault, and whether it is vital.
    fn fault(&self) -> Option<(String, bool)> {
        let (check, vital) = self.checks.get()?;
        check().map(|why| (why, *vital))
    }

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
        match (health.is_ready(), health.fault()) {
            (true, None) => (StatusCode::OK, "ready\n").into_response(),
            (true, Some((why, false))) => (StatusCode::OK, format!("ready, but {why}\n")).into_response(),
            (true, Some((why, true))) => {
                (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")).into_response()
            }
            (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response(),
        }
    }
    Router::new().route("/live", get(async || "live\n")).route("/ready", get(ready)).with_state(health)
}

/// `/metrics` in OpenMetrics text.
pub fn metrics_routes(registry: Arc<Registry>) -> Router {
    async fn metrics(State(registry): State<Arc<Registry>>) -> Response {
        match super::metrics::text(&registry) {
            Ok(text) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
            Err(error) => {
                tracing::error!(%error, "metrics could not be rendered");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
    Router::new().route("/metrics", get(metrics)).with_state(registry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    #[tokio::test]
    async fn readiness_tells_what_is_wrong() {
        for (vital, status) in [(true, 503), (false, 200)] {
            let health = Arc::new(Health::default());
            let broken = Arc::new(AtomicBool::new(false));
            let watched = Arc::clone(&broken);
            health.watch(Box::new(move || watched.load(Ordering::Relaxed).then(|| "the disk is full".into())), vital);
            health.set_ready(true);
            let look = async || {
                let request = Request::builder().uri("/ready").body(Body::empty()).unwrap();
                let answer = health_routes(Arc::clone(&health)).oneshot(request).await.unwrap();
                let status = answer.status().as_u16();
                let body = axum::body::to_bytes(answer.into_body(), 1_000).await.unwrap();
                (status, String::from_utf8(body.to_vec()).unwrap())
            };
            assert_eq!(look().await, (200, "ready\n".into()));
            broken.store(true, Ordering::Relaxed);
            let (now, says) = look().await;
            assert!(now == status && says.contains("the disk is full"), "{now} {says}");
            broken.store(false, Ordering::Relaxed);
            assert_eq!(look().await, (200, "ready\n".into()), "it heals");
        }
    }
}
