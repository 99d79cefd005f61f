//! Authenticated calls to a control plane or an aggregation. Registers the node if it has no identity or the server does
//! not know it.

use super::Config;
use super::call_error::CallError;
use super::client::Client;
use super::endpoint::SetupError;
use super::metrics::{Reason, SyncMetrics};
use super::public_key::PublicKey;
use super::state::NodeState;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Mutex;
use weir_protocol::node_api::{CAPABILITIES, Identity, Register, Registered};
use weir_runtime::backoff::Backoff;

/// Largest token file.
const MAX_TOKEN: u64 = 16 << 10;

/// The token with which a node registers.
#[derive(Clone)]
pub enum Token {
    /// The token.
    Text(String),
    /// A file that contains it, read again at each registration.
    File(PathBuf),
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Text(_) => f.write_str("Text(****)"),
            Token::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

impl Token {
    fn read(&self) -> Result<String, CallError> {
        let Token::File(path) = self else {
            let Token::Text(text) = self else { unreachable!("the other kind") };
            return Ok(text.clone());
        };
        let bad = |why: &dyn fmt::Display| CallError::Unregistered(format!("{}: {why}", path.display()));
        let content = super::files::read(path, MAX_TOKEN).map_err(|error| bad(&error))?;
        let text = content.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let text = text.trim();
        if text.is_empty() { Err(bad(&"no token in it")) } else { Ok(text.to_owned()) }
    }
}

/// When to try to register again.
#[derive(Debug, Default)]
struct Attempt {
    backoff: Backoff,
    not_before: Option<Instant>,
    failure: String,
}

/// Connection to a control plane or an aggregation.
#[derive(Debug)]
pub struct Link {
    config: Config,
    client: Client,
    state: Arc<NodeState>,
    attempt: Mutex<Attempt>,
    metrics: SyncMetrics,
}

impl Link {
    pub(super) fn new(config: Config, state: Arc<NodeState>, metrics: SyncMetrics) -> Result<Self, SetupError> {
        let client = Client::new(&config.endpoint)?;
        Ok(Self { config, client, state, attempt: Mutex::default(), metrics })
    }

    /// Calls with the node's identity; registers and retries once if the server does not know it.
    pub async fn call<T, F, R>(&self, call: F) -> Result<T, CallError>
    where
        F: Fn(Client, Identity) -> R,
        R: Future<Output = Result<T, CallError>>,
    {
        let result = self.attempt(call).await;
        match &result {
            // The server answered, so it is up.
            Ok(_) | Err(CallError::Refused(..) | CallError::Unknown(_)) => self.metrics.up.set(1),
            Err(_) => self.metrics.up.set(0),
        };
        if let Err(error) = &result {
            self.metrics.failures.get_or_create(&Reason { reason: error.code() }).inc();
        }
        result
    }

    async fn attempt<T, F, R>(&self, call: F) -> Result<T, CallError>
    where
        F: Fn(Client, Identity) -> R,
        R: Future<Output = Result<T, CallError>>,
    {
        let identity = match self.state.identity() {
            Some(identity) => identity,
            None => self.renew(None).await?,
        };
        match call(self.client.clone(), identity.clone()).await {
            Err(CallError::Unknown(_)) => {
                let identity = self.renew(Some(identity)).await?;
                call(self.client.clone(), identity).await
            }
            other => other,
        }
    }

    /// The token to register with, if it can be read.
    pub(super) fn registration_token(&self) -> Option<String> {
        self.config.token.as_ref()?.read().ok()
    }

    /// Checks that the server accepts `token` for registration: the node confirms its own identity with it, which changes
    /// nothing.
    pub async fn is_deploy_token(&self, token: &str) -> Result<(), CallError> {
        let identity = match self.state.identity() {
            Some(identity) => identity,
            None => self.renew(None).await?,
        };
        let given = self.client.register(token, &self.body(Some(identity.clone()))).await?;
        if given.identity != identity {
            // The server no longer knew the node.
            self.adopt(&given).await?;
        }
        Ok(())
    }

