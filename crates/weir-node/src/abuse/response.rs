//! The response leg: what became of an attempt, and which sessions the upstream vouches for.

use super::carried::{Carried, CarriedRule};
use super::request::session_hash;
use super::{Abuse, shares, spec, values};
use smallvec::SmallVec;
use weir_abuse::{Group, Observation, Peak, Spec};
use weir_core::model::Message;
use weir_policy::{AbuseKind, AbuseRule, KeyPart, Plan, Policy};

/// Cookies of one response that are read.
const MAX_COOKIES: usize = 16;

/// A response as it is counted.
#[derive(Clone, Copy, Debug)]
pub struct ResponseView<'h, 'a> {
    /// The message.
    pub message: &'h Message<'a>,
    /// The consumer that the gateway names.
    pub consumer: &'h str,
    /// When the request was inspected, in milliseconds since 1970.
    pub requested: u64,
    /// Milliseconds since 1970.
    pub now: u64,
}

impl Abuse {
    /// Counts the response to a request that left `carried`.
    pub fn response(&self, view: &ResponseView<'_, '_>, carried: &Carried, policy: &Policy, plan: &Plan) {
        let issued = self.issued(view, policy, plan);
        self.trails.answered(carried.trail, view.requested, view.message.status);
        let accepted = view.message.status < 400;
        if accepted && !view.consumer.is_empty() && carried.credential != 0 {
            let hashes = self.keys.load().0.iter().map(|keys| keys.value(view.consumer.as_bytes())).collect();
            self.sessions.identify(carried.credential, hashes);
            if carried.session != 0 {
                // The gateway verified the credential: the session is that of a consumer.
                self.sessions.establish(carried.session);
            }
        }
        let session = issued.or(Some(carried.session).filter(|session| *session != 0));
        if carried.rules().is_empty() {
            return;
        }
        let now = self.shared_time(view.now);
        let sessions = self.sessions_of(carried.source, now);
        let legs = self.legs.load();
        let location = view.message.header("location").unwrap_or_default();
        let mut peaks: SmallVec<[(&AbuseRule, Peak); 8]> = SmallVec::new();
        // Rules with the same subject follow each other: their counters lie together.
        for items in carried.rules().chunk_by(|a, b| a.key >> 64 == b.key >> 64) {
            let mut counters = self.table.group(items[0].key, now, items.len());
            for item in items {
                let rule = policy.abuse().rule(item.rule).filter(|rule| rule.kind.reads_responses());
                if let Some(rule) = rule {
                    self.answered(&legs, rule.id, carried.route, view.now);
                    let failed = rule.failure.matches(view.message.status, location, view.message.body);
                    let spec = spec(rule, shares(rule, sessions));
                    let seen = self.answer(view, rule, item, failed, spec, &mut counters);
                    self.note_login(view, rule, item, failed, session);
                    peaks.extend(seen.peak.map(|peak| (&**rule, peak)));
                }
            }
        }
        self.histograms.record(&peaks);
    }

    /// The session that the response issues.
    fn issued(&self, view: &ResponseView<'_, '_>, policy: &Policy, plan: &Plan) -> Option<u64> {
        let Some(KeyPart::Cookie(name)) = policy.session_key(plan, view.now / 1000) else { return None };
        let value = view.message.headers_named("set-cookie").take(MAX_COOKIES).find_map(|line| {
            let pair = line.split(|&byte| byte == b';').next()?;
            let at = pair.iter().position(|&byte| byte == b'=')?;
            let value = values::cookie_value(&pair[at + 1..]);
            (pair[..at].trim_ascii() == name.as_bytes() && !value.is_empty()).then(|| value.into_owned())
        });
        let hash = session_hash(&self.keys.load().0[0], plan.application, &value);
        if hash == 0 {
            return None;
        }
        self.sessions.establish(hash);
        Some(hash)
    }

    /// Counts what became of an attempt.
    #[inline]
    fn answer(
        &self,
        view: &ResponseView<'_, '_>,
        rule: &AbuseRule,
        item: &CarriedRule,
        failed: bool,
        spec: Spec,
        counters: &mut Group<'_>,
    ) -> Observation {
        let then = || self.shared_time(view.requested);
        let times = i32::from(item.times.max(1));
        match (rule.kind, rule.distinct.is_some()) {
            (AbuseKind::Brute, true) if failed => counters.add_value(item.key, spec, item.value, None),
            (AbuseKind::Brute, false) if failed && !item.counted => counters.add_at(item.key, spec, then(), times),
            (AbuseKind::Brute, false) if !failed && item.counted => counters.add_at(item.key, spec, then(), -times),
            (AbuseKind::ForcedBrowsing, _) if failed => counters.add(item.key, spec, 1),
            _ => Observation::default(),
        }
    }

    /// Notes whether the session belongs to an account.
    #[inline]
    fn note_login(
        &self,
        view: &ResponseView<'_, '_>,
        rule: &AbuseRule,
        item: &CarriedRule,
        failed: bool,
        session: Option<u64>,
    ) {
        let (AbuseKind::Brute, None, Some(session)) = (rule.kind, &rule.distinct, session) else { return };
        if failed {
            self.sessions.log_out(session, item.key);
        } else if view.message.status < 400 && !item.proves_nothing {
            self.sessions.log_in(session, item.key);
        }
    }
}
