//! Rules on behaviour over many requests: what they count, by which key, and what follows.
//!
//! This module only describes them. The node counts, and tells [`Policy::decide_with`](super::Policy::decide_with) which
//! limits a request goes over.

use super::finding_name;
use super::reply::{Blocked, Reply, ReplyTemplate};
use regex::bytes::Regex;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use weir_core::model::{AttackType, PointPattern};

/// Which behaviour a rule limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AbuseKind {
    /// Requests.
    RateLimit,
    /// Failed attempts, known from responses.
    Brute,
    /// Requests for what does not exist, known from responses.
    ForcedBrowsing,
    /// Different values of one part of the request.
    Bola,
}

impl AbuseKind {
    /// The rule type of a policy document.
    pub const fn code(self) -> &'static str {
        match self {
            AbuseKind::RateLimit => "rate_limit",
            AbuseKind::Brute => "brute",
            AbuseKind::ForcedBrowsing => "forced_browsing",
            AbuseKind::Bola => "bola",
        }
    }

    /// Whether it needs responses.
    #[inline]
    pub const fn reads_responses(self) -> bool {
        matches!(self, AbuseKind::Brute | AbuseKind::ForcedBrowsing)
    }
}

/// A part of the key by which a rule counts, or the value whose variety it counts.
///
/// Its serialised form is part of [`AbuseRule::measure`]: the name of a variant stays, whatever it is called here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyPart {
    /// The client's address; of IPv6 the first 64 bits.
    Client,
    /// The application.
    Application,
    /// The host.
    Host,
    /// The gateway's route.
    Route,
    /// The consumer that the gateway names with the response: known from the next request with the same credential on.
    Consumer,
    /// The session, as a rule of type `session` defines it; address and agent where none does.
    Session,
    /// A header, by its name in upper case.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// A query parameter.
    Query(String),
    /// A claim of the bearer token, whose signature is not verified.
    Claim(String),
    /// A segment of the path, counted from 0, the last one included.
    Segment(u32),
    /// A value at a point of the message.
    Point(PointPattern),
}

impl KeyPart {
    /// Whether the client decides what it is: such a key is never listed by itself.
    pub const fn is_chosen_by_client(&self) -> bool {
        !matches!(self, KeyPart::Client | KeyPart::Application | KeyPart::Host | KeyPart::Route | KeyPart::Consumer)
    }
}

/// What follows when a limit is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// An event, nothing else.
    Report,
    /// The requests above the limit are blocked, in `safe_blocking` and `block`.
    Block,
    /// The source is graylisted for this many seconds: its further requests above the limit, and its attacks, are blocked in
    /// `safe_blocking`.
    Graylist(u64),
    /// The source is denylisted for this many seconds.
    Denylist(u64),
}

/// How the response to a failed attempt is recognised: by any of these.
#[derive(Clone, Debug, Default)]
pub struct Failure {
    /// Status codes.
    pub status: Vec<u16>,
    /// Pattern found in the body.
    pub body: Option<Regex>,
    /// Pattern found in `Location` of a redirect.
    pub redirect: Option<Regex>,
}

impl Failure {
    /// Whether a response is that to a failed attempt.
    pub fn matches(&self, status: u16, location: &[u8], body: &[u8]) -> bool {
        self.status.contains(&status)
            || ((300..400).contains(&status) && self.redirect.as_ref().is_some_and(|regex| regex.is_match(location)))
            || self.body.as_ref().is_some_and(|regex| regex.is_match(body))
    }
}

/// Largest threshold of a rule that counts requests.
pub(super) const MAX_COUNT: u32 = 1_000_000;
/// Largest threshold of a rule that counts different values: what replicas count together.
const MAX_DISTINCT: u32 = 4_000;

/// The largest threshold of a rule, which counts different values if `distinct`.
pub(super) fn max_threshold(distinct: bool) -> u32 {
    if distinct { MAX_DISTINCT } else { MAX_COUNT }
}

