//! The routers put together: one listener answers nodes, programs and browsers.

use super::app::App;
use super::auth::oidc;
use super::error::Error;
use super::problem::{CANNOT_WRITE, CannotWrite, Doubtful};
use super::routes::{Entry, Routes};
use super::{api, console, node_api_routes};
use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use std::net::SocketAddr;
use weir_core::model::Header;
use weir_runtime::serve::Peer;

/// Every route that answers people and programs.
pub fn tables(app: &App) -> Vec<Routes> {
    vec![api::routes(app.clone()), oidc::routes(app.clone()), console::routes(app.clone())]
}

/// The lines of all tables.
pub fn entries(app: &App) -> Vec<Entry> {
    tables(app).iter().flat_map(|routes| routes.entries().to_vec()).collect()
}

/// Everything: for the listener that people reach.
pub fn router(app: &App) -> Router {
    let all = tables(app)
        .into_iter()
        .fold(node_api_routes::router(app.clone()), |all, routes| all.merge(routes.into_router()));
    let all = all.method_not_allowed_fallback(|| async { Error::Method });
    let all = all.layer(from_fn_with_state(app.clone(), answering));
    all.fallback(|| async { Error::NotFound("page") })
        .layer(from_fn(console::errors))
        .layer(from_fn(headers))
        .layer(from_fn_with_state(app.clone(), client))
}

/// Puts the client in place of a trusted proxy that called for it: throttles, sessions and the audit log see who it is.
async fn client(State(app): State<App>, mut request: Request, next: Next) -> Response {
    if let Some(&ConnectInfo(Peer(peer))) = request.extensions().get() {
        let mut lines = Vec::with_capacity(request.headers().len());
        for (name, value) in request.headers() {
            lines.push(Header { name: name.as_str().as_bytes(), value: value.as_bytes() });
        }
        let client = app.config.clients.find(peer.ip(), &lines).address;
        if client != peer.ip().to_canonical() {
            request.extensions_mut().insert(ConnectInfo(Peer(SocketAddr::new(client, 0))));
        }
    }
    let response = next.run(request).await;
    if response.extensions().get::<CannotWrite>().is_some() {
        app.store.note_fault(CANNOT_WRITE.to_owned());
    }
    response
}

/// What nodes call: for the listener that joins node and control plane in one process.
pub fn nodes_only(app: &App) -> Router {
    node_api_routes::router(app.clone()).layer(from_fn_with_state(app.clone(), answering))
}

/// Refuses calls while the database server does not answer, so that none waits for it, and ends those that wait when it is
/// lost. What nodes send is waited for: the server may be back within the seconds that they have, and they keep it anyway.
async fn answering(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path.starts_with("/assets/") {
        return next.run(request).await;
    }
    if app.store.unreachable().is_some() {
        return Error::Unreachable.into_response();
    }
    let waits = path.starts_with("/node/") && request.method() != Method::GET;
    let response = tokio::select! {
        response = next.run(request) => response,
        () = app.store.server_lost(), if !waits => Error::Unreachable.into_response(),
    };
    if response.extensions().get::<Doubtful>().is_some() {
        app.store.doubt_server();
    }
    response
}

/// Headers of every answer that does not bring its own.
async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await.into_response();
    let defaults = [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in defaults {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
