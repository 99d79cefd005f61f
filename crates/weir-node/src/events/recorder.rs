//! Entry point of the verdict path: records hits, waits until they are written, counts traffic.

use super::id::IdGenerator;
use super::sampling::{Sampler, SamplingDecision};
use super::spool::{Spool, Ticket};
use super::statistics::{RequestSample, TrafficCounters};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;
use weir_protocol::hit::{Hit, HitResponse};
use weir_protocol::node_api::{HitUpdate, MAX_RULE_MINUTES, Record, RuleMinute, SessionTrail, Statistics};
use weir_protocol::record::{InspectedMessage, hit};
use weir_runtime::clock::now_millis;
use weir_runtime::telemetry::Telemetry;

/// Settings of a [`Recorder`].
#[derive(Clone, Copy, Debug)]
pub struct RecorderSettings {
    /// Longest time that a stalled disk may delay a response.
    pub stall: Duration,
    /// Bytes of a body that are recorded.
    pub max_body: usize,
    /// Whether identical hits after the fifth in an hour are only counted.
    pub sampling: bool,
}

/// Records malicious requests.
pub struct Recorder {
    hits: Spool,
    statistics: Spool,
    ids: IdGenerator,
    settings: RecorderSettings,
    sampler: Option<Sampler>,
    counts: TrafficCounters,
    telemetry: Arc<Telemetry>,
}

/// A record that is being written to the spool.
#[must_use = "await it before the response is sent"]
pub struct PendingRecord {
    /// Id of the hit.
    pub id: Uuid,
    ticket: Ticket,
}

impl Recorder {
    /// Writes hits to `hits` and traffic statistics to `statistics`.
    pub fn new(hits: Spool, statistics: Spool, settings: RecorderSettings, telemetry: Arc<Telemetry>) -> Self {
        let sampler = settings.sampling.then(Sampler::default);
        let counts = TrafficCounters::new(now_millis() / 1000);
        Self { hits, statistics, ids: IdGenerator::default(), settings, sampler, counts, telemetry }
    }

    /// Counts a request.
    pub fn count(&self, sample: &RequestSample<'_>) {
        self.counts.count(sample);
    }

    /// Masks `message` and queues its record for the spool. Returns `None` if it was folded into another record or dropped,
    /// which is counted. Does not block; takes some tens of microseconds, more for large messages.
    pub fn record(&self, message: &InspectedMessage<'_>) -> Option<PendingRecord> {
        if self.is_folded(message) {
            self.telemetry.metrics.events_folded.inc();
            return None;
        }
        self.submit_hit(self.hit(message))
    }

    fn hit(&self, message: &InspectedMessage<'_>) -> Hit {
        let (hit, masked) = hit(message, self.settings.max_body);
        self.telemetry.metrics.events_redactions.inc_by(u64::from(masked));
        hit
    }

    fn is_folded(&self, message: &InspectedMessage<'_>) -> bool {
        let Some(sampler) = &self.sampler else { return false };
        let verdict = message.verdict;
        let point = verdict.findings.iter().find(|finding| finding.decisive).map(|finding| &finding.point);
        let what = (&verdict.attacks, point, verdict.action, verdict.reason.map(|reason| reason.code()));
        let target = (message.host, message.path, message.method, message.client, message.application);
        let fingerprint = sampler.fingerprint((message.direction as u8, what, target));
        sampler.decide(fingerprint, Instant::now(), || self.hit(message)) == SamplingDecision::Fold
    }

    /// Assigns an id to `hit` and queues it for the spool.
    fn submit_hit(&self, mut hit: Hit) -> Option<PendingRecord> {
        let id = self.ids.next(now_millis());
        hit.id = id.to_string();
        let ticket = self.submit(&Record::Hit(Box::new(hit)))?;
        Some(PendingRecord { id, ticket })
    }

    /// Records the upstream's response to the request of hit `id`. Its outcome is not awaited.
    pub fn update(&self, id: Uuid, response: HitResponse, consumer: &str) {
        let update = HitUpdate { hit: id.to_string(), response, consumer: consumer.to_owned() };
        // Losses are counted where they happen.
        let _ = self.submit(&Record::Update(update));
    }

    fn submit(&self, record: &Record) -> Option<Ticket> {
        let line = serde_json::to_vec(record).expect("plain data");
        self.hits.submit(line).ok()
    }

    /// Waits until `record` is in the spool. If the disk stalls longer than configured, or the outcome is not known after
    /// a second, the record is withdrawn and counted, and the response is sent without it.
    pub async fn await_written(&self, record: PendingRecord) {
        let outcome = self.hits.await_written(record.ticket, self.settings.stall).await;
        if let Err(why) = outcome {
            tracing::debug!(%why, id = %record.id, "a record was dropped");
        }
    }

    /// Writes the records of folded hits to the spool.
    pub fn flush_folded(&self) {
        for hit in self.sampler.iter().flat_map(Sampler::flush) {
            // Losses are counted where they happen.
            let _ = self.submit_hit(hit);
        }
    }

    /// Writes the statistics since the last call to the spool, and `rules` and `sessions`: histograms of abuse rules, and
    /// requests of sessions.
    pub fn flush_statistics(&self, rules: &[RuleMinute], sessions: Vec<SessionTrail>) {
        let now = now_millis();
        let id = || self.ids.next(now).to_string();
        let minutes = rules.chunks(MAX_RULE_MINUTES).map(|rules| Statistics {
            id: id(),
            from: now / 1000,
            seconds: 1,
            rules: rules.to_vec(),
            ..Statistics::default()
        });
        let trails = (!sessions.is_empty()).then(|| Statistics {
            id: id(),
            from: now / 1000,
            seconds: 1,
            sessions,
            ..Statistics::default()
        });
        for statistics in self.counts.take(now / 1000, id()).into_iter().chain(minutes).chain(trails) {
            let line = serde_json::to_vec(&statistics).expect("plain data");
            // Losses are counted where they happen.
            let _ = self.statistics.submit(line);
        }
    }
}
