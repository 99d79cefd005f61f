//! Stored requests judged again by the code of the node: what a rule would change, and why a hit is one.

use super::check::compile_with;
use super::state::PolicyState;
use crate::error::{Error, Mistake, Result};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use weir_core::engine::{self, Scratch};
use weir_core::model::{AttackType, BodyState, Inspection, Limits, Message, ParserSet, Scheme};
use weir_core::parse::extract::ParseOptions;
use weir_core::parse::{facts, message};
use weir_core::ruleset::{Ruleset, compile};
use weir_policy::{
    Action, Country, CustomSignature, Mode, Policy, Region, RequestContext, Settings, Source, SourceKinds, Verdict,
};
use weir_protocol::hit::Hit;
use weir_protocol::hit::HitDirection;

/// Longest time for one request: no gateway waits for its verdict, but users wait for the page.
const TIME: Duration = by_build(Duration::from_secs(1));
/// Rulesets kept: those of a few groups.
const KEPT: usize = 4;
/// Trials at once: each takes a core.
const AT_ONCE: usize = 1;
/// Longest wait for one's turn.
const PATIENCE: Duration = by_build(Duration::from_secs(5));
/// Seconds after which who had no turn is to come back.
const RETRY_AFTER: u64 = 5;

/// A time limit of inspecting again. A debug build, which tests are, is many times slower, and its machine may be busy: what it
/// finds must not depend on that.
pub(super) const fn by_build(time: Duration) -> Duration {
    if cfg!(debug_assertions) { time.saturating_mul(60) } else { time }
}

/// Rule files by name.
pub type RuleFiles = Vec<(String, String)>;

type Kept = Vec<(Vec<CustomSignature>, Arc<RuleFiles>, Arc<Ruleset>)>;

/// Compiled rulesets and turns for trials.
#[derive(Debug)]
pub struct Replays {
    kept: Mutex<Kept>,
    turns: Arc<Semaphore>,
}

