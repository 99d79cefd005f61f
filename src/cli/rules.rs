//! `weir rules`: list, explain, check and test signatures and detectors.

use super::catalogue::{self, confidence};
use super::cve_index::{self, CveSelection};
use super::error::CliError;
use super::rule_loading::load;
use super::rule_stats::{self, StatsArguments};
use super::{EXIT_FAILED, EXIT_USAGE};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use weir_core::detect::{self, Samples};
use weir_core::engine::proof::deciding_rules;
use weir_core::model::bytes::printable;
use weir_core::ruleset::{Ruleset, Signature, similar_name};

/// Longest sample shown, in bytes.
const MAX_SAMPLE: usize = 200;

/// Exit codes, for the help.
const EXIT_CODES: &str = "Exit codes:
  0  done, and nothing is wrong
  1  a rule is wrong or fails, or no rule has this name
  2  the command line is wrong, or rules cannot be read";

/// What to do with the rules.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    #[command(after_help = EXIT_CODES)]
    /// List every signature and detector, or the known vulnerabilities whose exploits they block.
    List {
        /// Which rules.
        #[command(flatten)]
        selection: Selection,
        /// Which vulnerabilities.
        #[command(flatten)]
        vulnerabilities: CveSelection,
    },
    #[command(after_help = EXIT_CODES)]
    /// Show one rule: what it means, where it looks, its pattern and samples.
    Explain {
        /// Rule name, e.g. `ptrav.etc-passwd`.
        id: String,
        /// Which rules it is looked up in.
        #[command(flatten)]
        selection: Selection,
    },
    #[command(after_help = EXIT_CODES)]
    /// Compile rule files and report every mistake with line and column.
    Check {
        /// Files or directories; the built-in rules are checked along with them.
        paths: Vec<PathBuf>,
    },
    #[command(after_help = EXIT_CODES)]
    /// Run the positive and negative samples of every rule, and the exploit of every known vulnerability.
    Test(Selection),
    #[command(after_help = EXIT_CODES)]
    /// Show for each rule how many attacks it finds and how many ordinary requests it blocks, in runs of `weir eval`.
    Stats(StatsArguments),
}

/// Which rules.
#[derive(Debug, clap::Args)]
pub struct Selection {
    /// Directory of further rule files; may be given several times.
    #[arg(long = "rules", value_name = "DIR")]
    pub directories: Vec<PathBuf>,
    /// Only rules whose name or attack type starts so.
    #[arg(long, value_name = "PREFIX")]
    pub only: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(command: &Command) -> ExitCode {
    let outcome = match command {
        Command::List { selection, vulnerabilities } => {
            load(&selection.directories).map(|rules| match &vulnerabilities.cve {
                None if vulnerabilities.markdown => (catalogue::markdown(&rules), 0),
                None => list(&rules, selection),
                Some(_) if vulnerabilities.markdown => (cve_index::markdown(&rules), 0),
                Some(cve) => cve_index::list(&rules, cve, selection.json),
            })
        }
        Command::Explain { id, selection } => {
            load(&selection.directories).map(|rules| explain(&rules, id, selection.json))
        }
        Command::Check { paths } => load(paths).map(|rules| check(&rules)),
        Command::Test(selection) => load(&selection.directories).map(|rules| test(&rules, selection)),
        Command::Stats(arguments) => load(&arguments.rules).map(|rules| stats(&rules, arguments)),
    };
    match outcome {
        Ok((text, code)) => {
            // A closed pipe (`weir rules list | head`) is no failure.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::from(code)
        }
        Err(errors) => {
            let (count, unreadable) = (errors.len(), errors.iter().any(|error| error.line == 0));
            super::report(&CliError::Rules(errors));
            eprintln!("{count} mistake{} in the rules", if count == 1 { "" } else { "s" });
            // To find mistakes is what `check` is for.
            let checked = matches!(command, Command::Check { .. }) && !unreadable;
            ExitCode::from(if checked { EXIT_FAILED } else { EXIT_USAGE })
        }
    }
}

type Printed = (String, u8);

fn stats(rules: &Ruleset, arguments: &StatsArguments) -> Printed {
    match rule_stats::table(arguments, rules) {
        Ok(text) => (text, 0),
        Err(error) => {
            eprintln!("error: {error}");
            (String::new(), 2)
        }
    }
}

fn chosen(name: &str, attack: &str, selection: &Selection) -> bool {
    selection.only.as_deref().is_none_or(|prefix| name.starts_with(prefix) || attack == prefix)
}

fn list(rules: &Ruleset, selection: &Selection) -> Printed {
    let signatures = rules.signatures.iter().filter(|s| chosen(&s.id, s.attack.code(), selection));
    let detectors = detect::TABLE.iter().filter(|d| chosen(d.name, d.attack.code(), selection));
    if selection.json {
        let mut all: Vec<serde_json::Value> = signatures.map(signature_json).collect();
        all.extend(
            detectors
                .map(|d| serde_json::json!({"id": d.name, "attack": d.attack, "kind": "detector", "about": d.about})),
        );
        return (format!("{}\n", serde_json::to_string_pretty(&all).expect("plain data")), u8::from(all.is_empty()));
    }
    let mut out = String::new();
    for s in signatures {
        let about = s.doc.about.split_whitespace().collect::<Vec<_>>().join(" ");
        let about = first_sentence(&about);
        let unbounded = if s.pattern.is_bounded() { "" } else { " [unbounded]" };
        let _ = writeln!(out, "{:40} {:16} {:7} {about}{unbounded}", s.id, s.attack, confidence(s.confidence));
    }
    for d in detectors {
        let _ = writeln!(out, "{:40} {:16} code    {}", d.name, d.attack, first_sentence(d.about));
    }
    if out.is_empty() { (no_match(rules, selection), 1) } else { (out, 0) }
}

/// What to say where no rule is chosen: the attack types that rules have, with which their names begin as well.
fn no_match(rules: &Ruleset, selection: &Selection) -> String {
    let known: BTreeSet<&str> =
        rules.signatures.iter().map(|s| s.attack.code()).chain(detect::TABLE.iter().map(|d| d.attack.code())).collect();
    let known: Vec<&str> = known.into_iter().collect();
    let asked = selection.only.as_deref().unwrap_or_default();
    format!(
        "no rule matches `--only {asked}`: write an attack type ({}) or the beginning of a rule's name, e.g. `ptrav.etc`\n",
        known.join(", ")
    )
}

fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.')
}

