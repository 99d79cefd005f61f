//! Sinks as the rest of the control plane sees them.

use super::arrivals::{Arrivals, HitFeed};
use super::feed::{FeedName, Feeds};
use super::metrics::Metrics;
use super::repository::Repository;
use super::sink::{NewSink, Sink, SinkError, Target};
use super::system_feed::SystemFeed;
use super::worker::Worker;
use crate::outgoing::{Outgoing, OutgoingError};
use crate::store::{Database, StoreError};
use sqlx::AnyConnection;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use weir_runtime::clock::Clock;
use weir_runtime::error_chain::with_causes;

/// Time between checks for new hits while no notification arrives.
const PERIOD: Duration = Duration::from_secs(5);

/// Why a test was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// The receiver did not take it. What a refusal says of ports and paths is for who reads the log of this machine, not for
    /// who may only enter URLs.
    #[error("the receiver did not take the test; the log of the control plane says why")]
    Undelivered,
    /// No client could be set up.
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
}

/// All sinks of a control plane. Cheap to clone.
#[derive(Clone)]
pub struct Sinks {
    repository: Repository,
    arrivals: Arrivals,
    feeds: Feeds,
    metrics: Metrics,
    outgoing: Outgoing,
    news: Arc<Notify>,
    clock: Clock,
}

impl fmt::Debug for Sinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sinks")
    }
}

impl Sinks {
    /// Those of `store`.
    pub async fn open(store: &Database, clock: Clock, metrics: Metrics, outgoing: Outgoing) -> Result<Self, SinkError> {
        let pools = || store.control().clone();
        let arrivals = Arrivals::new(pools(), clock.clone());
        let feeds = Feeds {
            hits: Arc::new(HitFeed::new(arrivals.clone(), store.clone())),
            system: Arc::new(SystemFeed::new(pools(), clock.clone())),
        };
        let repository = Repository::new(pools());
        let sinks = Self { repository, arrivals, feeds, metrics, outgoing, news: Arc::default(), clock };
        sinks.refresh().await?;
        Ok(sinks)
    }

    /// Before hits are stored.
    pub async fn before(&self, hits: impl Iterator<Item = &str> + Send) -> Result<(), StoreError> {
        self.arrivals.note(hits).await
    }

    /// Records have come in.
    pub fn wake(&self) {
        self.news.notify_one();
    }

    /// Every sink, secrets of its target masked.
    pub async fn list(&self) -> Result<Vec<Sink>, SinkError> {
        Ok(self.repository.list().await?.into_iter().map(Sink::masked).collect())
    }

    /// One sink, secrets of its target masked.
    pub async fn get(&self, id: &str) -> Result<Sink, SinkError> {
        self.repository.get(id).await.map(Sink::masked)
    }

    /// Makes a sink on a connection; [`Self::changed`] is to follow once that is stored.
    pub async fn create(&self, on: &mut AnyConnection, new: &NewSink) -> Result<Sink, SinkError> {
        self.check_destination(&new.target)?;
        if new.feeds.contains(&FeedName::NewHits) {
            self.arrivals.want(true);
        }
        Ok(self.repository.create(on, new, &self.feeds, self.clock.millis()).await?.masked())
    }

    /// Changes a sink on a connection. What is sent back masked stays as it was.
    pub async fn update(&self, on: &mut AnyConnection, id: &str, new: &NewSink) -> Result<Sink, SinkError> {
        let old = self.repository.get(id).await?;
        let unmasked = NewSink { target: new.target.unmasked(&old.target), ..new.clone() };
        self.check_destination(&unmasked.target)?;
        Ok(self.repository.update(on, id, &unmasked).await?.masked())
    }

    /// Refuses an address that would never be contacted; names are checked when they are resolved.
    fn check_destination(&self, target: &Target) -> Result<(), SinkError> {
        let (field, checked) = match target {
            Target::Webhook { url, .. } => ("target.url", self.outgoing.check_url(url)),
            Target::Syslog { host, .. } => ("target.host", self.outgoing.check_host(host)),
        };
        match checked {
            // That a URL is none is said with the other mistakes.
            Err(error @ (OutgoingError::Special(_) | OutgoingError::Private(_) | OutgoingError::Vendor(_))) => {
                Err(SinkError::Input(field, error.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Removes a sink on a connection.
    pub async fn remove(&self, on: &mut AnyConnection, id: &str) -> Result<(), SinkError> {
        self.repository.remove(on, id).await
    }

    /// A change of the sinks has been stored.
    pub async fn changed(&self) {
        if let Err(error) = self.refresh().await {
            tracing::warn!(%error, "the change of the sinks takes effect in seconds");
        }
        self.wake();
    }

    /// Delivers a record that says it is a test; the error is the receiver's.
    pub async fn test(&self, id: &str) -> Result<Result<(), TestError>, SinkError> {
        let held = self.repository.held(id).await?;
        let record = serde_json::json!({"id": "test", "test": true, "time": self.clock.millis()});
        match self.worker() {
            Ok(worker) => Ok(worker.deliver(&held, FeedName::System, &[record]).await.map_err(|error| {
                tracing::warn!(sink = held.sink.name, error = with_causes(&error), "the test was not delivered");
                TestError::Undelivered
            })),
            Err(error) => Ok(Err(TestError::Outgoing(error))),
        }
    }

    /// Learns which sinks there are, and forgets arrivals that all of them have.
    async fn refresh(&self) -> Result<(), SinkError> {
        let all = self.repository.all().await?;
        let wanting = || all.iter().filter(|held| held.sink.enabled && held.sink.feeds.contains(&FeedName::NewHits));
        self.arrivals.want(wanting().next().is_some());
        let places = wanting().filter_map(|held| held.cursors.get(&FeedName::NewHits)?.parse::<i64>().ok());
        let dropped = self.arrivals.forget(places.min().unwrap_or(i64::MAX)).await?;
        if dropped > 0 {
            self.metrics.dropped(dropped);
            tracing::warn!(records = dropped, "a receiver was away for too long: what it missed has to be exported");
        }
        Ok(())
    }

    fn worker(&self) -> Result<Worker, OutgoingError> {
        let (repository, feeds, metrics) = (self.repository.clone(), self.feeds.clone(), self.metrics.clone());
        Worker::new(repository, feeds, metrics, Arc::clone(&self.news), self.outgoing.clone())
    }

    #[cfg(test)]
    pub(super) fn worker_for_tests(&self) -> Worker {
        self.worker().unwrap()
    }

    /// Delivers until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let worker = match self.worker() {
            Ok(worker) => worker,
            Err(error) => return tracing::error!(%error, "sinks are not delivered to"),
        };
        loop {
            if let Err(error) = self.round(&worker, &stop).await {
                tracing::warn!(%error, "sinks");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.news.notified() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    async fn round(&self, worker: &Worker, stop: &CancellationToken) -> Result<(), SinkError> {
        self.refresh().await?;
        worker.round(stop).await
    }
}
