//! A control plane for tests: it answers as the test configures, records what it received, and can be killed.

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use weir_protocol::node_api::{
    self, Ack, Heartbeat, Identity, PolicyKey, Record, Register, Registered, SignedPolicy, Statistics,
};
use weir_testkit::until;

/// The deploy token.
pub const TOKEN: &str = "deploy-token-of-the-test";

/// A key that signs policies.
pub struct Signer(Ed25519KeyPair);

impl Signer {
    pub fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    pub fn key(&self) -> PolicyKey {
        let bytes = self.0.public_key().as_ref();
        PolicyKey { key_id: hex(&digest(&SHA256, bytes).as_ref()[..8]), public_key: STANDARD.encode(bytes) }
    }

    fn sign(&self, context: &[u8], message: &[u8]) -> String {
        STANDARD.encode(self.0.sign(&[context, message].concat()))
    }

    /// The chain of one: `next` vouched for by this key.
    pub fn vouch(&self, next: &Signer) -> node_api::SuccessorKey {
        let signature = self.sign(node_api::KEY_CONTEXT, next.0.public_key().as_ref());
        node_api::SuccessorKey { key: next.key(), signed_by: self.key().key_id, signature }
    }

    /// `payload`, signed.
    pub fn publish(&self, payload: &Value) -> SignedPolicy {
        let document = payload.to_string();
        let signature = self.sign(node_api::POLICY_CONTEXT, document.as_bytes());
        SignedPolicy { document, key_id: self.key().key_id, signature, chain: Vec::new() }
    }
}

