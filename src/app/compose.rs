//! The one way by which configuration, local policy file, the control plane's policy, rule files and databases become a
//! generation: at start, on a reload and when a policy comes.

use super::{StartError, configuration, settings};
use crate::config::{Resolved, Sources};
use std::sync::Arc;
use tokio::sync::Mutex;
use weir_core::ruleset::{Ruleset, builtin, losses};
use weir_node::generation::{CurrentGeneration, Generation};
use weir_node::geo::Geo;
use weir_node::http_inspector::AccessRules;
use weir_node::sync::{Apply, ApplyError, BlobCache, PolicyStatus, PolicySync, RemotePolicy, VerifiedPolicy};
use weir_policy::CustomSignature;
use weir_runtime::telemetry::{Metrics, Telemetry};

/// What is built.
pub struct Built {
    /// Rules, policy, databases.
    pub generation: Generation,
    /// Who may call.
    pub access: AccessRules,
    compiled: CompiledRules,
}

/// The ruleset with what it was compiled from: most policies change neither rules nor custom signatures.
#[derive(Clone)]
struct CompiledRules {
    files: Vec<(String, String)>,
    custom: Vec<CustomSignature>,
    ruleset: Arc<Ruleset>,
}

impl CompiledRules {
    fn fits(&self, files: &[(String, String)], custom: &[CustomSignature]) -> bool {
        self.files == files && self.custom == custom
    }
}

/// Builds from `resolved` and `remote`; what did not change is taken over from `before`.
fn build(
    resolved: &Resolved,
    remote: Option<&RemotePolicy>,
    before: Option<(&CompiledRules, &Geo)>,
) -> Result<Built, StartError> {
    let policy = settings::policy(resolved, remote)?;
    let files = settings::rule_files(resolved, remote)?;
    let custom: Vec<CustomSignature> = policy.custom_signatures().into_iter().cloned().collect();
    let compiled = match before {
        Some((compiled, _)) if compiled.fits(&files, &custom) => compiled.clone(),
        _ => {
            let ruleset = Arc::new(settings::ruleset(&files, &custom)?);
            CompiledRules { files, custom, ruleset }
        }
    };
    let geo = settings::geo(resolved, remote, before.map(|(_, geo)| geo))?;
    let keys = settings::keys(resolved)?;
    let clients = settings::client_rules(resolved);
    let ruleset = Arc::clone(&compiled.ruleset);
    let mut generation = Generation::new(ruleset, policy, geo, clients, resolved.connector.blocking);
    generation.policy_serial = remote.map_or(0, |remote| remote.serial);
    Ok(Built { generation, access: settings::access(resolved, &keys)?, compiled })
}

/// What is in force without a control plane.
pub fn local(resolved: &Resolved) -> Result<Generation, StartError> {
    Ok(build(resolved, None, None)?.generation)
}

/// What is in force at first: the last good policy of the control plane joined in, where it can be.
pub fn first(resolved: &Resolved, sync: Option<&PolicySync>) -> Result<(Built, Option<Arc<RemotePolicy>>), StartError> {
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

fn read(verified: &VerifiedPolicy, cache: &BlobCache) -> Result<RemotePolicy, StartError> {
    RemotePolicy::read(verified, cache).map_err(|error| StartError::RemotePolicy(error.to_string().into()))
}

/// Builds generations, one after the other, and puts them in use.
pub struct Composer {
    sources: Sources,
    current: Arc<CurrentGeneration>,
    telemetry: Arc<Telemetry>,
    status: Option<Arc<PolicyStatus>>,
    state: Mutex<State>,
}

struct State {
    resolved: Resolved,
    remote: Option<Arc<RemotePolicy>>,
    compiled: CompiledRules,
}

/// What a reload gave.
pub struct Reloaded {
    /// Number of the generation in use.
    pub number: u64,
    /// The configuration.
    pub resolved: Resolved,
    /// Who may call.
    pub access: AccessRules,
}

impl Composer {
    /// Puts `first` in use.
    pub fn new(
        sources: Sources,
        resolved: &Resolved,
        first: (Built, Option<Arc<RemotePolicy>>),
        status: Option<Arc<PolicyStatus>>,
        telemetry: Arc<Telemetry>,
    ) -> (Self, AccessRules) {
        let (Built { generation, access, compiled }, remote) = first;
        report_signatures(&generation.ruleset, &telemetry.metrics);
        telemetry.metrics.generation.set(1);
        let current = Arc::new(CurrentGeneration::new(generation));
        let state = Mutex::new(State { resolved: resolved.clone(), remote, compiled });
        (Self { sources, current, telemetry, status, state }, access)
    }

    /// The generation in use.
    pub fn current(&self) -> &Arc<CurrentGeneration> {
        &self.current
    }

    /// Reads the configuration and everything that it names anew.
    pub async fn reload(&self) -> Result<Reloaded, StartError> {
        let mut state = self.state.lock().await;
        let (sources, remote) = (self.sources.clone(), state.remote.clone());
        let read = move |before: (&CompiledRules, &Geo)| {
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

    async fn take(&self, policy: Arc<VerifiedPolicy>, cache: BlobCache) -> Result<(), StartError> {
        let mut state = self.state.lock().await;
        let resolved = state.resolved.clone();
        let join = move |before: (&CompiledRules, &Geo)| {
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
        work: impl FnOnce((&CompiledRules, &Geo)) -> Result<T, StartError> + Send + 'static,
    ) -> Result<T, StartError> {
        let (compiled, generation) = (state.compiled.clone(), self.current.get());
        let done = tokio::task::spawn_blocking(move || work((&compiled, &generation.geo))).await;
        StartError::system("compile", done.map_err(std::io::Error::other))?
    }

    fn swap(&self, state: &mut State, built: Built) -> (u64, AccessRules) {
        let metrics = &self.telemetry.metrics;
        report_signatures(&built.generation.ruleset, metrics);
        state.compiled = built.compiled;
        let number = self.current.swap(built.generation);
        metrics.generation.set(number as i64);
        (number, built.access)
    }
}

/// Sets the metrics of signatures, and says in the log if ones that ship with the program are not in use.
fn report_signatures(ruleset: &Ruleset, metrics: &Metrics) {
    let missing = losses::missing(ruleset) as i64;
    metrics.signatures.set(ruleset.signatures.len() as i64);
    if metrics.missing_signatures.set(missing) != missing && missing > 0 {
        let built_in = builtin::ids().len();
        tracing::warn!(
            missing,
            built_in,
            "built-in signatures are not in use: rule packs or the configuration leave them out"
        );
    }
}

impl Apply for Composer {
    async fn apply(&self, policy: Arc<VerifiedPolicy>, cache: BlobCache) -> Result<(), ApplyError> {
        self.take(policy, cache).await.map_err(|error| ApplyError(error.to_string()))
    }
}
