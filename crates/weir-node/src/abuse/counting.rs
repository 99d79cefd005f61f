//! Counts one request under the rules that apply to it: rules with the same key together, under one lock.

use super::carried::CarriedRule;
use super::legs::LegMap;
use super::parts::Parts;
use super::request::{AbuseCheck, RequestView, Subject, session_subject};
use super::values::PartValues;
use super::{Abuse, shares, spec, words};
use arc_swap::Guard;
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weir_abuse::{Entry, Exceptions, Group, Key, Keys, Listed, Observation, Peak};
use weir_policy::{AbuseExcess, AbuseKind, AbuseRule, KeyPart, Mode, Plan, Reaction};

/// A limit that the request goes over.
struct Excess<'p> {
    rule: &'p Arc<AbuseRule>,
    key: Key,
    seen: Observation,
}

/// One request while it is counted.
pub(super) struct Counting<'p, 'h, 'a> {
    abuse: &'p Abuse,
    view: &'p RequestView<'h, 'a>,
    plan: &'p Plan,
    keys: &'p Keys,
    subject: &'p Subject,
    parts: Parts<'p, 'h, 'a>,
    check: &'p mut AbuseCheck,
    legs: Guard<Arc<LegMap>>,
    peaks: SmallVec<[(&'p AbuseRule, Peak); 8]>,
    /// By the clock of the shared counters.
    now: u64,
    excesses: SmallVec<[Excess<'p>; 4]>,
}

impl<'p, 'h, 'a> Counting<'p, 'h, 'a> {
    pub fn new(
        abuse: &'p Abuse,
        view: &'p RequestView<'h, 'a>,
        plan: &'p Plan,
        keys: &'p Keys,
        subject: &'p Subject,
        parts: Parts<'p, 'h, 'a>,
        check: &'p mut AbuseCheck,
    ) -> Self {
        let (legs, now) = (abuse.legs.load(), abuse.shared_time(view.now));
        let (peaks, excesses) = (SmallVec::new(), SmallVec::new());
        Self { abuse, view, plan, keys, subject, parts, check, legs, now, peaks, excesses }
    }

    /// Counts under `rules`, of which those with the same key follow each other.
    pub fn count(mut self, rules: &[&'p Arc<AbuseRule>]) {
        {
            let exceptions = self.abuse.entries.exceptions();
            for group in rules.chunk_by(|a, b| a.key_number() == b.key_number()) {
                self.group(group, exceptions.as_ref());
            }
        }
        self.abuse.histograms.record(&self.peaks);
        let mut excesses = std::mem::take(&mut self.excesses);
        excesses.sort_by_key(|excess| excess.rule.order());
        for excess in excesses {
            self.exceeded(&excess);
        }
    }

    /// Counts under rules with the same key.
    fn group(&mut self, rules: &[&'p Arc<AbuseRule>], exceptions: Option<&Exceptions<'_>>) {
        let mut makes = 0;
        for rule in rules {
            if rule.kind.reads_responses() {
                self.check.wanted.0 = true;
                self.check.wanted.1 |= rule.failure.body.is_some();
            }
            makes += usize::from(counts_requests(rule) || rule.kind == AbuseKind::Bola);
            // Read before anything is locked.
            rule.distinct.as_ref().map(|part| self.parts.distinct(part));
        }
        for subject in self.parts.subjects(rules[0]) {
            let mut counters = self.abuse.table.group(subject, self.now, makes);
            for rule in rules {
                let key = Keys::counter(subject, rule.id);
                let excepted = exceptions.is_some_and(|all| all.cover(rule.id, Key(key), self.view.now));
                // Who logged in to an account is not locked out of it by guesses of others.
                let spared = !self.subject.logged_in.is_empty() && self.subject.logged_in.contains(&key);
                if !excepted && (!spared || rule.counts_by_client()) {
                    self.rule(rule, key, &mut counters);
                }
            }
        }
    }

    fn rule(&mut self, rule: &'p Arc<AbuseRule>, key: u128, counters: &mut Group<'_>) {
        let shares = shares(rule, self.subject.sessions);
        let limit = rule.limit().saturating_mul(shares);
        let seen = match rule.kind {
            AbuseKind::Bola => self.values(rule, key, shares, counters),
            _ => self.requests(rule, key, shares, limit, counters),
        };
        self.peaks.extend(seen.peak.map(|peak| (&**rule, peak)));
        self.check.noted |= seen.count > limit / 2;
        if seen.count > limit {
            match self.excesses.iter_mut().find(|other| other.rule.id == rule.id) {
                Some(other) if other.seen.count >= seen.count => {}
                Some(other) => (other.key, other.seen) = (Key(key), seen),
                None => self.excesses.push(Excess { rule, key: Key(key), seen }),
            }
        }
    }

    /// Counts a value of the request.
    fn values(&mut self, rule: &'p AbuseRule, key: u128, shares: u32, counters: &mut Group<'_>) -> Observation {
        let value = rule.distinct.as_ref().filter(|_| self.view.first).and_then(|part| self.parts.distinct(part));
        match value {
            Some(value) => counters.add_value(key, spec(rule, shares), value.hash, value.number),
            None => counters.peek(key),
        }
    }

    /// Counts the request.
    fn requests(
        &mut self,
        rule: &'p AbuseRule,
        key: u128,
        shares: u32,
        limit: u32,
        counters: &mut Group<'_>,
    ) -> Observation {
        let reads_responses = rule.kind.reads_responses();
        let answered = !reads_responses || self.abuse.asked(&self.legs, rule.id, self.view.now);
        let counted = self.view.first && answered && counts_requests(rule);
        let spec = spec(rule, shares);
        let seen = if counted { counters.add(key, spec, 1) } else { counters.peek(key) };
        let blocks = rule.is_enforced() && rule.reaction == Reaction::Block;
        if counted && seen.count > limit && blocks && self.view.blocking && self.plan.mode > Mode::Monitoring {
            // What is blocked does not reach the upstream: it does not prolong the block.
            counters.add(key, spec, -1);
        } else if reads_responses {
            let value = rule.distinct.as_ref().and_then(|part| self.parts.distinct(part)).map_or(0, |value| value.hash);
            if !self.check.carried.add(CarriedRule { rule: rule.id, key, value, counted }) {
                // Its response will not tell whether the attempt failed: it does not count.
                if counted {
                    counters.add(key, spec, -1);
                }
                self.abuse.not_carried.fetch_add(1, Ordering::Relaxed);
            }
        }
        seen
    }

    fn exceeded(&mut self, Excess { rule, key, seen }: &Excess<'p>) {
        let rule: &'p Arc<AbuseRule> = rule;
        let values: SmallVec<[PartValues<'p>; 6]> = rule.key.iter().map(|part| self.parts.values(part)).collect();
        let shares = shares(rule, self.subject.sessions);
        let reason = words::excess(rule, &words::key(rule, &values, self.view.client), seen, shares, self.view.now);
        if let (true, true, Some((list, seconds))) =
            (rule.is_enforced(), self.view.authenticated, listing(rule.reaction))
        {
            let by_session = rule.key.contains(&KeyPart::Session) && self.subject.session != 0;
            let source = self.subject.source;
            let subject = if by_session { session_subject(self.keys, source, self.subject.session) } else { source };
            let entry = Entry {
                subject: Key(subject),
                rule: rule.id,
                key: *key,
                list,
                application: self.plan.application,
                source: if by_session {
                    format!("{}, one session", words::address(self.view.client))
                } else {
                    words::address(self.view.client)
                },
                reason: reason.clone(),
                at: self.view.now,
                expires: self.view.now + seconds * 1000,
            };
            self.abuse.entries.list(entry, self.view.now);
        }
        let retry_after = u32::try_from(seen.wait_ms.div_ceil(1000)).unwrap_or(u32::MAX).max(1);
        self.check.excesses.push(AbuseExcess { rule: Arc::clone(rule), text: reason, retry_after });
    }
}

/// Whether a rule counts requests before they are answered.
fn counts_requests(rule: &AbuseRule) -> bool {
    !matches!(rule.kind, AbuseKind::ForcedBrowsing | AbuseKind::Bola) && rule.distinct.is_none()
}

/// The list that a reaction puts a source on, and for how many seconds.
fn listing(reaction: Reaction) -> Option<(Listed, u64)> {
    match reaction {
        Reaction::Graylist(seconds) => Some((Listed::Gray, seconds)),
        Reaction::Denylist(seconds) => Some((Listed::Deny, seconds)),
        Reaction::Report | Reaction::Block => None,
    }
}
