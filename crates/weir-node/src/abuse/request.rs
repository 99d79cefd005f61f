//! The request leg: counts a request under each rule that applies, and finds the limits that it goes over.

use super::carried::{Carried, CarriedRule};
use super::values::{self, PartValues};
use super::{Abuse, Keyring, counted_address, shares, spec, words};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weir_abuse::{Entry, Exception, Key, Keys, Listed, Observation, Spec};
use weir_core::model::{DecodedHead, Message};
use weir_policy::{AbuseExcess, AbuseKind, AbuseRule, KeyPart, List, ListHit, MatchedBy, Mode, Plan, Policy, Reaction};

/// Keys under which one request may count for one rule: repeated names give several.
const MAX_KEYS: usize = 4;
/// Sessions of a source are counted over ten minutes.
const SESSIONS: Spec = Spec { window_ms: 600_000, limit: u32::MAX, shares: 1 };
/// Milliseconds for which lifting an entry keeps its key from being listed again, at least.
const MIN_LIFT: u64 = 60_000;

/// A request as it is counted.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'h, 'a> {
    /// The message.
    pub message: &'h Message<'a>,
    /// Its decoded head.
    pub head: &'h DecodedHead<'a>,
    /// The client.
    pub client: IpAddr,
    /// The gateway's route.
    pub route: &'h str,
    /// Milliseconds since 1970.
    pub now: u64,
    /// Whether the connector authenticated: others list nothing.
    pub authenticated: bool,
    /// Whether it is the first call for this request, and the call can be answered with a block.
    pub first: bool,
    /// Whether the answer can block.
    pub blocking: bool,
}

/// What counting a request showed.
#[derive(Clone, Debug, Default)]
pub struct AbuseCheck {
    /// Limits that it goes over.
    pub excesses: Vec<AbuseExcess>,
    /// What its response must know.
    pub carried: Carried,
    /// Whether the head of the response is of use, and whether its body.
    pub wanted: (bool, bool),
    /// Whether a counter of the request is past half of its limit.
    pub noted: bool,
}

/// What is known about the source of a request.
struct Subject {
    source: u128,
    session: u64,
    credential: u64,
    /// Different established sessions of the source.
    sessions: u32,
}

impl Abuse {
    /// The list on which its behaviour brought the source of a request.
    pub fn listed(&self, view: &RequestView<'_, '_>, policy: &Policy, plan: &Plan) -> Option<ListHit> {
        let application = plan.application;
        if self.entries.is_empty() {
            return None;
        }
        let keyring = self.keys.load();
        let session = session_value(view, policy, plan);
        let entry = keyring.0.iter().find_map(|keys| {
            let source = keys.key(0, &[&counted_address(view.client)]);
            let both = session_subject(keys, source, session_hash(keys, application, &session));
            let find = |subject: u128| self.entries.find(Key(subject), application, view.now);
            find(source).or_else(|| find(both))
        })?;
        let list = if entry.list == Listed::Deny { List::Deny } else { List::Gray };
        let reason = Some(entry.reason.as_str().into());
        Some(ListHit { list, by: MatchedBy::Automatic, value: entry.source.as_str().into(), reason })
    }

    /// Counts a planned request. Costs nothing where no rule applies.
    pub fn check(&self, view: &RequestView<'_, '_>, policy: &Policy, plan: &Plan) -> AbuseCheck {
        let mut check = AbuseCheck::default();
        if policy.abuse().is_empty() || plan.bypass.is_some() {
            return check;
        }
        let keyring = self.keys.load();
        let subject = self.subject(view, policy, plan, &keyring);
        check.carried.source = subject.source;
        check.carried.session = subject.session;
        check.carried.credential = subject.credential;
        if self.trails.is_enabled() {
            let named = subject.session != 0;
            check.carried.trail = if named { subject.session } else { anonymous(&keyring.0[0], view, plan) };
        }
        // The response may issue a session or name a consumer.
        check.wanted.0 = policy.session_key(plan, view.now / 1000).is_some() || subject.credential != 0;
        let mut parts: Vec<(&KeyPart, PartValues)> = Vec::new();
        let rules: Vec<&Arc<AbuseRule>> = policy.abuse_rules(plan, view.now / 1000).collect();
        for rule in &rules {
            for part in rule.key.iter().chain(&rule.distinct) {
                if !parts.iter().any(|(known, _)| *known == part) {
                    parts.push((part, self.values(part, view, plan, &subject)));
                }
            }
        }
        for rule in rules {
            Counting {
                abuse: self,
                view,
                plan,
                keys: &keyring.0[0],
                subject: &subject,
                parts: &parts,
                check: &mut check,
            }
            .rule(rule);
        }
        check
    }

