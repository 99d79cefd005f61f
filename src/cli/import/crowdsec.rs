//! AppSec rules of CrowdSec.

use super::model::{Collected, Entry, Link, Place, SourceFile, SourceRule, Target, Test};
use super::pcre;
use serde::Deserialize;
use weir_core::model::{AttackType, Confidence};
use weir_core::ruleset::CveEntry;

/// Most signatures that the alternatives of one rule become.
const MAX_ALTERNATIVES: usize = 32;
/// Deepest nesting of `and` and `or`.
const MAX_DEPTH: usize = 8;

#[derive(Deserialize)]
struct Document {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    rules: Vec<Node>,
    #[serde(default)]
    seclang_rules: Vec<String>,
    #[serde(default)]
    seclang_files_rules: Vec<String>,
    #[serde(default)]
    labels: Labels,
}

#[derive(Default, Deserialize)]
struct Labels {
    #[serde(default)]
    classification: Vec<String>,
}

#[derive(Clone, Default, Deserialize)]
struct Node {
    #[serde(default)]
    and: Vec<Node>,
    #[serde(default)]
    or: Vec<Node>,
    #[serde(default)]
    zones: Vec<String>,
    #[serde(default)]
    variables: Vec<String>,
    #[serde(default)]
    transform: Vec<String>,
    #[serde(default, rename = "match")]
    test: Option<Match>,
}

#[derive(Clone, Deserialize)]
struct Match {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    value: serde_json::Value,
    #[serde(default)]
    not: bool,
}

/// Reads the rules of `files`.
pub(super) fn read(files: &[SourceFile], default: AttackType) -> Collected {
    let mut collected = Collected::default();
    for (order, file) in files.iter().enumerate() {
        let place = Place { order, file: file.path.display().to_string(), line: 1 };
        match serde_saphyr::from_str::<Document>(&file.text) {
            Ok(document) => read_document(&document, &place, &file.text, default, &mut collected),
            Err(error) => {
                let said = error.to_string();
                let said = said.lines().next().unwrap_or_default();
                let reason = format!("not an AppSec rule: {}", said.strip_prefix("error: ").unwrap_or(said));
                collected.entries.push(Entry::refused(&place, &place.file, reason));
            }
        }
    }
    collected
}

fn read_document(document: &Document, place: &Place, text: &str, default: AttackType, collected: &mut Collected) {
    let mut refuse = |reason: &str| collected.entries.push(Entry::refused(place, &document.name, reason));
    if !document.seclang_rules.is_empty() || !document.seclang_files_rules.is_empty() {
        refuse("it holds SecRules: import them with `weir import seclang`");
        return;
    }
    if document.rules.is_empty() {
        refuse("it has no rules");
        return;
    }
    let cve: Vec<String> = document.labels.classification.iter().filter_map(|label| cve_number(label)).collect();
    let attack = if cve.is_empty() { class(&document.name).unwrap_or(default) } else { AttackType::KnownExploit };
    let lines = rule_lines(text);
    let short = document.name.rsplit('/').next().unwrap_or(&document.name);
    for (number, node) in document.rules.iter().enumerate() {
        let place = Place { line: lines.get(number).copied().unwrap_or(1), ..place.clone() };
        let several = document.rules.len() > 1;
        let name = if several { format!("{short}-{}", number + 1) } else { short.to_owned() };
        let alternatives = match alternatives(node, 0) {
            Ok(alternatives) => alternatives,
            Err(reason) => {
                collected.entries.push(Entry::refused(&place, &name, reason));
                continue;
            }
        };
        // All or nothing: a part of the alternatives would be another rule.
        let made: Result<Vec<SourceRule>, String> = alternatives
            .iter()
            .map(|nodes| {
                let mut notes = Vec::new();
                let links = nodes.iter().map(|node| link(node, &mut notes)).collect::<Result<Vec<_>, _>>()?;
                let rule = SourceRule {
                    place: place.clone(),
                    name: name.clone(),
                    about: document.description.clone(),
                    attack,
                    confidence: Confidence::High,
                    cve: cve.clone(),
                    links,
                    notes,
                    left_out: Vec::new(),
                };
                super::compile::compile(&rule).map(|_| rule)
            })
            .collect();
        match made {
            Ok(rules) => collected.rules.extend(rules),
            Err(reason) => collected.entries.push(Entry::refused(&place, &name, reason)),
        }
    }
}

/// Lines on which the items of `rules:` begin.
fn rule_lines(text: &str) -> Vec<usize> {
    let mut lines = text.lines().enumerate().skip_while(|(_, line)| !line.starts_with("rules:")).skip(1).peekable();
    let indent = lines.peek().map_or(0, |(_, line)| line.len() - line.trim_start().len());
    lines
        .take_while(|(_, line)| line.starts_with([' ', '-', '#']) || line.trim().is_empty())
        .filter(|(_, line)| line.len() > indent && line[..indent].trim().is_empty() && line[indent..].starts_with('-'))
        .map(|(at, _)| at + 1)
        .collect()
}

fn cve_number(label: &str) -> Option<String> {
    let number = label.strip_prefix("cve.")?.to_ascii_uppercase();
    CveEntry::is_cve(&number).then_some(number)
}

