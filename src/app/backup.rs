//! Backups of a control plane's store: which store it is, by the configuration, and what must be so before and after.

use super::control_plane::{database_url, key_file};
use super::{StartError, configuration};
use crate::config::{Resolved, Sources};
use std::path::PathBuf;
use tokio::io::{AsyncBufRead, AsyncWrite};
use tokio::runtime::Runtime;
use weir_control_plane::policy::{SigningKey, key, version};
use weir_control_plane::store::{Database, DatabaseUrl, Dumped};
use weir_runtime::clock::Clock;

/// Threads: reading and writing at once.
const THREADS: usize = 2;

/// A store to be copied or filled.
pub struct Backup {
    resolved: Resolved,
    runtime: Runtime,
}

/// What was read or written, and the signing key that belongs to it.
#[derive(Clone, Debug)]
pub struct Done {
    /// Tables and rows.
    pub dumped: Dumped,
    /// Id of the key that signs policies of this store; none before the first start.
    pub key_id: Option<String>,
    /// Where that key is, or belongs.
    pub key_file: PathBuf,
    /// Why the key there is not the one that is wanted.
    pub key_trouble: Option<String>,
}

fn failed(error: impl std::fmt::Display) -> StartError {
    StartError::Settings(format!("control_plane: {error}"))
}

impl Backup {
    /// The store of this configuration.
    pub fn new(sources: &Sources) -> Result<Self, StartError> {
        let (resolved, _) = configuration(sources)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
        Ok(Self { resolved, runtime: super::system("runtime", runtime)? })
    }

    /// Writes a dump of the store to `out`. The control plane may run meanwhile.
    pub fn dump(&self, out: &mut (impl AsyncWrite + Unpin + Send)) -> Result<Done, StartError> {
        let url = database_url(&self.resolved);
        if let DatabaseUrl::Sqlite(directory) = DatabaseUrl::parse(&url).map_err(failed)?
            && !directory.join("control.db").exists()
        {
            let text = format!(
                "there is no store in {}: name the one to back up by `--config`, `--set control_plane.database=...` or \
                 `--set data_dir=...`",
                directory.display()
            );
            return Err(failed(text));
        }
        self.runtime.block_on(async {
            let store = Database::open(&url).await.map_err(failed)?;
            let dumped = store.dump(out).await.map_err(failed);
            let done = match dumped {
                Ok(dumped) => self.done(&store, dumped).await,
                Err(error) => Err(error),
            };
            store.close().await;
            done
        })
    }

    /// Reads a dump into the store, which must hold no hits, and unless `replace` no users either.
    pub fn restore(&self, input: &mut (impl AsyncBufRead + Unpin + Send), replace: bool) -> Result<Done, StartError> {
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
    ) -> Result<Done, StartError> {
        let used = version::newest(store.control()).await.map_err(failed)? > 0;
        if used && !replace {
            let text = "the store is in use: it has users and policy. Restore into a new one, or stop its control plane and \
                        give `--replace` to lose what it holds";
            return Err(failed(text));
        }
        let dumped = store.restore(input).await.map_err(failed)?;
        let now = Clock::System;
        let note = "restored from a backup";
        version::republish(store.control(), now.seconds(), now.millis(), note).await.map_err(failed)?;
        let mut done = self.done(store, dumped).await?;
        if done.key_id.is_some() {
            let opened = SigningKey::open(&done.key_file, store.control(), now.millis()).await;
            done.key_trouble = opened.err().map(|error| error.to_string());
        }
        Ok(done)
    }

    async fn done(&self, store: &Database, dumped: Dumped) -> Result<Done, StartError> {
        let key_id = key::head(store.control()).await.map_err(failed)?;
        Ok(Done { dumped, key_id, key_file: key_file(&self.resolved), key_trouble: None })
    }
}
