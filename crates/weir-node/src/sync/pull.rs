//! The long poll for policies: each new policy is verified, applied and stored.

use super::blobs::BlobCache;
use super::call_error::CallError;
use super::files;
use super::link::Link;
use super::metrics::Reason;
use super::status::PolicyStatus;
use super::verify::{self, PolicyRejection, VerifiedPolicy};
use bytes::Bytes;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use weir_protocol::node_api::MAX_WAIT_SECONDS;
use weir_runtime::backoff::Backoff;

/// Shortest time between polls of a server that does not wait.
const MIN_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Applies policies.
pub trait Apply: Send + Sync + 'static {
    /// Applies `policy` as a whole or not at all. Its files are in `cache`.
    fn apply(
        &self,
        policy: Arc<VerifiedPolicy>,
        cache: BlobCache,
    ) -> impl Future<Output = Result<(), ApplyError>> + Send;

    /// Checks that a genuine policy is supported. Implementations that only pass it on need not support it.
    fn check_capabilities(&self, policy: &VerifiedPolicy) -> Result<(), PolicyRejection> {
        verify::check_capabilities(policy)
    }
}

/// Why a policy could not be applied, as text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ApplyError(pub String);

/// What the loop needs.
pub(super) struct Puller<A> {
    pub link: Arc<Link>,
    pub status: Arc<PolicyStatus>,
    pub cache: BlobCache,
    /// The file of the last good policy.
    pub file: PathBuf,
    pub apply: Arc<A>,
}

/// A received policy that is not in use.
struct PullFailure {
    /// Its serial, if it must not be fetched again.
    serial: Option<u64>,
    code: &'static str,
    why: String,
}

impl From<PolicyRejection> for PullFailure {
    fn from(unfit: PolicyRejection) -> Self {
        PullFailure { serial: unfit.serial(), code: unfit.code(), why: unfit.to_string() }
    }
}

impl<A: Apply> Puller<A> {
    /// Pulls until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        // The first call does not wait, so that the start learns quickly whether there is a policy.
        let (mut backoff, mut wait) = (Backoff::default(), 0);
        loop {
            let asked = Instant::now();
            let polled = tokio::select! {
                polled = self.poll(wait) => polled,
                () = stop.cancelled() => return,
            };
            let pause = match polled {
                Ok(None) => {
                    backoff.reset();
                    if wait > 0 { MIN_POLL_INTERVAL.saturating_sub(asked.elapsed()) } else { Duration::ZERO }
                }
                Ok(Some(text)) => match self.process(text).await {
                    Ok(()) => {
                        backoff.reset();
                        Duration::ZERO
                    }
                    Err(failure) => self.log_failure(failure, &mut backoff),
                },
                Err(CallError::Busy(_, Some(pause))) => pause.max(backoff.pause()),
                Err(error) => {
                    tracing::debug!(%error, "policy poll");
                    backoff.pause()
                }
            };
            self.status.asked();
            wait = MAX_WAIT_SECONDS;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn poll(&self, wait: u64) -> Result<Option<Bytes>, CallError> {
        let after = self.status.seen().max(self.link.state().serial(self.link.group()));
        self.link.call(|client, identity| async move { client.policy(&identity, after, wait).await }).await
    }

    fn log_failure(&self, failure: PullFailure, backoff: &mut Backoff) -> Duration {
        let PullFailure { serial, code, why } = failure;
        let news = self.status.view().error.as_ref() != Some(&why);
        self.status.refuse(serial, &why);
        self.link.metrics().refused.get_or_create(&Reason { reason: code }).inc();
        if news {
            tracing::error!(reason = code, error = why, "policy rejected; the last good one stays in force");
        }
        backoff.pause()
    }

    async fn process(&self, text: Bytes) -> Result<(), PullFailure> {
        let (state, group) = (Arc::clone(self.link.state()), self.link.group().to_owned());
        let verified =
            blocking(move || verify::verify_for_group(text, state.trust(), &group, state.serial(&group))).await;
        let verified = Arc::new(verified.map_err(|error| internal(&error))??);
        let serial = verified.payload.serial;
        self.apply.check_capabilities(&verified)?;
        verify::check_blobs(&verified)?;
        for blob in verified.payload.rule_packs.iter().chain(&verified.payload.databases) {
            self.cache.fetch(&self.link, blob).await.map_err(|error| PullFailure {
                serial: None,
                code: "blob",
                why: format!("policy {serial}: file `{}`: {error}", blob.name),
            })?;
        }
        let applied = self.apply.apply(Arc::clone(&verified), self.cache.clone()).await;
        applied.map_err(|ApplyError(why)| PullFailure { serial: Some(serial), code: "mistakes", why })?;
        self.status.accept(serial);
        self.link.metrics().serial.set(i64::try_from(serial).unwrap_or(i64::MAX));
        tracing::info!(serial, group = self.link.group(), "policy in force");
        if let Err(error) = self.store(verified).await {
            let why = format!("policy {serial} is in force, but could not be stored: {error}");
            tracing::error!("{why}");
            self.status.refuse(None, &why);
        }
        Ok(())
    }

    /// Stores the policy as the last good one.
    async fn store(&self, verified: Arc<VerifiedPolicy>) -> io::Result<()> {
        let (file, state, group) = (self.file.clone(), Arc::clone(self.link.state()), self.link.group().to_owned());
        let cache = self.cache.clone();
        let kept = blocking(move || {
            // The serial is recorded even if the file cannot be written.
            let written = files::replace(&file, &verified.text);
            state.accepted(&group, verified.payload.serial, verified.key)?;
            written?;
            cache.keep_only(verified.payload.rule_packs.iter().chain(&verified.payload.databases))
        });
        kept.await?
    }
}

fn internal(error: &io::Error) -> PullFailure {
    PullFailure { serial: None, code: "internal", why: error.to_string() }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}
