//! How many keys of each rule reached which count in each minute, until the minute is shipped to the control plane.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use weir_abuse::histogram::BUCKETS;
use weir_abuse::{KeyHasher, Peak};
use weir_policy::AbuseRule;
use weir_protocol::node_api::RuleMinute;

/// Rules with histograms; further ones have none, which is counted.
const MAX_RULES: usize = 1_000;
/// Minutes of a rule that wait to be shipped. Shipping takes them every half minute.
const MAX_MINUTES: usize = 4;

/// Minutes since 1970 with how many keys are in which bucket, the earliest first.
type Minutes = Vec<(u64, Box<[u32; BUCKETS]>)>;
type RuleMap = HashMap<u64, Mutex<RuleCounts>, BuildHasherDefault<KeyHasher>>;

#[derive(Debug)]
struct RuleCounts {
    /// What the rule counted when these minutes began.
    measure: u64,
    minutes: Minutes,
}

/// Histograms of the rules of a node.
#[derive(Debug, Default)]
pub struct Histograms {
    rules: RwLock<RuleMap>,
    dropped: AtomicU64,
    /// Whether they are shipped.
    shipped: AtomicBool,
}

impl Histograms {
    /// Begins to count: from now on minutes are shipped.
    pub fn enable(&self) {
        self.shipped.store(true, Ordering::Relaxed);
    }

    /// Notes that keys of rules reached a higher count with one message.
    pub(super) fn record(&self, peaks: &[(&AbuseRule, Peak)]) {
        if peaks.is_empty() || !self.shipped.load(Ordering::Relaxed) {
            return;
        }
        let unknown = self.record_known(peaks);
        if !unknown.is_empty() {
            unknown.iter().for_each(|(rule, _)| self.insert(rule));
            self.record_known(&unknown);
        }
    }

