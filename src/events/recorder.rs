//! What the verdict path calls: records hits, and waits until they are accepted.

use super::id::Mint;
use super::record::{Exchange, hit};
use super::spool::{Spool, Ticket};
use crate::model::hit::HitResponse;
use crate::node_api::{HitUpdate, Record};
use crate::telemetry::Telemetry;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Settings of records.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Longest time that an answer waits for its record.
    pub stall: Duration,
    /// Octets of a body that are kept.
    pub max_body: usize,
}

/// Records malicious requests.
pub struct Recorder {
    spool: Spool,
    mint: Mint,
    settings: Settings,
    telemetry: Arc<Telemetry>,
}

/// A record on its way to the spool.
#[must_use = "the answer may leave only when the record is settled"]
pub struct Recorded {
    /// Id of the hit.
    pub id: Uuid,
    ticket: Ticket,
}

impl Recorder {
    /// Records into `spool`.
    pub fn new(spool: Spool, settings: Settings, telemetry: Arc<Telemetry>) -> Self {
        Self { spool, mint: Mint::default(), settings, telemetry }
    }

    /// Masks `exchange` and hands its record to the spool. None where it was dropped at once, which is counted.
    /// Does not wait, but computes: some tens of microseconds, more for large or hostile messages.
    pub fn record(&self, exchange: &Exchange<'_>) -> Option<Recorded> {
        let id = self.mint.next(super::now_ms());
        let (hit, masked) = hit(exchange, id.to_string(), self.settings.max_body);
        self.telemetry.metrics.events_redactions.inc_by(u64::from(masked));
        let ticket = self.submit(&Record::Hit(Box::new(hit)))?;
        Some(Recorded { id, ticket })
    }

    /// Tells what the upstream answered to the request of hit `id`. Nobody waits for that.
    pub fn update(&self, id: Uuid, response: HitResponse, consumer: &str) {
        let update = HitUpdate { hit: id.to_string(), response, consumer: consumer.to_owned() };
        // Losses are counted where they happen.
        let _on_its_way = self.submit(&Record::Update(update));
    }

    fn submit(&self, record: &Record) -> Option<Ticket> {
        let line = serde_json::to_vec(record).expect("plain data");
        self.spool.submit(line).ok()
    }

    /// Waits until `recorded` is in the spool, for at most the configured stall; past it the record is withdrawn and
    /// counted, and the answer may leave all the same.
    pub async fn settle(&self, recorded: Recorded) {
        let outcome = self.spool.settle(recorded.ticket, self.settings.stall).await;
        if let Err(why) = outcome {
            tracing::debug!(%why, id = %recorded.id, "a record was dropped");
        }
    }
}
