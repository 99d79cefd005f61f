//! Validates Node deployment tokens with the control plane. While it is not available, a token that was valid within the
//! last week is accepted.

use crate::sync::{CallError, Link, files};
use ring::digest::{SHA256, digest};
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;
use weir_runtime::clock::now_seconds;
use weir_runtime::hex;

/// Seconds for which a valid token is not checked again: nodes that start together use the same one.
const RECHECK_AFTER: u64 = 60;
/// Seconds for which a token that was valid is accepted while the control plane is not available.
const OFFLINE_TTL: u64 = 7 * 24 * 60 * 60;
/// Largest number of stored tokens.
const MAX_TOKENS: usize = 100;
/// Concurrent checks with the control plane.
const MAX_CHECKS: usize = 8;
/// Largest file.
const MAX_FILE: u64 = 1 << 20;

/// Valid tokens: the hash of each in hex, and when it was last valid.
pub struct Tokens {
    path: PathBuf,
    good: Mutex<HashMap<String, u64>>,
    checks: Semaphore,
}

/// Result of the check of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStatus {
    /// A valid Node deployment token.
    Good,
    /// Not valid.
    Bad,
    /// The control plane is not available, and the token was not valid recently.
    Unknown,
}

impl Tokens {
    /// Reads the tokens stored in `path`.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let good = match files::read(&path, MAX_FILE)? {
            None => HashMap::new(),
            Some(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::error!(path = %path.display(), %error, "cannot read the stored tokens");
                HashMap::new()
            }),
        };
        Ok(Self { path, good: Mutex::new(good), checks: Semaphore::new(MAX_CHECKS) })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.good.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn age(&self, name: &str) -> Option<u64> {
        self.lock().get(name).map(|at| now_seconds().saturating_sub(*at))
    }

    /// Checks `token` with the control plane.
    pub async fn check(self: &Arc<Self>, link: &Link, token: &str) -> TokenStatus {
        let name = hex::encode(digest(&SHA256, token.as_bytes()).as_ref());
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
                tracing::debug!(%error, remembered, "the control plane cannot check a token");
                if remembered { TokenStatus::Good } else { TokenStatus::Unknown }
            }
        }
    }

    async fn store(self: &Arc<Self>, name: String) {
        {
            let mut good = self.lock();
            good.retain(|_, at| *at + OFFLINE_TTL > now_seconds());
            if good.len() >= MAX_TOKENS {
                let oldest = good.iter().min_by_key(|(_, at)| **at).map(|(name, _)| name.clone());
                oldest.and_then(|name| good.remove(&name));
            }
            good.insert(name, now_seconds());
        }
        let tokens = Arc::clone(self);
        let kept = tokio::task::spawn_blocking(move || {
            // Under the lock, so that an older state never replaces a newer one.
            let good = tokens.lock();
            files::replace(&tokens.path, &serde_json::to_vec(&*good).map_err(io::Error::other)?)
        });
        if let Err(error) = kept.await.map_err(io::Error::other).flatten() {
            tracing::error!(%error, "a valid token could not be stored");
        }
    }
}