fn signature_json(signature: &Signature) -> serde_json::Value {
    let doc = &signature.doc;
    let mut value = serde_json::to_value(&**doc).expect("plain data");
    // How far from its literal a match is followed in a long value, and whether a match may be longer.
    value["reach"] = signature.pattern.reach().into();
    value["unbounded"] = (!signature.pattern.is_bounded()).into();
    value["kind"] = "signature".into();
    value["cwe"] = doc.cwe.unwrap_or(doc.attack.cwe()).into();
    value["owasp"] = doc.owasp.as_deref().unwrap_or(doc.attack.owasp()).into();
    value
}

fn explain(rules: &Ruleset, id: &str, json: bool) -> Printed {
    if let Some(signature) = rules.get(id) {
        return if json {
            (format!("{}\n", serde_json::to_string_pretty(&signature_json(signature)).expect("plain data")), 0)
        } else {
            (signature_text(signature), 0)
        };
    }
    if let Some(detector) = detect::TABLE.iter().find(|d| d.name == id) {
        let mut out = format!(
            "{}\n\n{}\n\nattack    {} ({})\nCWE       CWE-{}\nOWASP     {}\nkind      detector: code that knows the grammar\n",
            detector.name,
            detector.about,
            detector.attack,
            detector.attack.name(),
            detector.attack.cwe(),
            detector.attack.owasp()
        );
        samples(&mut out, detector.samples.positive.iter().copied(), detector.samples.negative.iter().copied());
        return (out, 0);
    }
    let near = nearest(id, rules);
    (format!("no rule is called `{id}`{near} `weir rules list` shows all\n"), 1)
}

fn nearest(id: &str, rules: &Ruleset) -> String {
    let names = || rules.signatures.iter().map(|s| &*s.id).chain(detect::TABLE.iter().map(|d| d.name));
    let part = id.rsplit('.').next().unwrap_or(id);
    let found: Vec<&str> = names().filter(|name| name.contains(part)).take(3).collect();
    let found = if found.is_empty() { similar_name(id, names()).into_iter().collect() } else { found };
    if found.is_empty() { ";".into() } else { format!("; did you mean {}?", found.join(", ")) }
}

