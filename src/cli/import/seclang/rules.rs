//! From directives to rules: chains, markers, levels and exclusions.

use super::super::model::{Collected, Entry, Excepted, Exception, Link, Place, SourceFile, SourceRule, Target, Test};
use super::actions::Actions;
use super::lexer::{Directive, directives};
use super::{operators, variables};
use std::collections::HashMap;
use std::path::PathBuf;
use weir_core::model::{AttackType, Confidence};

/// Longest chain, in links.
const MAX_CHAIN: usize = 32;

/// Reads one file.
pub(super) struct Reader<'r> {
    /// Number of the file.
    pub order: usize,
    /// The file.
    pub file: &'r SourceFile,
    /// Word lists by path.
    pub lists: &'r HashMap<PathBuf, &'r str>,
    /// Highest level that is taken.
    pub paranoia_level: u8,
    /// Attack type of rules that do not say what they are against.
    pub default: AttackType,
    /// Where everything goes.
    pub collected: &'r mut Collected,
}

/// What a link of a chain says.
struct Part {
    link: Link,
    notes: Vec<String>,
    left_out: Vec<Target>,
}

impl Reader<'_> {
    /// Reads all directives.
    pub fn read(&mut self) {
        let all = directives(&self.file.text);
        let mut skipping: Option<(String, String)> = None;
        let mut at = 0;
        while at < all.len() {
            let directive = &all[at];
            let length = chain_length(&all[at..]);
            let chain = &all[at..at + length];
            at += length;
            match directive.words[0].to_ascii_lowercase().as_str() {
                "secmarker" => {
                    let name = directive.words.get(1).map(String::as_str).unwrap_or_default();
                    if skipping.as_ref().is_some_and(|(marker, _)| marker == name) {
                        skipping = None;
                    }
                }
                "secrule" | "secaction" => self.rule(chain, &mut skipping),
                "secruleremovebyid" | "secruleupdatetargetbyid" | "secruleremovebytag" => self.removal(directive),
                "secruleupdateactionbyid" | "secruleupdatetargetbytag" | "secrulescript" | "secruleremovebymsg" => {
                    let place = self.place(directive.line);
                    let reason = "the directive has no counterpart";
                    self.collected.entries.push(Entry::refused(&place, &directive.words[0], reason));
                }
                // Settings of the engine are no rules.
                _ => {}
            }
        }
    }

    fn place(&self, line: usize) -> Place {
        Place { order: self.order, file: self.file.path.display().to_string(), line }
    }

    fn rule(&mut self, chain: &[Directive], skipping: &mut Option<(String, String)>) {
        let first = actions(&chain[0]);
        let place = self.place(chain[0].line);
        let name = first.get("id").map_or_else(|| format!("line {}", place.line), str::to_owned);
        if let Some((_, reason)) = skipping.as_ref() {
            self.collected.entries.push(Entry::refused(&place, &name, reason.clone()));
            return;
        }
        let all: Vec<Actions> = chain.iter().map(actions).collect();
        if let Some(marker) = all.iter().find_map(|one| one.get("skipafter")) {
            self.skip(chain, marker, &name, &place, skipping);
            return;
        }
        if all.iter().any(|one| one.has("skip")) {
            self.collected.entries.push(Entry::refused(&place, &name, "it skips a number of rules"));
            return;
        }
        let controls = all.iter().flat_map(|one| one.all("ctl"));
        let controls: Vec<&str> = controls.filter(|control| !only_logs(control)).collect();
        let parts =
            if chain[0].words[0].eq_ignore_ascii_case("secaction") { Ok(Vec::new()) } else { self.parts(chain, &all) };
        let parts = match parts {
            Ok(parts) => parts,
            Err(reason) => return self.collected.entries.push(Entry::refused(&place, &name, reason)),
        };
        if !controls.is_empty() {
            return self.exclusions(&controls, parts, &name, &place);
        }
        match verdict(&all) {
            Ok(confidence) if parts.is_empty() => {
                let _ = confidence;
                self.collected.entries.push(Entry::refused(&place, &name, "it acts on every request"));
            }
            Ok(confidence) => self.attack(&first, parts, name, place, confidence),
            Err(reason) => self.collected.entries.push(Entry::refused(&place, &name, reason)),
        }
    }

    fn attack(&mut self, first: &Actions, parts: Vec<Part>, name: String, place: Place, confidence: Confidence) {
        let tags: Vec<&str> = first.all("tag").collect();
        let mut rule = SourceRule {
            place,
            about: first.get("msg").unwrap_or_default().to_owned(),
            attack: class(&tags, &name).unwrap_or(self.default),
            confidence,
            cve: cve_numbers(&tags, first.get("msg").unwrap_or_default()),
            name,
            links: Vec::new(),
            notes: Vec::new(),
            left_out: Vec::new(),
        };
        for Part { link, notes, left_out } in parts {
            rule.links.push(link);
            for note in notes {
                if !rule.notes.contains(&note) {
                    rule.notes.push(note);
                }
            }
            rule.left_out.extend(left_out);
        }
        self.collected.rules.push(rule);
    }

    /// The links of a chain; an error in one of them refuses it all.
    fn parts(&self, chain: &[Directive], all: &[Actions]) -> Result<Vec<Part>, String> {
        if chain.len() > MAX_CHAIN {
            return Err(format!("the chain has more than {MAX_CHAIN} links"));
        }
        if all.last().is_some_and(|last| last.has("chain")) {
            return Err("the chain has no end".into());
        }
        chain
            .iter()
            .zip(all)
            .enumerate()
            .map(|(at, (directive, actions))| {
                let part = self.part(directive, actions);
                part.map_err(|reason| if at == 0 { reason } else { format!("link {} of the chain: {reason}", at + 1) })
            })
            .collect()
    }

    fn part(&self, directive: &Directive, actions: &Actions) -> Result<Part, String> {
        let [_, names, operator, ..] = &directive.words[..] else { return Err("it has no operator".into()) };
        let variables = variables::parse(names)?;
        let operator = operators::parse(operator, variables.counted, self.file, self.lists)?;
        let transformed = operators::transformations(actions.all("t"))?;
        let mut test = operator.test;
        if let Test::Regex { case_sensitive, .. } = &mut test {
            *case_sensitive &= !transformed.ignores_case;
        }
        let mut notes = variables.notes;
        notes.extend(operator.notes);
        notes.extend(transformed.notes);
        if actions.has("multimatch") {
            notes.push("it is tried on the plain value and on views".into());
        }
        let link = Link { targets: variables.targets, negated: operator.negated, test, views: transformed.views };
        Ok(Part { link, notes, left_out: variables.left_out })
    }

    /// A rule that skips others: one of levels is decided now, any other refuses what it may skip.
    fn skip(
        &mut self,
        chain: &[Directive],
        marker: &str,
        name: &str,
        place: &Place,
        skipping: &mut Option<(String, String)>,
    ) {
        let words = &chain[0].words;
        let is_level = words.get(1).is_some_and(|names| names.to_ascii_uppercase().contains("PARANOIA_LEVEL"));
        let below =
            words.get(2).and_then(|operator| operator.strip_prefix("@lt ")).and_then(|n| n.trim().parse::<u8>().ok());
        match below {
            Some(level) if is_level && chain.len() == 1 => {
                if self.paranoia_level < level {
                    *skipping = Some((marker.to_owned(), format!("it is of paranoia level {level}")));
                }
            }
            _ => {
                self.collected.entries.push(Entry::refused(place, name, "it decides which rules are tried"));
                *skipping = Some((marker.to_owned(), format!("rule {name} decides whether it is tried")));
            }
        }
    }

    /// Exclusions at run time.
    fn exclusions(&mut self, controls: &[&str], parts: Vec<Part>, name: &str, place: &Place) {
        let mut made = Vec::new();
        let notes: Vec<String> = parts.iter().flat_map(|part| part.notes.clone()).collect();
        let links: Vec<Link> = parts.into_iter().map(|part| part.link).collect();
        for control in controls {
            let (what, value) = control.split_once('=').unwrap_or((control, ""));
            match exclusion(what, value) {
                Ok((excepted, target, more)) => {
                    let notes = notes.iter().cloned().chain(more).collect();
                    let (place, name, links) = (place.clone(), name.to_owned(), links.clone());
                    made.extend(excepted.into_iter().map(|what| Exception {
                        place: place.clone(),
                        name: name.clone(),
                        what,
                        target: target.clone(),
                        links: links.clone(),
                        notes: Vec::clone(&notes),
                    }));
                }
                // Half of the exclusions would let through what all of them together do not.
                Err(reason) => return self.collected.entries.push(Entry::refused(place, name, reason)),
            }
        }
        self.collected.exceptions.extend(made);
    }

    /// Exclusions at start.
    fn removal(&mut self, directive: &Directive) {
        let place = self.place(directive.line);
        let name = directive.words.join(" ");
        let lower = directive.words[0].to_ascii_lowercase();
        let arguments = &directive.words[1..];
        let result = match (lower.as_str(), arguments) {
            ("secruleupdatetargetbyid", [ids, target]) => match target.strip_prefix('!') {
                Some(target) if !target.contains([',', '|']) => {
                    exclusion("ruleremovetargetbyid", &format!("{ids};{target}"))
                }
                _ => Err("only one target that is left out can be taken".into()),
            },
            ("secruleremovebyid", ids) => exclusion("ruleremovebyid", &ids.join(" ")),
            ("secruleremovebytag", [tag]) => exclusion("ruleremovebytag", tag),
            _ => Err("its arguments are not understood".into()),
        };
        match result {
            Ok((excepted, target, notes)) => {
                self.collected.exceptions.extend(excepted.into_iter().map(|what| Exception {
                    place: place.clone(),
                    name: name.clone(),
                    what,
                    target: target.clone(),
                    links: Vec::new(),
                    notes: notes.clone(),
                }))
            }
            Err(reason) => self.collected.entries.push(Entry::refused(&place, &name, reason)),
        }
    }
}