/// One rule.
#[derive(Debug)]
pub struct AbuseRule {
    /// Its id.
    pub id: u64,
    /// What it limits.
    pub kind: AbuseKind,
    /// The parts of its key; at least one.
    pub key: Vec<KeyPart>,
    /// The part whose different values it counts; without one it counts requests.
    pub distinct: Option<KeyPart>,
    /// How many are allowed in a window.
    pub threshold: u32,
    /// How many more are tolerated before anything follows.
    pub burst: u32,
    /// Seconds of the sliding window.
    pub window: u32,
    /// What follows.
    pub reaction: Reaction,
    /// Whether it only reports, whatever its reaction.
    pub dry_run: bool,
    /// How failed attempts are recognised.
    pub failure: Failure,
    /// Identifies what it counts: type, conditions, key, values, window, failures. Thresholds and reactions are no part of it.
    pub measure: u64,
    /// Identifies the parts of its key, read as it reads them: under a rule with other parts no key is found again.
    pub parts: u64,
    /// The reply to requests that it blocks.
    pub(super) reply: Option<ReplyTemplate>,
    /// Where it stands among the rules of the policy.
    pub(super) place: RulePlace,
}

/// Where a rule stands among the abuse rules of a policy.
#[derive(Clone, Debug, Default)]
pub(super) struct RulePlace {
    /// Number of its key: rules with the same parts, read alike, have the same.
    key: u32,
    /// Numbers of the parts of its key.
    parts: Vec<u32>,
    /// Number of the part whose variety it counts; 0 if it counts requests.
    distinct: u32,
    /// Number of the rule, from general to specific conditions and then in the order of the documents.
    order: u32,
}

impl AbuseRule {
    /// The attack type of its findings.
    pub fn attack(&self) -> AttackType {
        match self.kind {
            AbuseKind::RateLimit => AttackType::RateLimit,
            AbuseKind::Brute if self.distinct.is_some() => AttackType::CredentialStuffing,
            AbuseKind::Brute => AttackType::Brute,
            AbuseKind::ForcedBrowsing => AttackType::ForcedBrowsing,
            AbuseKind::Bola => AttackType::Bola,
        }
    }

    /// The name of its findings, e.g. `abuse.7`: an exception can name it as a stamp.
    pub fn finding(&self) -> String {
        finding_name::behaviour(self.id)
    }

    /// Whether it does more than report.
    #[inline]
    pub fn is_enforced(&self) -> bool {
        !self.dry_run && self.reaction != Reaction::Report
    }

    /// Whether it puts sources on a list.
    pub fn lists(&self) -> bool {
        self.is_enforced() && matches!(self.reaction, Reaction::Graylist(_) | Reaction::Denylist(_))
    }

    /// How many are allowed in a window before anything follows.
    #[inline]
    pub fn limit(&self) -> u32 {
        self.threshold.saturating_add(self.burst)
    }

    /// The largest threshold that it may have.
    pub fn max_threshold(&self) -> u32 {
        max_threshold(self.distinct.is_some())
    }

    /// Whether the key names the client's address.
    pub fn counts_by_client(&self) -> bool {
        self.key.iter().any(|part| matches!(part, KeyPart::Client))
    }

    /// Whether it punishes addresses as a whole, so that evidence of several sessions raises its limit.
    pub fn is_shared_by_sessions(&self) -> bool {
        self.kind != AbuseKind::RateLimit
            && self.counts_by_client()
            && !self.key.iter().any(KeyPart::is_chosen_by_client)
    }

    /// Whether values of `part` are compared without regard to case and space around them, as most upstreams compare
    /// accounts, and some paths.
    pub fn folds(&self, part: &KeyPart) -> bool {
        match part {
            KeyPart::Segment(_) => true,
            KeyPart::Query(_) | KeyPart::Point(_) | KeyPart::Header(_) => self.kind == AbuseKind::Brute,
            _ => false,
        }
    }

