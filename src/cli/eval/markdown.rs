//! The report as the page `docs/scorecard.md`.

use super::rates::Tally;
use super::report::{Overall, Report, Source};
use super::text::{interval, percent};
use std::fmt::Write as _;

const HEAD: &str = "# Scorecard

<!-- Made by `weir eval DIR --format markdown > docs/scorecard.md`; see docs/evaluation.md. -->

What the built-in rules find and what they block wrongly, in percent, on the corpora that developers of weir measure with. **These are
development sets**: rules were written while looking at their results, so that unknown traffic gives lower recall. The best estimate of
that is the column of sources that were held out, where there is one, and your own traffic (`weir eval` takes it in the form that
[evaluation.md](evaluation.md) describes). The corpora are made of public material with licences of its own and are not part of the
project.

";

/// The page.
pub(super) fn render(report: &Report) -> String {
    let mut out = HEAD.to_owned();
    let _ = writeln!(out, "{} requests. Intervals are those of Wilson for 95 %.\n", report.requests);
    overall(&mut out, report);
    out.push_str(
        "\n## By source\n\n| source | attacks | recall | interval | ordinary | tier | false positives | interval | |\n",
    );
    out.push_str("|---|--:|--:|--:|--:|---|--:|--:|---|\n");
    for source in &report.sources {
        source_line(&mut out, source);
    }
    tallies(&mut out, "By class", "class | attacks | recall", report.classes.iter());
    tallies(&mut out, "By place of the payload", "place | attacks | recall", report.places.iter());
    tallies(&mut out, "Ordinary requests by tier", "tier | requests | false positives", report.tiers.iter());
    out
}

fn overall(out: &mut String, report: &Report) {
    let mut columns: Vec<(&str, &Overall)> = vec![("all", &report.all)];
    if let Some((developed, held)) = &report.split {
        columns.extend([("developed on", developed), ("held out", held)]);
    }
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let _ = writeln!(out, "| | {} |\n|---|{}", names.join(" | "), "--:|".repeat(names.len()));
    let mut line = |name: &str, value: &dyn Fn(&Overall) -> String| {
        let values: Vec<String> = columns.iter().map(|(_, overall)| value(overall)).collect();
        let _ = writeln!(out, "| {name} | {} |", values.join(" | "));
    };
    let with_interval = |tally: Tally| format!("{} ({})", percent(tally.share()), interval(tally));
    line("recall, all requests alike (micro)", &|o| with_interval(o.micro.attacks));
    line("recall, mean of the sources (macro)", &|o| percent(o.macro_recall));
    line("false positives, all requests alike (micro)", &|o| with_interval(o.micro.benign));
    line("false positives, mean of the sources (macro)", &|o| percent(o.macro_false_positives));
    line("balanced accuracy, of the means", &|o| percent(o.balanced_accuracy));
}

fn source_line(out: &mut String, source: &Source) {
    let cell = |tally: Tally| match tally.of {
        0 => ["".to_owned(), String::new(), String::new()],
        of => [of.to_string(), percent(tally.share()), interval(tally)],
    };
    let [attacks, recall, recall_interval] = cell(source.both.attacks);
    let [benign, share, share_interval] = cell(source.both.benign);
    let mark = match (source.counted, source.held_out) {
        (false, _) => "not counted: its labels are loose",
        (true, true) => "held out",
        (true, false) => "",
    };
    let _ = writeln!(
        out,
        "| {} | {attacks} | {recall} | {recall_interval} | {benign} | {} | {share} | {share_interval} | {mark} |",
        source.name,
        source.tiers.join(", ")
    );
}

fn tallies<'a>(out: &mut String, title: &str, columns: &str, groups: impl Iterator<Item = (&'a String, &'a Tally)>) {
    let _ = writeln!(out, "\n## {title}\n\n| {columns} | interval |\n|---|--:|--:|--:|");
    for (name, tally) in groups {
        let name = if name == "-" { "not labelled" } else { name };
        let _ = writeln!(out, "| {name} | {} | {} | {} |", tally.of, percent(tally.share()), interval(*tally));
    }
}
