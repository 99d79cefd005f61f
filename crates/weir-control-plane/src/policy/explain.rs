//! Why a hit is one: the decoding steps from the message to the matched fragment, found by inspecting the stored request
//! again, and what the rule means.

use super::replay::{Judge, Judged};
use super::state::DEFAULT_GROUP;
use crate::app::App;
use crate::error::{Error, Result};
use crate::store::Replay;
use serde::Serialize;
use std::sync::Arc;
use weir_core::detect;
use weir_core::engine::Scratch;
use weir_core::model::bytes::printable;
use weir_core::model::{AnomalyKind, AttackType, DecodeStep, PointPath};
use weir_core::ruleset::Ruleset;
use weir_core::ruleset::format::SignatureDoc;
use weir_policy::FindingKind;
use weir_policy::anomalies::attack_of;
use weir_protocol::hit::HitFinding;

/// Bytes of a request shown at most: head and the start of the body.
const MAX_REQUEST: usize = 64 << 10;
/// Places of one fragment that are marked in a request.
const MAX_MARKS: usize = 100;

/// A stretch of a text, in bytes of UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// First byte.
    pub start: usize,
    /// Past the last one.
    pub end: usize,
}

/// One step from the message to the match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Where the value sits; its last element is what was decoded.
    pub point: PointPath,
    /// Name of the normalised form in which was found; none for the value as it is.
    pub view: Option<&'static str>,
    /// The value, printable and cut.
    pub value: String,
    /// Its full length in bytes.
    pub length: usize,
    /// Where the match is, where it can be seen.
    pub found: Option<Stretch>,
}

/// What is known of a signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleDoc {
    /// Name.
    pub id: String,
    /// What it means and why it is an attack.
    pub about: String,
    /// Attack type.
    pub attack: AttackType,
    /// CWE number; 0 for none.
    pub cwe: u32,
    /// OWASP category; empty for none.
    pub owasp: String,
    /// How sure it is on its own; empty for detectors, which tell it with each finding.
    pub confidence: String,
    /// Its pattern; empty for detectors, which know a grammar, and for anomalies and limits.
    pub pattern: String,
    /// Texts that it matches.
    pub positive: Vec<String>,
    /// Texts that it does not match.
    pub negative: Vec<String>,
}

/// A finding and its way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explained {
    /// As stored.
    pub finding: HitFinding,
    /// Whether the stored request still yields it.
    pub reproduced: bool,
    /// From the message to the match.
    pub steps: Vec<Step>,
    /// The signature or detector, or what is known of an anomaly or limit; none for what is not known here.
    pub rule: Option<RuleDoc>,
}

/// Why a hit is one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The stored request: text, control characters replaced, cut.
    pub request: String,
    /// Position of the match in it as sent; a match in decoded text is only in the steps.
    pub marks: Vec<Stretch>,
    /// Findings, in the order of the hit.
    pub findings: Vec<Explained>,
}

impl App {
    /// Explains a hit.
    pub async fn explain(&self, id: &str) -> Result<Explanation> {
        let replay = self.replay_of(id).await?.ok_or(Error::NotFound("hit"))?;
        let groups = self.nodes.groups().await?;
        let group = groups.get(&replay.hit.node).map_or(DEFAULT_GROUP, String::as_str).to_owned();
        let (app, files, now) = (self.clone(), self.rule_files().await?, self.clock.seconds());
        self.replays
            .run(move || {
                let judge = Judge::new(&app.policy.head().state, &group, now, &files, &app.replays)?;
                let judged = judge.judge(&replay.hit, &replay.raw, true, &mut Scratch::default());
                Ok(explanation(&replay, &judged, judge.ruleset()))
            })
            .await
    }

    /// What is known of the signature called `name`.
    pub async fn rule_doc(&self, name: &str) -> Result<Option<RuleDoc>> {
        let (app, files, now) = (self.clone(), self.rule_files().await?, self.clock.seconds());
        let name = name.to_owned();
        self.replays
            .run(move || {
                let judge = Judge::new(&app.policy.head().state, DEFAULT_GROUP, now, &files, &app.replays)?;
                Ok(doc(judge.ruleset(), &name))
            })
            .await
    }
}

impl App {
    /// The signatures that nodes use: those that ship with them and those of rule packs, but not those of rules.
    pub async fn signature_docs(&self) -> Result<Vec<Arc<SignatureDoc>>> {
        let (app, files, now) = (self.clone(), self.rule_files().await?, self.clock.seconds());
        self.replays
            .run(move || {
                let judge = Judge::new(&app.policy.head().state, DEFAULT_GROUP, now, &files, &app.replays)?;
                let docs = judge.ruleset().signatures.iter().map(|signature| Arc::clone(&signature.doc));
                Ok(docs.filter(|doc| !matches!(FindingKind::of(&doc.id), FindingKind::Custom(_))).collect())
            })
            .await
    }
}

fn explanation(replay: &Replay, judged: &Judged, ruleset: &Ruleset) -> Explanation {
    let request = shown(&replay.raw);
    let mut marks = Vec::new();
    let findings = replay.hit.findings.iter().map(|finding| {
        if finding.decisive {
            marks.extend(places(&request, &finding.matched));
        }
        explain(finding, judged, ruleset)
    });
    let findings = findings.collect();
    marks.sort_by_key(|mark: &Stretch| (mark.start, mark.end));
    marks.dedup();
    Explanation { request, marks, findings }
}