    /// Whether it counts something before the response is known: a request, an attempt or a value.
    pub fn counts_with_request(&self) -> bool {
        match self.kind {
            AbuseKind::RateLimit | AbuseKind::Bola => true,
            AbuseKind::Brute => self.distinct.is_none(),
            AbuseKind::ForcedBrowsing => false,
        }
    }

    /// Number of its key in the policy: rules with the same number count by the same values.
    #[inline]
    pub fn key_number(&self) -> u32 {
        self.place.key
    }

    /// Numbers of the parts of its key, counted from 0 in the policy: parts with the same number are the same, read alike.
    #[inline]
    pub fn part_numbers(&self) -> &[u32] {
        &self.place.parts
    }

    /// Number of the part whose variety it counts, from 1 in the policy: rules with the same number count the same values. 0 if
    /// it counts requests.
    #[inline]
    pub fn distinct_number(&self) -> u32 {
        self.place.distinct
    }

    /// Its number among the abuse rules of the policy: general conditions come before specific ones, then the order of the
    /// documents counts.
    #[inline]
    pub fn order(&self) -> u32 {
        self.place.order
    }
}

/// Rules of one kind, with the same key, conditions and expiry: whenever one of them applies, all do. There is at least one.
#[derive(Debug)]
pub struct AbuseGroup {
    rules: Vec<Arc<AbuseRule>>,
    reads_bodies: bool,
    has_distinct: bool,
    requests: usize,
}

impl AbuseGroup {
    fn new(rules: &[Arc<AbuseRule>]) -> Self {
        Self {
            reads_bodies: rules.iter().any(|rule| rule.failure.body.is_some()),
            has_distinct: rules.iter().any(|rule| rule.distinct.is_some()),
            requests: rules.iter().filter(|rule| rule.counts_with_request()).count(),
            rules: rules.to_vec(),
        }
    }

    /// The rules.
    #[inline]
    pub fn rules(&self) -> &[Arc<AbuseRule>] {
        &self.rules
    }

    /// The rule that has what all of them have: kind, key, conditions.
    #[inline]
    pub fn first(&self) -> &AbuseRule {
        &self.rules[0]
    }

    /// Whether a rule looks at the body of the response.
    #[inline]
    pub fn reads_bodies(&self) -> bool {
        self.reads_bodies
    }

    /// Whether a rule counts different values.
    #[inline]
    pub fn has_distinct(&self) -> bool {
        self.has_distinct
    }

    /// How many of the rules count something before the response is known.
    #[inline]
    pub fn counting_requests(&self) -> usize {
        self.requests
    }
}

/// Groups rules that have the same conditions, each with its expiry: first those with the same key, then those of one kind.
pub(super) fn grouped(mut rules: Vec<(u64, Arc<AbuseRule>)>) -> Vec<(u64, Arc<AbuseGroup>)> {
    let together = |(expires, rule): &(u64, Arc<AbuseRule>)| (rule.key_number(), rule.kind, *expires);
    rules.sort_by_key(together);
    let groups = rules.chunk_by(|a, b| together(a) == together(b));
    let group = |group: &[(u64, Arc<AbuseRule>)]| {
        let rules: Vec<_> = group.iter().map(|(_, rule)| Arc::clone(rule)).collect();
        (group[0].0, Arc::new(AbuseGroup::new(&rules)))
    };
    groups.map(group).collect()
}

/// Numbers rules, which come from general to specific.
pub(super) fn number<'r>(rules: impl Iterator<Item = &'r mut AbuseRule>) {
    let mut parts: HashMap<String, u32> = HashMap::new();
    let mut keys: HashMap<Vec<u32>, u32> = HashMap::new();
    let mut varied: HashMap<String, u32> = HashMap::new();
    for (order, rule) in (0..).zip(rules) {
        let part = |part: &KeyPart| {
            let (text, next) = (serde_json::json!([part, rule.folds(part)]).to_string(), parts.len() as u32);
            *parts.entry(text).or_insert(next)
        };
        let numbers: Vec<u32> = rule.key.iter().map(part).collect();
        let next = keys.len() as u32;
        let distinct = rule.distinct.as_ref().map_or(0, |part| {
            let next = varied.len() as u32 + 1;
            *varied.entry(serde_json::json!(part).to_string()).or_insert(next)
        });
        let key = *keys.entry(numbers.clone()).or_insert(next);
        rule.place = RulePlace { key, parts: numbers, distinct, order };
    }
}

