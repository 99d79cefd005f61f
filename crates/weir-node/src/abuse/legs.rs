//! Whether the responses that a rule reads come at all.

use super::Abuse;
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use weir_abuse::KeyHasher;

/// A rule on responses counts attempts before they are answered if an answer came within this time, in milliseconds.
const ANSWERED_MS: u64 = 300_000;
/// Times are noted this exactly, in milliseconds: most requests only read them.
const NOTED_MS: u64 = 1_000;

/// By rule.
pub(super) type LegMap = HashMap<u64, Arc<Leg>, BuildHasherDefault<KeyHasher>>;

/// When a rule on responses was last asked about and answered, in milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Leg {
    asked: AtomicU64,
    answered: AtomicU64,
}

impl Leg {
    fn is_answered(&self, now: u64) -> bool {
        is_recent(&self.answered, now)
    }
}

fn is_recent(time: &AtomicU64, now: u64) -> bool {
    time.load(Ordering::Relaxed) + ANSWERED_MS > now
}

fn note(time: &AtomicU64, now: u64) {
    if time.load(Ordering::Relaxed).abs_diff(now) >= NOTED_MS {
        time.store(now, Ordering::Relaxed);
    }
}

/// The legs of a node.
pub(super) type Legs = ArcSwap<LegMap>;

impl Abuse {
    /// Rules on responses that were asked about within the last five minutes and never answered: no connector sends the
    /// responses.
    pub fn unanswered(&self, now: u64) -> Vec<u64> {
        let legs = self.legs.load();
        legs.iter()
            .filter(|(_, leg)| is_recent(&leg.asked, now) && !leg.is_answered(now))
            .map(|(rule, _)| *rule)
            .collect()
    }

    /// Notes that a rule was asked about; true if its responses come. `legs` are those at hand.
    pub(super) fn asked(&self, legs: &LegMap, rule: u64, now: u64) -> bool {
        self.with_leg(legs, rule, |leg| {
            note(&leg.asked, now);
            leg.is_answered(now)
        })
    }

    /// Notes that a response came which a rule reads.
    pub(super) fn answered(&self, legs: &LegMap, rule: u64, now: u64) {
        self.with_leg(legs, rule, |leg| note(&leg.answered, now));
    }

    fn with_leg<T>(&self, legs: &LegMap, rule: u64, then: impl FnOnce(&Leg) -> T) -> T {
        if let Some(leg) = legs.get(&rule) {
            return then(leg);
        }
        self.legs.rcu(|legs| {
            let mut legs = LegMap::clone(legs);
            legs.entry(rule).or_default();
            legs
        });
        let leg = self.legs.load().get(&rule).map(Arc::clone).unwrap_or_default();
        then(&leg)
    }
}
