//! What the verdict path calls: records hits, waits until they are accepted, counts traffic.

use super::id::Mint;
use super::now_ms;
use super::record::{Exchange, hit};
use super::sample::{Sampled, Sampler};
use super::spool::{Spool, Ticket};
use super::statistics::{Counts, Sample};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;
use weir_protocol::hit::{Hit, HitResponse};
use weir_protocol::node_api::{HitUpdate, Record};
use weir_runtime::telemetry::Telemetry;

/// Settings of records.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Longest time that the disk may hold up an answer for its record.
    pub stall: Duration,
    /// Bytes of a body that are kept.
    pub max_body: usize,
    /// Whether identical hits past the fifth in an hour are counted only.
    pub sampling: bool,
}

/// Records malicious requests.
pub struct Recorder {
    hits: Spool,
    statistics: Spool,
    mint: Mint,
    settings: Settings,
    sampler: Option<Sampler>,
    counts: Counts,
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
    /// Records into `hits`, and counts into `statistics`.
    pub fn new(hits: Spool, statistics: Spool, settings: Settings, telemetry: Arc<Telemetry>) -> Self {
        let sampler = settings.sampling.then(Sampler::default);
        let counts = Counts::new(now_ms() / 1000);
        Self { hits, statistics, mint: Mint::default(), settings, sampler, counts, telemetry }
    }

    /// Counts a request that was judged.
    pub fn count(&self, sample: &Sample<'_>) {
        self.counts.count(sample);
    }

    /// Masks `exchange` and hands its record to the spool. None where it was folded into another one, or dropped at
    /// once, which is counted. Does not wait, but computes: some tens of microseconds, more for large messages.
    pub fn record(&self, exchange: &Exchange<'_>) -> Option<Recorded> {
        if self.is_folded(exchange) {
            self.telemetry.metrics.events_folded.inc();
            return None;
        }
        self.submit_hit(self.hit(exchange))
    }

    fn hit(&self, exchange: &Exchange<'_>) -> Hit {
        let (hit, masked) = hit(exchange, self.settings.max_body);
        self.telemetry.metrics.events_redactions.inc_by(u64::from(masked));
        hit
    }

    fn is_folded(&self, exchange: &Exchange<'_>) -> bool {
        let Some(sampler) = &self.sampler else { return false };
        let verdict = exchange.verdict;
        let point = verdict.findings.iter().find(|finding| finding.decisive).map(|finding| &finding.point);
        let what = (&verdict.attacks, point, verdict.action, verdict.reason.map(|reason| reason.code()));
        let target = (exchange.host, exchange.path, exchange.method, exchange.client, exchange.application);
        let kind = sampler.kind((exchange.leg as u8, what, target));
        sampler.see(kind, Instant::now(), || self.hit(exchange)) == Sampled::Folded
    }

    /// Mints the id of `hit` and hands it to the spool.
    fn submit_hit(&self, mut hit: Hit) -> Option<Recorded> {
        let id = self.mint.next(now_ms());
        hit.id = id.to_string();
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
        self.hits.submit(line).ok()
    }

    /// Waits until `recorded` is in the spool. Once the disk has held it up for the configured stall, or nothing came of
    /// it for a second, the record is withdrawn and counted, and the answer may leave all the same.
    pub async fn settle(&self, recorded: Recorded) {
        let outcome = self.hits.settle(recorded.ticket, self.settings.stall).await;
        if let Err(why) = outcome {
            tracing::debug!(%why, id = %recorded.id, "a record was dropped");
        }
    }

    /// Spools the records of hits that were folded.
    pub fn flush_folded(&self) {
        for hit in self.sampler.iter().flat_map(Sampler::flush) {
            // Losses are counted where they happen.
            let _on_its_way = self.submit_hit(hit);
        }
    }

    /// Spools what was counted since the last time.
    pub fn flush_statistics(&self) {
        let now = now_ms();
        if let Some(statistics) = self.counts.take(now / 1000, self.mint.next(now).to_string()) {
            let line = serde_json::to_vec(&statistics).expect("plain data");
            // Losses are counted where they happen.
            let _on_its_way = self.statistics.submit(line);
        }
    }
}
