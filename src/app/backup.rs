//! Backs up and restores the store of a control plane that the configuration names; checks what must hold before and
//! after.

use super::control_plane::{database_url, key_file};
use super::error::BoxError;
use super::{StartError, configuration};
use crate::config::{Resolved, Sources};
use std::path::PathBuf;
use thiserror::Error;
use tokio::io::{AsyncBufRead, AsyncWrite};
use tokio::runtime::Runtime;
use weir_control_plane::policy::{SigningKey, key, version};
use weir_control_plane::store::{Database, DatabaseUrl, Dumped, StoreError};
use weir_runtime::clock::Clock;

/// Threads of the runtime: one reads while the other writes.
const THREADS: usize = 2;

/// The store to back up or to restore into.
pub struct Backup {
    resolved: Resolved,
    runtime: Runtime,
}

/// What was read or written, and the signing key that belongs to it.
#[derive(Clone, Debug)]
pub struct BackupReport {
    /// Tables and rows.
    pub dumped: Dumped,
    /// Id of the key that signs policies of this store; none before the first start of its control plane.
    pub key_id: Option<String>,
    /// Path of that key: where it is, or where it must be put.
    pub key_file: PathBuf,
    /// After a restore: why the key at that path is not the right one.
    pub key_problem: Option<String>,
}

/// Why a backup or a restore failed.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The configuration cannot be used, or the runtime does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// There is nothing to back up.
    #[error(
        "control_plane: there is no store in {}: name the one to back up by `--config`, \
         `--set control_plane.database=...` or `--set data_dir=...`", .0.display()
    )]
    NoStore(PathBuf),
    /// A restore would overwrite users and policy.
    #[error(
        "control_plane: the store is in use: it has users and policy. Restore into a new one, or stop its control plane \
         and give `--replace` to lose what it holds"
    )]
    InUse,
    /// The backup is not whole, or not one of weir. The file is not known here.
    #[error("cannot be restored: {0}")]
    Damaged(String),
    /// The store cannot be opened, read or written.
    #[error("control_plane: {0}")]
    Store(#[source] BoxError),
}

fn failed(error: impl Into<BoxError>) -> BackupError {
    BackupError::Store(error.into())
}

impl Backup {
    /// Reads the configuration; opens nothing yet.
    pub fn new(sources: &Sources) -> Result<Self, BackupError> {
        let (resolved, _) = configuration(sources)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
        Ok(Self { resolved, runtime: StartError::system("runtime", runtime)? })
    }

    /// Writes a dump of the store to `out`. The control plane may run meanwhile.
    pub fn dump(&self, out: &mut (impl AsyncWrite + Unpin + Send)) -> Result<BackupReport, BackupError> {
        let url = database_url(&self.resolved);
        if let DatabaseUrl::Sqlite(directory) = DatabaseUrl::parse(&url).map_err(failed)?
            && !directory.join("control.db").exists()
        {
            return Err(BackupError::NoStore(directory));
        }
        self.runtime.block_on(async {
            let store = Database::open(&url).await.map_err(failed)?;
            let dumped = store.dump(out).await.map_err(failed);
            let done = match dumped {
                Ok(dumped) => self.report(&store, dumped).await,
                Err(error) => Err(error),
            };
            store.close().await;
            done
        })
    }

    /// Reads a dump into the store, which must hold no hits, and unless `replace` no users either.
    pub fn restore(
        &self,
        input: &mut (impl AsyncBufRead + Unpin + Send),
        replace: bool,
    ) -> Result<BackupReport, BackupError> {
        self.runtime.block_on(async {
            let store = Database::open(&database_url(&self.resolved)).await.map_err(failed)?;
            let done = self.fill(&store, input, replace).await;
            store.close().await;
            done
        })
    }

    async fn fill(
        &self,
        store: &Database,
        input: &mut (impl AsyncBufRead + Unpin + Send),
        replace: bool,
    ) -> Result<BackupReport, BackupError> {
        let used = version::newest(store.control()).await.map_err(failed)? > 0;
        if used && !replace {
            return Err(BackupError::InUse);
        }
        let dumped = store.restore(input).await.map_err(|error| match error {
            StoreError::Dump(why) => BackupError::Damaged(why),
            error => failed(error),
        })?;
        let now = Clock::System;
        let note = "restored from a backup";
        version::republish(store.control(), now.seconds(), now.millis(), note).await.map_err(failed)?;
        let mut done = self.report(store, dumped).await?;
        if done.key_id.is_some() {
            let opened = SigningKey::open(&done.key_file, store.control(), now.millis()).await;
            done.key_problem = opened.err().map(|error| error.to_string());
        }
        Ok(done)
    }

    async fn report(&self, store: &Database, dumped: Dumped) -> Result<BackupReport, BackupError> {
        let key_id = key::head(store.control()).await.map_err(failed)?;
        Ok(BackupReport { dumped, key_id, key_file: key_file(&self.resolved), key_problem: None })
    }
}
