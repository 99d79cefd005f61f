//! The node API of an aggregation.

use super::intake;
use super::metrics::Call;
use super::node_registry::{RegisteredNode, RegistrationError};
use super::problem::Problem;
use super::state::App;
use super::tokens::TokenStatus;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use weir_protocol::code::NodeRole;
use weir_protocol::node_api::{
    self, AbuseNews, AbuseReport, Ack, Heartbeat, MAX_ABUSE_BYTES, MAX_BATCH_BYTES, MAX_WAIT_SECONDS, PolicyKey,
    Register, Registered,
};
use weir_runtime::clock::now_millis;

/// Largest body of a call other than events: a heartbeat or statistics.
const MAX_BODY: usize = 1 << 20;
/// Longest credential.
const MAX_CREDENTIAL: usize = 1 << 10;
/// Longest name of a group, as in the control plane.
const MAX_GROUP: usize = 64;
/// Longest time to read a body.
const BODY: Duration = Duration::from_secs(30);

/// The routes.
pub fn router(app: App) -> Router {
    Router::new()
        .route(node_api::REGISTER, post(async |s, h, r| respond("register", &s, register(&s, h, r).await)))
        .route(node_api::HEARTBEAT, post(async |s, h, r| respond("heartbeat", &s, heartbeat(&s, h, r).await)))
        .route(node_api::EVENTS, post(async |s, h, r| respond("events", &s, events(&s, h, r).await)))
        .route(node_api::STATISTICS, post(async |s, h, r| respond("statistics", &s, statistics(&s, h, r).await)))
        .route(node_api::ABUSE, post(async |s, h, r| respond("abuse", &s, abuse(&s, h, r).await)))
        .route(node_api::POLICY, get(async |s, h, q| respond("policy", &s, policy(&s, h, q).await)))
        .route(
            &format!("{}/{{sha256}}", node_api::BLOBS),
            get(async |s, h, p| respond("blobs", &s, blob(&s, h, p).await)),
        )
        .with_state(app)
}

/// Counts a call and renders its outcome.
fn respond<T: IntoResponse>(call: &'static str, State(app): &State<App>, answer: Result<T, Problem>) -> Response {
    let outcome = answer.as_ref().err().map_or("ok", |problem| problem.status().1);
    app.metrics.calls.get_or_create(&Call { call, outcome }).inc();
    match answer {
        Ok(answer) => answer.into_response(),
        Err(problem) => problem.into_response(),
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, given) = value.and_then(|value| value.split_once(' ')).ok_or(Problem::Unauthenticated)?;
    let fits = scheme.eq_ignore_ascii_case("bearer") && given.len() <= MAX_CREDENTIAL;
    if fits { Ok(given.trim()) } else { Err(Problem::Unauthenticated) }
}

/// Authenticates the calling node.
fn node(app: &App, headers: &HeaderMap) -> Result<RegisteredNode, Problem> {
    let (id, secret) = bearer(headers)?.split_once('.').ok_or(Problem::Unauthenticated)?;
    app.replicas.verify(id, secret).ok_or(Problem::Unauthenticated)
}

/// Reads the whole body. Callers are authenticated by now, or hold one of few permits.
async fn body(request: Request, most: usize) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(BODY, Limited::new(request.into_body(), most).collect()).await;
    match read {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::TooLarge(most)),
        Ok(Err(error)) => Err(Problem::Invalid(format!("the body is incomplete: {error}"))),
        Err(_) => Err(Problem::Invalid("the body did not arrive in time".into())),
    }
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::Invalid(error.to_string()))
}

async fn register(State(app): &State<App>, headers: HeaderMap, request: Request) -> Result<Json<Registered>, Problem> {
    let token = bearer(&headers)?;
    let _one = app.registrations.try_acquire().map_err(|_| Problem::Busy("too many registrations at once", 1))?;
    match app.tokens.check(app.home.sync.link(), token).await {
        TokenStatus::Good => {}
        TokenStatus::Bad => return Err(Problem::Unauthenticated),
        TokenStatus::Unknown => {
            return Err(Problem::Busy("the control plane is not available, and the token was not used recently", 5));
        }
    }
    let query: Register = json(&body(request, MAX_BODY).await?)?;
    if query.role != NodeRole::Processing {
        return Err(Problem::Invalid("`role`: an aggregation accepts only processing nodes".into()));
    }
    if query.group.is_empty() || query.group.len() > MAX_GROUP {
        return Err(Problem::Invalid(format!("`group`: expected 1 to {MAX_GROUP} bytes")));
    }
    let group = app.groups.ensure(&query.group).await.map_err(|error| {
        tracing::error!(?error, group = query.group, "a group cannot be served");
        Problem::Busy("its group cannot be served", 60)
    })?;
    // All groups have the same signing key.
    let keys = [group.sync.key(), app.home.sync.key()];
    let key =
        keys.into_iter().flatten().next().ok_or(Problem::Busy("the control plane has not been reached yet", 5))?;
    let policy_key = PolicyKey { key_id: key.id(), public_key: key.into() };
    let replicas = std::sync::Arc::clone(&app.replicas);
    let taken = tokio::task::spawn_blocking(move || replicas.register(&query)).await;
    let identity = taken.map_err(|_| Problem::Busy("internal error; see the log of the aggregation", 5))?.map_err(
        |why| match why {
            RegistrationError::Full => Problem::Busy("too many nodes", 60),
            RegistrationError::Io(error) => {
                tracing::error!(%error, "a node could not be registered");
                Problem::Busy("the node could not be stored", 5)
            }
        },
    )?;
    app.metrics.replicas.set(app.replicas.count() as i64);
    tracing::info!(node_id = identity.node_id, group = group.sync.link().group(), "a node registered");
    Ok(Json(Registered { identity, policy_key, version: env!("CARGO_PKG_VERSION").into() }))
}