fn explain(finding: &HitFinding, judged: &Judged, ruleset: &Ruleset) -> Explained {
    let again = judged.inspection.findings.iter();
    let reproduced = again.filter(|new| *new.rule == *finding.rule).any(|new| new.point == finding.point);
    let way = judged.inspection.steps.iter().filter(|step| finding.point.0.starts_with(&step.point.0));
    let mut way: Vec<&DecodeStep> = way.collect();
    way.sort_by_key(|step| step.point.0.len());
    let mut steps: Vec<Step> = Vec::new();
    for step in way {
        let found = places(&step.value, &finding.matched).next();
        let last = step.point == finding.point;
        steps.push(Step {
            point: step.point.clone(),
            view: None,
            value: step.value.clone(),
            length: step.length,
            found: found.filter(|_| last),
        });
        let view =
            step.views.iter().find_map(|(name, text)| Some((*name, text, places(text, &finding.matched).next()?)));
        if let (true, None, Some((name, text, place))) = (last, found, view) {
            let (point, value) = (step.point.clone(), text.clone());
            steps.push(Step { point, view: Some(name), length: value.len(), value, found: Some(place) });
        }
    }
    Explained { finding: finding.clone(), reproduced, steps, rule: doc(ruleset, &finding.rule) }
}

fn doc(ruleset: &Ruleset, name: &str) -> Option<RuleDoc> {
    let Some(signature) = ruleset.get(name) else { return of_code(name) };
    let doc = &signature.doc;
    let confidence = serde_json::to_value(doc.confidence).ok()?;
    Some(RuleDoc {
        id: doc.id.clone(),
        about: doc.about.clone(),
        attack: doc.attack,
        cwe: doc.cwe.unwrap_or(doc.attack.cwe()),
        owasp: doc.owasp.clone().unwrap_or_else(|| doc.attack.owasp().to_owned()),
        confidence: confidence.as_str().unwrap_or_default().to_owned(),
        pattern: doc.pattern.clone(),
        positive: doc.positive.clone(),
        negative: doc.negative.clone(),
    })
}

/// What is known of a detector, an anomaly or a limit.
fn of_code(name: &str) -> Option<RuleDoc> {
    let rule_doc = |attack: AttackType, about: &str, samples: [&[&str]; 2]| RuleDoc {
        id: name.to_owned(),
        about: about.to_owned(),
        attack,
        cwe: attack.cwe(),
        owasp: attack.owasp().to_owned(),
        confidence: String::new(),
        pattern: String::new(),
        positive: samples[0].iter().map(|text| (*text).to_owned()).collect(),
        negative: samples[1].iter().map(|text| (*text).to_owned()).collect(),
    };
    if let Some(detector) = detect::TABLE.iter().find(|detector| detector.name == name) {
        let samples = [detector.samples.positive, detector.samples.negative];
        return Some(rule_doc(detector.attack, detector.about, samples));
    }
    let (attack, about) = match FindingKind::of(name) {
        FindingKind::Anomaly(code) => {
            let kind = AnomalyKind::ALL.iter().find(|kind| kind.code() == code)?;
            (attack_of(*kind), kind.about().to_owned())
        }
        FindingKind::Limit(code) => {
            let attack = AttackType::from_code(code)?;
            (attack, format!("{}: over its limit.", attack.name()))
        }
        FindingKind::Denylist => {
            (AttackType::BlockedSource, "The source of the request is on the denylist.".to_owned())
        }
        FindingKind::Signature | FindingKind::Custom(_) | FindingKind::Behaviour(_) => return None,
    };
    Some(rule_doc(attack, &about, [&[], &[]]))
}

/// The request as text: line ends kept, other control characters and bytes that are no text escaped.
fn shown(raw: &[u8]) -> String {
    let lines = raw[..raw.len().min(MAX_REQUEST)].split(|&byte| byte == b'\n');
    let line = |line: &[u8]| printable(line.strip_suffix(b"\r").unwrap_or(line), MAX_REQUEST).replace("\\x09", "\t");
    lines.map(line).collect::<Vec<_>>().join("\n")
}

/// Position in `text` of `fragment`, as printed and perhaps cut.
fn places<'t>(text: &'t str, fragment: &'t str) -> impl Iterator<Item = Stretch> + 't {
    let fragment = fragment.trim_end_matches('\u{2026}');
    let all = text.match_indices(fragment).take(if fragment.is_empty() { 0 } else { MAX_MARKS });
    all.map(move |(start, _)| Stretch { start, end: start + fragment.len() })
}

#[cfg(test)]
mod tests {
    use super::of_code;
    use weir_core::detect;
    use weir_core::model::{AnomalyKind, AttackType};
    use weir_policy::finding_name;

    #[test]
    fn detectors_anomalies_and_limits_are_explained_too() {
        for detector in detect::TABLE {
            let doc = of_code(detector.name).unwrap();
            assert_eq!((doc.about.as_str(), doc.attack), (detector.about, detector.attack));
        }
        for kind in AnomalyKind::ALL {
            assert_eq!(of_code(&finding_name::anomaly(kind.code())).unwrap().about, kind.about());
        }
        assert_eq!(of_code("limit.gql_depth").unwrap().attack, AttackType::GqlDepth);
        assert!(of_code("limit.nothing").is_none() && of_code("sqli.no-such-detector").is_none());
    }
}
