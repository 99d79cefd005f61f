//! Whether the responses that a rule reads come at all, by route: the response leg is switched on for each route of a gateway.

use super::Abuse;
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use weir_abuse::KeyHasher;
use weir_core::model::bytes::printable;
use weir_protocol::node_api::{MAX_UNANSWERED, UnansweredRule};

/// A rule on responses counts attempts before they are answered if an answer came within this time, in milliseconds.
const ANSWERED_MS: u64 = 300_000;
/// Milliseconds for which a request may wait for its response before the response counts as missing.
const PATIENCE_MS: u64 = 30_000;
/// Times are noted this exactly, in milliseconds: most requests only read them.
const NOTED_MS: u64 = 1_000;
/// Most legs. When there are more, those that were not asked about lately are given up, and further routes share one.
const MAX_LEGS: usize = 4_096;
/// Milliseconds for which, once there are as many, no room is made for further routes: that takes time for each leg.
const FULL_MS: u64 = 10_000;
/// Longest name of a route that is kept, in bytes.
const MAX_ROUTE: usize = 200;

/// By rule and route.
pub(super) type LegMap = HashMap<u64, Arc<Leg>, BuildHasherDefault<KeyHasher>>;

/// A rule on responses on one route. Times are milliseconds since 1970, 0 for never.
#[derive(Debug, Default)]
pub(super) struct Leg {
    rule: u64,
    /// Name of the route; empty for requests without one, and where too many routes share this leg.
    route: String,
    asked: AtomicU64,
    answered: AtomicU64,
    /// When routes last began to share it, as there were too many.
    shared: AtomicU64,
    /// When the first of the requests came that wait since the last response.
    waiting: AtomicU64,
}

impl Leg {
    fn is_answered(&self, now: u64) -> bool {
        is_within(&self.answered, ANSWERED_MS, now)
    }

    /// Notes a request. True if responses come.
    fn ask(&self, now: u64) -> bool {
        note(&self.asked, now);
        if self.waiting.load(Ordering::Relaxed) == 0 && !is_within(&self.answered, PATIENCE_MS, now) {
            self.waiting.store(now, Ordering::Relaxed);
        }
        self.is_answered(now)
    }

    fn answer(&self, now: u64) {
        note(&self.answered, now);
        if self.waiting.load(Ordering::Relaxed) != 0 {
            self.waiting.store(0, Ordering::Relaxed);
        }
    }

    /// Whether requests came lately, and no response for longer than any takes.
    fn is_unanswered(&self, now: u64) -> bool {
        let waiting = self.waiting.load(Ordering::Relaxed);
        let overdue = waiting != 0 && waiting + PATIENCE_MS <= now;
        overdue && is_within(&self.asked, ANSWERED_MS, now) && !self.is_answered(now)
    }
}

fn is_within(time: &AtomicU64, span: u64, now: u64) -> bool {
    time.load(Ordering::Relaxed) + span > now
}

fn note(time: &AtomicU64, now: u64) {
    if time.load(Ordering::Relaxed).abs_diff(now) >= NOTED_MS {
        time.store(now, Ordering::Relaxed);
    }
}

/// Where a leg is kept. `route` is the hash of its name, 0 for none.
fn place(rule: u64, route: u32) -> u64 {
    rule.rotate_left(u32::BITS) ^ u64::from(route)
}

/// The legs of a node.
pub(super) type Legs = ArcSwap<LegMap>;

impl Abuse {
    /// Rules on responses whose requests of the last five minutes were not answered, by route: the connector does not send
    /// the responses. The latest first, at most [`MAX_UNANSWERED`].
    pub fn unanswered(&self, now: u64) -> Vec<UnansweredRule> {
        let legs = self.legs.load();
        let named = |leg: &Arc<Leg>| UnansweredRule {
            rule: leg.rule,
            route: printable(leg.route.as_bytes(), MAX_ROUTE),
            last: leg.asked.load(Ordering::Relaxed),
        };
        let mut all: Vec<_> = legs.values().filter(|leg| leg.is_unanswered(now)).map(named).collect();
        all.sort_by(|a, b| (b.last, a.rule, &a.route).cmp(&(a.last, b.rule, &b.route)));
        all.truncate(MAX_UNANSWERED);
        all
    }

