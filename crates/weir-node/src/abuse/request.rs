//! The request leg: counts a request under each rule that applies, and finds the limits that it goes over.

use super::carried::Carried;
use super::counting::{Counting, is_safe};
use super::parts::Counted;
use super::sessions::LoggedIn;
use super::{Abuse, counted_address, values};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weir_abuse::{Exception, Key, Keys, Listed, Spec};
use weir_core::model::{DecodedHead, Message};
use weir_policy::{AbuseExcess, AbuseGroup, AbuseKind, KeyPart, List, ListHit, MatchedBy, Plan, Policy};

/// Sessions of a source are counted over ten minutes.
const SESSIONS: Spec = Spec { window_ms: 600_000, limit: u32::MAX, shares: 1 };
/// Milliseconds for which lifting an entry keeps its key from being listed again, at least.
const MIN_LIFT: u64 = 60_000;
/// The time of calls that list nothing is noted this exactly, in milliseconds.
const UNLISTED_NOTED_MS: u64 = 1_000;

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
#[derive(Debug, Default)]
pub(super) struct Subject {
    pub source: u128,
    pub session: u64,
    pub credential: u64,
    /// Different established sessions of the source, if a rule asks for them.
    pub sessions: u32,
    /// Counters of accounts to which the session logged in.
    pub logged_in: LoggedIn,
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
            let source = source_key(keys, view.client);
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
        let seconds = view.now / 1000;
        let keyring = self.keys.load();
        let keys = &keyring.0[0];
        let mut groups: SmallVec<[&Arc<AbuseGroup>; 16]> = SmallVec::new();
        policy.abuse_rules(plan, seconds).for_each(|group| groups.push(group));
        let subject = self.subject(view, policy, plan, keys, &groups);
        check.carried.source = subject.source;
        check.carried.session = subject.session;
        check.carried.credential = subject.credential;
        if self.trails.is_enabled() {
            let named = subject.session != 0;
            check.carried.trail = if named { subject.session } else { anonymous(keys, view, plan) };
        }
        // The response may issue a session or name a consumer.
        check.wanted.0 = policy.session_key(plan, seconds).is_some() || subject.credential != 0;
        if !groups.is_empty() {
            let reads_responses = || groups.iter().any(|group| group.first().kind.reads_responses());
            if !view.route.is_empty() && policy.abuse().reads_responses() && reads_responses() {
                check.carried.route = keys.value(view.route.as_bytes()) as u32;
            }
            if !view.authenticated {
                self.note_unlisted(&groups, view.now);
            }
            let former = self.former(view, policy, plan, &keyring.0[1..], subject.credential);
            let request = Counted { abuse: self, view, plan, keys, secret: 0, subject: &subject };
            Counting::new(request, &former, &groups, &mut check).count();
        }
        check
    }

    /// The source of a request as earlier secrets name it, by which its exceptions are still found.
    fn former<'k>(
        &self,
        view: &RequestView<'_, '_>,
        policy: &Policy,
        plan: &Plan,
        earlier: &'k [Keys],
        credential: u64,
    ) -> Vec<(&'k Keys, Subject)> {
        if earlier.is_empty() || self.entries.exceptions().is_none() {
            return Vec::new();
        }
        let session = session_value(view, policy, plan);
        let under = |keys| Subject {
            source: source_key(keys, view.client),
            session: session_hash(keys, plan.application, &session),
            credential,
            ..Subject::default()
        };
        earlier.iter().map(|keys| (keys, under(keys))).collect()
    }

    /// Notes that a connector which does not authenticate sent a request under a rule that would list its source.
    fn note_unlisted(&self, groups: &[&Arc<AbuseGroup>], now: u64) {
        let is_known = self.unlisted.load(Ordering::Relaxed).abs_diff(now) < UNLISTED_NOTED_MS;
        if !is_known && groups.iter().flat_map(|group| group.rules()).any(|rule| rule.lists()) {
            self.unlisted.store(now, Ordering::Relaxed);
        }
    }

    fn subject(
        &self,
        view: &RequestView<'_, '_>,
        policy: &Policy,
        plan: &Plan,
        keys: &Keys,
        groups: &[&Arc<AbuseGroup>],
    ) -> Subject {
        let session = session_hash(keys, plan.application, &session_value(view, policy, plan));
        if groups.is_empty() && session == 0 && !policy.abuse().names_consumers() {
            return Subject::default();
        }
        let source = source_key(keys, view.client);
        // A consumer who is named vouches for the session.
        let credential = if policy.abuse().names_consumers() || session != 0 { credential(view) } else { None };
        let credential = credential.map_or(0, |value| keys.value(value));
        let (established, logged_in) = self.sessions.known(session);
        let now = self.shared_time(view.now);
        let sessions = if established && !is_attempt(view, groups) {
            self.table.add_value(sessions_key(keys, source), SESSIONS, now, session, None).count
        } else if policy.abuse().is_shared_by_sessions()
            && groups.iter().any(|group| group.first().is_shared_by_sessions())
        {
            self.table.peek(sessions_key(keys, source), now).count
        } else {
            0
        };
        Subject { source, session, credential, sessions, logged_in }
    }

    /// Different established sessions of a source at `now`, by the clock of the shared counters.
    pub(super) fn sessions_of(&self, source: u128, now: u64) -> u32 {
        self.table.peek(sessions_key(&self.keys.load().0[0], source), now).count
    }

    /// Excepts a key of a rule until `until`; with `None` the entry is lifted, and the key not listed again for a minute.
    pub fn except(&self, rule: u64, key: Key, until: Option<u64>, now: u64) {
        let until = until.unwrap_or(now + MIN_LIFT);
        self.entries.except(Exception { rule, key, at: now, until, ..Exception::default() }, now);
        self.table.forget(key.0);
    }
}

