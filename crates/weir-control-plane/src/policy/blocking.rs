//! What blocking would do: hits that passed, judged again by the rules in force as if the mode were blocking.
//!
//! Groups of hits (attack type, place and host) come with their counts by hour and the ids of the newest hits of each hour.
//! Those are judged, and what becomes of them is what becomes of the group: the work follows the groups and not the hits.
//! Where few hits passed, each of them is judged.

use super::before_after::Judges;
use super::propose::is_exceptable;
use super::replay::{Judge, by_build};
use super::state::{DEFAULT_GROUP, PolicyState};
use crate::app::App;
use crate::error::Result;
use crate::store::{Count, Filter, HOUR, PassedGroup, Replay};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use weir_core::model::{AttackType, PointPath};
use weir_protocol::hit::Hit;

/// Most hits judged again.
const MAX_HITS: usize = 10_000;
/// Hits read at once: as many as come in [`PORTION_TIME`], within these bounds.
const SMALLEST_PORTION: usize = 25;
const LARGEST_PORTION: usize = 200;
/// How long a portion is waited for, about: the time of a report ends between two of them.
const PORTION_TIME: Duration = Duration::from_millis(50);
/// How long a report may take unless asked otherwise: a page is there within a second.
pub const SHORT: Duration = Duration::from_millis(400);
/// How long hits are judged again at least, however long it took to find them.
const LEAST: Duration = by_build(Duration::from_millis(150));
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
    /// Distinct source addresses of the hits that were judged.
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
    /// First millisecond since 1970: the begin of an hour.
    pub from: i64,
    /// Hits that were judged again: the newest ones of each group and hour.
    pub judged: usize,
    /// Whether the numbers are estimates: other hits passed, for which the judged ones of their group speak.
    pub cut: bool,
    /// Whether the time was over before all hits that were chosen had been judged.
    pub unfinished: bool,
    /// Hits of groups of which none was judged.
    pub not_judged: u64,
    /// Time of the oldest hit judged, in milliseconds since 1970; none where there was none.
    pub oldest: Option<i64>,
    /// Hits that would be blocked, those that sampling folded included.
    pub would_block: u64,
    /// Hits that the rules in force would let pass: an exception was made since.
    pub would_pass: u64,
    /// Distinct sources of the judged hits that would be blocked.
    pub sources: usize,
    /// By attack type, host and place, most hits first.
    pub groups: Vec<BlockedGroup>,
    /// Further groups.
    pub more_groups: usize,
    /// Sources with most hits that would be blocked.
    pub top_sources: Vec<Count>,
    /// Hours that an older version stored and that are still to be counted; their hits can be missing.
    pub uncounted_hours: usize,
}

impl App {
    /// Compiles the signatures in force, unless that is done, so that the first report does not wait for it.
    pub async fn prepare_preview(&self) -> Result<()> {
        let state = all_blocking(&self.policy.head().state);
        let files = self.rule_files_with(&state.rule_packs).await?;
        let app = self.clone();
        let prepare =
            move || Judge::in_force(&state, DEFAULT_GROUP, app.clock.seconds(), &files, &app.replays).map(drop);
        self.replays.run(prepare).await
    }