    /// Id of the node, if it is registered.
    pub fn node_id(&self) -> Option<String> {
        self.state.identity().map(|identity| identity.node_id)
    }

    /// The group that it joins.
    pub fn group(&self) -> &str {
        &self.config.group
    }

    /// Its metrics.
    pub fn metrics(&self) -> &SyncMetrics {
        &self.metrics
    }

    pub(super) fn state(&self) -> &Arc<NodeState> {
        &self.state
    }

    /// Returns an identity other than `stale`: registers, unless another task has just done so or it is too early to retry.
    async fn renew(&self, stale: Option<Identity>) -> Result<Identity, CallError> {
        let mut attempt = self.attempt.lock().await;
        if let Some(known) = self.state.identity().filter(|known| Some(known) != stale.as_ref()) {
            return Ok(known);
        }
        if attempt.not_before.is_some_and(|time| Instant::now() < time) {
            return Err(CallError::Unregistered(attempt.failure.clone()));
        }
        match self.register(stale).await {
            Ok(identity) => {
                *attempt = Attempt::default();
                Ok(identity)
            }
            Err(error) => {
                let why = error.to_string();
                if why != attempt.failure {
                    tracing::warn!(error = why, host = self.config.endpoint.host, "the node could not register");
                }
                attempt.not_before = Some(Instant::now() + attempt.backoff.pause());
                attempt.failure = why.clone();
                Err(CallError::Unregistered(why))
            }
        }
    }

    async fn register(&self, stale: Option<Identity>) -> Result<Identity, CallError> {
        let config = &self.config;
        let token = config.token.as_ref().ok_or_else(|| {
            CallError::Unregistered("no token; set api.token to an API token of usage Node deployment".into())
        })?;
        let given = self.client.register(&token.read()?, &self.body(stale)).await?;
        self.adopt(&given).await?;
        Ok(given.identity)
    }

    fn body(&self, identity: Option<Identity>) -> Register {
        let config = &self.config;
        Register {
            identity,
            group: config.group.clone(),
            name: config.name.clone(),
            role: config.role.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            capabilities: CAPABILITIES.iter().map(ToString::to_string).collect(),
        }
    }

    /// Stores the result of a registration.
    async fn adopt(&self, given: &Registered) -> Result<(), CallError> {
        let (config, identity) = (&self.config, given.identity.clone());
        let key = PublicKey::of(&given.policy_key).map_err(|error| CallError::InvalidResponse(error.to_string()))?;
        self.metrics.registrations.inc();
        tracing::info!(node_id = identity.node_id, group = config.group, host = config.endpoint.host, "registered");
        let (state, given) = (Arc::clone(&self.state), identity);
        let kept = tokio::task::spawn_blocking(move || state.registered(given, Some(key))).await;
        match kept.map_err(std::io::Error::other).flatten() {
            Ok(true) => self.pinned(key),
            Ok(false) => {}
            Err(error) => tracing::error!(
                path = %self.state.path().display(), %error,
                "the identity could not be stored: make room on this disk, or make it writable; until then the node \
                 tries again with each heartbeat, and one that is restarted registers anew"
            ),
        }
        Ok(())
    }

    /// Stores what could not be stored before, if there is anything.
    pub(super) async fn store(&self) {
        if !self.state.is_behind() {
            return;
        }
        let state = Arc::clone(&self.state);
        let stored = tokio::task::spawn_blocking(move || state.store()).await;
        let path = self.state.path().display();
        match stored.map_err(std::io::Error::other).flatten() {
            Ok(()) => tracing::info!(%path, "the state of the node is stored again"),
            Err(error) => tracing::debug!(%path, %error, "the state of the node still cannot be stored"),
        }
    }

    fn pinned(&self, key: PublicKey) {
        let (key_id, host) = (key.id(), &self.config.endpoint.host);
        if self.config.endpoint.is_authenticated() {
            tracing::info!(key_id, host, "policy key pinned");
        } else {
            tracing::warn!(
                key_id,
                host,
                "policy key pinned over a connection whose server is not authenticated; compare the key id with the one \
                 that the Console shows, or set api.policy_key"
            );
        }
    }
}
