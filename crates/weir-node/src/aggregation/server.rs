//! Builds an aggregation from its parts and shuts it down.

use super::groups::{GroupError, Groups};
use super::metrics::AggregationMetrics;
use super::node_registry::{MAX_REPLICAS, NodeRegistry};
use super::state::{App, State};
use super::tokens::Tokens;
use super::{Config, routes};
use crate::events::ship::BatchContent;
use crate::events::spool::{self, OpenError as SpoolError};
use crate::events::{Shipper, Spool};
use crate::sync::{SetupError, SyncMetrics, files};
use axum::Router;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use weir_runtime::telemetry::Telemetry;

/// Batches in memory at once: each may take 16 MiB, compressed and decompressed.
const MAX_BATCHES: usize = 16;
/// Reports of abuse protection in memory at once: each may take 6 MiB.
const MAX_REPORTS: usize = 32;
/// Time between two looks at the counters, for metrics.
const METRICS: Duration = Duration::from_secs(1);
/// Registrations at once.
const MAX_REGISTRATIONS: usize = 32;
/// Polls at once: each node has one, and may have a broken one that is not detected yet.
const MAX_POLLS: usize = 2 * MAX_REPLICAS;
/// Size of the spool for statistics.
const STATISTICS_SPOOL: u64 = 32 << 20;

/// Telemetry and metrics of an aggregation.
pub struct AggregationParts {
    /// Spools and shippers.
    pub telemetry: Arc<Telemetry>,
    /// Calls upstream.
    pub sync: SyncMetrics,
    /// Calls of nodes.
    pub metrics: AggregationMetrics,
}

/// Why an aggregation does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file cannot be used.
    #[error("{}: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
    /// A spool cannot be opened.
    #[error(transparent)]
    Spool(SpoolError),
    /// The connection to the control plane cannot be set up.
    #[error(transparent)]
    Upstream(SetupError),
}

/// A running aggregation.
pub struct Aggregation {
    app: App,
    shippers: JoinSet<()>,
    drain: CancellationToken,
    stop: CancellationToken,
}

impl Aggregation {
    /// Opens the files of an earlier run and joins the control plane. Polls end when `closing` is cancelled.
    pub async fn open(config: Config, parts: AggregationParts, closing: CancellationToken) -> Result<Self, OpenError> {
        let AggregationParts { telemetry, sync, metrics } = parts;
        let at = |name: &str| config.directory.join(name);
        let failed = |path: PathBuf| move |error| OpenError::Io(path, error);
        files::create_dir(&config.directory).map_err(failed(config.directory.clone()))?;
        let replicas = Arc::new(NodeRegistry::open(at("nodes.json")).map_err(failed(at("nodes.json")))?);
        let tokens = Arc::new(Tokens::open(at("tokens.json")).map_err(failed(at("tokens.json")))?);
        let spool =
            |name, directory, size| spool::Config { directory, name, size, fsync_interval: config.fsync_interval };
        let events = spool("aggregation", at("events"), config.spool_size);
        let (events, events_reader) = Spool::open(events, Arc::clone(&telemetry)).map_err(OpenError::Spool)?;
        let counts = spool("aggregation_statistics", at("statistics"), STATISTICS_SPOOL);
        let (statistics, statistics_reader) = Spool::open(counts, Arc::clone(&telemetry)).map_err(OpenError::Spool)?;
        metrics.replicas.set(replicas.count() as i64);
        let stop = CancellationToken::new();
        let spooled = {
            let events = events.clone();
            Arc::new(move || (events.status().records, events.status().dropped))
        };
        let own = config.upstream.group.clone();
        let groups = Groups::new(config, (sync, metrics.clone()), Arc::clone(&replicas), spooled, stop.clone());
        let home = groups.ensure(&own).await.map_err(|error| match error {
            GroupError::Setup(error) => OpenError::Upstream(error),
            GroupError::Full => OpenError::Upstream(SetupError::Client("the limit of groups is reached".into())),
        })?;
        for name in replicas.groups() {
            if let Err(error) = groups.ensure(&name).await {
                tracing::error!(?error, group = name, "a group cannot be served");
            }
        }
        let (drain, link) = (CancellationToken::new(), Arc::clone(home.sync.link()));
        let mut shippers = JoinSet::new();
        for (reader, content) in [(events_reader, BatchContent::Events), (statistics_reader, BatchContent::Statistics)]
        {
            let shipper = Shipper::new(reader, Arc::clone(&link), content, Arc::clone(&telemetry));
            shippers.spawn(shipper.run(drain.clone()));
        }
        let app = App::new(State {
            metrics,
            replicas,
            tokens,
            groups,
            home,
            events,
            statistics,
            batches: Semaphore::new(MAX_BATCHES),
            reports: Semaphore::new(MAX_REPORTS),
            registrations: Semaphore::new(MAX_REGISTRATIONS),
            polls: Semaphore::new(MAX_POLLS),
            stop: closing,
        });
        let (measured, ended) = (app.clone(), stop.clone());
        tokio::spawn(async move {
            while tokio::time::timeout(METRICS, ended.cancelled()).await.is_err() {
                measured.groups.measure();
            }
        });
        Ok(Self { app, shippers, drain, stop })
    }

    /// The routes of its API.
    pub fn router(&self) -> Router {
        routes::router(self.app.clone())
    }

    /// Ships the remaining records, for at most `limit`, and closes the spools. Returns true if nothing remains; the rest
    /// stays on disk.
    pub async fn close(mut self, limit: Duration) -> bool {
        self.drain.cancel();
        let shipped = async { while self.shippers.join_next().await.is_some() {} };
        let shipped = tokio::time::timeout(limit, shipped).await.is_ok();
        self.shippers.shutdown().await;
        self.stop.cancel();
        let app = self.app.clone();
        let closed = tokio::task::spawn_blocking(move || {
            app.events.close();
            app.statistics.close();
            if let Err(error) = app.replicas.save() {
                tracing::error!(%error, "the times of the last calls of nodes could not be stored");
            }
        });
        if let Err(error) = closed.await {
            tracing::error!(%error, "the spools were not closed properly");
        }
        let left = self.app.events.status().records;
        if left > 0 {
            tracing::warn!(records = left, "records stay in the spool; they are shipped at the next start");
        }
        shipped
    }
}
