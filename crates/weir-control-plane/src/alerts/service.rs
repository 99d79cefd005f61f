//! Alerts as the rest of the control plane sees them, and the round that sends them.

use super::alert::{Alert, Channel, Known, NewAlert};
use super::channel::{self, ChannelError};
use super::message::{self, Counted};
use super::report::HOLD;
use super::repository::{self, Reported};
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::store::{Filter, Page, SHORTEST_STEP, Slot};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use weir_runtime::error_chain::with_causes;

/// How often it is looked whether one is due.
const TICK: Duration = Duration::from_secs(10);
/// A threshold is looked at again after this time, in milliseconds.
const LOOK: i64 = 15_000;
/// A failed message is sent again after this time.
const RETRY: i64 = 60_000;
/// Alerts that are looked at or sent at the same time.
const MAX_RUNNING: usize = 32;
/// Newest hits of which a message tells details.
const DETAILS: u32 = 200;
/// How late a hit may come and still be counted, in milliseconds: a node that was cut off for an hour.
const LATE: i64 = 60 * 60_000;

/// A test was not delivered. What a refusal says of ports and paths is for who reads the log of this machine, not for who
/// may only enter destinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the test was not delivered; the log of the control plane says why")]
pub struct Undelivered;

impl App {
    /// Every alert; URLs of chats are masked.
    pub async fn alerts(&self) -> Result<Vec<Alert>> {
        let all = repository::list(&mut *self.store.control().read().acquire().await?).await?;
        Ok(all.into_iter().map(Alert::masked).collect())
    }

    /// One alert; the URL of a chat is masked.
    pub async fn alert(&self, id: &str) -> Result<Alert> {
        Ok(self.held_alert(id).await?.masked())
    }

    async fn held_alert(&self, id: &str) -> Result<Alert> {
        repository::get(&mut *self.store.control().read().acquire().await?, id).await
    }

    /// Makes an alert.
    pub async fn create_alert(&self, caller: &Caller, new: &NewAlert) -> Result<Alert> {
        self.check_alert(new)?;
        let mut change = self.audit.begin().await?;
        let made = repository::create(change.on(), new, self.clock.millis()).await?.masked();
        change.commit(caller, "alert.create", &format!("alert/{}", made.id), (), &made).await?;
        Ok(made)
    }

    /// Changes an alert. A URL that is sent back masked stays as it was.
    pub async fn change_alert(&self, caller: &Caller, id: &str, new: NewAlert) -> Result<Alert> {
        let old = self.held_alert(id).await?;
        let new = NewAlert { channel: new.channel.clone().unmasked(&old.about.channel), ..new };
        self.check_alert(&new)?;
        let mut change = self.audit.begin().await?;
        let after = repository::update(change.on(), id, &new, self.clock.millis()).await?.masked();
        change.commit(caller, "alert.change", &format!("alert/{id}"), old.masked(), &after).await?;
        Ok(after)
    }

    /// Removes an alert.
    pub async fn remove_alert(&self, caller: &Caller, id: &str) -> Result<()> {
        let old = self.alert(id).await?;
        let mut change = self.audit.begin().await?;
        repository::remove(change.on(), id).await?;
        change.commit(caller, "alert.remove", &format!("alert/{id}"), old, ()).await
    }

    /// Sends a message that says it is a test; the error is for who may only enter destinations.
    pub async fn test_alert(&self, caller: &Caller, id: &str) -> Result<std::result::Result<(), Undelivered>> {
        let alert = self.held_alert(id).await?;
        let sent = self.send_alert(&alert, &message::test(&alert)).await;
        let mut change = self.audit.begin().await?;
        let outcome = if sent.is_ok() { "delivered" } else { "not delivered" };
        let record = crate::audit::Record::new("alert.test", format!("alert/{id}"), (), outcome)?;
        change.record(&caller.name(), &caller.address, &record).await?;
        change.store().await?;
        Ok(sent.map_err(|error| {
            tracing::warn!(alert = alert.about.name, error = with_causes(&error), "the test was not delivered");
            Undelivered
        }))
    }

    fn check_alert(&self, new: &NewAlert) -> Result<()> {
        new.check(self.config.smtp.is_some())?;
        // Names are checked when they are resolved.
        if let Channel::Slack { url } = &new.channel {
            self.config
                .outgoing
                .check_url(url)
                .map_err(|error| crate::Error::invalid("channel.url", error.to_string()))?;
        }
        self.search(&new.query).map(drop).map_err(|error| match error {
            crate::Error::Invalid(mut wrong) => {
                wrong.iter_mut().for_each(|one| "query".clone_into(&mut one.field));
                crate::Error::Invalid(wrong)
            }
            other => other,
        })
    }

    pub(super) async fn send_alert(
        &self,
        alert: &Alert,
        message: &message::Message,
    ) -> std::result::Result<(), ChannelError> {
        let config = &self.config;
        let sent = channel::deliver(&alert.about.channel, message, config.smtp.as_ref(), &config.outgoing).await;
        config.metrics.message(sent.is_ok());
        sent
    }