/// How many directives belong to the one at the beginning.
fn chain_length(rest: &[Directive]) -> usize {
    let mut length = 1;
    while length < rest.len()
        && actions(&rest[length - 1]).has("chain")
        && rest[length].words[0].eq_ignore_ascii_case("secrule")
    {
        length += 1;
    }
    length
}

fn actions(directive: &Directive) -> Actions {
    let at = if directive.words[0].eq_ignore_ascii_case("secaction") { 1 } else { 3 };
    Actions::parse(directive.words.get(at).map(String::as_str).unwrap_or_default())
}

/// How sure a rule is; the error says why it does not stop attacks.
fn verdict(all: &[Actions]) -> Result<Confidence, String> {
    let any = |name: &str| all.iter().any(|one| one.has(name));
    if any("allow") {
        return Err("it lets requests pass: write a rule of mode off in the policy".into());
    }
    if any("redirect") || any("proxy") || any("exec") {
        return Err("it does something else than to block".into());
    }
    let scores = || all.iter().flat_map(|one| one.all("setvar"));
    for (word, confidence) in [
        ("critical", Confidence::High),
        ("error", Confidence::Medium),
        ("warning", Confidence::Medium),
        ("notice", Confidence::Low),
    ] {
        if scores().any(|score| score.contains(&format!("{word}_anomaly_score"))) {
            return Ok(confidence);
        }
    }
    if any("deny") || any("block") || any("drop") {
        return Ok(Confidence::High);
    }
    Err("it does not block".into())
}

