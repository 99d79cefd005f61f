//! Events of a processing node: recorded before answers leave, shipped from the spool.

use super::{StartError, settings};
use crate::config::Resolved;
use crate::events::ship::Content;
use crate::events::{Recorder, Shipper, Spool};
use crate::sync::Link;
use crate::telemetry::Telemetry;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Events on their way.
pub struct Events {
    recorder: Arc<Recorder>,
    spool: Spool,
    drain: CancellationToken,
    shipping: JoinHandle<()>,
}

impl Events {
    /// Opens the spool and ships what is in it over `link`. None where events are off, which is told once: by
    /// configuration, or because there is nobody to send them to.
    pub fn open(
        resolved: &Resolved,
        link: Option<&Arc<Link>>,
        telemetry: &Arc<Telemetry>,
    ) -> Result<Option<Self>, StartError> {
        let (config, records) = settings::events(resolved);
        let (true, Some(link)) = (resolved.events.enabled, link) else {
            let why = if resolved.events.enabled { "`api.host` names nobody" } else { "`events.enabled` is false" };
            tracing::info!(why, "malicious requests are logged and counted, not recorded");
            return Ok(None);
        };
        let opened = Spool::open(config, Arc::clone(telemetry));
        let (spool, reader) = opened.map_err(|error| StartError::Settings(error.to_string()))?;
        let recorder = Arc::new(Recorder::new(spool.clone(), records, Arc::clone(telemetry)));
        let drain = CancellationToken::new();
        let shipper = Shipper::new(reader, Arc::clone(link), Content::Events, Arc::clone(telemetry));
        let shipping = tokio::spawn(shipper.run(drain.clone()));
        Ok(Some(Self { recorder, spool, drain, shipping }))
    }

    /// Where hits are recorded.
    pub fn recorder(&self) -> Arc<Recorder> {
        Arc::clone(&self.recorder)
    }

    /// Where they wait.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Writes what is still on its way, and ships what it can within `limit`. The rest is shipped after the next start.
    pub async fn finish(mut self, limit: Duration) {
        let spool = self.spool.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || spool.close()).await {
            tracing::error!(%error, "the spool could not be closed");
        }
        self.drain.cancel();
        if tokio::time::timeout(limit, &mut self.shipping).await.is_err() {
            self.shipping.abort();
        }
        let left = self.spool.status().records;
        if left > 0 {
            tracing::warn!(left, "records stay in the spool until the next start");
        }
    }
}
