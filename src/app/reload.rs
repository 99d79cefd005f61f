//! Reload on SIGHUP and when a watched file changes: everything is built off the hot path and put in use at once, or
//! not at all.

use super::compose::{self, Composer};
use super::{StartError, rule_files, settings};
use crate::config::{Resolved, Sources};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use weir_node::http_inspector::Service;
use weir_node::http_inspector::context::ContextKeys;
use weir_runtime::telemetry::events::ReloadEvent;
use weir_runtime::telemetry::{Metrics, Telemetry, logs};
use weir_runtime::tls::Tls;

/// Quiet time after which a burst of changes is taken to be over: editors and volume mounts write in steps.
const DEBOUNCE: Duration = Duration::from_millis(300);

/// What a reload needs.
pub struct Watched {
    /// Where the configuration comes from.
    pub sources: Sources,
    /// Gets new access rules.
    pub service: Arc<Service>,
    /// Builds the new generation.
    pub composer: Arc<Composer>,
    /// Gets new certificates.
    pub tls: Option<Arc<Tls>>,
}

/// Files and directories whose content matters.
fn paths(sources: &Sources, resolved: &Resolved, tls: Option<&Tls>) -> BTreeSet<PathBuf> {
    let mut paths: BTreeSet<PathBuf> = sources.file.iter().cloned().collect();
    paths.extend(resolved.rules.directories.iter().cloned());
    paths.extend(resolved.policy_file.iter().cloned());
    paths.extend(resolved.connector.auth.key_files.iter().cloned());
    paths.extend(tls.map(Tls::paths).unwrap_or_default());
    paths
}

/// Reloads the certificate alone, on SIGHUP and when its files change: for parts with nothing else to reload.
pub fn certificates(tls: Arc<Tls>, telemetry: Arc<Telemetry>) -> Result<(), StartError> {
    let mut hangup = StartError::system("SIGHUP", signal(SignalKind::hangup()))?;
    let (changed, mut changes) = mpsc::channel::<()>(1);
    let known: BTreeSet<PathBuf> = tls.paths().into_iter().collect();
    let watcher = watch(&known, changed);
    let mut seen = fingerprint(&known);
    // The files may have changed between the start of the listener and that of the watcher.
    if let Err(error) = tls.reload() {
        tracing::error!(%error, "the certificate stays as it was loaded at the start");
    }
    tokio::spawn(async move {
        // Kept as long as it is listened to: a watcher that is dropped watches no more.
        let _alive = &watcher;
        loop {
            let forced = wait(&mut hangup, &mut changes).await;
            let now = fingerprint(&known);
            if forced || now != seen {
                seen = now;
                reload_certificate(Arc::clone(&tls), &telemetry.metrics).await;
            }
        }
    });
    Ok(())
}

/// Waits for SIGHUP (true) or the end of a burst of changes.
async fn wait(hangup: &mut Signal, changes: &mut mpsc::Receiver<()>) -> bool {
    tokio::select! {
        signalled = hangup.recv() => signalled.is_some(),
        Some(()) = changes.recv() => {
            tokio::time::sleep(DEBOUNCE).await;
            // Whatever came meanwhile is part of the same burst.
            let _burst = changes.try_recv();
            false
        }
    }
}

/// Starts to listen for SIGHUP and changes of files.
pub fn start(watched: Watched, resolved: &Resolved) -> Result<(), StartError> {
    let mut hangup = StartError::system("SIGHUP", signal(SignalKind::hangup()))?;
    let (changed, mut changes) = mpsc::channel::<()>(1);
    let started = resolved.clone();
    let mut known = paths(&watched.sources, resolved, watched.tls.as_deref());
    let mut watcher = watch(&known, changed.clone());
    // Taken before the first call can be answered: a change from then on is seen as one.
    let mut seen = fingerprint(&known);
    tokio::spawn(async move {
        loop {
            let forced = wait(&mut hangup, &mut changes).await;
            let now = fingerprint(&known);
            if !forced && now == seen {
                continue;
            }
            seen = now;
            if let Some(paths) = reload(&watched, &started).await
                && paths != known
            {
                known = paths;
                seen = fingerprint(&known);
                watcher = watch(&known, changed.clone());
            }
            // Kept to here: a watcher that is dropped watches no more.
            let _alive = &watcher;
        }
    });
    Ok(())
}

