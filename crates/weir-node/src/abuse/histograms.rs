//! How many keys of each rule reached which count in each minute, until the minute is shipped to the control plane.

use super::Abuse;
use smallvec::SmallVec;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use weir_abuse::histogram::BUCKETS;
use weir_abuse::{KeyHasher, Peak, SetPeak};
use weir_policy::{AbuseGroup, AbuseRule};
use weir_protocol::node_api::RuleMinute;

/// Parts in which threads count, so that they rarely wait for each other.
const LANES: usize = 4;
/// Rules with histograms; further ones have none, which is counted.
const MAX_RULES: usize = 1_000;
/// Minutes of a rule that wait to be shipped. Shipping takes them every half minute.
const MAX_MINUTES: usize = 4;

/// By how many keys each bucket of a minute grew. A key may leave a bucket in another part than that in which it came to it.
type Changes = Box<[i32; BUCKETS]>;

/// What one part counts.
#[derive(Debug, Default)]
struct Lane {
    rules: Vec<RuleCounts>,
    /// Places in `rules`, by rule.
    places: HashMap<u64, u32, BuildHasherDefault<KeyHasher>>,
    /// Places in `rules` by the order of the rules in their policy, which is the quicker way as long as it stays the same.
    likely: Vec<u32>,
}

impl Lane {
    /// The counts of a rule; none if there are too many rules.
    #[inline(always)]
    fn counts(&mut self, rule: &AbuseRule) -> Option<&mut RuleCounts> {
        let likely = self.likely.get(rule.order() as usize).map_or(usize::MAX, |&place| place as usize);
        let is_known = self.rules.get(likely).is_some_and(|one| (one.rule, one.measure) == (rule.id, rule.measure));
        let place = if is_known { likely } else { self.find(rule)? };
        self.rules.get_mut(place)
    }

    #[cold]
    fn find(&mut self, rule: &AbuseRule) -> Option<usize> {
        let new = || RuleCounts { rule: rule.id, measure: rule.measure, minutes: Vec::new() };
        let place = match self.places.get(&rule.id) {
            Some(&place) => place,
            None if self.rules.len() >= MAX_RULES => return None,
            None => {
                self.rules.push(new());
                let place = self.rules.len() as u32 - 1;
                self.places.insert(rule.id, place);
                place
            }
        };
        let counts = self.rules.get_mut(place as usize)?;
        if counts.measure != rule.measure {
            // The rule was changed: counts of what it counted before do not belong to it.
            *counts = new();
        }
        let order = rule.order() as usize;
        if order < MAX_RULES {
            self.likely.resize(self.likely.len().max(order + 1), u32::MAX);
            self.likely[order] = place;
        }
        Some(place as usize)
    }

    /// Forgets rules without minutes.
    fn tidy(&mut self) {
        if self.rules.iter().any(|counts| counts.minutes.is_empty()) {
            self.rules.retain(|counts| !counts.minutes.is_empty());
            self.places = (0..).zip(&self.rules).map(|(place, counts)| (counts.rule, place)).collect();
            self.likely.clear();
        }
    }
}

#[derive(Debug)]
struct RuleCounts {
    rule: u64,
    /// What the rule counted when these minutes began.
    measure: u64,
    /// Minutes since 1970, the earliest first.
    minutes: Vec<(u32, Changes)>,
}

/// Histograms of the rules of a node.
#[derive(Debug, Default)]
pub struct Histograms {
    lanes: [Mutex<Lane>; LANES],
    dropped: AtomicU64,
    /// Whether they are shipped.
    shipped: AtomicBool,
}

/// The part in which this thread counts.
fn lane() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static LANE: usize = THREADS.fetch_add(1, Ordering::Relaxed) % LANES;
    }
    LANE.with(|lane| *lane)
}

impl Histograms {
    /// Begins to count: from now on minutes are shipped.
    pub fn enable(&self) {
        self.shipped.store(true, Ordering::Relaxed);
    }

    /// Whether minutes are shipped.
    pub(super) fn is_enabled(&self) -> bool {
        self.shipped.load(Ordering::Relaxed)
    }

    /// Notes that keys of rules reached a higher count with one message.
    pub(super) fn record(&self, peaks: &[(&AbuseRule, Peak)]) {
        if peaks.is_empty() || !self.is_enabled() {
            return;
        }
        let mut lane = self.lanes[lane()].lock().unwrap_or_else(PoisonError::into_inner);
        for &(rule, peak) in peaks {
            match lane.counts(rule) {
                Some(counts) => self.add(counts, peak),
                None => _ = self.dropped.fetch_add(1, Ordering::Relaxed),
            }
        }
    }

