//! The rates of a run: overall, by source, class, place and tier.

use super::Arguments;
use super::changes::Changes;
use super::judging::Run;
use super::outcome::Outcome;
use super::rates::{Tally, mean};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Sources that are treated apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Groups<'a> {
    /// Not counted in rates: prefixes of names.
    pub uncounted: &'a [String],
    /// Kept apart while rules were written: prefixes of names.
    pub held_out: &'a [String],
}

fn any_prefix(prefixes: &[String], name: &str) -> bool {
    prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()))
}

/// Attacks and ordinary requests of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Both {
    /// Attacks: what is blocked is found.
    pub attacks: Tally,
    /// Ordinary requests: what is blocked is a false positive.
    pub benign: Tally,
}

impl Both {
    fn add(&mut self, outcome: &Outcome) {
        let tally = if outcome.is_attack() { &mut self.attacks } else { &mut self.benign };
        tally.add(outcome.blocked);
    }

    /// Mean of recall and of the share of ordinary requests that pass.
    pub fn balanced(&self) -> Option<f64> {
        Some((self.attacks.share()? + 1.0 - self.benign.share()?) / 2.0)
    }
}

/// A source.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Source {
    /// Its name.
    pub name: String,
    /// Whether it counts in the rates of more than itself.
    pub counted: bool,
    /// Whether it was kept apart.
    pub held_out: bool,
    /// Its requests.
    #[serde(flatten)]
    pub both: Both,
    /// Tiers of its ordinary requests.
    pub tiers: Vec<String>,
}

/// Rates over several sources.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Overall {
    /// All requests alike.
    pub micro: Both,
    /// Mean of the recall of the sources.
    pub macro_recall: Option<f64>,
    /// Mean of the share of false positives of the sources.
    pub macro_false_positives: Option<f64>,
    /// Mean of macro recall and of one less the macro share of false positives.
    pub balanced_accuracy: Option<f64>,
}

impl Overall {
    fn of<'s>(sources: impl Iterator<Item = &'s Source>) -> Self {
        let counted: Vec<&Source> = sources.filter(|source| source.counted).collect();
        let mut micro = Both::default();
        for source in &counted {
            micro.attacks.blocked += source.both.attacks.blocked;
            micro.attacks.of += source.both.attacks.of;
            micro.benign.blocked += source.both.benign.blocked;
            micro.benign.of += source.both.benign.of;
        }
        let macro_recall = mean(counted.iter().map(|source| source.both.attacks));
        let macro_false_positives = mean(counted.iter().map(|source| source.both.benign));
        let balanced_accuracy = macro_recall.zip(macro_false_positives).map(|(recall, fpr)| (recall + 1.0 - fpr) / 2.0);
        Self { micro, macro_recall, macro_false_positives, balanced_accuracy }
    }
}

/// The rates of a run.
#[derive(Debug)]
pub(super) struct Report {
    /// Requests.
    pub requests: usize,
    /// Seconds for all of them.
    pub seconds: f64,
    /// Mean time of one inspection, in microseconds.
    pub micros: f64,
    /// Every source by name.
    pub sources: Vec<Source>,
    /// Over the sources that count.
    pub all: Overall,
    /// Without and for the sources that were kept apart, if there are any.
    pub split: Option<(Overall, Overall)>,
    /// Attacks by class.
    pub classes: BTreeMap<String, Tally>,
    /// Ordinary requests by tier.
    pub tiers: BTreeMap<String, Tally>,
    /// Attacks by place of the payload, as the corpus says.
    pub places: BTreeMap<String, Tally>,
    /// False positives by place of the deciding finding.
    pub alarm_places: BTreeMap<String, u64>,
    /// What differs from a saved run.
    pub changes: Option<Changes>,
}

