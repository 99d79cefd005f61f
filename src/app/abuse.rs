//! Behaviour over many requests: counters, the entries kept across restarts, and the exchange with other nodes.

use super::{StartError, settings};
use crate::config::Resolved;
use crate::config::resolved::Redis;
use prometheus_client::registry::Registry;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use weir_node::abuse::{Abuse, AbuseMetrics, AbuseSettings, EntryFile, ServerSettings, Share, ShareSettings, exchange};
use weir_node::sync::Link;
use weir_runtime::clock::now_millis;

/// Time between two looks at the state, for metrics.
const METRICS: Duration = Duration::from_secs(1);
/// Longest wait for the last write at the end.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// What runs beside the verdicts.
pub struct Behaviour {
    abuse: Arc<Abuse>,
    metrics: AbuseMetrics,
    file: EntryFile,
    share: Option<Share>,
    /// Whether it may count together with others through an aggregation: it has a secret in common with them, and no
    /// server of counters.
    counts_with_others: bool,
}

impl Behaviour {
    /// Reads the entries that were kept. A file that cannot be read is logged and costs its entries.
    pub fn open(resolved: &Resolved, registry: &mut Registry) -> Result<Self, StartError> {
        let from = &resolved.abuse;
        let secrets = settings::keys(resolved)?;
        let url = from.redis.url.as_ref().map(|url| url.expose().to_owned());
        if url.is_some() && secrets.is_empty() {
            tracing::warn!("abuse.redis: nodes count together under a common key of connector.auth, and there is none");
        }
        let counts_with_others = url.is_none() && !secrets.is_empty();
        let memory = usize::try_from(from.memory).unwrap_or(usize::MAX);
        let abuse = Arc::new(Abuse::new(&AbuseSettings { memory, secrets, shared: url.is_some() }));
        let file = EntryFile::new(resolved.data_dir.join("abuse"));
        match file.load(&abuse) {
            Ok(0) => {}
            Ok(damaged) => tracing::warn!(damaged, "automatic entries that could not be read"),
            Err(error) => tracing::error!(%error, "the automatic entries could not be read"),
        }
        let metrics = AbuseMetrics::register(registry);
        let share = url.map(|url| -> Result<Share, StartError> {
            let prefix = from.redis.prefix.clone().unwrap_or_else(|| resolved.api.node_group.clone());
            let settings = ShareSettings { server: server(&from.redis, url)?, prefix };
            Ok(Share::new(Arc::clone(&abuse), &settings, metrics.clone())?)
        });
        Ok(Self { abuse, metrics, file, share: share.transpose()?, counts_with_others })
    }

    /// What requests are counted in.
    pub fn abuse(&self) -> Arc<Abuse> {
        Arc::clone(&self.abuse)
    }

    /// Starts what runs beside the verdicts, until `stop`; entries are exchanged over `link`.
    pub fn start(self, link: Option<&Arc<Link>>, stop: &CancellationToken) -> Running {
        let mut tasks = JoinSet::new();
        tasks.spawn(self.file.run(Arc::clone(&self.abuse), stop.clone()));
        if let Some(link) = link {
            let counts = self.counts_with_others.then(|| self.metrics.clone());
            tasks.spawn(exchange(Arc::clone(&self.abuse), Arc::clone(link), counts, stop.clone()));
        }
        tasks.spawn(watch(self.abuse, self.metrics, stop.clone()));
        if let Some(share) = self.share {
            tasks.spawn(share.run(stop.clone()));
        }
        Running(tasks)
    }
}

/// How the server of shared counters is found.
fn server(redis: &Redis, url: String) -> Result<ServerSettings, StartError> {
    let read = |path: &PathBuf| {
        let what = format!("abuse.redis.ca_file: {}", path.display());
        StartError::system(what, std::fs::read(path))
    };
    let ca = redis.ca_file.as_ref().map(read).transpose()?;
    let sentinels = redis.sentinels.iter().flatten().map(|url| url.expose().to_owned()).collect();
    Ok(ServerSettings { url, sentinels, cluster: redis.cluster, ca })
}

/// What runs beside the verdicts.
pub struct Running(JoinSet<()>);

impl Running {
    /// Waits until the last entries are written, once stopped.
    pub async fn finish(mut self) {
        let ended = async { while self.0.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WRITE, ended).await.is_err() {
            tracing::warn!("the last automatic entries may not have been written");
        }
    }
}

async fn watch(abuse: Arc<Abuse>, metrics: AbuseMetrics, stop: CancellationToken) {
    let (mut warned, mut left_out): (Vec<(u64, String)>, u64) = (Vec::new(), 0);
    while !stop.is_cancelled() {
        let now = now_millis();
        metrics.update(&abuse, now);
        let unanswered: Vec<_> = abuse.unanswered(now).into_iter().map(|one| (one.rule, one.route)).collect();
        for (rule, route) in unanswered.iter().filter(|one| !warned.contains(one)) {
            tracing::warn!(
                rule,
                route,
                "a rule on responses counts nothing on a route: no responses come for its requests"
            );
        }
        warned = unanswered;
        let not_carried = abuse.not_carried();
        if left_out == 0 && not_carried > 0 {
            tracing::warn!("too many rules read one response: some of them do not count; see docs/abuse.md");
        }
        left_out = not_carried;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(METRICS) => {}
        }
    }
}