    /// Sends what is due, until `stop`. A destination that hangs delays no other alert.
    pub async fn send_alerts(&self, stop: CancellationToken) {
        let mut running = JoinSet::new();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => self.start_due_alerts(&mut running).await,
                Some(ended) = running.join_next() => ended.map_err(Error::internal).flatten(),
            };
            if let Err(error) = done {
                tracing::warn!(%error, "alerts cannot be looked up; tried again soon");
            }
        }
    }

    /// Looks at every alert that is due, and waits for what is sent.
    #[cfg(test)]
    pub(super) async fn alert_round(&self) -> Result<()> {
        let mut running = JoinSet::new();
        self.start_due_alerts(&mut running).await?;
        while let Some(ended) = running.join_next().await {
            ended.map_err(Error::internal)??;
        }
        Ok(())
    }

    /// Begins to look at every alert that is due, each by itself.
    async fn start_due_alerts(&self, running: &mut JoinSet<Result<()>>) -> Result<()> {
        let now = self.clock.millis();
        let all = repository::list(&mut *self.store.control().read().acquire().await?).await?;
        for alert in all.into_iter().filter(|alert| alert.about.enabled && alert.due <= now) {
            // The others are still due at the next tick.
            if running.len() >= MAX_RUNNING {
                break;
            }
            let next = match (alert.about.report, alert.about.digest) {
                (Some(_), _) => now + HOLD,
                (None, true) => now + RETRY,
                (None, false) => now + LOOK,
            };
            let taken = repository::take(&mut *self.store.control().write().acquire().await?, &alert, next).await?;
            if taken {
                let app = self.clone();
                running.spawn(async move { app.look_at_alert(&alert, now, next).await });
            }
        }
        Ok(())
    }

    /// Counts the hits of an alert, whose turn is taken until `held`, and sends it if there are enough.
    async fn look_at_alert(&self, alert: &Alert, now: i64, held: i64) -> Result<()> {
        if let Some(schedule) = alert.about.report {
            return self.send_report(alert, schedule, now, held).await;
        }
        let window = alert.about.window();
        // A digest that could not be sent covers the next period too.
        let from = if alert.about.digest { alert.since } else { alert.since.max(now - window) };
        // A search that names an application which is gone counts nothing, and says so.
        let filter = match self.search(&alert.about.query) {
            Ok(filter) => Filter { from: Some(from), to: Some(now), ..filter },
            Err(error) => return self.alert_failed(alert, &error.to_string(), now).await,
        };
        if now <= from {
            return Ok(());
        }
        let late = self.late_hits(alert, &filter).await?;
        let counted = self.known_hits(&filter, from, now).await?;
        let (hits, blocked) = (counted.hits + late.hits, counted.blocked + late.blocked);
        let next = if alert.about.digest { alert.due.max(now - window) + window } else { now + window };
        let enough = hits >= u64::from(alert.about.hits);
        if !enough && !alert.about.digest {
            return Ok(());
        }
        if enough {
            // A delivery may take longer than the time between looks: no other look sends it meanwhile.
            let taken = Alert { due: held, ..alert.clone() };
            if !repository::take(&mut *self.store.control().write().acquire().await?, &taken, now + RETRY).await? {
                return Ok(());
            }
            let newest = self.store.hits(&filter, &Page::first(DETAILS)).await?.rows;
            let counted = Counted { from, to: now, hits, blocked, newest: &newest };
            let message = message::about(alert, &counted, self.config.public_url.as_deref());
            if let Err(error) = self.send_alert(alert, &message).await {
                return self.alert_failed(alert, &with_causes(&error), now).await;
            }
        }
        let known = self.known_hits(&filter, (now - LATE).max(0), now).await?;
        let mut on = self.store.control().write().acquire().await?;
        repository::mark_reported(&mut on, &alert.id, &Reported { since: now, next, known }, enough.then_some(now))
            .await
    }

    /// Hits of `[from, to)` that are stored by now.
    async fn known_hits(&self, filter: &Filter, from: i64, to: i64) -> Result<Known> {
        let series = self.store.series(filter, from, to, (to - from).max(SHORTEST_STEP)).await?;
        let sum =
            |known: Known, slot: &Slot| Known { hits: known.hits + slot.hits, blocked: known.blocked + slot.blocked };
        Ok(series.slots.iter().fold(Known::default(), sum))
    }

    /// Hits of the time that was reported already which came in since.
    async fn late_hits(&self, alert: &Alert, filter: &Filter) -> Result<Known> {
        let Some(known) = alert.known else { return Ok(Known::default()) };
        let now = self.known_hits(filter, (alert.since - LATE).max(0), alert.since).await?;
        Ok(Known { hits: now.hits.saturating_sub(known.hits), blocked: now.blocked.saturating_sub(known.blocked) })
    }

    pub(super) async fn alert_failed(&self, alert: &Alert, error: &str, now: i64) -> Result<()> {
        tracing::warn!(alert = alert.about.name, error, "an alert was not sent; tried again in a minute");
        let mut on = self.store.control().write().acquire().await?;
        repository::failed(&mut on, &alert.id, error, now + RETRY).await
    }
}
