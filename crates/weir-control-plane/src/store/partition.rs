//! Where hits live: on SQLite a file a month, on PostgreSQL one database.

use super::ids::Month;
use super::migrate::{self, Engine};
use super::{Pools, StoreError};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Months held open: a query over half a year reopens none.
const MAX_OPEN: usize = 8;

/// One of the places.
#[derive(Debug)]
pub(super) struct Partition {
    pub pools: Pools,
    pub engine: Engine,
    /// File name, for messages.
    pub name: String,
    /// Whether an index of trigrams finds free text.
    pub trigrams: bool,
}

/// All of them.
#[derive(Debug)]
pub(super) enum Partitions {
    Sqlite(Months),
    Postgres(Arc<Partition>),
}

/// Files of months, opened when needed.
#[derive(Debug)]
pub(super) struct Months {
    directory: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// Counts uses, to know the oldest.
    clock: u64,
    months: HashMap<Month, (u64, Arc<Partition>)>,
}

impl Partitions {
    pub fn sqlite(directory: PathBuf) -> Partitions {
        Partitions::Sqlite(Months { directory, open: Mutex::default() })
    }

    pub async fn postgres(pools: Pools) -> Result<Partitions, StoreError> {
        migrate::run(&pools, Engine::Postgres, "hits", migrate::HITS).await?;
        let name = "the database".to_owned();
        let trigrams = super::free_text::index(&pools).await;
        Ok(Partitions::Postgres(Arc::new(Partition { pools, engine: Engine::Postgres, name, trigrams })))
    }

    /// An error if a newer version of weir has been at work in a file of a month. Files are opened when they are used, so
    /// that otherwise only the first page would find out.
    pub async fn refuse_newer(&self) -> Result<(), StoreError> {
        let Partitions::Sqlite(months) = self else { return Ok(()) };
        for month in months.on_disk()? {
            migrate::refuse_newer_file(&months.path(month), "hits", migrate::HITS).await?;
        }
        Ok(())
    }

    /// Whether an index of trigrams finds free text everywhere.
    pub fn has_trigrams(&self) -> bool {
        matches!(self, Partitions::Postgres(only) if only.trigrams)
    }

    /// The partition of `month`, made if there is none.
    pub async fn of(&self, month: Month) -> Result<Arc<Partition>, StoreError> {
        match self {
            Partitions::Sqlite(months) => months.open(month).await,
            Partitions::Postgres(only) => Ok(Arc::clone(only)),
        }
    }

    /// The partition of `month`, if there is one.
    pub async fn existing(&self, month: Month) -> Result<Option<Arc<Partition>>, StoreError> {
        match self {
            Partitions::Sqlite(months) if !months.path(month).exists() => Ok(None),
            _ => self.of(month).await.map(Some),
        }
    }

    /// Months that hold hits of `[from, to)`, newest first. PostgreSQL has one partition for all.
    pub fn between(&self, from: Option<i64>, to: Option<i64>) -> Result<Vec<Month>, StoreError> {
        match self {
            Partitions::Postgres(_) => Ok(vec![Month::of(0)]),
            Partitions::Sqlite(months) => {
                let mut out = months.on_disk()?;
                out.retain(|m| from.is_none_or(|from| from < m.end()) && to.is_none_or(|to| m.start() < to));
                out.sort_by(|a, b| b.cmp(a));
                Ok(out)
            }
        }
    }

    /// Closes every connection.
    pub async fn close(&self) {
        match self {
            Partitions::Postgres(only) => only.pools.close().await,
            Partitions::Sqlite(months) => {
                let open = std::mem::take(&mut months.open.lock().await.months);
                for (_, partition) in open.into_values() {
                    partition.pools.close().await;
                }
            }
        }
    }
}

impl Months {
    pub fn path(&self, month: Month) -> PathBuf {
        self.directory.join(format!("hits-{}.db", month.label()))
    }

    /// Months that have a file.
    pub fn on_disk(&self) -> Result<Vec<Month>, StoreError> {
        let at = |error| StoreError::File(self.directory.clone(), error);
        let mut out = Vec::new();
        for entry in std::fs::read_dir(&self.directory).map_err(at)? {
            let name = entry.map_err(at)?.file_name();
            let label = name.to_str().and_then(|name| name.strip_prefix("hits-")?.strip_suffix(".db"));
            out.extend(label.and_then(Month::from_label));
        }
        Ok(out)
    }

    async fn open(&self, month: Month) -> Result<Arc<Partition>, StoreError> {
        let mut open = self.open.lock().await;
        open.clock += 1;
        let now = open.clock;
        if let Some((used, partition)) = open.months.get_mut(&month) {
            *used = now;
            return Ok(Arc::clone(partition));
        }
        let path = self.path(month);
        let pools = Pools::sqlite(&path).await?;
        let name = path.display().to_string();
        migrate::run(&pools, Engine::Sqlite, "hits", migrate::HITS).await.map_err(|error| named(&name, error))?;
        let partition = Arc::new(Partition { pools, engine: Engine::Sqlite, name, trigrams: false });
        open.months.insert(month, (now, Arc::clone(&partition)));
        if open.months.len() > MAX_OPEN {
            let unused = open.months.iter().filter(|(_, (_, p))| Arc::strong_count(p) == 1);
            if let Some(oldest) = unused.min_by_key(|(_, (used, _))| *used).map(|(&month, _)| month) {
                let gone = open.months.remove(&oldest);
                drop(open);
                if let Some((_, partition)) = gone {
                    partition.pools.close().await;
                }
            }
        }
        Ok(partition)
    }

    /// Deletes the file of `month`.
    pub async fn delete(&self, month: Month) -> Result<(), StoreError> {
        let mut open = self.open.lock().await;
        if let Some((_, partition)) = open.months.remove(&month) {
            partition.pools.close().await;
        }
        let path = self.path(month);
        for suffix in ["-wal", "-shm", ""] {
            let mut file = path.clone().into_os_string();
            file.push(suffix);
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::File(file.into(), error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// An error of the file called `name`.
fn named(name: &str, error: StoreError) -> StoreError {
    match error {
        StoreError::Sql(error) | StoreError::Damaged(_, error) => StoreError::of(name, error),
        other => other,
    }
}

impl Partition {
    /// `error` with the name of this partition.
    pub fn named(&self, error: StoreError) -> StoreError {
        named(&self.name, error)
    }
}