async fn heartbeat(State(app): &State<App>, headers: HeaderMap, request: Request) -> Result<StatusCode, Problem> {
    let node = node(app, &headers)?;
    let beat: Heartbeat = json(&body(request, MAX_BODY).await?)?;
    // After a restart, registered nodes call before they register again.
    let group = app.groups.ensure(&node.group).await.map_err(|_| Problem::Busy("its group cannot be served", 60))?;
    if app.replicas.record_heartbeat(&node.node_id, beat) {
        group.sync.nudge();
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn events(State(app): &State<App>, headers: HeaderMap, request: Request) -> Result<Json<Ack>, Problem> {
    let node = node(app, &headers)?;
    let gzip = headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding.as_bytes() == b"gzip");
    // Acquired before the body is read, to limit memory. Nodes send one batch at a time and wait.
    let turn = tokio::time::timeout(BODY, app.batches.acquire()).await;
    let _turn = turn.map_err(|_| Problem::Busy("too many batches at once", 1))?;
    let body = body(request, MAX_BATCH_BYTES).await?;
    let ack = intake::store(&app.events, body, gzip, node.node_id).await?;
    app.metrics.records.inc_by(ack.stored);
    Ok(Json(ack))
}

async fn statistics(State(app): &State<App>, headers: HeaderMap, request: Request) -> Result<StatusCode, Problem> {
    let node = node(app, &headers)?;
    let line = intake::statistics(&body(request, MAX_BODY).await?, &node.node_id)?;
    match app.statistics.offer(vec![line]).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(_) => Err(Problem::Busy("the spool does not accept records at the moment", 30)),
    }
}

async fn abuse(State(app): &State<App>, headers: HeaderMap, request: Request) -> Result<Json<AbuseNews>, Problem> {
    let node = node(app, &headers)?;
    let group = app.groups.ensure(&node.group).await.map_err(|_| Problem::Busy("its group cannot be served", 60))?;
    // Acquired before the body is read, to limit memory.
    let turn = tokio::time::timeout(BODY, app.reports.acquire()).await;
    let _turn = turn.map_err(|_| Problem::Busy("too many reports at once", 1))?;
    let report: AbuseReport = json(&body(request, MAX_ABUSE_BYTES).await?)?;
    let news = group.abuse.exchange(&node.node_id, report, now_millis());
    news.map(Json).map_err(|error| Problem::Invalid(error.to_string()))
}

/// Parameters of a policy poll.
#[derive(Debug, Deserialize)]
struct PolicyQuery {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    wait: u64,
}

async fn policy(
    State(app): &State<App>,
    headers: HeaderMap,
    Query(query): Query<PolicyQuery>,
) -> Result<Response, Problem> {
    let node = node(app, &headers)?;
    let _turn = app.polls.try_acquire().map_err(|_| Problem::Busy("too many nodes wait for a policy", 5))?;
    let group = app.groups.ensure(&node.group).await.map_err(|_| Problem::Busy("its group cannot be served", 60))?;
    let _counted = PollGuard::new(app);
    let mut news = group.watch();
    let newer = news.wait_for(|policy| policy.as_ref().is_some_and(|policy| policy.payload.serial > query.after));
    let wait = Duration::from_secs(query.wait.min(MAX_WAIT_SECONDS));
    let text = tokio::select! {
        newer = tokio::time::timeout(wait, newer) => match newer {
            Ok(Ok(policy)) => policy.as_ref().map(|policy| policy.text.clone()),
            _ => None,
        },
        () = app.stop.cancelled() => None,
    };
    Ok(match text {
        Some(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Counts a poll while it lasts.
struct PollGuard<'a>(&'a App);

impl<'a> PollGuard<'a> {
    fn new(app: &'a App) -> Self {
        app.metrics.polls.inc();
        Self(app)
    }
}

impl Drop for PollGuard<'_> {
    fn drop(&mut self) {
        self.0.metrics.polls.dec();
    }
}

async fn blob(State(app): &State<App>, headers: HeaderMap, Path(sha256): Path<String>) -> Result<Response, Problem> {
    let node = node(app, &headers)?;
    let group = app.groups.get(&node.group).ok_or(Problem::NotFound)?;
    // Only files that the policy names, so the parameter is a hash and cannot be another path.
    if !group.names(&sha256) {
        return Err(Problem::NotFound);
    }
    let body = group.sync.cache().open_file(&sha256).await.map_err(|error| {
        tracing::error!(%error, sha256, "a file of the policy cannot be read");
        Problem::NotFound
    })?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], Body::new(body)).into_response())
}
