//! Whether a token is one of usage Node deployment: the control plane says so, and is believed for a week while it is away.

use crate::sync::{CallError, Link, files};
use ring::digest::{SHA256, digest};
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;

/// Seconds for which a good token is not asked about again: nodes that start together come with the same one.
const RECHECK_AFTER: u64 = 60;
/// Seconds for which a token that was good still counts while the control plane is away.
const OFFLINE_TTL: u64 = 7 * 24 * 60 * 60;
/// Tokens that are remembered.
const MAX_TOKENS: usize = 100;
/// Questions to the control plane at once.
const MAX_CHECKS: usize = 8;
/// Largest file.
const MAX_FILE: u64 = 1 << 20;

/// What is known of tokens: when each, by its hash in hex, was last said to be good.
pub struct Tokens {
    path: PathBuf,
    good: Mutex<HashMap<String, u64>>,
    checks: Semaphore,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStatus {
    /// One of usage Node deployment.
    Good,
    /// None.
    Bad,
    /// Nobody can say.
    Unknown,
}

impl Tokens {
    /// Those remembered in `path`.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let good = match files::read(&path, MAX_FILE)? {
            None => HashMap::new(),
            Some(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::error!(path = %path.display(), %error, "not readable: no token is remembered");
                HashMap::new()
            }),
        };
        Ok(Self { path, good: Mutex::new(good), checks: Semaphore::new(MAX_CHECKS) })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.good.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn age(&self, name: &str) -> Option<u64> {
        self.lock().get(name).map(|at| now().saturating_sub(*at))
    }

    /// What `token` is, by the word of the control plane at the end of `link`.
    pub async fn check(self: &Arc<Self>, link: &Link, token: &str) -> TokenStatus {
        let name = crate::sync::hex(digest(&SHA256, token.as_bytes()).as_ref());
        if self.age(&name).is_some_and(|age| age < RECHECK_AFTER) {
            return TokenStatus::Good;
        }
        let Ok(_one) = self.checks.try_acquire() else { return TokenStatus::Unknown };
        match link.is_deploy_token(token).await {
            Ok(()) => {
                self.store(name).await;
                TokenStatus::Good
            }
            Err(CallError::Unknown(_) | CallError::Refused(..)) => {
                self.lock().remove(&name);
                TokenStatus::Bad
            }
            Err(error) => {
                let remembered = self.age(&name).is_some_and(|age| age < OFFLINE_TTL);
                tracing::debug!(%error, remembered, "the control plane cannot say whether a token is good");
                if remembered { TokenStatus::Good } else { TokenStatus::Unknown }
            }
        }
    }

    async fn store(self: &Arc<Self>, name: String) {
        {
            let mut good = self.lock();
            good.retain(|_, at| *at + OFFLINE_TTL > now());
            if good.len() >= MAX_TOKENS {
                let oldest = good.iter().min_by_key(|(_, at)| **at).map(|(name, _)| name.clone());
                oldest.and_then(|name| good.remove(&name));
            }
            good.insert(name, now());
        }
        let tokens = Arc::clone(self);
        let kept = tokio::task::spawn_blocking(move || {
            // Under the lock, so that an older state never replaces a newer one.
            let good = tokens.lock();
            files::replace(&tokens.path, &serde_json::to_vec(&*good).map_err(io::Error::other)?)
        });
        if let Err(error) = kept.await.map_err(io::Error::other).flatten() {
            tracing::error!(%error, "a good token could not be remembered");
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
