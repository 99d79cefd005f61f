//! Writes signatures and exceptions, each checked by the compiler of rule files first.

use super::compile::{self, Compiled, Condition};
use super::model::{Entry, Excepted, Exception, Fate, Link, Place, SourceRule, Target, Test};
use super::sample;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use weir_core::model::Confidence;
use weir_core::ruleset::compile::compile as compile_rules;
use weir_core::ruleset::pattern::Syntax;
use weir_core::ruleset::{Pattern, Ruleset};

/// Longest description taken over, in characters.
const MAX_ABOUT: usize = 300;
/// How far a signature follows what has no bound, in bytes; see the compiler of patterns.
const GAP: usize = 128;

/// Signatures as written so far.
#[derive(Default)]
pub(super) struct Emitted {
    /// The rule file.
    pub text: String,
    names: HashSet<String>,
    /// Names at the source and ours.
    known: HashMap<String, String>,
    /// Parameters that rules leave out.
    left_out: Vec<(String, Target)>,
}

impl Emitted {
    /// Adds a rule, and says what became of it.
    pub fn add(&mut self, rule: SourceRule) -> Entry {
        let Place { order, file, line } = rule.place.clone();
        match self.try_add(&rule) {
            Ok((ours, notes, unbounded)) => {
                self.known.insert(rule.name.clone(), ours.clone());
                self.left_out.extend(rule.left_out.into_iter().map(|target| (ours.clone(), target)));
                let fate = if notes.is_empty() { Fate::Taken } else { Fate::Approximated(notes) };
                Entry { order, file, line, name: rule.name, ours: Some(ours), fate, unbounded }
            }
            Err(reason) => Entry::refused(&rule.place, &rule.name, reason),
        }
    }

    fn try_add(&mut self, rule: &SourceRule) -> Result<(String, Vec<String>, bool), String> {
        let mut compiled = compile::compile(rule)?;
        let id = self.fresh_id(rule);
        let options = Syntax { case_insensitive: !compiled.case_sensitive, ..Syntax::default() };
        let pattern = Pattern::new(&compiled.pattern, options).map_err(|error| first_line(&error.to_string()))?;
        let hir = regex_syntax::ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .build()
            .parse(&compiled.pattern)
            .map_err(|error| first_line(&error.to_string()))?;
        let positive = sample::positive(&hir, &pattern).ok_or("no text was found that its expression matches")?;
        let negative = sample::negative(&pattern).ok_or("its expression matches every text")?;
        let unbounded = !pattern.is_bounded();
        if unbounded && hir.properties().maximum_len().is_none() && has_gap(&hir) {
            compiled.notes.push(format!("a part without a bound is followed for {GAP} bytes"));
        }
        let mut text = signature(&id, rule, &compiled, (&positive, &negative), unbounded, false);
        if let Err(message) = check(&text) {
            if !message.contains("no literal of") {
                return Err(message);
            }
            text = signature(&id, rule, &compiled, (&positive, &negative), unbounded, true);
            check(&text)?;
        }
        self.names.insert(id.clone());
        self.text.push_str(&text);
        Ok((id, compiled.notes, unbounded))
    }

    /// A name for a rule that no other has.
    fn fresh_id(&self, rule: &SourceRule) -> String {
        let name: String = rule.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let base = format!("{}.import-{}", rule.attack.code(), name.trim_matches('-').to_ascii_lowercase());
        let mut id = base.clone();
        for number in 2.. {
            if !self.names.contains(&id) {
                break;
            }
            id = format!("{base}-{number}");
        }
        id
    }