    fn subject(&self, view: &RequestView<'_, '_>, policy: &Policy, plan: &Plan, keyring: &Keyring) -> Subject {
        let keys = &keyring.0[0];
        let source = keys.key(0, &[&counted_address(view.client)]);
        let session = session_hash(keys, plan.application, &session_value(view, policy, plan));
        let credential = ["authorization", "apikey", "x-api-key"].iter().find_map(|name| view.message.header(name));
        let credential = credential.map_or(0, |value| keys.value(value));
        let established = self.sessions.is_established(session);
        let now = self.shared_time(view.now);
        let counter = sessions_key(keys, source);
        let sessions = if established {
            self.table.add_value(counter, SESSIONS, now, session, None)
        } else {
            self.table.peek(counter, now)
        };
        Subject { source, session, credential, sessions: sessions.count }
    }

    fn values(&self, part: &KeyPart, view: &RequestView<'_, '_>, plan: &Plan, subject: &Subject) -> PartValues {
        let RequestView { message, head, .. } = *view;
        match part {
            KeyPart::Client => vec![counted_address(view.client).to_vec()],
            KeyPart::Application => vec![plan.application.to_string().into_bytes()],
            KeyPart::Host => vec![head.host.to_vec()],
            KeyPart::Route => vec![view.route.as_bytes().to_vec()],
            KeyPart::Consumer => self
                .sessions
                .consumer(subject.credential)
                .map(|consumer| consumer.to_be_bytes().to_vec())
                .into_iter()
                .collect(),
            KeyPart::Session if subject.session != 0 => vec![subject.session.to_be_bytes().to_vec()],
            KeyPart::Session => {
                let agent = message.header("user-agent").unwrap_or_default();
                vec![[&counted_address(view.client)[..], &agent[..agent.len().min(256)]].concat()]
            }
            KeyPart::Header(name) => values::header(message, name),
            KeyPart::Cookie(name) => values::cookie(message, name),
            KeyPart::Query(name) => values::query(head, name),
            KeyPart::Claim(name) => values::claim(message, name),
            KeyPart::Segment(number) => values::segment(head, *number),
            KeyPart::Point(point) => values::at_point(message, point, &plan.limits),
        }
    }

    /// Different established sessions of a source at `now`, by the clock of the shared counters.
    pub(super) fn sessions_of(&self, source: u128, now: u64) -> u32 {
        self.table.peek(sessions_key(&self.keys.load().0[0], source), now).count
    }

    /// Excepts a key of a rule until `until`; with `None` the entry is lifted, and the key not listed again for a minute.
    pub fn except(&self, rule: u64, key: Key, until: Option<u64>, now: u64) {
        let until = until.unwrap_or(now + MIN_LIFT);
        self.entries.except(Exception { rule, key, at: now, until }, now);
        self.table.forget(key.0);
    }
}

/// The session that a request names, where its application has a session key.
fn session_value(view: &RequestView<'_, '_>, policy: &Policy, plan: &Plan) -> Option<Vec<u8>> {
    let values = match policy.session_key(plan, view.now / 1000)? {
        KeyPart::Cookie(name) => values::cookie(view.message, name),
        KeyPart::Header(name) => values::header(view.message, name),
        KeyPart::Claim(name) => values::claim(view.message, name),
        _ => return None,
    };
    values.into_iter().next().filter(|value| !value.is_empty())
}

/// The hash of a session; 0 for none.
pub(super) fn session_hash(keys: &Keys, application: i64, session: &Option<Vec<u8>>) -> u64 {
    let hash = |value: &Vec<u8>| keys.key(0, &[b"session", &application.to_be_bytes(), value]) as u64;
    session.as_ref().map_or(0, hash)
}

/// The session of a request that names none: by address and agent.
fn anonymous(keys: &Keys, view: &RequestView<'_, '_>, plan: &Plan) -> u64 {
    let agent = view.message.header("user-agent").unwrap_or_default();
    let parts =
        [b"agent", &plan.application.to_be_bytes()[..], &counted_address(view.client), &agent[..agent.len().min(256)]];
    keys.key(0, &parts) as u64
}

/// The counter of the different sessions of a source.
fn sessions_key(keys: &Keys, source: u128) -> u128 {
    keys.key(0, &[b"sessions", &source.to_be_bytes()])
}

fn session_subject(keys: &Keys, source: u128, session: u64) -> u128 {
    keys.key(0, &[b"source and session", &source.to_be_bytes(), &session.to_be_bytes()])
}

/// One request while it is counted.
struct Counting<'c, 'h, 'a> {
    abuse: &'c Abuse,
    view: &'c RequestView<'h, 'a>,
    plan: &'c Plan,
    keys: &'c Keys,
    subject: &'c Subject,
    parts: &'c [(&'c KeyPart, PartValues)],
    check: &'c mut AbuseCheck,
}

