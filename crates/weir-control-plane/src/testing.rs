//! A control plane in a directory of its own, with a clock that tests set, called without a socket.

use super::app::{App, Config, FirstAdministrator};
use super::auth::user::NewUser;
use super::auth::{Caller, Credential, Role};
use super::store::Database;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use tower::ServiceExt;
use weir_policy::client::{ClientRules, ProxyHeaders};
use weir_runtime::clock::Clock;
use weir_runtime::serve::Peer;

/// When tests begin: 2026-01-01.
pub const BEGIN: i64 = 1_767_225_600_000;
/// Password of the first administrator.
pub const PASSWORD: &str = "correct-horse-battery";
/// Token of usage node deployment.
pub const DEPLOY: &str = "deploy-token-of-tests";
/// Address of the peer, a trusted proxy.
pub const PEER: &str = "198.51.100.7:1234";

/// A control plane for one test.
pub struct Fixture {
    /// Its services.
    pub app: App,
    /// Its time.
    pub clock: Clock,
    /// Its files.
    pub dir: tempfile::TempDir,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Fixture {
    /// A fresh one.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A fresh one whose settings differ.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let clock = Clock::Manual(Arc::new(AtomicI64::new(BEGIN)));
        let dir = tempfile::tempdir().unwrap();
        let app = Self::start(&dir, clock.clone(), change).await.0;
        Self { app, clock, dir }
    }

    /// Another process on the same files.
    pub async fn open(dir: &tempfile::TempDir, clock: Clock) -> App {
        Self::start(dir, clock, |_| {}).await.0
    }

    /// Starts a process on the files in `dir`, whose settings differ.
    pub async fn start(
        dir: &tempfile::TempDir,
        clock: Clock,
        change: impl FnOnce(&mut Config),
    ) -> (App, Option<FirstAdministrator>) {
        let store = Database::open(&format!("sqlite:{}", dir.path().display())).await.unwrap();
        let mut config = Config {
            key_file: dir.path().join("policy-key.pem"),
            deploy_token: Some(DEPLOY.into()),
            in_process_token: None,
            admin_login: "admin".into(),
            admin_password: Some(PASSWORD.into()),
            secure: false,
            public_url: None,
            clients: ClientRules::new(vec![ProxyHeaders {
                trusted: vec!["198.51.100.7/32".parse().unwrap()],
                real_ip: vec!["x-forwarded-for".into()],
                original_host: Vec::new(),
            }]),
            retention_days: 180,
            behaviour_days: 30,
            session_days: 7,
            oidc: None,
            smtp: None,
            outgoing: Default::default(),
            metrics: Default::default(),
        };
        change(&mut config);
        App::start(config, store, clock).await.unwrap()
    }

    /// A user with `role`, logged in: cookie and CSRF token.
    pub async fn browser(&self, role: Role) -> (String, String) {
        let login = format!("{}@test", role.code());
        let known = self.app.users.list().await.unwrap().into_iter().find(|user| user.login == login);
        let user = match known {
            Some(user) => user,
            None => {
                // Without a password, nothing is hashed.
                let new =
                    NewUser { login: login.clone(), name: String::new(), role, password: None, subject: Some(login) };
                let mut on = self.app.store.control().write().acquire().await.unwrap();
                self.app.users.prepare(new).await.unwrap().insert(&mut on).await.unwrap()
            }
        };
        let mut on = self.app.store.control().write().acquire().await.unwrap();
        let (secret, session) = self.app.sessions.begin(&mut on, &user, "198.51.100.7", "test").await.unwrap();
        (format!("{}={secret}", super::routes::cookie_name(false)), session.csrf)
    }

    /// A caller with `role`, to call services directly.
    pub async fn caller(&self, role: Role) -> Caller {
        let (cookie, _) = self.browser(role).await;
        let session = self.app.sessions.find(cookie.split_once('=').unwrap().1).await.unwrap().unwrap();
        Caller { credential: Credential::Session(Box::new(session)), address: "198.51.100.7".into(), confirm: None }
    }

    /// Posts a form of the Console.
    pub async fn form(&self, role: Role, path: &str, form: &str) -> Answer {
        let (cookie, csrf) = self.browser(role).await;
        let kind = "application/x-www-form-urlencoded";
        let headers = [("cookie", cookie.as_str()), (super::routes::CSRF_HEADER, &csrf), ("content-type", kind)];
        self.call("POST", path, &headers, form.as_bytes()).await
    }

    /// Calls with headers as given.
    pub async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from(body.to_vec())).unwrap();
        request.extensions_mut().insert(ConnectInfo(Peer(PEER.parse().unwrap())));
        let response = super::server::router(&self.app).oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec();
        Answer { status, headers, body }
    }

    /// Calls as the browser of a user with `role`.
    pub async fn as_role(&self, role: Role, method: &str, path: &str, body: &Value) -> Answer {
        let (cookie, csrf) = self.browser(role).await;
        let headers = [("cookie", cookie.as_str()), ("x-csrf-token", &csrf), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.call(method, path, &headers, body.as_bytes()).await
    }

    /// Calls as a browser of a user with `role`, and again with the confirmation where one is asked for.
    pub async fn confirmed(&self, role: Role, method: &str, path: &str, body: &Value) -> Answer {
        let first = self.as_role(role, method, path, body).await;
        if first.status != StatusCode::PRECONDITION_REQUIRED {
            return first;
        }
        let confirm = first.json()["confirmation"]["confirm"].as_str().unwrap().to_owned();
        let (cookie, csrf) = self.browser(role).await;
        let headers = [
            ("cookie", cookie.as_str()),
            ("x-csrf-token", &csrf),
            ("content-type", "application/json"),
            ("x-confirm", &confirm),
        ];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.call(method, path, &headers, body.as_bytes()).await
    }

    /// Calls with a bearer token.
    pub async fn bearer(&self, token: &str, method: &str, path: &str, body: &Value) -> Answer {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.call(method, path, &headers, body.as_bytes()).await
    }

    /// Registers a node with `capabilities`; answers its bearer text.
    pub async fn node(&self, capabilities: &[&str]) -> String {
        let body = serde_json::json!({"group": "default", "name": "n", "role": "processing", "version": "1",
            "capabilities": capabilities});
        let answer = self.bearer(DEPLOY, "POST", weir_protocol::node_api::REGISTER, &body).await;
        let identity = answer.json()["identity"].clone();
        format!("{}.{}", identity["node_id"].as_str().unwrap(), identity["secret"].as_str().unwrap())
    }

    /// The policy that a node gets at once; none for 204.
    pub async fn poll(&self, node: &str, after: u64) -> Option<weir_protocol::node_api::PolicyPayload> {
        let path = format!("{}?after={after}&wait=0", weir_protocol::node_api::POLICY);
        let answer = self.bearer(node, "GET", &path, &Value::Null).await;
        if answer.status == StatusCode::NO_CONTENT {
            return None;
        }
        let signed: weir_protocol::node_api::SignedPolicy = serde_json::from_slice(&answer.body).unwrap();
        Some(serde_json::from_str(&signed.document).unwrap())
    }
}