    /// The exceptions as a policy document; `None` if there are none.
    pub fn policy(&self, exceptions: Vec<Exception>, entries: &mut Vec<Entry>) -> Option<String> {
        let mut rules: Vec<Value> = Vec::new();
        for (stamp, target) in &self.left_out {
            for point in points(target) {
                rules.push(json!({"type": "disable_stamp", "stamp": stamp, "point": point}));
            }
        }
        for exception in exceptions {
            let Place { order, file, line } = exception.place.clone();
            match self.exception(&exception) {
                Ok(made) => {
                    rules.extend(made);
                    let fate = match exception.notes {
                        notes if notes.is_empty() => Fate::Taken,
                        notes => Fate::Approximated(notes),
                    };
                    entries.push(Entry { order, file, line, name: exception.name, ours: None, fate, unbounded: false });
                }
                Err(reason) => entries.push(Entry::refused(&exception.place, &exception.name, reason)),
            }
        }
        if rules.is_empty() {
            return None;
        }
        let mut text = "# Exceptions of imported rules; docs/policy.md explains them.\nversion: 1\nrules:\n".to_owned();
        for (number, mut rule) in (1..).zip(rules) {
            rule["id"] = Value::from(number);
            let _ = writeln!(text, "  - {rule}");
        }
        Some(text)
    }

    fn exception(&self, exception: &Exception) -> Result<Vec<Value>, String> {
        let action = exception.links.iter().map(action).collect::<Result<Vec<_>, _>>()?;
        let points = exception.target.as_ref().map(points);
        if points.as_ref().is_some_and(Vec::is_empty) {
            return Err("an exception cannot be made for this place".into());
        }
        let kinds: Vec<Value> = match &exception.what {
            Excepted::Mode(mode) => return Ok(vec![json!({"type": "wallarm_mode", "mode": mode, "action": action})]),
            Excepted::Attack(attack) => vec![json!({"type": "disable_attack_type", "attack_type": attack.code()})],
            Excepted::Rules(names) => {
                let known = names.iter().filter_map(|name| self.known.get(name));
                known.map(|stamp| json!({"type": "disable_stamp", "stamp": stamp})).collect()
            }
        };
        if kinds.is_empty() {
            return Err("the rules that it is for were not imported".into());
        }
        let mut rules = Vec::new();
        for mut kind in kinds {
            kind["action"] = action.clone().into();
            match &points {
                None => rules.push(kind),
                Some(points) => rules.extend(points.iter().map(|point| {
                    kind["point"] = point.clone();
                    kind.clone()
                })),
            }
        }
        Ok(rules)
    }
}

/// Points of a target, for an exception.
fn points(target: &Target) -> Vec<Value> {
    let body = |name: &str| {
        vec![
            json!([["post"], ["form_urlencoded", name]]),
            json!([["post"], ["multipart", name]]),
            json!([["post"], ["json_doc"], ["hash", name]]),
        ]
    };
    match target {
        Target::Args(None) => vec![json!([["get_all"]]), json!([["post"]])],
        Target::Args(Some(name)) => [vec![json!([["get", name]])], body(name)].concat(),
        Target::Query(Some(name)) => vec![json!([["get", name]])],
        Target::Body(Some(name)) => body(name),
        Target::Body(None) | Target::RawBody => vec![json!([["post"]])],
        Target::Cookies(Some(name)) => vec![json!([["header", "COOKIE"], ["cookie", name]])],
        Target::Cookies(None) => vec![json!([["header", "COOKIE"]])],
        Target::Headers(Some(name)) => vec![json!([["header", name.to_ascii_uppercase()]])],
        Target::Path | Target::Uri => vec![json!([["uri"]])],
        _ => Vec::new(),
    }
}

/// A condition of a policy rule.
fn action(link: &Link) -> Result<Value, String> {
    let ([target], Test::Regex { pattern, case_sensitive }, false) = (&link.targets[..], &link.test, link.negated)
    else {
        return Err("its condition cannot be one of a policy rule".into());
    };
    let point = match target {
        Target::Path | Target::Uri => json!(["uri"]),
        Target::Method => json!(["method"]),
        Target::Headers(Some(name)) => json!(["header", name.to_ascii_uppercase()]),
        Target::Args(Some(name)) | Target::Query(Some(name)) => json!(["get", name]),
        _ => return Err("its condition reads a place that policy rules do not read".into()),
    };
    let pattern = pattern.strip_prefix("(?s)").unwrap_or(pattern);
    let value = if *case_sensitive { pattern.to_owned() } else { format!("(?i){pattern}") };
    Ok(json!({"type": "regex", "point": point, "value": value}))
}