/// Watches the directories of `paths`: a file that is replaced by a rename is a new file, its directory stays.
fn watch(paths: &BTreeSet<PathBuf>, changed: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    if paths.is_empty() {
        return None;
    }
    let told = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            // A full channel holds the news already.
            let _full = changed.try_send(());
        }
    });
    let mut watcher = told.inspect_err(|error| tracing::warn!(%error, "files are not watched, use SIGHUP")).ok()?;
    let mut directories: BTreeMap<PathBuf, bool> = BTreeMap::new();
    for path in paths {
        *directories.entry(directory(path)).or_default() |= path.is_dir();
    }
    for (directory, whole) in directories {
        let how = if whole { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
        if let Err(error) = watcher.watch(&directory, how) {
            tracing::warn!(%error, directory = %directory.display(), "not watched, use SIGHUP");
        }
    }
    Some(watcher)
}

fn directory(path: &Path) -> PathBuf {
    if path.is_dir() {
        return path.to_owned();
    }
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A hash of the content of `paths`: events about other files of the same directory reload nothing.
fn fingerprint(paths: &BTreeSet<PathBuf>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in paths {
        path.hash(&mut hasher);
        // The reload itself reports what cannot be listed.
        let files = rule_files::list(path).unwrap_or_default();
        for file in files {
            file.hash(&mut hasher);
            // A file that cannot be read differs from one that can; the reload itself reports the reason.
            std::fs::read(&file).ok().hash(&mut hasher);
        }
    }
    hasher.finish()
}

async fn reload_certificate(tls: Arc<Tls>, metrics: &Metrics) {
    let loaded = tokio::task::spawn_blocking(move || tls.reload()).await;
    match loaded {
        Ok(Ok(())) => {
            metrics.tls_reloads.inc();
        }
        Ok(Err(error)) => ReloadEvent { what: "certificate", outcome: Err(&error.to_string()) }.emit(metrics),
        Err(error) => ReloadEvent { what: "certificate", outcome: Err(&error.to_string()) }.emit(metrics),
    }
}

/// Builds and swaps. Answers the files to watch from now on, where all went well.
async fn reload(watched: &Watched, started: &Resolved) -> Option<BTreeSet<PathBuf>> {
    let metrics = &watched.service.telemetry().metrics;
    if let Some(tls) = watched.tls.clone() {
        reload_certificate(tls, metrics).await;
    }
    match watched.composer.reload().await {
        Ok(compose::Reloaded { number, resolved, access }) => {
            watched.service.set_access(access);
            apply(watched, &resolved);
            let keys = settings::restart_needed(started, &resolved);
            if !keys.is_empty() {
                tracing::warn!(keys = keys.join(", "), "changed keys that take effect after a restart");
            }
            ReloadEvent { what: "configuration, rules and policy", outcome: Ok(number) }.emit(metrics);
            Some(paths(&watched.sources, &resolved, watched.tls.as_deref()))
        }
        Err(error) => {
            let failed = error.to_string();
            ReloadEvent { what: "configuration, rules and policy", outcome: Err(&failed) }.emit(metrics);
            None
        }
    }
}

/// Puts in use what is no part of a generation: keys of contexts, what is logged.
fn apply(watched: &Watched, resolved: &Resolved) {
    let telemetry = watched.service.telemetry();
    telemetry.access.set(settings::access_log(resolved));
    if let Err(error) = logs::set_level(&settings::logs(resolved).level) {
        tracing::error!(%error, "the level of the log stays as it was");
    }
    // Without keys contexts are sealed with one of this process, which a reload leaves alone.
    match settings::keys(resolved).map(|keys| (!keys.is_empty()).then(|| (ContextKeys::new(&keys), keys))) {
        Ok(Some((Ok(keys), secrets))) => watched.service.set_keys(keys, &secrets),
        Ok(Some((Err(_), _))) => {
            tracing::error!("the keys of contexts stay as they were: no randomness from the system")
        }
        Ok(None) => {}
        Err(error) => tracing::error!(%error, "the keys of contexts stay as they were"),
    }
}
