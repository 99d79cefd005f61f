//! Events of a processing node: recorded before answers leave, shipped from the spool; and statistics of its traffic.

use super::{StartError, settings};
use crate::config::Resolved;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use weir_node::abuse::Abuse;
use weir_node::events::ship::BatchContent;
use weir_node::events::{Recorder, Shipper, Spool};
use weir_node::sync::Link;
use weir_protocol::node_api::{MAX_SESSION_BATCH, SessionTrail};
use weir_runtime::clock::now_millis;
use weir_runtime::telemetry::Telemetry;

/// Seconds that a row of statistics covers.
const STATISTICS: Duration = Duration::from_secs(30);
/// Milliseconds of a minute.
const MINUTE_MS: u64 = 60_000;
/// Milliseconds after which a request is shipped without the status of its response.
const ANSWERED: u64 = 5_000;
/// How long folded hits wait for their record, at most.
const FOLDED: Duration = Duration::from_secs(10);

/// Events on their way.
pub struct Events {
    recorder: Arc<Recorder>,
    spools: [Spool; 2],
    drain: CancellationToken,
    shipping: JoinSet<()>,
    flushing: JoinHandle<()>,
    abuse: Arc<Abuse>,
}

impl Events {
    /// Opens the spools and sends their contents over `link`. None if events are off, by configuration or because there is
    /// no control plane; the reason is logged once.
    pub fn open(
        resolved: &Resolved,
        link: Option<&Arc<Link>>,
        telemetry: &Arc<Telemetry>,
        abuse: &Arc<Abuse>,
    ) -> Result<Option<Self>, StartError> {
        let (true, Some(link)) = (resolved.events.enabled, link) else {
            let why = if resolved.events.enabled { "`api.host` is not set" } else { "`events.enabled` is false" };
            tracing::info!(why, "malicious requests are logged and counted, not recorded");
            return Ok(None);
        };
        let drain = CancellationToken::new();
        let mut shipping = JoinSet::new();
        let mut open = |config, content| {
            let opened = Spool::open(config, Arc::clone(telemetry));
            let (spool, reader) = opened.map_err(|error| StartError::Spool(error.into()))?;
            shipping.spawn(Shipper::new(reader, Arc::clone(link), content, Arc::clone(telemetry)).run(drain.clone()));
            Ok::<_, StartError>(spool)
        };
        let [hits, statistics] = settings::spools(resolved);
        let (hits, statistics) = (open(hits, BatchContent::Events)?, open(statistics, BatchContent::Statistics)?);
        let records = settings::records(resolved);
        let recorder = Recorder::new(hits.clone(), statistics.clone(), records, Arc::clone(telemetry));
        let recorder = Arc::new(recorder);
        abuse.histograms().enable();
        abuse.trails().enable();
        let flushing = tokio::spawn(flush(Arc::clone(&recorder), Arc::clone(abuse)));
        Ok(Some(Self { recorder, spools: [hits, statistics], drain, shipping, flushing, abuse: Arc::clone(abuse) }))
    }

    /// Where hits are recorded.
    pub fn recorder(&self) -> Arc<Recorder> {
        Arc::clone(&self.recorder)
    }

    /// Where they wait.
    pub fn spool(&self) -> &Spool {
        &self.spools[0]
    }

    /// Writes what is still on its way, and ships what it can within `limit`. The rest is shipped after the next start.
    pub async fn finish(mut self, limit: Duration) {
        self.flushing.abort();
        self.recorder.flush_folded();
        // The minute that runs as well: there will be no more of it.
        self.recorder.flush_statistics(&self.abuse.take_histograms(u64::MAX), trails(&self.abuse, u64::MAX));
        let spools = self.spools.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || spools.iter().for_each(Spool::close)).await {
            tracing::error!(%error, "the spools could not be closed");
        }
        self.drain.cancel();
        let shipped = async { while self.shipping.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, shipped).await.is_err() {
            self.shipping.abort_all();
        }
        let left = self.spool().status().records;
        if left > 0 {
            tracing::warn!(left, "records stay in the spool until the next start");
        }
    }
}

/// Requests of sessions of interest, before a moment.
fn trails(abuse: &Abuse, before: u64) -> Vec<SessionTrail> {
    abuse.trails().take(MAX_SESSION_BATCH, before, |session| abuse.name(u128::from(session)))
}

/// Spools what is counted rather than recorded, now and then.
async fn flush(recorder: Arc<Recorder>, abuse: Arc<Abuse>) {
    let (mut statistics, mut folded) = (interval(STATISTICS), interval(FOLDED));
    statistics.set_missed_tick_behavior(MissedTickBehavior::Delay);
    folded.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = statistics.tick() => {
                let minute = abuse.shared_time(now_millis()) / MINUTE_MS;
                let before = now_millis().saturating_sub(ANSWERED);
                recorder.flush_statistics(&abuse.take_histograms(minute), trails(&abuse, before));
            }
            _ = folded.tick() => recorder.flush_folded(),
        }
    }
}