    /// Notes that a rule was asked about on a route, by the hash of its name; true if its responses come. `legs` are those at
    /// hand.
    pub(super) fn asked(&self, legs: &LegMap, rule: u64, route: (u32, &str), now: u64) -> bool {
        if let Some(leg) = legs.get(&place(rule, route.0)) {
            return leg.ask(now);
        }
        let shared = legs.get(&place(rule, 0)).filter(|leg| is_within(&leg.shared, FULL_MS, now));
        shared.map_or_else(|| self.new_leg(rule, route, now), Arc::clone).ask(now)
    }

    /// Notes that a response came which a rule reads, on the route with this hash of its name. A leg that nothing asked about
    /// is not made: whoever asks, asks first.
    pub(super) fn answered(&self, legs: &LegMap, rule: u64, route: u32, now: u64) {
        if let Some(leg) = legs.get(&place(rule, route)).or_else(|| legs.get(&place(rule, 0))) {
            leg.answer(now);
        }
    }

    #[cold]
    fn new_leg(&self, rule: u64, (hash, route): (u32, &str), now: u64) -> Arc<Leg> {
        self.legs.rcu(|legs| {
            let mut legs = LegMap::clone(legs);
            if legs.len() >= MAX_LEGS {
                legs.retain(|_, leg| is_within(&leg.asked, ANSWERED_MS, now));
            }
            let is_full = legs.len() >= MAX_LEGS;
            let (hash, route) = if is_full { (0, "") } else { (hash, route) };
            let made = || Arc::new(Leg { rule, route: shortened(route), ..Leg::default() });
            let leg = legs.entry(place(rule, hash)).or_insert_with(made);
            if is_full {
                note(&leg.shared, now);
            }
            legs
        });
        let legs = self.legs.load();
        legs.get(&place(rule, hash)).or_else(|| legs.get(&place(rule, 0))).map(Arc::clone).unwrap_or_default()
    }
}

fn shortened(route: &str) -> String {
    route.chars().take(MAX_ROUTE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abuse::AbuseSettings;

    const NOW: u64 = 1_700_000_000_000;

    #[test]
    fn a_route_without_responses_is_named_beside_one_with_them() {
        let abuse = Abuse::new(&AbuseSettings { memory: 1 << 20, secrets: Vec::new(), shared: false });
        let legs = || abuse.legs.load_full();
        assert!(!abuse.asked(&legs(), 7, (1, "with"), NOW) && !abuse.asked(&legs(), 7, (2, "without"), NOW));
        abuse.answered(&legs(), 7, 1, NOW + 100);
        assert!(abuse.asked(&legs(), 7, (1, "with"), NOW + 200));
        assert!(abuse.unanswered(NOW + PATIENCE_MS - 1).is_empty(), "its response may still come");
        let late = NOW + PATIENCE_MS;
        assert!(!abuse.asked(&legs(), 7, (2, "without"), late));
        assert_eq!(abuse.unanswered(late), [UnansweredRule { rule: 7, route: "without".into(), last: late }]);
        abuse.answered(&legs(), 7, 2, late + 1);
        assert!(abuse.unanswered(late + 1).is_empty());
    }

    #[test]
    fn routes_without_end_take_bounded_memory() {
        let abuse = Abuse::new(&AbuseSettings { memory: 1 << 20, secrets: Vec::new(), shared: false });
        for route in 1..=MAX_LEGS as u32 + 100 {
            abuse.asked(&abuse.legs.load_full(), 7, (route, "r"), NOW);
        }
        assert_eq!(abuse.legs.load().len(), MAX_LEGS + 1);
        let full = abuse.legs.load_full();
        abuse.asked(&full, 7, (u32::MAX - 1, "r"), NOW);
        assert!(
            Arc::ptr_eq(&full, &abuse.legs.load_full()),
            "a request of a further route does not go through them all"
        );
        abuse.answered(&abuse.legs.load_full(), 7, u32::MAX, NOW);
        assert!(abuse.asked(&abuse.legs.load_full(), 7, (u32::MAX, "r"), NOW), "the routes that share a leg");
        abuse.asked(&abuse.legs.load_full(), 8, (1, "r"), NOW + ANSWERED_MS);
        assert_eq!(abuse.legs.load().len(), 1, "those that were not asked about lately are given up");
    }
}
