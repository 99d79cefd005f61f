//! If no drop was counted, the store has each block or `Inspector-Attack` response that a client received exactly once.
//! If drops were counted, no more are missing than were counted.

use crate::fleet::{Fleet, Reader};
use crate::load::Known;
use std::collections::BTreeMap;

/// What was counted.
#[derive(Debug)]
pub struct Tally {
    pub sent: usize,
    pub blocked: usize,
    pub reported: usize,
    /// Hits in the store.
    pub stored: usize,
    /// Hits in the store whose answer no client saw: it was killed in between.
    pub unanswered: usize,
    /// Ids that are in the store more than once.
    pub twice: Vec<String>,
    /// Answered ids that are not in the store.
    pub lost: Vec<String>,
    /// Hits whose action differs from the response that the client got.
    pub wrong: Vec<String>,
    /// Drops that the spools counted.
    pub dropped: u64,
}

impl Tally {
    /// Drains `fleet` and compares what it stored with what clients know.
    pub fn of(fleet: &Fleet, known: &Known) -> Tally {
        fleet.drain();
        let stored = stored(&fleet.reader());
        let answered = known.blocked.iter().chain(&known.reported);
        let lost = answered.filter(|id| !stored.contains_key(*id)).cloned().collect();
        let mut tally = Tally {
            sent: known.sent.len(),
            blocked: known.blocked.len(),
            reported: known.reported.len(),
            stored: stored.values().map(Vec::len).sum(),
            unanswered: 0,
            twice: Vec::new(),
            lost,
            wrong: Vec::new(),
            dropped: fleet.dropped(),
        };
        for (id, actions) in stored {
            assert!(known.sent.contains(&id), "the store has {id}, which no client sent");
            let told = known.blocked.contains(&id).then_some("block");
            let told = told.or_else(|| known.reported.contains(&id).then_some("pass"));
            tally.unanswered += usize::from(told.is_none());
            if told.is_some_and(|told| actions.iter().any(|action| action != told)) {
                tally.wrong.push(id.clone());
            }
            if actions.len() > 1 {
                tally.twice.push(id);
            }
        }
        tally
    }

    /// Prints the row, and holds it against what must be.
    pub fn check(&self, what: &str, fleet: &Fleet) {
        eprintln!(
            "{what}: sent {}, answered {} (block {}, reported {}), stored {} ({} unanswered), lost {}, twice {}, dropped {}",
            self.sent,
            self.blocked + self.reported,
            self.blocked,
            self.reported,
            self.stored,
            self.unanswered,
            self.lost.len(),
            self.twice.len(),
            self.dropped
        );
        assert!(self.blocked > 0 && self.reported > 0, "{what}: no request of the load was answered");
        assert!(self.twice.is_empty(), "{what}: stored twice: {:?}\n{}", self.twice, fleet.told());
        assert!(self.wrong.is_empty(), "{what}: another action is stored: {:?}", self.wrong);
        assert!(
            self.lost.len() as u64 <= self.dropped,
            "{what}: {} drops counted, but lost: {:?}\n{}",
            self.dropped,
            self.lost,
            fleet.told()
        );
        assert_eq!(
            counted(&fleet.reader()),
            self.stored as u64,
            "{what}: the counts of the store differ from its hits"
        );
    }
}

/// Actions of the hits in the store, by request id.
fn stored(reader: &Reader) -> BTreeMap<String, Vec<String>> {
    let mut stored: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut after = String::new();
    loop {
        let page = reader.get(&format!("/api/v1/hits?limit=200{after}"));
        for hit in page["items"].as_array().unwrap() {
            let text = |name: &str| hit[name].as_str().unwrap().to_owned();
            stored.entry(text("request_id")).or_default().push(text("action"));
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return stored,
        }
    }
}

/// Hits by the counts that the store keeps beside them, over all time around now.
fn counted(reader: &Reader) -> u64 {
    const DAY: u64 = 86_400_000;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    let (from, to) = (now / DAY * DAY - 10 * DAY, now / DAY * DAY + 10 * DAY);
    let series = reader.get(&format!("/api/v1/statistics/hits?from={from}&to={to}&step={DAY}"));
    series["slots"].as_array().unwrap().iter().map(|slot| slot["hits"].as_u64().unwrap()).sum()
}
