//! Counts one request under the rules that apply to it: rules with the same key together, under one lock.

use super::carried::CarriedRule;
use super::legs::LegMap;
use super::parts::{Counted, KeyList, Parts};
use super::request::{AbuseCheck, Subject, session_subject, spared_subject};
use super::values::PartValues;
use super::{shares, spec, words};
use arc_swap::Guard;
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weir_abuse::{Details, Entry, Exceptions, Group, Key, Keys, Listed, Made, Observation, Peak, SetPeak};
use weir_policy::{AbuseExcess, AbuseGroup, AbuseKind, AbuseRule, KeyPart, Mode, Reaction};

/// Values of a rule that wait for the response: those of a repeated name.
const MAX_LEFT: usize = 4;

/// A limit that the request goes over.
struct Excess<'p> {
    rule: &'p Arc<AbuseRule>,
    key: Key,
    count: u32,
    details: Details,
}

/// One request while it is counted.
pub(super) struct Counting<'p, 'h, 'a> {
    request: Counted<'p, 'h, 'a>,
    groups: &'p [&'p Arc<AbuseGroup>],
    parts: Parts<'p, 'h, 'a>,
    /// The parts under earlier secrets, where exceptions may have been made under these.
    former: SmallVec<[Parts<'p, 'h, 'a>; 0]>,
    check: &'p mut AbuseCheck,
    legs: Guard<Arc<LegMap>>,
    /// Empty where no histograms are kept.
    peaks: SmallVec<[(&'p AbuseRule, Peak); 64]>,
    /// Peaks that earlier events reached, which were only noted then.
    earlier: Vec<SetPeak>,
    has_histograms: bool,
    /// By the clock of the shared counters.
    now: u64,
    excesses: SmallVec<[Excess<'p>; 4]>,
    /// Whether names are repeated, so that the request counts more than once for a rule.
    repeats: bool,
}

impl<'p, 'h, 'a> Counting<'p, 'h, 'a> {
    /// Of `groups`, those with the same key follow each other.
    pub fn new(
        request: Counted<'p, 'h, 'a>,
        former: &'p [(&'p Keys, Subject)],
        groups: &'p [&'p Arc<AbuseGroup>],
        check: &'p mut AbuseCheck,
    ) -> Self {
        let under = |(number, (keys, subject)): (usize, &'p (&'p Keys, Subject))| {
            Parts::new(Counted { keys, subject, secret: number + 1, ..request }, groups)
        };
        let former = former.iter().enumerate().map(under).collect();
        let (legs, now) = (request.abuse.legs.load(), request.abuse.shared_time(request.view.now));
        let (peaks, excesses) = (SmallVec::new(), SmallVec::new());
        let (parts, has_histograms) = (Parts::new(request, groups), request.abuse.histograms.is_enabled());
        let (earlier, repeats) = (Vec::new(), false);
        Self { request, groups, parts, former, check, legs, peaks, earlier, has_histograms, now, excesses, repeats }
    }

    /// Counts under all rules.
    pub fn count(mut self) {
        {
            let exceptions = self.request.abuse.entries.exceptions();
            for groups in self.groups.chunk_by(|a, b| a.first().key_number() == b.first().key_number()) {
                self.groups(groups, exceptions.as_ref());
            }
        }
        self.request.abuse.histograms.record(&self.peaks);
        self.request.abuse.record_earlier(&self.earlier);
        let mut excesses = std::mem::take(&mut self.excesses);
        excesses.sort_by_key(|excess| excess.rule.order());
        for excess in excesses {
            self.exceeded(&excess);
        }
    }

    /// Counts under rules with the same key: in the usual case, under rules that limit requests.
    #[inline]
    fn groups(&mut self, groups: &[&'p Arc<AbuseGroup>], exceptions: Option<&Exceptions<'_>>) {
        let is_usual = exceptions.is_none() && self.request.view.first;
        if let &[group] = groups
            && is_usual
            && group.first().kind == AbuseKind::RateLimit
            && let Some(subject) = self.parts.subject(group.first())
        {
            let mut counters = self.request.abuse.table.group(subject, self.now, group.counting_requests());
            self.rate_limits(group, subject, &mut counters);
            counters.take_peaks(&mut self.earlier);
        } else {
            self.any_groups(groups, exceptions);
        }
    }

    /// Counts under rules with the same key.
    #[inline(never)]
    fn any_groups(&mut self, groups: &[&'p Arc<AbuseGroup>], exceptions: Option<&Exceptions<'_>>) {
        groups.iter().for_each(|group| self.prepare(group));
        let makes = groups.iter().map(|group| group.counting_requests()).sum();
        let first: &'p AbuseRule = groups[0].first();
        let former: SmallVec<[KeyList; 0]> = self.former.iter_mut().map(|parts| parts.subjects(first)).collect();
        let subjects = self.parts.subjects(first);
        let is_clear = subjects.len() == 1 && !is_safe(self.request.view.message.method);
        self.repeats |= subjects.len() > 1;
        for (number, &subject) in subjects.iter().enumerate() {
            let mut counters = self.request.abuse.table.group(subject, self.now, makes);
            let mut spared: SmallVec<[&'p Arc<AbuseRule>; 0]> = SmallVec::new();
            for &group in groups {
                if exceptions.is_none() && group.first().kind == AbuseKind::RateLimit && self.request.view.first {
                    self.rate_limits(group, subject, &mut counters);
                    continue;
                }
                for rule in group.rules() {
                    let key = Keys::counter(subject, rule.id);
                    let before = former.iter().filter_map(|list| list.get(number)).copied();
                    if exceptions.is_some_and(|all| self.is_excepted(all, rule.id, before.chain([subject]))) {
                        continue;
                    }
                    if self.is_spared(rule, key) {
                        spared.push(rule);
                    } else {
                        self.rule(rule, key, is_clear, &mut counters);
                    }
                }
            }
            counters.take_peaks(&mut self.earlier);
            drop(counters);
            spared.into_iter().for_each(|rule| self.spare(rule, subject, is_clear));
        }
    }

    /// Notes what rules want to know of the response, and reads what they need before anything is locked.
    #[inline]
    fn prepare(&mut self, group: &'p AbuseGroup) {
        if group.first().kind.reads_responses() {
            self.check.wanted.0 = true;
            self.check.wanted.1 |= group.reads_bodies();
        }
        if group.has_distinct() {
            for rule in group.rules().iter().filter(|rule| rule.distinct.is_some()) {
                self.parts.distinct(rule);
            }
        }
    }

    /// Counts the request under rules that limit requests, all of which apply to it.
    #[inline]
    fn rate_limits(&mut self, group: &'p Arc<AbuseGroup>, subject: u128, counters: &mut Group<'_>) {
        if !counters.note(group) {
            self.each_rate_limit(group, subject, counters);
        }
    }

    #[inline(never)]
    fn each_rate_limit(&mut self, group: &'p Arc<AbuseGroup>, subject: u128, counters: &mut Group<'_>) {
        let rules = group.rules();
        let mut above: SmallVec<[(&'p Arc<AbuseRule>, u32); 2]> = SmallVec::new();
        let (has_histograms, peaks, noted) = (self.has_histograms, &mut self.peaks, &mut self.check.noted);
        let keys = rules.iter().map(|rule| (Keys::counter(subject, rule.id), spec(rule, 1)));
        counters.add_to_each(group, keys, |number, limit, seen| {
            let rule = &rules[number];
            if let Some(peak) = seen.peak.filter(|_| has_histograms) {
                peaks.push((rule, peak));
            }
            if seen.count > limit / 2 {
                *noted = true;
                if seen.count > limit {
                    above.push((rule, seen.count));
                }
            }
        });
        for (rule, count) in above {
            let key = Keys::counter(subject, rule.id);
            self.exceed(rule, key, count, counters);
            if self.blocks(rule) {
                // What is blocked does not reach the upstream: it does not prolong the block.
                counters.add(key, spec(rule, 1), -1);
            }
        }
    }

    /// Whether a rule does not apply to one of `subjects`, which are one under different secrets.
    fn is_excepted(&self, all: &Exceptions<'_>, rule: u64, subjects: impl IntoIterator<Item = u128>) -> bool {
        let now = self.request.view.now;
        subjects.into_iter().any(|subject| all.cover(rule, Key(Keys::counter(subject, rule)), now))
    }

    /// Who logged in to an account is not locked out of it by guesses of others.
    #[inline]
    fn is_spared(&self, rule: &AbuseRule, key: u128) -> bool {
        let logged_in = &self.request.subject.logged_in;
        !logged_in.is_empty() && logged_in.contains(&key) && !rule.counts_by_client()
    }

    /// Counts a request that is spared the limit of its account: its session has the same limit for itself, so that a session
    /// that seemed to log in is worth no more than that. The first failure ends it, and counts for the account.
    #[cold]
    fn spare(&mut self, rule: &'p Arc<AbuseRule>, subject: u128, is_clear: bool) {
        let Counted { abuse, view, keys, .. } = self.request;
        let own = spared_subject(keys, subject, self.request.subject.session);
        let (key, route) = (Keys::counter(own, rule.id), (self.check.carried.route, view.route));
        let counted = view.first && abuse.asked(&self.legs, rule.id, route, view.now);
        let mut counters = abuse.table.group(own, self.now, 1);
        let seen = if counted { counters.add(key, spec(rule, 1), 1) } else { counters.peek(key) };
        let is_above = seen.count > rule.limit();
        if is_above {
            self.exceed(rule, key, seen.count, &mut counters);
        }
        let item = CarriedRule { rule: rule.id, key, counted, proves_nothing: true, ..CarriedRule::default() };
        let is_blocked = is_above && self.blocks(rule);
        if counted && (is_blocked || !self.carry(item)) {
            counters.add(key, spec(rule, 1), -1);
        }
        if !is_blocked {
            let key = Keys::counter(subject, rule.id);
            self.carry(CarriedRule { key, counted: false, proves_nothing: !is_clear, ..item });
        }
    }

    /// Notes that the request goes over a limit: of several keys of a rule, that with the highest count.
    #[cold]
    fn exceed(&mut self, rule: &'p Arc<AbuseRule>, key: u128, count: u32, counters: &mut Group<'_>) {
        let excess = Excess { rule, key: Key(key), count, details: counters.details(key) };
        match self.excesses.iter_mut().find(|other| other.rule.id == rule.id) {
            Some(other) if other.count >= excess.count => {}
            Some(other) => *other = excess,
            None => self.excesses.push(excess),
        }
    }

    /// Counts under one rule. `is_clear`: success would prove that the session belongs to the account.
    #[inline]
    fn rule(&mut self, rule: &'p Arc<AbuseRule>, key: u128, is_clear: bool, counters: &mut Group<'_>) {
        let shares = shares(rule, self.request.subject.sessions);
        let limit = rule.limit().saturating_mul(shares);
        let (seen, counted) = match rule.kind {
            AbuseKind::Bola => (self.values(rule, key, shares, counters), false),
            _ => self.requests(rule, key, shares, counters),
        };
        self.note_peak(rule, seen);
        self.check.noted |= seen.count > limit / 2;
        if seen.count > limit {
            self.exceed(rule, key, seen.count, counters);
        }
        if counted && seen.count > limit && self.blocks(rule) {
            // What is blocked does not reach the upstream: it does not prolong the block.
            counters.add(key, spec(rule, shares), -self.times(rule));
        } else if rule.kind.reads_responses() {
            self.leave(rule, (key, shares), counted, is_clear, counters);
        }
    }

    /// Attempts that the request holds.
    fn times(&self, rule: &AbuseRule) -> i32 {
        i32::from(self.parts.attempts(rule))
    }

    #[inline]
    fn note_peak(&mut self, rule: &'p AbuseRule, seen: Observation) {
        if let Some(peak) = seen.peak.filter(|_| self.has_histograms) {
            self.peaks.push((rule, peak));
        }
    }

    /// Counts the values of the request: each of those of a repeated name.
    fn values(&mut self, rule: &'p AbuseRule, key: u128, shares: u32, counters: &mut Group<'_>) -> Observation {
        if !self.request.view.first {
            return counters.peek(key);
        }
        let Some((last, others)) = self.parts.distinct(rule).split_last() else { return counters.peek(key) };
        for value in others {
            let seen = counters.add_value(key, spec(rule, shares), value.hash, value.number);
            if let Some(peak) = seen.peak.filter(|_| self.has_histograms) {
                self.peaks.push((rule, peak));
            }
        }
        counters.add_value(key, spec(rule, shares), last.hash, last.number)
    }

    /// Counts the request, unless the rule counts its response. Says whether it was counted.
    #[inline]
    fn requests(&self, rule: &AbuseRule, key: u128, shares: u32, counters: &mut Group<'_>) -> (Observation, bool) {
        let view = self.request.view;
        // Asked of each rule that reads responses: those whose responses never come are reported.
        let route = (self.check.carried.route, view.route);
        let answered = !rule.kind.reads_responses() || self.request.abuse.asked(&self.legs, rule.id, route, view.now);
        let counted = view.first && answered && counts_requests(rule);
        let seen = if counted { counters.add(key, spec(rule, shares), self.times(rule)) } else { counters.peek(key) };
        (seen, counted)
    }

    /// Leaves what the rule must know of the request for its response. What does not fit is not counted, unless it is for names
    /// that are repeated: then it stays counted, or nothing would be if only they are enough.
    #[inline]
    fn leave(
        &mut self,
        rule: &'p AbuseRule,
        (key, shares): (u128, u32),
        counted: bool,
        is_clear: bool,
        counters: &mut Group<'_>,
    ) {
        let times = self.parts.attempts(rule);
        let item = CarriedRule { rule: rule.id, key, value: 0, times, counted, proves_nothing: !is_clear };
        if rule.distinct.is_some() {
            return self.leave_values(rule, (item, shares), counters);
        }
        if !self.carry(item) && counted && !self.repeats {
            counters.add(key, spec(rule, shares), -i32::from(times));
        }
    }

    /// Leaves the values of a rule that counts those of failed attempts. There is one response to all attempts of a batch: what
    /// is more than a repeated name gives counts at once.
    fn leave_values(&mut self, rule: &'p AbuseRule, (item, shares): (CarriedRule, u32), counters: &mut Group<'_>) {
        let values = self.parts.distinct(rule).clone();
        let (left, more) = values.split_at(values.len().min(MAX_LEFT));
        for value in left {
            let is_carried = self.carry(CarriedRule { value: value.hash, times: 0, ..item });
            if !is_carried && (self.repeats || values.len() > 1) && self.request.view.first {
                counters.add_value(item.key, spec(rule, shares), value.hash, value.number);
            }
        }
        if self.request.view.first {
            for value in more {
                counters.add_value(item.key, spec(rule, shares), value.hash, value.number);
            }
        }
    }

    /// Leaves a rule for the response. False if there is no room: its response will not tell whether the attempt failed, so it
    /// does not count.
    #[inline]
    fn carry(&mut self, item: CarriedRule) -> bool {
        let is_carried = self.check.carried.add(item);
        if !is_carried {
            self.request.abuse.not_carried.fetch_add(1, Ordering::Relaxed);
        }
        is_carried
    }

    fn blocks(&self, rule: &AbuseRule) -> bool {
        let can_block = self.request.view.blocking && self.request.plan.mode > Mode::Monitoring;
        can_block && rule.is_enforced() && rule.reaction == Reaction::Block
    }

    fn exceeded(&mut self, Excess { rule, key, count, details }: &Excess<'p>) {
        let rule: &'p Arc<AbuseRule> = rule;
        let values: SmallVec<[PartValues<'p>; 6]> = rule.key.iter().map(|part| self.parts.values(part)).collect();
        let shares = shares(rule, self.request.subject.sessions);
        let reason = words::excess(
            rule,
            &words::key(rule, &values, self.request.view.client),
            (*count, details),
            shares,
            self.request.view.now,
        );
        if let (true, true, Some((list, seconds))) =
            (rule.is_enforced(), self.request.view.authenticated, listing(rule.reaction))
        {
            let by_session = rule.key.contains(&KeyPart::Session) && self.request.subject.session != 0;
            let source = self.request.subject.source;
            let subject = if by_session {
                session_subject(self.request.keys, source, self.request.subject.session)
            } else {
                source
            };
            let entry = Entry {
                subject: Key(subject),
                rule: rule.id,
                key: *key,
                made: Made { secret: self.request.keys.id().to_owned(), parts: rule.parts },
                list,
                application: self.request.plan.application,
                source: if by_session {
                    format!("{}, one session", words::address(self.request.view.client))
                } else {
                    words::address(self.request.view.client)
                },
                reason: reason.clone(),
                at: self.request.view.now,
                expires: self.request.view.now + seconds * 1000,
            };
            self.request.abuse.entries.list(entry, self.request.view.now);
        }
        let retry_after = u32::try_from(details.wait_ms.div_ceil(1000)).unwrap_or(u32::MAX).max(1);
        self.check.excesses.push(AbuseExcess { rule: Arc::clone(rule), text: reason, retry_after });
    }
}

/// Methods that only ask: whatever answers them is no login (RFC 9110 §9.2.1).
pub(super) fn is_safe(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE")
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