fn signature(
    id: &str,
    rule: &SourceRule,
    compiled: &Compiled,
    samples: (&str, &str),
    unbounded: bool,
    unfiltered: bool,
) -> String {
    let mut about: String =
        rule.about.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_ABOUT).collect();
    if about.is_empty() {
        about = format!("Imported rule {}.", rule.name);
    }
    let _ = write!(about, " Imported from {} line {}.", rule.place.file, rule.place.line);
    if unbounded {
        about.push_str(" Its match has no bound.");
    }
    if unfiltered {
        about.push_str(" No literal is in every match, so it is tried on every value.");
    }
    let list = |texts: &[&str]| texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ");
    let mut out = format!("- id: {id}\n  attack: {}\n  about: {}\n", rule.attack.code(), quoted(&about));
    if !rule.cve.is_empty() {
        let cve: Vec<&str> = rule.cve.iter().map(String::as_str).collect();
        let _ = writeln!(out, "  cve: [{}]", list(&cve));
    }
    let _ = writeln!(out, "  zones: [{}]", compiled.zones.join(", "));
    if !compiled.points.is_empty() {
        let _ = writeln!(out, "  points: {}", Value::from(compiled.points.clone()));
    }
    if !compiled.views.is_empty() {
        let _ = writeln!(out, "  views: [plain, {}]", compiled.views.join(", "));
    }
    let _ = writeln!(out, "  pattern: {}", quoted(&compiled.pattern));
    if compiled.case_sensitive {
        out.push_str("  case: sensitive\n");
    }
    if unfiltered {
        out.push_str("  unfiltered: true\n");
    }
    if !compiled.conditions.is_empty() {
        out.push_str("  where:\n");
        for Condition { part, name, pattern, negated } in &compiled.conditions {
            let not = if *negated { ", not: true" } else { "" };
            let _ = match name {
                Some(name) => writeln!(out, "    - {{header: {}, pattern: {}{not}}}", quoted(name), quoted(pattern)),
                None => writeln!(out, "    - {{{part}: {}{not}}}", quoted(pattern)),
            };
        }
    }
    let confidence = match rule.confidence {
        Confidence::Low => "low",
        Confidence::Medium => "medium",
        Confidence::High => "high",
    };
    let (positive, negative) = samples;
    let _ = writeln!(
        out,
        "  confidence: {confidence}\n  positive: [{}]\n  negative: [{}]",
        quoted(positive),
        quoted(negative)
    );
    out
}

/// A text in YAML: in single quotes, or as JSON where it has other than printable characters.
fn quoted(text: &str) -> String {
    if text.chars().all(|c| !c.is_control() && c.is_ascii()) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    Value::from(text).to_string()
}

/// Whether `text` is a rule file.
fn check(text: &str) -> Result<Ruleset, String> {
    compile_rules(&[("rules.yaml".into(), text.to_owned())])
        .map_err(|errors| errors.iter().map(|error| error.message.clone()).collect::<Vec<_>>().join("; "))
}

/// Whether something without a bound stands between other parts, so that the bound changes what matches.
fn has_gap(hir: &regex_syntax::hir::Hir) -> bool {
    use regex_syntax::hir::HirKind;
    match hir.kind() {
        HirKind::Concat(parts) => {
            let open = |hir: &regex_syntax::hir::Hir| hir.properties().maximum_len().is_none();
            parts.iter().rev().skip(1).any(open) || parts.iter().any(has_gap)
        }
        HirKind::Alternation(parts) => parts.iter().any(has_gap),
        HirKind::Capture(capture) => has_gap(&capture.sub),
        HirKind::Repetition(repetition) => has_gap(&repetition.sub),
        _ => false,
    }
}

fn first_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim().to_owned()
}
