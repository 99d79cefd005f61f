//! `weir rules list --markdown`: the page that lists every signature and detector.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use weir_core::detect;
use weir_core::model::{AttackType, Confidence, Zone};
use weir_core::ruleset::Ruleset;
use weir_core::ruleset::format::SignatureDoc;

const HEAD: &str = "# Catalogue of rules

<!-- Made by `weir rules list --markdown > docs/rules.md`; a test keeps it up to date. -->

Every built-in signature and detector. [detection.md](detection.md) says what each class covers and what it does not;
[rules/README.md](../rules/README.md) describes how to write a signature, and `weir rules explain NAME` shows pattern and samples of one.

A rule of confidence `high` makes a request an attack; so do two of `medium` or three of `low` with the same class on one value. A
detector (`code`) decides on its confidence for each value. Places are the zones in which a rule looks: `parameters` stands for path,
query, cookie, body, names of parameters and file names. Samples are the texts that it must and must not match; tests run all of them.
Rules of the class `cve` are virtual patches; [cve.md](cve.md) lists the vulnerabilities.

";

/// A line of the catalogue.
struct Line {
    name: String,
    about: String,
    zones: Zone,
    confidence: &'static str,
    references: String,
    samples: usize,
}

/// The page, in Markdown.
pub fn markdown(rules: &Ruleset) -> String {
    let mut classes: BTreeMap<AttackType, Vec<Line>> = BTreeMap::new();
    for signature in &rules.signatures {
        let doc = &signature.doc;
        classes.entry(signature.attack).or_default().push(Line {
            name: signature.id.to_string(),
            about: doc.about.split_whitespace().collect::<Vec<_>>().join(" "),
            zones: signature.zones,
            confidence: confidence(signature.confidence),
            references: references(doc),
            samples: doc.positive.len() + doc.negative.len(),
        });
    }
    for detector in detect::TABLE {
        classes.entry(detector.attack).or_default().push(Line {
            name: detector.name.into(),
            about: detector.about.split_whitespace().collect::<Vec<_>>().join(" "),
            zones: detector.zones,
            confidence: "code",
            references: format!("CWE-{}", detector.attack.cwe()),
            samples: detector.samples.positive.len() + detector.samples.negative.len(),
        });
    }
    let mut out = HEAD.to_owned();
    summary(&mut out, &classes);
    for (attack, lines) in &mut classes {
        lines.sort_by(|a, b| a.name.cmp(&b.name));
        let _ = writeln!(
            out,
            "\n## {}: {}\n\n{}\n\n| rule | detects | places | confidence | references | samples |\n|---|---|---|---|---|--:|",
            attack.code(),
            attack.name(),
            owasp(*attack)
        );
        for Line { name, about, zones, confidence, references, samples } in lines {
            let about = cell(about);
            let _ = writeln!(
                out,
                "| `{name}` | {about} | {} | {confidence} | {references} | {samples} |",
                zone_names(*zones)
            );
        }
    }
    out
}

/// How many rules of each class look in each zone.
fn summary(out: &mut String, classes: &BTreeMap<AttackType, Vec<Line>>) {
    let zones: Vec<(&str, Zone)> = Zone::NAMED.iter().map(|(name, zone)| (*name, *zone)).collect();
    let names: Vec<String> = zones.iter().map(|(name, _)| name.replace('_', " ")).collect();
    let _ = writeln!(out, "## Rules by class and place\n\n| class | rules | {} |", names.join(" | "));
    let _ = writeln!(out, "|---|--:|{}", "--:|".repeat(zones.len()));
    for (attack, lines) in classes {
        let counts: Vec<String> = zones
            .iter()
            .map(|(_, zone)| match lines.iter().filter(|line| line.zones.intersects(*zone)).count() {
                0 => String::new(),
                count => count.to_string(),
            })
            .collect();
        let _ = writeln!(out, "| {} | {} | {} |", attack.code(), lines.len(), counts.join(" | "));
    }
}

fn owasp(attack: AttackType) -> String {
    format!("CWE-{}, OWASP {}.", attack.cwe(), attack.owasp())
}

/// CWE, vulnerabilities and public descriptions of a signature.
fn references(doc: &SignatureDoc) -> String {
    let mut all = vec![format!("CWE-{}", doc.cwe.unwrap_or(doc.attack.cwe()))];
    all.extend(doc.cve.iter().cloned());
    all.extend(doc.references.iter().map(|address| {
        let host = address.trim_start_matches("https://").split('/').next().unwrap_or_default();
        format!("[{host}]({address})")
    }));
    all.join(", ")
}

/// Names of zones; the parameters together.
fn zone_names(zones: Zone) -> String {
    let whole = zones.contains(Zone::PARAMETERS);
    let rest = Zone::NAMED
        .iter()
        .filter(|(_, zone)| zones.intersects(*zone) && !(whole && Zone::PARAMETERS.intersects(*zone)));
    let names = whole.then_some("parameters").into_iter().chain(rest.map(|(name, _)| *name));
    names.collect::<Vec<_>>().join(", ").replace('_', " ")
}

/// Text in a cell of a table: nothing in it may be markup.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '|' | '<' | '>' | '*' | '_' | '`' | '[' | ']' | '\\' | '#') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Name of a confidence, as in rule files.
pub(super) fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Low => "low",
        Confidence::Medium => "medium",
        Confidence::High => "high",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_core::ruleset::builtin;
    use weir_core::ruleset::compile::compile;

    /// `weir rules list --markdown > docs/rules.md` makes it fresh, and so does this test with `WEIR_UPDATE_DOCS=1`.
    #[test]
    fn the_catalogue_of_rules_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rules.md");
        let rules = compile(&builtin::files()).unwrap();
        let fresh = markdown(&rules);
        if std::env::var_os("WEIR_UPDATE_DOCS").is_some() {
            std::fs::write(path, &fresh).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(page == fresh, "docs/rules.md is stale: run `WEIR_UPDATE_DOCS=1 cargo test --lib catalogue_of_rules`");
    }

    #[test]
    fn every_rule_has_a_line_and_every_class_a_section_of_the_page_on_detection() {
        let rules = compile(&builtin::files()).unwrap();
        let page = markdown(&rules);
        let detection = include_str!("../../docs/detection.md");
        for name in rules.signatures.iter().map(|s| &*s.id).chain(detect::TABLE.iter().map(|d| d.name)) {
            assert_eq!(page.matches(&format!("\n| `{name}` |")).count(), 1, "{name}");
        }
        let attacks = rules.signatures.iter().map(|s| s.attack).chain(detect::TABLE.iter().map(|d| d.attack));
        for attack in attacks {
            assert!(detection.contains(&format!("\n### `{}`", attack.code())), "docs/detection.md lacks {attack}");
        }
    }

    #[test]
    fn text_in_a_cell_is_no_markup() {
        assert_eq!(cell("a|b <c> `d`"), "a\\|b \\<c\\> \\`d\\`");
        assert_eq!(zone_names(Zone::PARAMETERS.with(Zone::HEADER)), "parameters, header");
        assert_eq!(zone_names(Zone::QUERY.with(Zone::RESPONSE_BODY)), "query, response body");
    }
}