    /// Returns those of rules that have no counts yet.
    fn record_known<'r>(&self, peaks: &[(&'r AbuseRule, Peak)]) -> Vec<(&'r AbuseRule, Peak)> {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        let mut unknown = Vec::new();
        for &(rule, peak) in peaks {
            match rules.get(&rule.id) {
                Some(counts) => {
                    self.add(&mut counts.lock().unwrap_or_else(PoisonError::into_inner), rule.measure, peak);
                }
                None => unknown.push((rule, peak)),
            }
        }
        unknown
    }

    fn add(&self, counts: &mut RuleCounts, measure: u64, peak: Peak) {
        if counts.measure != measure {
            // The rule was changed: counts of what it counted before do not belong to it.
            *counts = RuleCounts { measure, minutes: Minutes::new() };
        }
        let known = counts.minutes.iter().rposition(|(minute, _)| *minute == peak.minute);
        let at = known.unwrap_or_else(|| {
            if counts.minutes.len() >= MAX_MINUTES {
                counts.minutes.remove(0);
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
            let at = counts.minutes.partition_point(|(minute, _)| *minute < peak.minute);
            counts.minutes.insert(at, (peak.minute, Box::new([0; BUCKETS])));
            at
        });
        let buckets = &mut counts.minutes[at].1;
        // Of a minute that began before the rule was changed, or was dropped, the former bucket is empty.
        if let Some(from) = peak.from.and_then(|from| buckets.get_mut(usize::from(from))) {
            *from = from.saturating_sub(1);
        }
        if let Some(to) = buckets.get_mut(usize::from(peak.to)) {
            *to = to.saturating_add(1);
        }
    }

    /// Makes room for the counts of a rule, if there may be more of them.
    fn insert(&self, rule: &AbuseRule) {
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        if rules.len() >= MAX_RULES && !rules.contains_key(&rule.id) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let counts = || Mutex::new(RuleCounts { measure: rule.measure, minutes: Minutes::new() });
        rules.entry(rule.id).or_insert_with(counts);
    }

    /// Takes the minutes before `minute`, counted since 1970.
    pub fn take(&self, minute: u64) -> Vec<RuleMinute> {
        let mut taken = Vec::new();
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        for (&rule, counts) in rules.iter_mut() {
            let counts = counts.get_mut().unwrap_or_else(PoisonError::into_inner);
            let later = counts.minutes.split_off(counts.minutes.partition_point(|(at, _)| *at < minute));
            let measure = counts.measure;
            taken.extend(std::mem::replace(&mut counts.minutes, later).into_iter().map(|(minute, sources)| {
                let filled = (0u8..).zip(*sources).filter(|(_, sources)| *sources > 0);
                let counts = filled.map(|(bucket, sources)| (bucket, u64::from(sources))).collect();
                RuleMinute { rule, measure, minute, counts }
            }));
        }
        rules.retain(|_, counts| !counts.get_mut().unwrap_or_else(PoisonError::into_inner).minutes.is_empty());
        taken
    }

    /// Minutes and rules that were not kept: too many rules, or minutes that were not shipped in time.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_policy::{Policy, PolicyDoc, Settings};

    fn policy(rules: &str) -> Policy {
        let doc = PolicyDoc::parse("p.yaml", &format!("rules: [{rules}]")).unwrap();
        Policy::compile(&Settings::default(), Some(&doc)).unwrap()
    }

    fn counts(taken: &[RuleMinute]) -> Vec<(u64, Vec<(u8, u64)>)> {
        taken.iter().map(|one| (one.minute, one.counts.clone())).collect()
    }

    #[test]
    fn each_key_counts_once_a_minute_in_its_highest_bucket() {
        let policy = policy("{id: 7, type: rate_limit, threshold: 9}");
        let rule = policy.abuse().rule(7).unwrap();
        let histograms = Histograms::default();
        histograms.enable();
        for (minute, from, to) in [(5, None, 1), (5, None, 1), (5, Some(1), 4), (6, None, 4)] {
            histograms.record(&[(rule, Peak { minute, from, to })]);
        }
        histograms.record(&[]);
        assert_eq!(counts(&histograms.take(6)), [(5, vec![(1, 1), (4, 1)])]);
        assert!(histograms.take(6).is_empty(), "the minute that runs is not taken");
        assert_eq!(counts(&histograms.take(7)), [(6, vec![(4, 1)])]);
    }

    #[test]
    fn a_rule_that_counts_something_else_begins_anew() {
        let [before, limit, after] = [
            "{id: 7, type: rate_limit, threshold: 9}",
            "{id: 7, type: rate_limit, threshold: 90, reaction: report, comment: more}",
            "{id: 7, type: rate_limit, threshold: 9, window: 10}",
        ]
        .map(policy);
        let histograms = Histograms::default();
        histograms.enable();
        let peak = Peak { minute: 5, from: None, to: 3 };
        histograms.record(&[(before.abuse().rule(7).unwrap(), peak)]);
        histograms.record(&[(limit.abuse().rule(7).unwrap(), peak)]);
        histograms.record(&[(after.abuse().rule(7).unwrap(), Peak { minute: 5, from: Some(3), to: 4 })]);
        let taken = histograms.take(6);
        assert_eq!(counts(&taken), [(5, vec![(4, 1)])]);
        assert_eq!(taken[0].measure, after.abuse().rule(7).unwrap().measure);
    }

    #[test]
    fn memory_is_bounded_and_losses_are_counted() {
        let rules: Vec<String> =
            (0..MAX_RULES + 5).map(|id| format!("{{id: {id}, type: rate_limit, threshold: 9}}")).collect();
        let policy = policy(&rules.join(","));
        let histograms = Histograms::default();
        histograms.enable();
        for rule in policy.abuse().all() {
            histograms.record(&[(rule, Peak { minute: 5, from: None, to: 3 })]);
        }
        assert_eq!(histograms.dropped(), 5);
        let known = histograms.take(6);
        assert_eq!(known.len(), MAX_RULES);
        let rule = policy.abuse().rule(known[0].rule).unwrap();
        (0..10).for_each(|minute| histograms.record(&[(rule, Peak { minute, from: None, to: 3 })]));
        assert_eq!((histograms.take(10).len(), histograms.dropped()), (MAX_MINUTES, 11));
    }
}
