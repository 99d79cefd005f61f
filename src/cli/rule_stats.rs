//! `weir rules stats`: hits and false alarms of each rule in runs of `weir eval`.

use super::error::CliError;
use super::eval::{Outcome, read_run};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use weir_core::detect;
use weir_core::ruleset::Ruleset;

/// Which runs and rules.
#[derive(Debug, clap::Args)]
pub struct StatsArguments {
    /// Runs that `weir eval --save` wrote.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Only rules whose name or attack type starts so.
    #[arg(long, value_name = "PREFIX")]
    pub only: Option<String>,
    /// Also list rules without any hit: the built-in ones and those of further directories.
    #[arg(long)]
    pub unused: bool,
    /// Directory of further rule files; may be given several times.
    #[arg(long = "rules", value_name = "DIR", requires = "unused")]
    pub rules: Vec<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What one rule did in requests. Each request counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct RuleStats {
    /// Attacks in which it matched.
    pub hits: u64,
    /// Attacks in which its finding decided.
    pub decided: u64,
    /// Attacks in which nothing else decided: without the rule they pass.
    pub alone: u64,
    /// Ordinary requests that are blocked and in which its finding decided.
    pub false_alarms: u64,
    /// Ordinary requests in which it matched without deciding.
    pub weak_false_alarms: u64,
}

/// The table of all rules with a hit, those with most false alarms first.
pub(super) fn table(arguments: &StatsArguments, rules: &Ruleset) -> Result<String, CliError> {
    let mut stats: BTreeMap<String, RuleStats> = BTreeMap::new();
    if arguments.unused {
        let names = rules.signatures.iter().map(|s| s.id.to_string());
        stats.extend(names.chain(detect::TABLE.iter().map(|d| d.name.to_owned())).map(|n| (n, RuleStats::default())));
    }
    for run in &arguments.runs {
        for outcome in read_run(run)? {
            count(&mut stats, &outcome);
        }
    }
    if let Some(prefix) = &arguments.only {
        stats.retain(|name, _| name.starts_with(prefix.as_str()));
    }
    let mut sorted: Vec<(String, RuleStats)> = stats.into_iter().collect();
    sorted.sort_by_key(|(_, one)| std::cmp::Reverse((one.false_alarms, one.hits)));
    if arguments.json {
        let list = |(rule, one): &(String, RuleStats)| {
            let mut value = serde_json::to_value(one).expect("plain data");
            value["rule"] = rule.as_str().into();
            value
        };
        return Ok(format!("{}\n", serde_json::Value::from(sorted.iter().map(list).collect::<Vec<_>>())));
    }
    let mut out = format!(
        "{:40} {:>8} {:>8} {:>8} {:>12} {:>12}\n",
        "rule", "hits", "decided", "alone", "false alarms", "weak, benign"
    );
    for (rule, RuleStats { hits, decided, alone, false_alarms, weak_false_alarms }) in sorted {
        let _ = writeln!(out, "{rule:40} {hits:>8} {decided:>8} {alone:>8} {false_alarms:>12} {weak_false_alarms:>12}");
    }
    Ok(out)
}

fn count(stats: &mut BTreeMap<String, RuleStats>, outcome: &Outcome) {
    let deciding: HashSet<&str> = outcome.deciding_rules().into_iter().collect();
    let matched: HashSet<&str> = outcome.findings.iter().map(|found| found.rule.as_str()).collect();
    for rule in matched {
        let one = stats.entry(rule.to_owned()).or_default();
        let decided = outcome.blocked && deciding.contains(rule);
        match outcome.is_attack() {
            true => {
                one.hits += 1;
                one.decided += u64::from(decided);
                one.alone += u64::from(decided && deciding.len() == 1);
            }
            false if decided => one.false_alarms += 1,
            false => one.weak_false_alarms += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(class: &str, blocked: bool, rules: &[(&str, bool)]) -> Outcome {
        let finding = |(rule, decisive): &(&str, bool)| serde_json::json!({"attack": "sqli", "rule": rule, "decisive": decisive, "point": "[get,'a']", "place": "query"});
        let findings: Vec<_> = rules.iter().map(finding).collect();
        serde_json::from_value(serde_json::json!({
            "id": "1", "source": "s", "class": class, "tier": "-", "place": "-", "blocked": blocked, "findings": findings,
        }))
        .unwrap()
    }

    #[test]
    fn each_request_counts_once_for_a_rule() {
        let mut stats = BTreeMap::new();
        count(&mut stats, &outcome("sqli", true, &[("sqli.a", true), ("sqli.a", true), ("sqli.b", false)]));
        count(&mut stats, &outcome("sqli", true, &[("sqli.a", true), ("sqli.b", true)]));
        count(&mut stats, &outcome("benign", true, &[("sqli.a", true), ("sqli.b", false)]));
        count(&mut stats, &outcome("benign", false, &[("sqli.b", false)]));
        let a = RuleStats { hits: 2, decided: 2, alone: 1, false_alarms: 1, weak_false_alarms: 0 };
        let b = RuleStats { hits: 2, decided: 1, alone: 0, false_alarms: 0, weak_false_alarms: 2 };
        assert_eq!((stats["sqli.a"], stats["sqli.b"]), (a, b));
    }
}