/// The class of attacks that tags, or the number of a rule of the Core Rule Set, name.
fn class(tags: &[&str], id: &str) -> Option<AttackType> {
    let by_tag = |tag: &&str| {
        Some(match tag.to_ascii_lowercase().strip_prefix("attack-")? {
            "sqli" => AttackType::Sqli,
            "xss" => AttackType::Xss,
            "rce" | "injection-php" | "injection-java" | "injection-generic" => AttackType::Rce,
            "lfi" => AttackType::Ptrav,
            "rfi" | "ssrf" => AttackType::Ssrf,
            "ssti" => AttackType::Ssti,
            "reputation-scanner" => AttackType::Scanner,
            "disclosure" => AttackType::Infoleak,
            _ => return None,
        })
    };
    tags.iter().find_map(by_tag).or_else(|| class_of_number(id))
}

/// The class of a rule of the Core Rule Set by its number.
fn class_of_number(id: &str) -> Option<AttackType> {
    Some(match id.get(..3).filter(|_| id.len() == 6)? {
        "942" => AttackType::Sqli,
        "941" => AttackType::Xss,
        "932" | "933" | "934" | "944" => AttackType::Rce,
        "930" => AttackType::Ptrav,
        "931" => AttackType::Ssrf,
        "913" => AttackType::Scanner,
        "950" | "951" | "952" | "953" | "954" => AttackType::Infoleak,
        _ => return None,
    })
}

