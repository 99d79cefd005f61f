//! The report as tables for a terminal.

use super::Arguments;
use super::outcome::Outcome;
use super::rates::Tally;
use super::report::{Overall, Report, Source, wrong};
use std::fmt::Write as _;

/// Changed verdicts listed at most; JSON has all.
const MAX_CHANGES: usize = 200;
/// Findings shown for one request.
const MAX_FINDINGS: usize = 6;
/// Gaps shown for one request.
const MAX_GAPS: usize = 3;

/// A share in percent; a dash for none.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".into(), |share| format!("{:.2}", share * 100.0))
}

/// An interval in percent.
pub(super) fn interval(tally: Tally) -> String {
    tally.interval().map_or_else(String::new, |(low, high)| format!("{:.1}-{:.1}", low * 100.0, high * 100.0))
}

/// The whole report.
pub(super) fn render(report: &Report, outcomes: &[Outcome], arguments: &Arguments) -> String {
    let mut out = String::new();
    sources(&mut out, report);
    tallies(&mut out, "class", "attacks", "found", "recall %", report.classes.iter());
    tallies(&mut out, "place of payload", "attacks", "found", "recall %", report.places.iter());
    tallies(&mut out, "tier", "ordinary", "blocked", "false %", report.tiers.iter());
    if !report.alarm_places.is_empty() {
        let _ = writeln!(out, "\nplaces of false positives");
        for (place, count) in &report.alarm_places {
            let _ = writeln!(out, "{place:24} {count:>9}");
        }
    }
    overall(&mut out, report);
    if let Some(limit) = arguments.misses {
        explain(&mut out, "attacks that pass", outcomes, true, limit);
    }
    if let Some(limit) = arguments.alarms {
        explain(&mut out, "ordinary requests that are blocked", outcomes, false, limit);
    }
    changes(&mut out, report);
    let _ = writeln!(
        out,
        "\n{} requests in {:.1} s; one inspection takes {:.0} us",
        report.requests, report.seconds, report.micros
    );
    out
}

fn sources(out: &mut String, report: &Report) {
    let _ = writeln!(
        out,
        "{:24} {:>9} {:>9} {:>9} {:>11} {:>9} {:>9} {:>9} {:>11} {:>10}",
        "source", "attacks", "found", "recall %", "95 %", "ordinary", "blocked", "false %", "95 %", "balanced %"
    );
    for source @ Source { both, .. } in &report.sources {
        let columns = |tally: Tally| {
            if tally.of == 0 {
                return format!("{:>9} {:>9} {:>9} {:>11}", "-", "-", "-", "");
            }
            format!("{:>9} {:>9} {:>9} {:>11}", tally.of, tally.blocked, percent(tally.share()), interval(tally))
        };
        let balanced = both.balanced().map_or_else(String::new, |share| percent(Some(share)));
        let line = format!(
            "{:24} {} {} {balanced:>10}{}",
            source.name,
            columns(both.attacks),
            columns(both.benign),
            marks(source)
        );
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

fn marks(source: &Source) -> &'static str {
    match (source.counted, source.held_out) {
        (false, _) => "  not counted",
        (true, true) => "  held out",
        (true, false) => "",
    }
}

fn tallies<'a>(
    out: &mut String,
    what: &str,
    of: &str,
    blocked: &str,
    rate: &str,
    groups: impl Iterator<Item = (&'a String, &'a Tally)>,
) {
    let _ = writeln!(out, "\n{what:24} {of:>9} {blocked:>9} {rate:>9} {:>11}", "95 %");
    for (name, tally) in groups {
        let _ = writeln!(
            out,
            "{name:24} {:>9} {:>9} {:>9} {:>11}",
            tally.of,
            tally.blocked,
            percent(tally.share()),
            interval(*tally)
        );
    }
}

fn overall(out: &mut String, report: &Report) {
    let _ = writeln!(
        out,
        "\n{:24} {:>14} {:>11} {:>14} {:>13} {:>11} {:>13} {:>10}",
        "overall %", "recall: micro", "95 %", "macro", "false: micro", "95 %", "macro", "balanced"
    );
    let mut line = |name: &str, overall: &Overall| {
        let _ = writeln!(
            out,
            "{name:24} {:>14} {:>11} {:>14} {:>13} {:>11} {:>13} {:>10}",
            percent(overall.micro.attacks.share()),
            interval(overall.micro.attacks),
            percent(overall.macro_recall),
            percent(overall.micro.benign.share()),
            interval(overall.micro.benign),
            percent(overall.macro_false_positives),
            percent(overall.balanced_accuracy)
        );
    };
    line("all counted sources", &report.all);
    if let Some((developed, held)) = &report.split {
        line("without held-out sources", developed);
        line("held-out sources", held);
    }
}

fn explain(out: &mut String, what: &str, outcomes: &[Outcome], attack: bool, limit: usize) {
    let all = wrong(outcomes, attack).count();
    let _ = writeln!(out, "\n{what}: {all}{}", if all > limit { format!(", of which {limit}") } else { String::new() });
    for outcome in wrong(outcomes, attack).take(limit) {
        let _ = writeln!(out, "  {}  {}  {}", outcome.id, outcome.class, outcome.request);
        if outcome.findings.is_empty() {
            let _ = writeln!(out, "      no rule matched");
        }
        // What decided first.
        let (decided, weak): (Vec<_>, Vec<_>) = outcome.findings.iter().partition(|found| found.decisive);
        for found in decided.into_iter().chain(weak).take(MAX_FINDINGS) {
            let weight = if found.decisive { "decides" } else { found.confidence };
            let _ = writeln!(out, "      {} ({weight}) at {}: {}", found.rule, found.point, found.matched);
        }
        for gap in outcome.gaps.iter().take(MAX_GAPS) {
            let _ = writeln!(out, "      not inspected: {gap}");
        }
    }
}

fn changes(out: &mut String, report: &Report) {
    let Some(changes) = &report.changes else { return };
    let worse = changes.worse();
    let _ = writeln!(
        out,
        "\nagainst the saved run: {} verdicts are right now, {worse} are wrong now; {} requests are new, {} are gone",
        changes.changed.len() - worse,
        changes.new,
        changes.gone
    );
    for change in changes.changed.iter().take(MAX_CHANGES) {
        let _ = writeln!(
            out,
            "  {}  {:28} {:16} {}  {}",
            if change.better { "better" } else { "worse " },
            change.id,
            change.class,
            if change.blocked { "pass -> block" } else { "block -> pass" },
            change.rules.join(", ")
        );
    }
    if changes.changed.len() > MAX_CHANGES {
        let _ = writeln!(out, "  and {} more; --format json lists all", changes.changed.len() - MAX_CHANGES);
    }
}
