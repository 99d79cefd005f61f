//! What passed uninspected by the reports of connectors, for the heartbeats of the node.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::Notify;
use weir_protocol::node_api::{Gap, MAX_GAPS};

/// Gaps tracked; the one that is over for the longest time makes room.
const MAX_TRACKED: usize = 256;
/// Milliseconds after which a gap that goes on is news again.
const NEWS_AFTER: u64 = 60_000;
/// Milliseconds for which a gap is reported.
const REPORTED_FOR: u64 = 3_600_000;

/// What distinguishes gaps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct GapKey {
    /// Route of the gateway; empty for copies that were dropped, which are not counted by route.
    pub route: Arc<str>,
    /// `request` or `response`.
    pub leg: &'static str,
    /// Why.
    pub reason: &'static str,
}

#[derive(Clone, Copy, Debug, Default)]
struct GapTotal {
    count: u64,
    /// Milliseconds since 1970.
    last: u64,
}

/// What passed uninspected since the start of the node.
#[derive(Debug, Default)]
pub struct Gaps {
    totals: Mutex<HashMap<GapKey, GapTotal>>,
    listener: OnceLock<Arc<Notify>>,
}

impl Gaps {
    /// From now on `listener` is notified of each gap that begins. Only the first call has an effect.
    pub fn notify(&self, listener: Arc<Notify>) {
        let _first = self.listener.set(listener);
    }

    /// Adds `count` messages, the last of them at `last`; times are milliseconds since 1970. A report without a plausible
    /// time counts as of `now`.
    pub(super) fn add(&self, key: GapKey, count: u64, last: u64, now: u64) {
        let last = if last == 0 || last > now { now } else { last };
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        if totals.len() >= MAX_TRACKED
            && !totals.contains_key(&key)
            && let Some(oldest) = totals.iter().min_by_key(|(_, total)| total.last).map(|(key, _)| key.clone())
        {
            totals.remove(&oldest);
        }
        let total = totals.entry(key).or_default();
        let news = last > total.last.saturating_add(NEWS_AFTER);
        total.count = total.count.saturating_add(count);
        total.last = total.last.max(last);
        drop(totals);
        if news && let Some(listener) = self.listener.get() {
            listener.notify_one();
        }
    }

    /// The latest gaps, at most [`MAX_GAPS`].
    pub fn latest(&self, now: u64) -> Vec<Gap> {
        let totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = totals.iter().filter(|(_, total)| total.last.saturating_add(REPORTED_FOR) > now);
        let gap = |(key, total): (&GapKey, &GapTotal)| Gap {
            route: key.route.to_string(),
            leg: key.leg.into(),
            reason: key.reason.into(),
            count: total.count,
            last: total.last,
        };
        let mut all: Vec<Gap> = recent.map(gap).collect();
        drop(totals);
        all.sort_by_key(|gap| Reverse(gap.last));
        all.truncate(MAX_GAPS);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn key(route: &str) -> GapKey {
        GapKey { route: route.into(), leg: "request", reason: "connect" }
    }

    async fn notified(listener: &Notify) -> bool {
        tokio::time::timeout(std::time::Duration::ZERO, listener.notified()).await.is_ok()
    }

    #[tokio::test]
    async fn a_gap_is_news_when_it_begins_and_once_a_minute() {
        let (gaps, listener) = (Gaps::default(), Arc::new(Notify::new()));
        gaps.notify(Arc::clone(&listener));
        for (at, news) in [(NOW, true), (NOW + 1_000, false), (NOW + 62_000, true)] {
            gaps.add(key("shop"), 2, at, at);
            assert_eq!(notified(&listener).await, news, "{at}");
        }
        gaps.add(key("other"), 1, NOW, NOW);
        assert!(notified(&listener).await);
        let latest = gaps.latest(NOW + 62_000);
        assert_eq!((latest[0].route.as_str(), latest[0].count, latest[0].last), ("shop", 6, NOW + 62_000));
    }

    #[test]
    fn times_are_not_believed_blindly_and_old_gaps_end() {
        let gaps = Gaps::default();
        gaps.add(key("ahead"), 1, NOW + 5, NOW);
        gaps.add(key("none"), 1, 0, NOW);
        gaps.add(key("old"), 1, NOW - REPORTED_FOR, NOW);
        let latest = gaps.latest(NOW);
        assert!(latest.len() == 2 && latest.iter().all(|gap| gap.last == NOW), "{latest:?}");
    }

    #[test]
    fn gaps_are_bounded_and_the_oldest_make_room() {
        let gaps = Gaps::default();
        for n in 0..MAX_TRACKED as u64 + 10 {
            gaps.add(key(&format!("r{n}")), 1, NOW + n, NOW + n);
        }
        assert_eq!(gaps.totals.lock().unwrap().len(), MAX_TRACKED);
        let latest = gaps.latest(NOW);
        assert!(latest.len() == MAX_GAPS && latest[0].route == format!("r{}", MAX_TRACKED + 9));
    }
}