/// Numbers of vulnerabilities in tags and message.
fn cve_numbers(tags: &[&str], message: &str) -> Vec<String> {
    let words = tags
        .iter()
        .copied()
        .chain([message])
        .flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-'));
    let mut found: Vec<String> = Vec::new();
    for word in words {
        let word = word.to_ascii_uppercase();
        if weir_core::ruleset::CveEntry::is_cve(&word) && !found.contains(&word) {
            found.push(word);
        }
    }
    found
}

/// Whether a control changes only what is logged.
fn only_logs(control: &str) -> bool {
    let name = control.split('=').next().unwrap_or_default().to_ascii_lowercase();
    matches!(name.as_str(), "auditlogparts" | "auditengine" | "debugloglevel")
}

type Exclusion = (Vec<Excepted>, Option<Target>, Vec<String>);

/// What an exclusion leaves out, and where.
fn exclusion(what: &str, value: &str) -> Result<Exclusion, String> {
    match what.to_ascii_lowercase().as_str() {
        "ruleengine" => match value.to_ascii_lowercase().as_str() {
            "off" => Ok((vec![Excepted::Mode("off")], None, Vec::new())),
            "detectiononly" => Ok((vec![Excepted::Mode("monitoring")], None, Vec::new())),
            _ => Err(format!("ctl:ruleEngine={value} has no counterpart")),
        },
        "ruleremovebyid" => Ok((by_numbers(value)?.0, None, by_numbers(value)?.1)),
        "ruleremovetargetbyid" => {
            let (ids, target) = value.split_once(';').ok_or("the exclusion names no target")?;
            let (excepted, notes) = by_numbers(ids)?;
            Ok((excepted, Some(super::variables::target(target)?), notes))
        }
        "ruleremovebytag" => Ok((by_tag(value)?, None, Vec::new())),
        "ruleremovetargetbytag" => {
            let (tag, target) = value.split_once(';').ok_or("the exclusion names no target")?;
            Ok((by_tag(tag)?, Some(super::variables::target(target)?), Vec::new()))
        }
        other => Err(format!("ctl:{other} has no counterpart")),
    }
}

fn by_tag(tag: &str) -> Result<Vec<Excepted>, String> {
    let attack = class(&[tag], "").ok_or_else(|| format!("no attack type belongs to the tag {tag}"))?;
    Ok(vec![Excepted::Attack(attack)])
}

/// Exceptions for rules by number: of the Core Rule Set for their class, of others for the imported rule.
fn by_numbers(value: &str) -> Result<(Vec<Excepted>, Vec<String>), String> {
    let (mut excepted, mut names, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for id in value.split([' ', ',']).filter(|id| !id.is_empty()) {
        if id.contains('-') {
            return Err("it is for a range of numbers".into());
        }
        match class_of_number(id) {
            Some(attack) => {
                notes.push(format!("rule {id} stands for the attack type {attack}"));
                excepted.push(Excepted::Attack(attack));
            }
            None => names.push(id.to_owned()),
        }
    }
    if !names.is_empty() {
        excepted.push(Excepted::Rules(names));
    }
    if excepted.is_empty() { Err("it names no rule".into()) } else { Ok((excepted, notes)) }
}
