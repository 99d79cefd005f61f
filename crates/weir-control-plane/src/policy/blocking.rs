//! What blocking would do: the hits that passed, judged again by the rules in force as if the mode were blocking.

use super::before_after::{Judges, replay_hits};
use super::replay::Judge;
use super::state::PolicyState;
use crate::app::App;
use crate::error::Result;
use crate::store::{Count, Filter, Replay, Terms};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use weir_core::model::{AttackType, PointPath};
use weir_protocol::hit::{Hit, HitDirection};

/// Most hits judged again.
const MAX_HITS: usize = 10_000;
/// How long hits are judged again unless asked otherwise: a page is there within a second.
pub const SHORT: Duration = Duration::from_millis(600);
/// Longest time for it.
pub const LONG: Duration = Duration::from_secs(8);
/// Groups reported, those with most hits.
const MAX_GROUPS: usize = 50;
/// Sources reported, those with most hits.
const MAX_SOURCES: usize = 20;

/// Hits of one attack type at one place of one host that blocking would block.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlockedGroup {
    /// Attack type.
    pub attack_type: AttackType,
    /// Host.
    pub host: String,
    /// Where in the message.
    pub point: PointPath,
    /// Signature or detector of the newest hit; empty where none was found.
    pub rule: String,
    /// Hits, those that sampling folded included.
    pub hits: u64,
    /// Distinct source addresses.
    pub sources: usize,
    /// The newest hit.
    pub hit: String,
    /// Its time, in milliseconds since 1970.
    pub time: i64,
    /// Its method and path.
    pub request: String,
    /// What matched in it, masked.
    pub matched: String,
    /// Whether an exception can be made from it.
    pub exceptable: bool,
}

/// What blocking would have done to the hits of a period.
#[derive(Clone, Debug, Default, Serialize)]
pub struct BlockingReport {
    /// First millisecond since 1970.
    pub from: i64,
    /// Hits that had passed and were judged again, newest first.
    pub judged: usize,
    /// Whether older ones were not looked at.
    pub cut: bool,
    /// Time of the oldest hit looked at, in milliseconds since 1970; none where there was none.
    pub oldest: Option<i64>,
    /// Hits that would be blocked, those that sampling folded included.
    pub would_block: u64,
    /// Hits that the rules in force would let pass: an exception was made since.
    pub would_pass: u64,
    /// Distinct sources of the hits that would be blocked.
    pub sources: usize,
    /// By attack type, host and place, most hits first.
    pub groups: Vec<BlockedGroup>,
    /// Further groups.
    pub more_groups: usize,
    /// Sources with most hits that would be blocked.
    pub top_sources: Vec<Count>,
}

impl App {
    /// What blocking would have done since `from` to the hits that fit `filter` and had passed, as far as these can be
    /// judged again within `time`, at most [`LONG`].
    pub async fn blocking_report(&self, filter: &Filter, from: i64, time: Duration) -> Result<BlockingReport> {
        let state = Arc::new(all_blocking(&self.policy.head().state));
        let own = state.own_groups().into_iter().map(str::to_owned).collect();
        let judges = Judges::new(self, [state], own, Judge::in_force).await?;
        let filter = Filter { from: Some(from), actions: Terms::only("pass".to_owned()), ..filter.clone() };
        let trial = Trial {
            judges,
            report: BlockingReport { from, ..BlockingReport::default() },
            found: HashMap::new(),
            sources: HashMap::new(),
        };
        let (app, runtime) = (self.clone(), Handle::current());
        let time = time.min(LONG);
        self.replays.run(move || trial.run(&app, &filter, &runtime, time)).await
    }
}

/// The policy with blocking mode everywhere; rules that switch the inspection off stay out, since what they leave out is no hit.
fn all_blocking(state: &PolicyState) -> PolicyState {
    let mut state = state.clone();
    state.base.mode = Some("block".into());
    state.groups.values_mut().for_each(|scope| scope.mode = None);
    state.rules.retain(|rule| rule.kind() != "wallarm_mode");
    state
}

type Key = (AttackType, String, String);

struct Trial {
    judges: Judges<1>,
    report: BlockingReport,
    found: HashMap<Key, (BlockedGroup, HashSet<String>)>,
    /// Hits that would be blocked, by source.
    sources: HashMap<String, u64>,
}

impl Trial {
    fn run(mut self, app: &App, filter: &Filter, runtime: &Handle, time: Duration) -> Result<BlockingReport> {
        let until = Instant::now() + time;
        self.report.cut = replay_hits(app, filter, runtime, (MAX_HITS, until), |replay| self.look(app, replay))?;
        Ok(self.finish())
    }

    fn look(&mut self, app: &App, replay: &Replay) -> Result<()> {
        let hit = &replay.hit;
        let weight = hit.folded.saturating_add(1);
        self.report.judged += 1;
        self.report.oldest = i64::try_from(hit.time).ok();
        let [judged] = self.judges.judge(&app.replays, replay)?;
        if !judged.is_blocked() {
            self.report.would_pass += weight;
            return Ok(());
        }
        self.report.would_block += weight;
        *self.sources.entry(hit.client.ip.clone()).or_default() += weight;
        let group = group(hit);
        let key = (group.attack_type, group.host.clone(), group.point.to_string());
        // Newest first: the first hit of a group is the one that is reported.
        let (group, sources) = self.found.entry(key).or_insert_with(|| (group, HashSet::new()));
        group.hits += weight;
        sources.insert(hit.client.ip.clone());
        Ok(())
    }

    fn finish(self) -> BlockingReport {
        let mut report = self.report;
        report.sources = self.sources.len();
        let groups = self.found.into_values().map(|(group, sources)| BlockedGroup { sources: sources.len(), ..group });
        report.groups = groups.collect();
        report.groups.sort_by(|a, b| b.hits.cmp(&a.hits).then_with(|| b.hit.cmp(&a.hit)));
        report.more_groups = report.groups.len().saturating_sub(MAX_GROUPS);
        report.groups.truncate(MAX_GROUPS);
        let sources = self.sources.into_iter().map(|(value, hits)| Count { value, hits, blocked: 0 });
        report.top_sources = sources.collect();
        report.top_sources.sort_by(|a, b| b.hits.cmp(&a.hits).then_with(|| a.value.cmp(&b.value)));
        report.top_sources.truncate(MAX_SOURCES);
        report
    }
}

/// The group of a hit, without hits yet.
fn group(hit: &Hit) -> BlockedGroup {
    let finding = hit.findings.iter().find(|finding| finding.decisive).or(hit.findings.first());
    let anomaly = hit.anomalies.first();
    BlockedGroup {
        attack_type: finding.map(|f| f.attack).or(hit.attacks.first().copied()).unwrap_or(AttackType::Vpatch),
        host: hit.request.host.clone(),
        point: finding.map(|f| f.point.clone()).or(anomaly.map(|a| a.point.clone())).unwrap_or_default(),
        rule: finding.map(|f| f.rule.clone()).unwrap_or_default(),
        hits: 0,
        sources: 0,
        hit: hit.id.clone(),
        time: i64::try_from(hit.time).unwrap_or(i64::MAX),
        request: format!("{} {}", hit.request.method, hit.request.path),
        matched: finding.map(|f| f.matched.clone()).unwrap_or_default(),
        exceptable: hit.leg == HitDirection::Request && !hit.findings.is_empty(),
    }
}
