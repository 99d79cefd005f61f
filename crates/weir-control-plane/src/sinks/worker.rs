//! Delivers to every sink, one after the other, until stopped.

use super::delivery::DeliveryError;
use super::feed::{FeedName, Feeds};
use super::metrics::Metrics;
use super::repository::{Held, Repository};
use super::sink::{SinkError, Target};
use super::{syslog, webhook};
use crate::outgoing::{Outgoing, OutgoingError};
use reqwest::Client;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use weir_runtime::error_chain::with_causes;

/// Most records in one delivery.
const BATCH: u32 = 100;
/// Batches for one sink before the next one has its turn: a receiver that was away must not hold up the others.
const TURNS: usize = 20;
/// Pauses after the first, second, ... failure in a row; the last one goes on.
const PAUSES: &[Duration] = &[
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(600),
    Duration::from_secs(1800),
];
/// How long a replica keeps a sink: longer than its longest turn between two renewals, which is one call.
const LEASE: Duration = Duration::from_secs(90);

/// Delivers to sinks.
pub struct Worker {
    repository: Repository,
    feeds: Feeds,
    client: Client,
    outgoing: Outgoing,
    metrics: Metrics,
    news: Arc<Notify>,
    holder: String,
}

impl Worker {
    /// A worker. `news` wakes it when records have come in; without, it looks every few seconds.
    pub fn new(
        repository: Repository,
        feeds: Feeds,
        metrics: Metrics,
        news: Arc<Notify>,
        outgoing: Outgoing,
    ) -> Result<Self, OutgoingError> {
        let holder = uuid::Uuid::new_v4().to_string();
        Ok(Self { repository, feeds, client: webhook::client(&outgoing)?, outgoing, metrics, news, holder })
    }

    /// One turn for every sink that is due.
    pub async fn round(&self, stop: &CancellationToken) -> Result<(), SinkError> {
        for held in self.repository.all().await? {
            if stop.is_cancelled() {
                return Ok(());
            }
            if held.sink.enabled && held.sink.due <= now() {
                self.turn(held, stop).await?;
            }
        }
        Ok(())
    }

    async fn turn(&self, mut held: Held, stop: &CancellationToken) -> Result<(), SinkError> {
        for _ in 0..TURNS {
            let id = held.sink.id.clone();
            let until = now() + i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX);
            if stop.is_cancelled() || !self.repository.lease(&id, &self.holder, now(), until).await? {
                return Ok(());
            }
            let mut delivered = 0;
            for name in held.sink.feeds.clone() {
                match self.feed(&mut held, name).await? {
                    Ok(records) => delivered += records,
                    Err(error) => {
                        let error = with_causes(&error);
                        self.metrics.failed(&held.sink.target);
                        let nth = usize::try_from(held.sink.failures).unwrap_or(usize::MAX).min(PAUSES.len() - 1);
                        let due = now() + i64::try_from(PAUSES[nth].as_millis()).unwrap_or(i64::MAX);
                        tracing::warn!(sink = held.sink.name, error, "not delivered");
                        return self.repository.failed(&id, &error, due).await;
                    }
                }
            }
            if delivered == 0 {
                return Ok(());
            }
        }
        // There is more: come back at once after the others had their turn.
        self.news.notify_one();
        Ok(())
    }

    /// Delivers what `name` has for the sink: how many records, or why not.
    async fn feed(&self, held: &mut Held, name: FeedName) -> Result<Result<usize, DeliveryError>, SinkError> {
        let feed = self.feeds.get(name);
        let place = match held.cursors.get(&name) {
            Some(place) => place.clone(),
            // A feed that is younger than the sink.
            None => feed.end().await?,
        };
        let batch = feed.after(&place, BATCH).await?;
        if batch.records.is_empty() {
            return Ok(Ok(0));
        }
        if let Err(error) = self.deliver(held, name, &batch.records).await {
            return Ok(Err(error));
        }
        held.cursors.insert(name, batch.next);
        self.repository.delivered(&held.sink.id, &held.cursors, batch.records.len(), now()).await?;
        self.metrics.delivered(&held.sink.target, batch.records.len());
        Ok(Ok(batch.records.len()))
    }

    /// Delivers `records` to the sink; the error is the receiver's.
    pub(super) async fn deliver(
        &self,
        held: &Held,
        feed: FeedName,
        records: &[serde_json::Value],
    ) -> Result<(), DeliveryError> {
        match &held.sink.target {
            Target::Webhook { url, method, format, headers } => {
                let (format, secret, now) = (*format, held.secret.as_str(), now() / 1000);
                let call = webhook::Call { url, method, format, headers, secret, now };
                self.outgoing.check_url(url)?;
                webhook::deliver(&self.client, &call, feed, records).await
            }
            Target::Syslog { host, port, transport, facility } => {
                let call = syslog::Call { host, port: *port, transport: *transport, facility: *facility };
                syslog::deliver(&call, &self.outgoing, feed, records).await
            }
        }
    }
}

/// Milliseconds since 1970.
fn now() -> i64 {
    weir_runtime::clock::Clock::System.millis()
}