/// Whether a request is an attempt at an account. The session in it is no evidence of another person then: programs that guess
/// fetch the page of the login before each attempt, and get a session of the upstream with it.
fn is_attempt(view: &RequestView<'_, '_>, groups: &[&Arc<AbuseGroup>]) -> bool {
    !is_safe(view.message.method) && groups.iter().any(|group| group.first().kind == AbuseKind::Brute)
}

/// The key of a source.
fn source_key(keys: &Keys, client: IpAddr) -> u128 {
    keys.key(0, &[&counted_address(client)])
}

/// The credential of a request.
fn credential<'a>(view: &RequestView<'_, 'a>) -> Option<&'a [u8]> {
    ["authorization", "apikey", "x-api-key"].iter().find_map(|name| view.message.header(name))
}

/// The session that a request names, where its application has a session key.
fn session_value(view: &RequestView<'_, '_>, policy: &Policy, plan: &Plan) -> Option<Vec<u8>> {
    let values = match policy.session_key(plan, view.now / 1000)? {
        KeyPart::Cookie(name) => values::cookie(view.message, name),
        KeyPart::Header(name) => values::header(view.message, name),
        KeyPart::Claim(name) => values::claim(view.message, name),
        _ => return None,
    };
    values.into_iter().next().filter(|value| !value.is_empty()).map(Cow::into_owned)
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

/// What a session is counted by that is spared under `subject`.
pub(super) fn spared_subject(keys: &Keys, subject: u128, session: u64) -> u128 {
    keys.key(0, &[b"spared", &subject.to_be_bytes(), &session.to_be_bytes()])
}

/// The counter of the different sessions of a source.
fn sessions_key(keys: &Keys, source: u128) -> u128 {
    keys.key(0, &[b"sessions", &source.to_be_bytes()])
}

pub(super) fn session_subject(keys: &Keys, source: u128, session: u64) -> u128 {
    keys.key(0, &[b"source and session", &source.to_be_bytes(), &session.to_be_bytes()])
}