/// A payload for the default group.
pub fn payload(serial: u64, policy: Value) -> Value {
    json!({"schema": 1, "serial": serial, "published_at": 0, "group": "default", "policy": policy})
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn sha256(content: &[u8]) -> String {
    hex(digest(&SHA256, content).as_ref())
}

/// What was received, and what to answer.
#[derive(Default)]
pub struct Told {
    pub registrations: Vec<Register>,
    /// Node id and secret.
    pub nodes: HashMap<String, String>,
    /// The last heartbeat by node id; those of replicas too.
    pub beats: HashMap<String, Heartbeat>,
    /// How often each record came.
    pub records: BTreeMap<String, u32>,
    pub statistics: Vec<Statistics>,
    /// Paths and credentials of all calls.
    pub calls: Vec<(String, String)>,
    /// Changes of automatic entries that came, and those that every caller gets.
    pub entries: Vec<Value>,
    pub decided: Vec<Value>,
    pub blobs: HashMap<String, Vec<u8>>,
    /// Batches are stored and then answered with 500: the sender cannot know that they arrived.
    pub lose_acks: bool,
    /// Policy polls under way, and most at once.
    pub polls: usize,
    pub most_polls: usize,
}

struct Shared {
    told: Mutex<Told>,
    key: PolicyKey,
    /// Served whatever the caller has already, where the serial is 0.
    policy: watch::Sender<Option<(u64, Arc<SignedPolicy>)>>,
}

/// The control plane.
pub struct Stub {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    server: Option<Runtime>,
}

impl Stub {
    pub fn start(signer: &Signer) -> Stub {
        let shared = Shared { told: Mutex::default(), key: signer.key(), policy: watch::Sender::default() };
        let mut stub = Stub { address: ([127, 0, 0, 1], 0).into(), shared: Arc::new(shared), server: None };
        stub.revive();
        stub
    }

    /// Ends it at once, connections and all.
    pub fn kill(&mut self) {
        self.server.take().expect("it runs").shutdown_background();
        // The port is free when nothing answers on it any more.
        until("the stub to end", || std::net::TcpStream::connect(self.address).is_err());
    }

    /// Starts it again on the same port, with all that it knew.
    pub fn revive(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let listener = loop {
            match runtime.block_on(tokio::net::TcpListener::bind(self.address)) {
                Ok(listener) => break listener,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        self.address = listener.local_addr().unwrap();
        let router = router(Arc::clone(&self.shared));
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        self.server = Some(runtime);
    }

    /// What it received.
    pub fn told<T>(&self, look: impl FnOnce(&mut Told) -> T) -> T {
        look(&mut self.shared.told.lock().unwrap())
    }

    /// Gives out `policy` to who has an older one.
    pub fn publish(&self, signed: SignedPolicy) {
        let serial = serde_json::from_str::<Value>(&signed.document).unwrap()["serial"].as_u64().unwrap();
        self.shared.policy.send_replace(Some((serial, Arc::new(signed))));
    }

    /// Gives out `policy` to everybody who asks, as a broken or hostile control plane would.
    pub fn force(&self, signed: SignedPolicy) {
        self.shared.policy.send_replace(Some((0, Arc::new(signed))));
    }

    /// The settings with which a node finds it.
    pub fn sets(&self, data: &std::path::Path) -> Vec<String> {
        vec![
            "api.host=127.0.0.1".into(),
            format!("api.port={}", self.address.port()),
            "api.use_ssl=false".into(),
            format!("api.token={TOKEN}"),
            format!("data_dir={}", data.display()),
        ]
    }

    /// The heartbeat of the only node that has said anything.
    pub fn beat(&self) -> Option<Heartbeat> {
        self.told(|told| told.beats.values().next().cloned())
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown_background();
        }
    }
}

/// Polls until `done`, with a generous limit.
type Plane = State<Arc<Shared>>;

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route(node_api::REGISTER, post(register))
        .route(node_api::HEARTBEAT, post(heartbeat))
        .route(node_api::EVENTS, post(events))
        .route(node_api::STATISTICS, post(statistics))
        .route(node_api::ABUSE, post(abuse))
        .route(node_api::POLICY, get(policy))
        .route(&format!("{}/{{sha256}}", node_api::BLOBS), get(blob))
        .layer(axum::extract::DefaultBodyLimit::max(64 << 20))
        .with_state(shared)
}

fn bearer(headers: &HeaderMap) -> String {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.strip_prefix("Bearer ").unwrap_or_default().to_owned()
}

/// The node that calls.
fn node(shared: &Shared, uri: &Uri, headers: &HeaderMap) -> Result<String, StatusCode> {
    let bearer = bearer(headers);
    let mut told = shared.told.lock().unwrap();
    told.calls.push((uri.path().to_owned(), bearer.clone()));
    let (id, secret) = bearer.split_once('.').ok_or(StatusCode::UNAUTHORIZED)?;
    match told.nodes.get(id) {
        Some(known) if known == secret => Ok(id.to_owned()),
        _ => Err(StatusCode::UNAUTHORIZED),
    }
}

async fn register(
    State(shared): Plane,
    uri: Uri,
    headers: HeaderMap,
    Json(body): Json<Register>,
) -> Result<Json<Registered>, (StatusCode, Json<Value>)> {
    let mut told = shared.told.lock().unwrap();
    told.calls.push((uri.path().to_owned(), bearer(&headers)));
    if bearer(&headers) != TOKEN {
        return Err((StatusCode::FORBIDDEN, Json(json!({"title": "no such token"}))));
    }
    let known = |identity: &Identity| told.nodes.get(&identity.node_id) == Some(&identity.secret);
    let identity = body.identity.clone().filter(known).unwrap_or_else(|| {
        let number = told.nodes.len();
        let identity = Identity { node_id: format!("node{number}"), secret: format!("secret{number}") };
        told.nodes.insert(identity.node_id.clone(), identity.secret.clone());
        identity
    });
    told.registrations.push(body);
    let policy_key = shared.key.clone();
    Ok(Json(Registered { identity, policy_key, version: "0".into() }))
}

async fn heartbeat(
    State(shared): Plane,
    uri: Uri,
    headers: HeaderMap,
    Json(beat): Json<Heartbeat>,
) -> Result<StatusCode, StatusCode> {
    let id = node(&shared, &uri, &headers)?;
    let mut told = shared.told.lock().unwrap();
    told.beats.extend(beat.replicas.clone());
    told.beats.insert(id, beat);
    Ok(StatusCode::NO_CONTENT)
}

async fn abuse(
    State(shared): Plane,
    uri: Uri,
    headers: HeaderMap,
    Json(mut report): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    node(&shared, &uri, &headers)?;
    let mut told = shared.told.lock().unwrap();
    told.entries.extend(report["changes"].as_array_mut().map(std::mem::take).unwrap_or_default());
    Ok(Json(json!({"changes": told.decided, "last": 0})))
}

async fn events(State(shared): Plane, uri: Uri, headers: HeaderMap, body: Bytes) -> Result<Json<Ack>, StatusCode> {
    node(&shared, &uri, &headers)?;
    let mut text = String::new();
    if headers.contains_key(header::CONTENT_ENCODING) {
        flate2::read::GzDecoder::new(&*body).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(body.to_vec()).unwrap();
    }
    let mut told = shared.told.lock().unwrap();
    let mut ack = Ack::default();
    for line in text.lines() {
        let id = match serde_json::from_str(line).unwrap() {
            Record::Hit(hit) => hit.id,
            Record::Update(update) => format!("update of {}", update.hit),
        };
        let seen = told.records.entry(id).or_insert(0);
        *seen += 1;
        if *seen == 1 { ack.stored += 1 } else { ack.duplicates += 1 }
    }
    if told.lose_acks { Err(StatusCode::INTERNAL_SERVER_ERROR) } else { Ok(Json(ack)) }
}

async fn statistics(
    State(shared): Plane,
    uri: Uri,
    headers: HeaderMap,
    Json(body): Json<Statistics>,
) -> Result<StatusCode, StatusCode> {
    node(&shared, &uri, &headers)?;
    shared.told.lock().unwrap().statistics.push(body);
    Ok(StatusCode::NO_CONTENT)
}

/// Counts a poll while it lasts.
struct Polling(Arc<Shared>);

impl Polling {
    fn begin(shared: &Arc<Shared>) -> Self {
        let mut told = shared.told.lock().unwrap();
        told.polls += 1;
        told.most_polls = told.most_polls.max(told.polls);
        Self(Arc::clone(shared))
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        self.0.told.lock().unwrap().polls -= 1;
    }
}

async fn policy(
    State(shared): Plane,
    uri: Uri,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, u64>>,
) -> Result<Response, StatusCode> {
    node(&shared, &uri, &headers)?;
    let _counted = Polling::begin(&shared);
    let (after, wait) = (query["after"], Duration::from_secs(query["wait"]));
    let mut policies = shared.policy.subscribe();
    let newer = policies.wait_for(|policy| policy.as_ref().is_some_and(|(serial, _)| *serial == 0 || *serial > after));
    match tokio::time::timeout(wait, newer).await {
        Ok(Ok(policy)) => Ok(Json(&*policy.as_ref().unwrap().1).into_response()),
        _ => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

async fn blob(
    State(shared): Plane,
    uri: Uri,
    headers: HeaderMap,
    Path(sha256): Path<String>,
) -> Result<Vec<u8>, StatusCode> {
    node(&shared, &uri, &headers)?;
    shared.told.lock().unwrap().blobs.get(&sha256).cloned().ok_or(StatusCode::NOT_FOUND)
}