    /// What blocking would have done since the hour of `from` to the hits that fit `filter`, which may name a host or an
    /// application, and had passed, as far as these can be judged again until `time`, at most [`LONG`], is over.
    pub async fn blocking_report(&self, filter: &Filter, from: i64, time: Duration) -> Result<BlockingReport> {
        let until = Instant::now() + time.min(LONG);
        let state = Arc::new(all_blocking(&self.policy.head().state));
        let own = state.own_groups().into_iter().map(str::to_owned).collect();
        let judges = Judges::new(self, [state], own, Judge::in_force).await?;
        let passed = self.store.passed_groups(filter, from).await?;
        let trial = Trial {
            judges,
            filter: filter.clone(),
            outcomes: HashMap::new(),
            oldest: None,
            unfinished: false,
            more_groups: passed.more,
            uncounted_hours: passed.uncounted_hours,
        };
        let (app, runtime) = (self.clone(), Handle::current());
        let from = from.max(0).div_euclid(HOUR) * HOUR;
        self.replays.run(move || trial.run(&app, from, &passed.groups, &runtime, until)).await
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

/// What becomes of a hit.
struct Outcome {
    /// Key of the group that it is named after: in others that it is part of it is not counted again.
    group: String,
    weight: u64,
    /// Whether it fits the filter.
    asked_for: bool,
    blocked: bool,
    source: String,
    shown: BlockedGroup,
}

struct Trial {
    judges: Judges<1>,
    filter: Filter,
    /// By id.
    outcomes: HashMap<String, Outcome>,
    oldest: Option<i64>,
    /// Whether the time was over.
    unfinished: bool,
    /// Whether there are groups that are not looked at.
    more_groups: bool,
    uncounted_hours: usize,
}

/// What the judged hits of a group say.
#[derive(Default)]
struct Share {
    judged: u64,
    blocked: u64,
    passed: u64,
}

impl Share {
    /// `part` of the judged hits, as a number of `all` hits.
    fn scaled(&self, part: u64, all: u64) -> u64 {
        if self.judged == 0 {
            return 0;
        }
        let scaled = u128::from(part) * u128::from(all.max(self.judged)) / u128::from(self.judged);
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }
}

impl Trial {
    fn run(
        mut self,
        app: &App,
        from: i64,
        groups: &[PassedGroup],
        runtime: &Handle,
        until: Instant,
    ) -> Result<BlockingReport> {
        let until = until.max(Instant::now() + LEAST);
        let ids = in_turns(groups);
        let (mut rest, mut size) = (&ids[..], SMALLEST_PORTION);
        while !rest.is_empty() && !self.unfinished {
            let (portion, later) = rest.split_at(size.min(rest.len()));
            rest = later;
            let begun = Instant::now();
            let replays = runtime.block_on(app.store.replays(portion))?;
            size = if begun.elapsed() < PORTION_TIME { size * 2 } else { size / 2 };
            size = size.clamp(SMALLEST_PORTION, LARGEST_PORTION);
            for replay in replays {
                if Instant::now() > until {
                    self.unfinished = true;
                    break;
                }
                self.look(app, &replay)?;
            }
        }
        Ok(self.finish(from, groups))
    }

    fn look(&mut self, app: &App, replay: &Replay) -> Result<()> {
        let hit = &replay.hit;
        let [judged] = self.judges.judge(&app.replays, replay)?;
        let time = i64::try_from(hit.time).unwrap_or(i64::MAX);
        self.oldest = Some(self.oldest.map_or(time, |oldest| oldest.min(time)));
        let outcome = Outcome {
            group: replay.groups.first().cloned().unwrap_or_default(),
            weight: hit.folded.saturating_add(1),
            asked_for: self.filter.hosts.any.first().is_none_or(|host| host.eq_ignore_ascii_case(&hit.request.host))
                && self.filter.applications.any.first().is_none_or(|id| *id == hit.application),
            blocked: judged.is_blocked(),
            source: hit.client.ip.clone(),
            shown: group(hit),
        };
        self.outcomes.insert(hit.id.clone(), outcome);
        Ok(())
    }

    fn finish(self, from: i64, groups: &[PassedGroup]) -> BlockingReport {
        let mut report = BlockingReport {
            from,
            judged: self.outcomes.values().filter(|outcome| outcome.asked_for).count(),
            cut: self.more_groups || self.unfinished,
            unfinished: self.unfinished,
            oldest: self.oldest,
            uncounted_hours: self.uncounted_hours,
            ..BlockingReport::default()
        };
        let (mut found, mut sources) = (HashMap::new(), HashMap::<&str, u64>::new());
        for group in groups {
            let outcomes: Vec<&Outcome> = group.samples.iter().filter_map(|id| self.outcomes.get(id)).collect();
            let share = share(&group.key, &outcomes);
            report.cut |= share.judged < group.hits;
            if share.judged == 0 {
                report.not_judged += group.hits;
            }
            report.would_block += share.scaled(share.blocked, group.hits);
            report.would_pass += share.scaled(share.passed, group.hits);
            // Portions of one number, so that they add up to it.
            let (mut weight, mut given) = (0, 0);
            for outcome in outcomes.into_iter().filter(|one| one.counts_for(&group.key) && one.blocked) {
                weight += outcome.weight;
                let hits = share.scaled(weight, group.hits) - given;
                given += hits;
                *sources.entry(&outcome.source).or_default() += hits;
                add(&mut found, outcome, hits);
            }
        }
        report.sources = sources.len();
        report.groups = found
            .into_values()
            .map(|(shown, sources): (BlockedGroup, HashSet<&str>)| BlockedGroup { sources: sources.len(), ..shown })
            .collect();
        report.groups.sort_by(|a, b| b.hits.cmp(&a.hits).then_with(|| b.hit.cmp(&a.hit)));
        report.more_groups = report.groups.len().saturating_sub(MAX_GROUPS);
        report.groups.truncate(MAX_GROUPS);
        let counts = sources.into_iter().map(|(value, hits)| Count { value: value.to_owned(), hits, blocked: 0 });
        report.top_sources = counts.collect();
        report.top_sources.sort_by(|a, b| b.hits.cmp(&a.hits).then_with(|| a.value.cmp(&b.value)));
        report.top_sources.truncate(MAX_SOURCES);
        report
    }
}

impl Outcome {
    /// Whether it is counted in the group with this key: hits of no group have the one with the name `-`.
    fn counts_for(&self, key: &str) -> bool {
        self.asked_for && (self.group == key || self.group.is_empty())
    }
}

/// Adds so many hits, of which `outcome` is one, to the line in which they are shown: the one of its attack type, host and
/// place. The newest hit of a line is the one that is reported.
fn add<'o>(
    found: &mut HashMap<(AttackType, &'o str, String), (BlockedGroup, HashSet<&'o str>)>,
    outcome: &'o Outcome,
    hits: u64,
) {
    let shown = &outcome.shown;
    let key = (shown.attack_type, shown.host.as_str(), shown.point.to_string());
    let (line, sources) = found.entry(key).or_insert_with(|| (shown.clone(), HashSet::new()));
    if shown.hit > line.hit {
        *line = BlockedGroup { hits: line.hits, ..shown.clone() };
    }
    line.hits += hits;
    sources.insert(&outcome.source);
}

fn share(key: &str, outcomes: &[&Outcome]) -> Share {
    let mut share = Share::default();
    for outcome in outcomes {
        share.judged += outcome.weight;
        match (outcome.counts_for(key), outcome.blocked) {
            (true, true) => share.blocked += outcome.weight,
            (true, false) => share.passed += outcome.weight,
            (false, _) => {}
        }
    }
    share
}

/// The newest hit of each group, then the second of each, and so on: each hit once, [`MAX_HITS`] at most.
fn in_turns(groups: &[PassedGroup]) -> Vec<String> {
    let (mut out, mut seen) = (Vec::new(), HashSet::new());
    let longest = groups.iter().map(|group| group.samples.len()).max().unwrap_or_default();
    for turn in 0..longest {
        let mut ids: Vec<&String> = groups.iter().filter_map(|group| group.samples.get(turn)).collect();
        // Months are read one after the other.
        ids.sort_by(|a, b| b.cmp(a));
        for id in ids {
            if out.len() < MAX_HITS && seen.insert(id.as_str()) {
                out.push(id.clone());
            }
        }
    }
    out
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
        exceptable: is_exceptable(hit),
    }
}