impl Report {
    /// Counts the outcomes of `run`.
    pub fn new(run: &Run, groups: Groups<'_>, changes: Option<Changes>) -> Self {
        let mut sources: BTreeMap<&str, Source> = BTreeMap::new();
        let mut report = Report {
            requests: run.outcomes.len(),
            seconds: run.took.as_secs_f64(),
            micros: run.outcomes.iter().map(|one| one.micros).sum::<f64>() / run.outcomes.len().max(1) as f64,
            sources: Vec::new(),
            all: Overall::default(),
            split: None,
            classes: BTreeMap::new(),
            tiers: BTreeMap::new(),
            places: BTreeMap::new(),
            alarm_places: BTreeMap::new(),
            changes,
        };
        for outcome in &run.outcomes {
            let source = sources.entry(&outcome.source).or_insert_with(|| Source {
                name: outcome.source.clone(),
                counted: !any_prefix(groups.uncounted, &outcome.source),
                held_out: any_prefix(groups.held_out, &outcome.source),
                both: Both::default(),
                tiers: Vec::new(),
            });
            source.both.add(outcome);
            if !outcome.is_attack() && !source.tiers.contains(&outcome.tier) {
                source.tiers.push(outcome.tier.clone());
            }
            if source.counted {
                report.count(outcome);
            }
        }
        report.sources = sources.into_values().collect();
        report.all = Overall::of(report.sources.iter());
        if report.sources.iter().any(|source| source.held_out) {
            let part = |held: bool| Overall::of(report.sources.iter().filter(|source| source.held_out == held));
            report.split = Some((part(false), part(true)));
        }
        report
    }

    fn count(&mut self, outcome: &Outcome) {
        if outcome.is_attack() {
            self.classes.entry(outcome.class.clone()).or_default().add(outcome.blocked);
            self.places.entry(outcome.place.clone()).or_default().add(outcome.blocked);
            return;
        }
        self.tiers.entry(outcome.tier.clone()).or_default().add(outcome.blocked);
        if outcome.blocked {
            let decided = outcome.findings.iter().find(|finding| finding.decisive);
            let place = decided.map_or("no finding: a limit or rule of the policy", |finding| finding.place.as_str());
            *self.alarm_places.entry(place.to_owned()).or_default() += 1;
        }
    }

    /// The report as JSON.
    pub fn json(&self, outcomes: &[Outcome], arguments: &Arguments) -> Value {
        let tallies = |groups: &BTreeMap<String, Tally>| -> Value {
            groups
                .iter()
                .map(|(name, tally)| (name.clone(), rate_json(*tally)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let overall = |overall: &Overall| {
            json!({
                "recall": rate_json(overall.micro.attacks), "false_positives": rate_json(overall.micro.benign),
                "macro_recall": overall.macro_recall, "macro_false_positives": overall.macro_false_positives,
                "balanced_accuracy": overall.balanced_accuracy,
            })
        };
        let source = |source: &Source| {
            json!({
                "source": source.name, "counted": source.counted, "held_out": source.held_out, "tiers": source.tiers,
                "recall": rate_json(source.both.attacks), "false_positives": rate_json(source.both.benign),
                "balanced_accuracy": source.both.balanced(),
            })
        };
        let mut value = json!({
            "requests": self.requests, "seconds": self.seconds, "microseconds_per_request": self.micros,
            "overall": overall(&self.all),
            "sources": self.sources.iter().map(source).collect::<Vec<_>>(),
            "classes": tallies(&self.classes), "tiers": tallies(&self.tiers), "places": tallies(&self.places),
            "false_positive_places": self.alarm_places,
        });
        if let Some((developed, held)) = &self.split {
            value["overall_without_held_out"] = overall(developed);
            value["overall_held_out"] = overall(held);
        }
        for (name, limit, attack) in [("misses", arguments.misses, true), ("false_alarms", arguments.alarms, false)] {
            if let Some(limit) = limit {
                value[name] = wrong(outcomes, attack).take(limit).map(wrong_json).collect();
            }
        }
        if let Some(changes) = &self.changes {
            value["changes"] = json!(changes);
        }
        value
    }
}

/// Requests with the wrong verdict: attacks that pass, or ordinary requests that are blocked.
pub(super) fn wrong(outcomes: &[Outcome], attack: bool) -> impl Iterator<Item = &Outcome> {
    outcomes.iter().filter(move |outcome| outcome.is_attack() == attack && !outcome.is_right())
}

fn rate_json(tally: Tally) -> Value {
    json!({"blocked": tally.blocked, "of": tally.of, "share": tally.share(), "interval": tally.interval()})
}

fn wrong_json(outcome: &Outcome) -> Value {
    let finding = |found: &super::outcome::Found| {
        json!({
            "attack": found.attack, "rule": found.rule, "point": found.point, "matched": found.matched,
            "confidence": found.confidence, "decisive": found.decisive,
        })
    };
    json!({
        "id": outcome.id, "source": outcome.source, "class": outcome.class, "request": outcome.request,
        "findings": outcome.findings.iter().map(finding).collect::<Vec<_>>(), "not_inspected": outcome.gaps,
    })
}
