//! What happened in a period, against the period before, and what is weak now.

use super::Period;
use super::source::sum;
use crate::app::App;
use crate::error::Result;
use crate::policy::guard::{Reach, weakening};
use crate::store::{Count, Dimension, Filter, MAX_TOP, Series, TrafficBy, TrafficFilter, TrafficTotal};
use std::collections::HashMap;
use weir_core::model::AttackType;
use weir_protocol::node_api::Gap;

/// Sources, hosts and applications of a report.
const RANKED: usize = 10;
/// Lines of what is weak now.
const MAX_LINES: usize = 20;

/// A number now and in the period before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// In the period.
    pub now: u64,
    /// In the period before.
    pub before: u64,
}

/// An application in a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationLine {
    /// Name, or the id of one without a name.
    pub name: String,
    /// Requests.
    pub requests: Compared,
    /// Requests with an attack.
    pub attacks: Compared,
}

/// The report of a period.
#[derive(Clone, Debug)]
pub struct PeriodReport {
    /// The period.
    pub period: Period,
    /// Requests that nodes judged.
    pub requests: Compared,
    /// Hits.
    pub hits: Compared,
    /// Of these, blocked.
    pub blocked: Compared,
    /// Hits by attack type, most first.
    pub attack_types: Vec<(AttackType, Compared)>,
    /// Applications with most requests.
    pub applications: Vec<ApplicationLine>,
    /// Sources with most hits.
    pub sources: Vec<Count>,
    /// Hosts with most hits.
    pub targets: Vec<Count>,
    /// Requests that policy let pass without inspection.
    pub bypassed: Compared,
    /// Messages that gateways passed without inspection, by route and reason; counted since their nodes started.
    pub gaps: Vec<Gap>,
    /// Names of nodes that do not answer.
    pub nodes_down: Vec<String>,
    /// Rules in force that weaken protection, in words.
    pub weakening: Vec<String>,
}

impl App {
    /// The report of `period`. What is weak is so now, and not at the end of the period.
    pub async fn period_report(&self, period: Period) -> Result<PeriodReport> {
        let (now, old) = (self.counted(period).await?, self.counted_before(period).await?);
        let inside = Filter { from: Some(period.from), to: Some(period.to), ..Filter::default() };
        let nodes = self.nodes.list().await?;
        let compared = |of: fn(&Counted) -> u64| Compared { now: of(&now), before: of(&old) };
        let down = nodes.iter().filter(|node| node.enabled && !node.active);
        let mut gaps: Vec<Gap> =
            nodes.iter().filter(|node| node.enabled).flat_map(|node| node.heartbeat.gaps.clone()).collect();
        gaps.retain(|gap| i64::try_from(gap.last).is_ok_and(|last| last >= period.from));
        gaps.sort_by_key(|gap| std::cmp::Reverse(gap.count));
        // Gateways report the same total to several nodes.
        gaps.dedup_by(|a, b| (&a.route, &a.leg, &a.reason) == (&b.route, &b.leg, &b.reason));
        gaps.truncate(MAX_LINES);
        let head = self.policy.head();
        let weak = weakening(&head.state, self.clock.seconds());
        let weak =
            weak.iter().rev().map(|(entry, says)| format!("rule {}: {says} {}", entry.id, Reach::of(entry).words()));
        Ok(PeriodReport {
            period,
            requests: compared(|counted| counted.traffic.iter().map(|(_, total)| total.requests).sum()),
            hits: compared(|counted| counted.hits),
            blocked: compared(|counted| counted.blocked),
            attack_types: by_type(&now, &old),
            applications: self.application_lines(&now, &old),
            sources: self.store.top(Dimension::Source, &inside, RANKED).await?,
            targets: self.store.top(Dimension::Target, &inside, RANKED).await?,
            bypassed: compared(|counted| counted.traffic.iter().map(|(_, total)| total.bypassed).sum()),
            gaps,
            nodes_down: down.map(|node| node.name.clone()).take(MAX_LINES).collect(),
            weakening: weak.take(MAX_LINES).collect(),
        })
    }

    async fn counted(&self, period: Period) -> Result<Counted> {
        let Period { from, to, step } = period;
        let series: Series = self.store.series(&Filter::default(), from, to, step).await?;
        let (hits, blocked) = sum(&series);
        let inside = Filter { from: Some(from), to: Some(to), ..Filter::default() };
        let by_type = self.store.top(Dimension::AttackType, &inside, AttackType::ALL.len()).await?;
        let all = TrafficFilter::default();
        let traffic = self.store.traffic_by(TrafficBy::Application, &all, from, to, MAX_TOP).await?;
        Ok(Counted { hits, blocked, by_type, traffic })
    }

    async fn counted_before(&self, period: Period) -> Result<Counted> {
        match period.before() {
            Some(before) => self.counted(before).await,
            None => Ok(Counted::default()),
        }
    }

    fn application_lines(&self, now: &Counted, old: &Counted) -> Vec<ApplicationLine> {
        let head = self.policy.head();
        let before: HashMap<&str, &TrafficTotal> = old.traffic.iter().map(|(id, total)| (id.as_str(), total)).collect();
        let line = |(id, total): &(String, TrafficTotal)| {
            let known = id.parse().ok().and_then(|id: i64| head.state.applications.get(&id));
            let other = if id == "-1" { "no application".to_owned() } else { format!("application {id}") };
            let of = |of: fn(&TrafficTotal) -> u64| Compared {
                now: of(total),
                before: before.get(id.as_str()).map_or(0, |total| of(total)),
            };
            ApplicationLine {
                name: known.map_or(other, |known| known.name.clone()),
                requests: of(|total| total.requests),
                attacks: of(|total| total.attacks),
            }
        };
        now.traffic.iter().take(RANKED).map(line).collect()
    }
}

/// Counts of one period.
#[derive(Default)]
struct Counted {
    hits: u64,
    blocked: u64,
    by_type: Vec<Count>,
    traffic: Vec<(String, TrafficTotal)>,
}

/// Types of either period, by hits now.
fn by_type(now: &Counted, old: &Counted) -> Vec<(AttackType, Compared)> {
    let hits = |counted: &Counted, attack: AttackType| {
        counted.by_type.iter().find(|count| count.value == attack.code()).map_or(0, |count| count.hits)
    };
    let all =
        AttackType::ALL.iter().map(|&attack| (attack, Compared { now: hits(now, attack), before: hits(old, attack) }));
    let mut all: Vec<_> = all.filter(|(_, compared)| compared.now + compared.before > 0).collect();
    all.sort_by_key(|(_, compared)| std::cmp::Reverse(compared.now));
    all
}