/// The class of attacks that the name of a rule says it is against.
fn class(name: &str) -> Option<AttackType> {
    let words: Vec<&str> = name.split(['-', '_', '/', '.']).collect();
    let has = |word: &str| words.iter().any(|one| one.eq_ignore_ascii_case(word));
    let known = [
        ("sqli", AttackType::Sqli),
        ("xss", AttackType::Xss),
        ("rce", AttackType::Rce),
        ("lfi", AttackType::Ptrav),
        ("traversal", AttackType::Ptrav),
        ("ssrf", AttackType::Ssrf),
        ("xxe", AttackType::Xxe),
        ("upload", AttackType::FileUploadViolation),
        ("env", AttackType::Scanner),
        ("git", AttackType::Scanner),
    ];
    known.into_iter().find(|(word, _)| has(word)).map(|(_, attack)| attack)
}

/// The alternatives of a node, each a list of conditions that must all be true.
fn alternatives(node: &Node, depth: usize) -> Result<Vec<Vec<Node>>, String> {
    if depth > MAX_DEPTH {
        return Err("its conditions are nested too deeply".into());
    }
    let mut all = vec![Vec::new()];
    if node.test.is_some() {
        all[0].push(Node { and: Vec::new(), or: Vec::new(), ..node.clone() });
    }
    for part in &node.and {
        let more = alternatives(part, depth + 1)?;
        all = all.iter().flat_map(|left| more.iter().map(|right| [left.clone(), right.clone()].concat())).collect();
        bounded(&all)?;
    }
    if !node.or.is_empty() {
        let mut any = Vec::new();
        for part in &node.or {
            any.extend(alternatives(part, depth + 1)?);
            bounded(&any)?;
        }
        all = all.iter().flat_map(|left| any.iter().map(|right| [left.clone(), right.clone()].concat())).collect();
        bounded(&all)?;
    }
    if all.iter().any(Vec::is_empty) {
        return Err("one of its conditions is empty".into());
    }
    Ok(all)
}

fn bounded(all: &[Vec<Node>]) -> Result<(), String> {
    if all.len() > MAX_ALTERNATIVES {
        return Err(format!("it has more than {MAX_ALTERNATIVES} alternatives"));
    }
    Ok(())
}

fn link(node: &Node, notes: &mut Vec<String>) -> Result<Link, String> {
    let Some(test) = &node.test else { return Err("one of its conditions is empty".into()) };
    let mut targets = Vec::new();
    for zone in &node.zones {
        if node.variables.is_empty() {
            targets.push(target(zone, None)?);
        }
        for name in &node.variables {
            targets.push(target(zone, Some(name.clone()))?);
        }
    }
    if targets.is_empty() {
        return Err("a condition names no zone".into());
    }
    let mut ignores_case = false;
    let mut views = Vec::new();
    for name in &node.transform {
        match name.as_str() {
            "lowercase" | "uppercase" => ignores_case = true,
            "urldecode" | "trim" | "b64decode" | "htmlentitydecode" | "html_entity_decode" => {}
            "normalizepath" | "normalize_path" => views.push("path"),
            other => return Err(format!("the transformation {other} has no counterpart")),
        }
    }
    let value = match &test.value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    };
    let literal = |before: &str, after: &str| format!("(?s){before}{}{after}", pcre::escape_text(&value));
    let (pattern, case_sensitive) = match test.kind.as_str() {
        "equals" => (literal("^", "$"), true),
        "contains" => (literal("", ""), true),
        "startsWith" => (literal("^", ""), true),
        "endsWith" => (literal("", "$"), true),
        "regex" => {
            let translated = pcre::translate(&value)?;
            notes.extend(translated.notes);
            (translated.pattern, !translated.ignores_case)
        }
        "libinjectionSQL" => return Err("weir looks for SQL by its own detector, sqli.grammar".into()),
        "libinjectionXSS" => return Err("weir looks for script by its own detector, xss.grammar".into()),
        other => return Err(format!("the comparison {other} has no counterpart")),
    };
    let test_of = Test::Regex { pattern, case_sensitive: case_sensitive && !ignores_case };
    Ok(Link { targets, negated: test.not, test: test_of, views })
}

fn target(zone: &str, name: Option<String>) -> Result<Target, String> {
    Ok(match (zone, name) {
        ("ARGS", name) => Target::Query(name),
        ("BODY_ARGS", name) => Target::Body(name),
        ("ARGS_NAMES" | "BODY_ARGS_NAMES", None) => Target::ArgNames,
        ("COOKIES", name) => Target::Cookies(name),
        ("COOKIES_NAMES", None) => Target::CookieNames,
        ("HEADERS", name) => Target::Headers(name),
        ("METHOD", None) => Target::Method,
        ("URI", None) => Target::Path,
        ("URI_FULL", None) => Target::Uri,
        ("RAW_BODY", None) => Target::RawBody,
        ("FILENAMES" | "FILES_NAMES", None) => Target::FileNames,
        ("FILES", None) => Target::Files,
        (zone, Some(_)) => return Err(format!("the zone {zone} has no names")),
        (zone, None) => return Err(format!("the zone {zone} has no counterpart")),
    })
}