fn signature_text(signature: &Signature) -> String {
    let doc = &signature.doc;
    let about = doc.about.split_whitespace().collect::<Vec<_>>().join(" ");
    let zones = if doc.zones.is_empty() { "parameters".into() } else { doc.zones.join(", ") };
    let views = if doc.views.is_empty() { "plain".into() } else { doc.views.join(", ") };
    let mut out = format!(
        "{}\n\n{about}\n\nattack      {} ({})\nCWE         CWE-{}\nOWASP       {}\nconfidence  {}\nzones       {zones}\nviews       {views}\npattern     {}\n",
        doc.id,
        doc.attack,
        doc.attack.name(),
        doc.cwe.unwrap_or(doc.attack.cwe()),
        doc.owasp.as_deref().unwrap_or(doc.attack.owasp()),
        confidence(doc.confidence),
        doc.pattern
    );
    let longer = if signature.pattern.is_bounded() { "" } else { "; a match may be longer (unbounded pattern)" };
    let _ = writeln!(out, "reach       {} bytes around a literal{longer}", signature.pattern.reach());
    for condition in &doc.conditions {
        let _ = writeln!(
            out,
            "where       {}{}: {}",
            if condition.negated { "not " } else { "" },
            condition.part,
            condition.pattern
        );
    }
    for (name, values) in [("CVE", &doc.cve), ("reference", &doc.references)] {
        values.iter().for_each(|value| {
            let _ = writeln!(out, "{name:11} {value}");
        });
    }
    samples(&mut out, doc.positive.iter().map(String::as_str), doc.negative.iter().map(String::as_str));
    out
}

fn samples<'s>(out: &mut String, positive: impl Iterator<Item = &'s str>, negative: impl Iterator<Item = &'s str>) {
    out.push_str("\nmatches\n");
    let line = |sample: &str| format!("  {}\n", printable(sample.as_bytes(), MAX_SAMPLE));
    positive.for_each(|sample| out.push_str(&line(sample)));
    out.push_str("does not match\n");
    negative.for_each(|sample| out.push_str(&line(sample)));
}

fn check(rules: &Ruleset) -> Printed {
    (format!("{} signatures and {} detectors are well-formed\n", rules.signatures.len(), detect::TABLE.len()), 0)
}

fn test(rules: &Ruleset, selection: &Selection) -> Printed {
    let mut out = String::new();
    let (mut ran, mut failed) = (0, 0);
    let mut judge = |name: &str, sample: &str, want: bool, got: bool| {
        ran += 1;
        if want != got {
            failed += 1;
            let verb = if want { "misses its positive" } else { "matches its negative" };
            let _ = writeln!(out, "{name} {verb} sample: {}", printable(sample.as_bytes(), MAX_SAMPLE));
        }
    };
    for signature in rules.signatures.iter().filter(|s| chosen(&s.id, s.attack.code(), selection)) {
        let hit = |sample: &str| detect::signature::matches(signature, sample.as_bytes());
        signature.doc.positive.iter().for_each(|sample| judge(&signature.id, sample, true, hit(sample)));
        signature.doc.negative.iter().for_each(|sample| judge(&signature.id, sample, false, hit(sample)));
    }
    for detector in detect::TABLE.iter().filter(|d| chosen(d.name, d.attack.code(), selection)) {
        let Samples { positive, negative } = detector.samples;
        positive.iter().for_each(|sample| judge(detector.name, sample, true, detector.matches(sample.as_bytes())));
        negative.iter().for_each(|sample| judge(detector.name, sample, false, detector.matches(sample.as_bytes())));
    }
    for entry in rules.cve_index.iter().filter(|entry| selection.only.is_none() || chosen(&entry.by, "", selection)) {
        let blocked = deciding_rules(entry, rules).contains(&entry.by);
        judge(&entry.by, &format!("{} of {}", entry.cve, entry.product), true, blocked);
    }
    if ran == 0 {
        return (no_match(rules, selection), 1);
    }
    let _ = writeln!(out, "{} passed, {failed} failed", ran - failed);
    (out, u8::from(failed > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matches_no_rule_is_an_error_that_names_what_there_is() {
        let rules = load(&[]).unwrap();
        let select = |only: &str, json| Selection { directories: Vec::new(), only: Some(only.into()), json };
        for (text, code) in [list(&rules, &select("zzz", false)), test(&rules, &select("zzz", false))] {
            assert_eq!(code, 1);
            assert!(text.contains("`--only zzz`") && text.contains("sqli, ") && text.contains("xss"), "{text}");
        }
        let example = clap::Command::new("rules");
        let help = <Command as clap::Subcommand>::augment_subcommands(example).render_long_help().to_string();
        assert!(help.contains("explain") && rules.get("ptrav.etc-passwd").is_some(), "the example of the help exists");
        assert_eq!(list(&rules, &select("ptrav.etc", false)).1, 0);
        assert_eq!(list(&rules, &select("zzz", true)), ("[]\n".to_owned(), 1));
        assert_eq!(list(&rules, &select("sqli", false)).1, 0);
    }
}