/// A limit that a request goes over.
#[derive(Clone, Debug)]
pub struct AbuseExcess {
    /// The rule.
    pub rule: Arc<AbuseRule>,
    /// Key, count, limit, window and since when, in words; the key is masked.
    pub text: String,
    /// Seconds after which the count will have fallen, for `Retry-After`.
    pub retry_after: u32,
}

impl AbuseExcess {
    /// The reply to a request that is blocked for it: that of the rule, or `standard`; with `Retry-After` and the RateLimit
    /// header fields (draft-ietf-httpapi-ratelimit-headers).
    pub(super) fn reply(&self, blocked: &Blocked<'_, '_>, standard: impl FnOnce() -> Reply) -> Reply {
        let own = self.rule.reply.as_ref().map(|reply| reply.render(blocked));
        let mut reply = own.unwrap_or_else(standard);
        if self.rule.kind == AbuseKind::RateLimit {
            let AbuseRule { id, threshold, window, .. } = &*self.rule;
            let fields = [
                ("retry-after", self.retry_after.to_string()),
                ("ratelimit-policy", format!("\"rule-{id}\";q={threshold};w={window}")),
                ("ratelimit", format!("\"rule-{id}\";r=0;t={}", self.retry_after)),
            ];
            let fields =
                fields.into_iter().filter(|(name, _)| !reply.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)));
            let fields: Vec<_> = fields.map(|(name, value)| (name.to_owned(), value)).collect();
            reply.headers.extend(fields);
        }
        reply
    }
}

/// Every abuse rule by id.
#[derive(Debug, Default)]
pub struct AbuseRules {
    /// In the order of their ids.
    by_id: Vec<Arc<AbuseRule>>,
    /// Their ids, to be searched without a look at the rules.
    ids: Vec<u64>,
    names_consumers: bool,
    reads_responses: bool,
    is_shared_by_sessions: bool,
}

impl AbuseRules {
    pub(super) fn new<'r>(rules: impl Iterator<Item = &'r Arc<AbuseRule>>) -> Self {
        let mut by_id: Vec<Arc<AbuseRule>> = rules.map(Arc::clone).collect();
        by_id.sort_by_key(|rule| rule.id);
        let mut parts = by_id.iter().flat_map(|rule| rule.key.iter().chain(&rule.distinct));
        let names_consumers = parts.any(|part| matches!(part, KeyPart::Consumer));
        let ids = by_id.iter().map(|rule| rule.id).collect();
        let reads_responses = by_id.iter().any(|rule| rule.kind.reads_responses());
        let is_shared_by_sessions = by_id.iter().any(|rule| rule.is_shared_by_sessions());
        Self { by_id, ids, names_consumers, reads_responses, is_shared_by_sessions }
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Whether a rule counts by consumers, so that it matters whose credential a request has.
    pub fn names_consumers(&self) -> bool {
        self.names_consumers
    }

    /// Whether a rule reads responses.
    pub fn reads_responses(&self) -> bool {
        self.reads_responses
    }

    /// Whether evidence of several sessions raises the limit of a rule.
    pub fn is_shared_by_sessions(&self) -> bool {
        self.is_shared_by_sessions
    }

    /// The rule with this id.
    pub fn rule(&self, id: u64) -> Option<&Arc<AbuseRule>> {
        self.ids.binary_search(&id).ok().and_then(|at| self.by_id.get(at))
    }

    /// Every rule.
    pub fn all(&self) -> impl Iterator<Item = &Arc<AbuseRule>> {
        self.by_id.iter()
    }
}
