//! The one way by which configuration, local policy file, the control plane's policy, rule files and databases become a
//! generation: at start, on a reload and when a policy comes.

use super::{StartError, configuration, settings};
use crate::config::{Resolved, Sources};
use std::sync::Arc;
use tokio::sync::Mutex;
use weir_core::ruleset::Ruleset;
use weir_node::generation::{Current, Generation};
use weir_node::geo::Geo;
use weir_node::http_inspector::Access;
use weir_node::sync::{Apply, Cache, NotApplied, Remote, Status, Sync, Verified};
use weir_policy::CustomSignature;
use weir_runtime::telemetry::Telemetry;

/// What is built.
pub struct Built {
    /// Rules, policy, databases.
    pub generation: Generation,
    /// Who may call.
    pub access: Access,
    kept: Kept,
}

/// The ruleset with what it was compiled from: most policies change neither rules nor custom signatures.
#[derive(Clone)]
struct Kept {
    files: Vec<(String, String)>,
    custom: Vec<CustomSignature>,
    ruleset: Arc<Ruleset>,
}

impl Kept {
    fn fits(&self, files: &[(String, String)], custom: &[CustomSignature]) -> bool {
        self.files == files && self.custom == custom
    }
}

/// Builds from `resolved` and `remote`; what did not change is taken over from `before`.
fn build(resolved: &Resolved, remote: Option<&Remote>, before: Option<(&Kept, &Geo)>) -> Result<Built, StartError> {
    let policy = settings::policy(resolved, remote)?;
    let files = settings::rule_files(resolved, remote)?;
    let custom: Vec<CustomSignature> = policy.custom_signatures().into_iter().cloned().collect();
    let kept = match before {
        Some((kept, _)) if kept.fits(&files, &custom) => kept.clone(),
        _ => {
            let ruleset = Arc::new(settings::ruleset(&files, &custom)?);
            Kept { files, custom, ruleset }
        }
    };
    let geo = settings::geo(resolved, remote, before.map(|(_, geo)| geo))?;
    let keys = settings::keys(resolved)?;
    let clients = settings::client_rules(resolved);
    let ruleset = Arc::clone(&kept.ruleset);
    let mut generation = Generation::new(ruleset, policy, geo, clients, resolved.connector.blocking);
    generation.policy_serial = remote.map_or(0, |remote| remote.serial);
    Ok(Built { generation, access: settings::access(resolved, &keys)?, kept })
}

/// What is in force at first: the last good policy of the control plane joined in, where it can be.
pub fn first(resolved: &Resolved, sync: Option<&Sync>) -> Result<(Built, Option<Arc<Remote>>), StartError> {
    if let Some(sync) = sync
        && let Some(verified) = sync.last_good()
    {
        let remote = read(&verified, sync.cache());
        let built = remote.and_then(|remote| Ok((build(resolved, Some(&remote), None)?, remote)));
        match built {
            Ok((built, remote)) => {
                sync.resume(&verified);
                return Ok((built, Some(Arc::new(remote))));
            }
            Err(error) => {
                tracing::error!(%error, "the last good policy of the control plane is not used");
                sync.status().refuse(None, &error.to_string());
            }
        }
    }
    Ok((build(resolved, None, None)?, None))
}

fn read(verified: &Verified, cache: &Cache) -> Result<Remote, StartError> {
    Remote::read(verified, cache).map_err(|error| StartError::RemotePolicy(error.to_string().into()))
}

/// Builds generations, one after the other, and puts them in use.
pub struct Composer {
    sources: Sources,
    current: Arc<Current>,
    telemetry: Arc<Telemetry>,
    status: Option<Arc<Status>>,
    state: Mutex<State>,
}

struct State {
    resolved: Resolved,
    remote: Option<Arc<Remote>>,
    kept: Kept,
}

/// What a reload gave.
pub struct Reloaded {
    /// Number of the generation in use.
    pub number: u64,
    /// The configuration.
    pub resolved: Resolved,
    /// Who may call.
    pub access: Access,
}

impl Composer {
    /// Puts `first` in use.
    pub fn new(
        sources: Sources,
        resolved: &Resolved,
        first: (Built, Option<Arc<Remote>>),
        status: Option<Arc<Status>>,
        telemetry: Arc<Telemetry>,
    ) -> (Self, Access) {
        let (Built { generation, access, kept }, remote) = first;
        telemetry.metrics.signatures.set(generation.ruleset.signatures.len() as i64);
        telemetry.metrics.generation.set(1);
        let current = Arc::new(Current::new(generation));
        let state = Mutex::new(State { resolved: resolved.clone(), remote, kept });
        (Self { sources, current, telemetry, status, state }, access)
    }

    /// The generation in use.
    pub fn current(&self) -> &Arc<Current> {
        &self.current
    }

    /// Reads the configuration and everything that it names anew.
    pub async fn reload(&self) -> Result<Reloaded, StartError> {
        let mut state = self.state.lock().await;
        let (sources, remote) = (self.sources.clone(), state.remote.clone());
        let read = move |before: (&Kept, &Geo)| {
            let (resolved, _) = configuration(&sources)?;
            let built = build(&resolved, remote.as_deref(), Some(before))?;
            Ok((resolved, built))
        };
        let (resolved, built) = self.off_path(&state, read).await?;
        state.resolved = resolved.clone();
        let (number, access) = self.swap(&mut state, built);
        // What was refused for a local mistake may go now.
        self.status.iter().for_each(|status| status.try_again());
        Ok(Reloaded { number, resolved, access })
    }

    async fn take(&self, policy: Arc<Verified>, cache: Cache) -> Result<(), StartError> {
        let mut state = self.state.lock().await;
        let resolved = state.resolved.clone();
        let join = move |before: (&Kept, &Geo)| {
            let remote = read(&policy, &cache)?;
            let built = build(&resolved, Some(&remote), Some(before))?;
            Ok((Arc::new(remote), built))
        };
        let (remote, built) = self.off_path(&state, join).await?;
        state.remote = Some(remote);
        self.swap(&mut state, built);
        Ok(())
    }

    /// Runs `work` where it holds up no call.
    async fn off_path<T: Send + 'static>(
        &self,
        state: &State,
        work: impl FnOnce((&Kept, &Geo)) -> Result<T, StartError> + Send + 'static,
    ) -> Result<T, StartError> {
        let (kept, generation) = (state.kept.clone(), self.current.get());
        let done = tokio::task::spawn_blocking(move || work((&kept, &generation.geo))).await;
        StartError::system("compile", done.map_err(std::io::Error::other))?
    }

    fn swap(&self, state: &mut State, built: Built) -> (u64, Access) {
        let metrics = &self.telemetry.metrics;
        metrics.signatures.set(built.generation.ruleset.signatures.len() as i64);
        state.kept = built.kept;
        let number = self.current.swap(built.generation);
        metrics.generation.set(number as i64);
        (number, built.access)
    }
}

impl Apply for Composer {
    async fn apply(&self, policy: Arc<Verified>, cache: Cache) -> Result<(), NotApplied> {
        self.take(policy, cache).await.map_err(|error| NotApplied(error.to_string()))
    }
}