impl Counting<'_, '_, '_> {
    fn part(&self, part: &KeyPart) -> &PartValues {
        const NONE: &PartValues = &PartValues::new();
        self.parts.iter().find(|(known, _)| *known == part).map_or(NONE, |(_, values)| values)
    }

    fn rule(&mut self, rule: &Arc<AbuseRule>) {
        if rule.kind.reads_responses() {
            self.check.wanted.0 = true;
            self.check.wanted.1 |= rule.failure.body.is_some();
        }
        let values: Vec<&PartValues> = rule.key.iter().map(|part| self.part(part)).collect();
        if values.iter().any(|values| values.is_empty()) {
            return;
        }
        let text = words::key(rule, &values, self.view.client);
        let mut over: Option<(Key, Observation)> = None;
        for key in combinations(rule, &values).iter().map(|parts| {
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            self.keys.key(rule.id, &parts)
        }) {
            let (now, limit) = (self.view.now, self.limit(rule));
            let excepted = self.abuse.entries.is_excepted(rule.id, Key(key), now);
            if excepted || (!rule.counts_by_client() && self.abuse.sessions.is_logged_in(self.subject.session, key)) {
                continue;
            }
            let seen = self.count(rule, key, limit);
            self.check.noted |= seen.count > limit / 2;
            if seen.count > limit && over.as_ref().is_none_or(|(_, other)| other.count < seen.count) {
                over = Some((Key(key), seen));
            }
        }
        if let Some((key, seen)) = over {
            self.exceeded(rule, key, &seen, &text);
        }
    }

    /// The limit of a rule; for addresses as a whole, times the number of sessions that the upstream issued or accepted.
    fn limit(&self, rule: &AbuseRule) -> u32 {
        rule.limit().saturating_mul(shares(rule, self.subject.sessions))
    }

    /// Counts the request under `key`, as the kind of the rule says.
    fn count(&mut self, rule: &AbuseRule, key: u128, limit: u32) -> Observation {
        let (table, now) = (&self.abuse.table, self.abuse.shared_time(self.view.now));
        let spec = spec(rule, shares(rule, self.subject.sessions));
        let value = rule.distinct.as_ref().and_then(|part| self.part(part).last().cloned());
        if rule.kind == AbuseKind::Bola {
            let Some(value) = value.filter(|_| self.view.first) else { return table.peek(key, now) };
            let number = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
            let seen = table.add_value(key, spec, now, self.keys.value(&value), number);
            self.abuse.histograms.record(rule, seen.peak);
            return seen;
        }
        let answered = !rule.kind.reads_responses() || self.abuse.asked(rule.id, self.view.now);
        let by_attempt = rule.kind != AbuseKind::ForcedBrowsing && rule.distinct.is_none();
        let counted = self.view.first && answered && by_attempt;
        let seen = if counted { table.add(key, spec, now, 1) } else { table.peek(key, now) };
        self.abuse.histograms.record(rule, seen.peak);
        let is_over = seen.count > limit;
        let blocks = rule.is_enforced() && rule.reaction == Reaction::Block;
        if counted && is_over && blocks && self.view.blocking && self.plan.mode > Mode::Monitoring {
            // What is blocked does not reach the upstream: it does not prolong the block.
            table.add(key, spec, now, -1);
        } else if rule.kind.reads_responses() {
            let value = value.map_or(0, |value| self.keys.value(&value));
            if !self.check.carried.add(CarriedRule { rule: rule.id, key, value, counted }) {
                // Its response will not tell whether the attempt failed: it does not count.
                if counted {
                    table.add(key, spec, now, -1);
                }
                self.abuse.not_carried.fetch_add(1, Ordering::Relaxed);
            }
        }
        seen
    }

    fn exceeded(&mut self, rule: &Arc<AbuseRule>, key: Key, seen: &Observation, text: &str) {
        let shares = if self.limit(rule) > rule.limit() { self.subject.sessions } else { 1 };
        let reason = words::excess(rule, text, seen, shares, self.view.now);
        if let (true, true, Some((list, seconds))) =
            (rule.is_enforced(), self.view.authenticated, listing(rule.reaction))
        {
            let by_session = rule.key.contains(&KeyPart::Session) && self.subject.session != 0;
            let source = self.subject.source;
            let subject = if by_session { session_subject(self.keys, source, self.subject.session) } else { source };
            let entry = Entry {
                subject: Key(subject),
                rule: rule.id,
                key,
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

/// The list that a reaction puts a source on, and for how many seconds.
fn listing(reaction: Reaction) -> Option<(Listed, u64)> {
    match reaction {
        Reaction::Graylist(seconds) => Some((Listed::Gray, seconds)),
        Reaction::Denylist(seconds) => Some((Listed::Deny, seconds)),
        Reaction::Report | Reaction::Block => None,
    }
}

/// The keys of a request under a rule: more than one where a name is repeated. Accounts are compared without regard to case
/// and space around them, as most upstreams do.
fn combinations(rule: &AbuseRule, values: &[&PartValues]) -> Vec<Vec<Vec<u8>>> {
    let folds = rule.kind == AbuseKind::Brute;
    let mut keys: Vec<Vec<Vec<u8>>> = vec![Vec::new()];
    for (part, values) in rule.key.iter().zip(values) {
        let fold = |value: &Vec<u8>| match part {
            KeyPart::Query(_) | KeyPart::Point(_) | KeyPart::Header(_) if folds => {
                value.trim_ascii().to_ascii_lowercase()
            }
            _ => value.clone(),
        };
        let next = keys.iter().flat_map(|key| values.iter().map(|value| [&key[..], &[fold(value)]].concat()));
        keys = next.take(MAX_KEYS).collect();
    }
    keys
}