impl Default for Replays {
    fn default() -> Self {
        Self { kept: Mutex::default(), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Replays {
    /// Runs `work` off the runtime's threads when its turn has come.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| Error::Throttled(RETRY_AFTER))?.map_err(Error::internal)?;
        let done = tokio::task::spawn_blocking(move || {
            let _held = turn;
            work()
        });
        done.await.map_err(Error::internal)?
    }

    /// The ruleset of `files` and of what `policy` brings along.
    pub fn ruleset(&self, files: &Arc<RuleFiles>, policy: &Policy) -> Result<Arc<Ruleset>> {
        let custom: Vec<CustomSignature> = policy.custom_signatures().into_iter().cloned().collect();
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |kept: &&(Vec<CustomSignature>, Arc<RuleFiles>, _)| kept.0 == custom && kept.1 == *files;
        if let Some((_, _, known)) = lock().iter().find(same) {
            return Ok(Arc::clone(known));
        }
        let made = |own: &CustomSignature| {
            own.compile().map_err(|error| Error::invalid(format!("rules/{}/regex", own.rule), error.to_string()))
        };
        let compiled = custom.iter().map(made).collect::<Result<Vec<_>>>()?;
        let ruleset = compile::compile_with(files, compiled).map_err(|errors| {
            Error::Invalid(errors.iter().map(|error| Mistake::new("rule_packs", error.to_string())).collect())
        })?;
        let ruleset = Arc::new(ruleset);
        let mut kept = lock();
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((custom, Arc::clone(files), Arc::clone(&ruleset)));
        Ok(ruleset)
    }
}

/// A policy that judges requests again.
pub struct Judge {
    policy: Policy,
    ruleset: Arc<Ruleset>,
    now: u64,
}

/// A request as judged again.
#[derive(Debug)]
pub struct Judged {
    /// What was found.
    pub inspection: Inspection,
    /// What would be done in monitoring: only virtual patches block there.
    pub verdict: Verdict,
}

impl Judged {
    /// Whether it is an attack, in whatever mode.
    pub fn is_attack(&self) -> bool {
        self.verdict.would_block || self.verdict.action == Action::Block
    }

    /// Whether it is blocked. A judge made by [`Judge::new`] knows only monitoring, in which only virtual patches block.
    pub fn is_blocked(&self) -> bool {
        self.verdict.action == Action::Block
    }
}

impl Judge {
    /// The policy of `group` at `now` (seconds since 1970), but for modes and address lists: what was found counts, not
    /// where the request came from or what was done about it then.
    pub fn new(state: &PolicyState, group: &str, now: u64, files: &Arc<RuleFiles>, replays: &Replays) -> Result<Self> {
        let mut state = state.clone();
        state.base.mode = None;
        state.groups.values_mut().for_each(|scope| scope.mode = None);
        state.rules.retain(|rule| rule.kind() != "wallarm_mode");
        state.ip_lists.clear();
        let settings = Settings { mode: Some(Mode::Monitoring), lists: false, ..Settings::default() };
        let policy = compile_with(&state, group, &settings).map_err(Error::Invalid)?;
        let ruleset = replays.ruleset(files, &policy)?;
        Ok(Self { policy, ruleset, now })
    }

    /// The policy of `group` at `now` with its modes and address lists, as a node that is configured to block has it.
    pub fn in_force(
        state: &PolicyState,
        group: &str,
        now: u64,
        files: &Arc<RuleFiles>,
        replays: &Replays,
    ) -> Result<Self> {
        let settings = Settings { mode: Some(Mode::Block), ..Settings::default() };
        let policy = compile_with(state, group, &settings).map_err(Error::Invalid)?;
        let ruleset = replays.ruleset(files, &policy)?;
        Ok(Self { policy, ruleset, now })
    }

    /// The signatures in use.
    pub fn ruleset(&self) -> &Ruleset {
        &self.ruleset
    }

    /// Judges the request of `hit`; `explain` keeps the decoding steps.
    pub fn judge(&self, hit: &Hit, raw: &[u8], explain: bool, scratch: &mut Scratch) -> Judged {
        let message = of_hit(hit, raw);
        let facts = facts::facts(&message);
        let head = RequestContext {
            message: &message,
            facts: &facts,
            client: hit.client.ip.parse().ok(),
            source: source(hit),
            now: self.now,
            blocking: true,
            request_id: "replay",
        };
        let plan = self.policy.plan(&head);
        let parsers_off = if hit.leg == HitDirection::Request { plan.parsers_off } else { ParserSet::default() };
        let orders = engine::InspectionOptions {
            limits: Limits::clone(&plan.limits),
            parsing: ParseOptions { parsers_off, parsers_off_at: &plan.parsers_off_at, ..ParseOptions::default() },
            explain,
            skip_libinjection: !plan.libdetection,
        };
        let begin = Instant::now();
        let stop = || begin.elapsed() > TIME;
        let inspection = engine::inspect(&message, &self.ruleset, &orders, scratch, &stop);
        let verdict = self.policy.decide(&head, &plan, Some(&inspection));
        Judged { inspection, verdict }
    }
}

/// The message of a hit, as its node had it but for what was masked and cut.
fn of_hit<'r>(hit: &Hit, raw: &'r [u8]) -> Message<'r> {
    let mut message = match hit.leg {
        HitDirection::Request => message::request(raw),
        HitDirection::Response => message::response(raw),
    };
    if hit.request.scheme == "https" {
        message.scheme = Scheme::Https;
    }
    if hit.request.cut > 0 {
        message.body_state = BodyState::Prefix;
    }
    message.application = hit.application;
    message
}

fn source(hit: &Hit) -> Source {
    let kinds = hit.client.source_types.iter().filter_map(|code| SourceKinds::from_code(code));
    Source {
        country: Country::new(&hit.client.country),
        region: Region::new(&hit.client.region),
        asn: Some(hit.client.asn).filter(|&asn| asn != 0),
        kinds: kinds.fold(SourceKinds::NONE, SourceKinds::with),
    }
}

/// Attack types in words.
pub fn codes(attacks: &[AttackType]) -> Vec<&'static str> {
    attacks.iter().map(|attack| attack.code()).collect()
}
