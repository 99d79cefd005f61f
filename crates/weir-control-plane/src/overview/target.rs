//! A host or an application: its traffic against the period before, and what protects it.

use super::source::sum;
use super::{Period, RANKED};
use crate::app::App;
use crate::error::{Error, Result};
use crate::policy::guard::{concerns, mode_in_force, weakening};
use crate::policy::state::DEFAULT_GROUP;
use crate::store::{Count, Dimension, Filter, MAX_PAGE, Page, Series, Terms, TrafficFilter, TrafficSlot};
use serde::Serialize;
use std::collections::HashMap;
use weir_core::model::{AttackType, PointPath};

/// Longest host, in bytes.
const MAX_HOST: usize = 256;

/// What a report is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A host.
    Host(String),
    /// An application, by its id; -1 for requests of none.
    Application(i64),
}

impl Target {
    /// The host of this name. Fails for patterns, and for what no host can be.
    pub fn host(name: &str) -> Result<Self> {
        if name.contains(['*', '?', '\0']) || name.len() > MAX_HOST {
            return Err(Error::NotFound("host"));
        }
        Ok(Target::Host(name.to_ascii_lowercase()))
    }

    /// Its hits.
    pub fn filter(&self) -> Filter {
        match self {
            Target::Host(host) => Filter { hosts: Terms::only(host.to_ascii_lowercase()), ..Filter::default() },
            Target::Application(id) => Filter { applications: Terms::only(*id), ..Filter::default() },
        }
    }

    fn traffic(&self) -> TrafficFilter {
        match self {
            Target::Host(host) => TrafficFilter { host: Some(host.clone()), ..TrafficFilter::default() },
            Target::Application(id) => TrafficFilter { application: Some(*id), ..TrafficFilter::default() },
        }
    }

    /// As rules for it name it.
    fn word(&self) -> String {
        match self {
            Target::Host(host) => host.to_ascii_lowercase(),
            Target::Application(id) => format!("app:{id}"),
        }
    }
}

/// Sums of a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// Requests judged.
    pub requests: u64,
    /// Hits, those that sampling folded included.
    pub hits: u64,
    /// Of these, blocked.
    pub blocked: u64,
}

/// A place in requests where attacks were found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttackedPoint {
    /// Attack type.
    pub attack_type: AttackType,
    /// Where in the message.
    pub point: PointPath,
    /// Hits of the attacks there.
    pub hits: u64,
    /// The newest of these attacks.
    pub attack: String,
}

/// A filtration mode in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModeInForce {
    /// Node group.
    pub group: String,
    /// `block`, `safe_blocking`, `monitoring` or `off`; null where each node decides.
    pub mode: Option<String>,
}

/// What is known of a host or an application over a period.
#[derive(Clone, Debug, Serialize)]
pub struct TargetReport {
    /// What it is about.
    pub target: Target,
    /// The period.
    pub period: Period,
    /// Sums of the period.
    pub now: Sums,
    /// Sums of the period before.
    pub before: Sums,
    /// Hits over time.
    pub series: Series,
    /// Requests over time.
    pub traffic: Vec<TrafficSlot>,
    /// Attack types with most hits.
    pub attack_types: Vec<Count>,
    /// Sources with most hits.
    pub sources: Vec<Count>,
    /// Hosts with most hits.
    pub hosts: Vec<Count>,
    /// Places with most hits, of the newest 200 attacks.
    pub points: Vec<AttackedPoint>,
    /// The mode of the default node group, then of each group with another.
    pub modes: Vec<ModeInForce>,
    /// Ids of rules in force that weaken protection, newest first.
    pub weakening: Vec<u64>,
}