    #[inline(always)]
    fn add(&self, counts: &mut RuleCounts, peak: Peak) {
        let latest = counts.minutes.len().wrapping_sub(1);
        let is_latest = counts.minutes.get(latest).is_some_and(|(minute, _)| *minute == peak.minute);
        let at = if is_latest { latest } else { self.begin(counts, peak.minute) };
        let buckets = &mut counts.minutes[at].1;
        if let Some(from) = peak.from.and_then(|from| buckets.get_mut(usize::from(from))) {
            *from = from.saturating_sub(1);
        }
        if let Some(to) = buckets.get_mut(usize::from(peak.to)) {
            *to = to.saturating_add(1);
        }
    }

    /// The place of a minute that is not the latest; it begins, where there is none.
    #[cold]
    fn begin(&self, counts: &mut RuleCounts, minute: u32) -> usize {
        if let Some(known) = counts.minutes.iter().rposition(|(other, _)| *other == minute) {
            return known;
        }
        if counts.minutes.len() >= MAX_MINUTES {
            counts.minutes.remove(0);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        let at = counts.minutes.partition_point(|(other, _)| *other < minute);
        counts.minutes.insert(at, (minute, Box::new([0; BUCKETS])));
        at
    }

    /// Takes the minutes before `minute`, counted since 1970.
    fn take(&self, minute: u64) -> Vec<RuleMinute> {
        let mut sums: BTreeMap<(u64, u64, u32), [i64; BUCKETS]> = BTreeMap::new();
        for lane in &self.lanes {
            let mut lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
            for counts in &mut lane.rules {
                let later = counts.minutes.split_off(counts.minutes.partition_point(|(at, _)| u64::from(*at) < minute));
                for (at, changes) in std::mem::replace(&mut counts.minutes, later) {
                    let sum = sums.entry((counts.rule, counts.measure, at)).or_insert([0; BUCKETS]);
                    sum.iter_mut().zip(changes.iter()).for_each(|(sum, change)| *sum += i64::from(*change));
                }
            }
            lane.tidy();
        }
        let minutes = sums.into_iter().map(|((rule, measure, minute), sums)| {
            // Keys that were in a bucket before the minute was dropped, or the rule changed, only leave it.
            let filled = (0u8..).zip(sums).filter(|(_, sources)| *sources > 0);
            let counts = filled.map(|(bucket, sources)| (bucket, sources.unsigned_abs())).collect();
            RuleMinute { rule, measure, minute: u64::from(minute), counts }
        });
        minutes.collect()
    }

    /// Minutes and rules that were not kept: too many rules, or minutes that were not shipped in time.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Abuse {
    /// Notes peaks that keys reached with earlier messages.
    pub(super) fn record_earlier(&self, peaks: &[SetPeak]) {
        if peaks.is_empty() {
            return;
        }
        let known = peaks.iter().filter_map(|earlier| Some((rule_of(earlier)?, earlier.peak)));
        self.histograms.record(&known.collect::<SmallVec<[_; 64]>>());
    }

    /// Takes what keys reached in the minutes before `minute`, counted since 1970.
    pub fn take_histograms(&self, minute: u64) -> Vec<RuleMinute> {
        self.table.settle(|peaks| self.record_earlier(&peaks));
        self.histograms.take(minute)
    }
}

/// The rule whose counter reached a peak.
fn rule_of(peak: &SetPeak) -> Option<&AbuseRule> {
    let group: &AbuseGroup = peak.set.downcast_ref()?;
    group.rules().get(peak.number).map(|rule| &**rule)
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
    fn threads_count_together() {
        let policy = policy("{id: 7, type: rate_limit, threshold: 9}");
        let rule = policy.abuse().rule(7).unwrap();
        let histograms = Histograms::default();
        histograms.enable();
        // Each key reaches its next count in another thread.
        for step in 0..20 {
            std::thread::scope(|scope| {
                let record = || {
                    let peak = Peak { minute: 5, from: (step > 0).then(|| step - 1), to: step };
                    (0..100).for_each(|_| histograms.record(&[(rule, peak)]));
                };
                (0..2 * LANES).for_each(|_| drop(scope.spawn(record)));
            });
        }
        assert_eq!(counts(&histograms.take(6)), [(5, vec![(19, 200 * LANES as u64)])]);
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