impl App {
    /// What is known of `target` over `period`.
    pub async fn target_report(&self, target: Target, period: Period) -> Result<TargetReport> {
        let only = target.filter();
        let inside = Filter { from: Some(period.from), to: Some(period.to), ..only.clone() };
        let top = |dimension| self.store.top(dimension, &inside, RANKED);
        let ((series, traffic, before), (attack_types, sources), hosts, points) = tokio::try_join!(
            Box::pin(self.over_time(&target, &only, period)),
            Box::pin(async { Ok(tokio::try_join!(top(Dimension::AttackType), top(Dimension::Source))?) }),
            Box::pin(async {
                match &target {
                    Target::Host(_) => Ok(Vec::new()),
                    Target::Application(_) => Ok(top(Dimension::Target).await?),
                }
            }),
            Box::pin(self.points(&inside)),
        )?;
        let requests = traffic.iter().map(|slot| slot.total.requests).sum();
        let (hits, blocked) = sum(&series);
        Ok(TargetReport {
            attack_types,
            sources,
            hosts: match &target {
                // It is the only one.
                Target::Host(host) if hits > 0 => vec![Count { value: host.clone(), hits, blocked }],
                _ => hosts,
            },
            points,
            modes: self.modes_of(&target),
            weakening: self.weakening_of(&target),
            now: Sums { requests, hits, blocked },
            before,
            target,
            period,
            series,
            traffic,
        })
    }

    /// Hits and requests over time, and the sums of the period before.
    async fn over_time(
        &self,
        target: &Target,
        only: &Filter,
        period: Period,
    ) -> Result<(Series, Vec<TrafficSlot>, Sums)> {
        let series = self.store.series(only, period.from, period.to, period.step).await?;
        let traffic = self.store.traffic(&target.traffic(), period.from, period.to, period.step).await?;
        let before = match period.before() {
            Some(before) => self.sums(target, before).await?,
            None => Sums::default(),
        };
        Ok((series, traffic, before))
    }

    async fn sums(&self, target: &Target, period: Period) -> Result<Sums> {
        let series = self.store.series(&target.filter(), period.from, period.to, period.step).await?;
        let traffic = self.store.traffic(&target.traffic(), period.from, period.to, period.step).await?;
        let (hits, blocked) = sum(&series);
        Ok(Sums { requests: traffic.iter().map(|slot| slot.total.requests).sum(), hits, blocked })
    }

    async fn points(&self, filter: &Filter) -> Result<Vec<AttackedPoint>> {
        let attacks = self.store.attacks_alone(filter, &Page::first(MAX_PAGE)).await?.rows;
        let mut found: Vec<AttackedPoint> = Vec::new();
        let mut known: HashMap<(AttackType, String), usize> = HashMap::new();
        for attack in attacks {
            let hits = attack.hits + attack.folded;
            let at = *known.entry((attack.attack_type, attack.point.to_string())).or_insert(found.len());
            match found.get_mut(at) {
                Some(one) => one.hits += hits,
                None => found.push(AttackedPoint {
                    attack_type: attack.attack_type,
                    point: attack.point,
                    hits,
                    attack: attack.id,
                }),
            }
        }
        found.sort_by_key(|one| std::cmp::Reverse(one.hits));
        found.truncate(RANKED);
        Ok(found)
    }

    fn modes_of(&self, target: &Target) -> Vec<ModeInForce> {
        let (head, now, word) = (self.policy.head(), self.clock.seconds(), target.word());
        let of = |group: &str| mode_in_force(&head.state, group, Some(&word), now);
        let first = of(DEFAULT_GROUP);
        let mut out = vec![ModeInForce { group: DEFAULT_GROUP.into(), mode: first.clone() }];
        let groups = head.state.own_groups().into_iter().filter(|group| *group != DEFAULT_GROUP);
        let others = groups.map(|group| ModeInForce { group: group.into(), mode: of(group) });
        out.extend(others.filter(|one| one.mode != first));
        out
    }

    fn weakening_of(&self, target: &Target) -> Vec<u64> {
        let head = self.policy.head();
        let (host, application) = match target {
            Target::Host(host) => (Some(host.as_str()), None),
            Target::Application(id) => (None, Some(*id)),
        };
        let all = weakening(&head.state, self.clock.seconds());
        let mine = all.iter().rev().map(|(entry, _)| *entry).filter(|entry| concerns(entry, host, application));
        mine.map(|entry| entry.id).collect()
    }
}
