//! [`inspect`]: a message goes in, findings come out, whatever the mode. Read this function first.

use crate::detect::{self, Match, RuleMatch, RuleName, Subject};
use crate::model::benign_cache::ValueContext;
use crate::model::bytes::printable;
use crate::model::finding::MAX_MATCHED;
use crate::model::{
    Anomaly, BenignCache, Budget, ByteClasses, Confidence, DecodeStep, Finding, GraphqlStats, Hint, Inspection, Limits,
    Message, NotInspected, PointTree, SkipReason, Stop, Tag, Upload, Value, Zone,
};
use crate::normalize::{PLAIN, VIEWS};
use crate::parse::benign_lookup::BenignLookup;
use crate::parse::extract::{Extracted, ParseOptions, ScratchBuffers, extract_with_buffers};
use crate::ruleset::{CandidateSet, Ruleset};
use bumpalo::Bump;
use std::borrow::Cow;
use std::sync::Arc;

/// Longest value shown by `explain`, in bytes.
const MAX_SHOWN: usize = 400;

/// How to inspect one message. The default inspects everything within the default [`Limits`].
#[derive(Clone, Debug, Default)]
pub struct InspectionOptions<'p> {
    /// Bounds of work and memory.
    pub limits: Limits,
    /// Parsers that are switched off, everywhere or at some points.
    pub parsing: ParseOptions<'p>,
    /// Whether [`Inspection::steps`] is filled.
    pub explain: bool,
    /// Skips the detectors that call libinjection ([`detect::LIBINJECTION_DETECTORS`]).
    pub skip_libinjection: bool,
}

/// Memory of an inspection, kept between inspections so that a small request allocates next to nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    bump: Bump,
    seen: CandidateSet,
    known: BenignCache,
    room: ScratchBuffers,
}

/// Bytes that a [`Scratch`] keeps between inspections. What a large message allocated beyond is freed.
const SCRATCH_KEPT: usize = 1 << 20;

impl Scratch {
    fn reset(&mut self) {
        self.bump.reset();
        if self.bump.allocated_bytes() > SCRATCH_KEPT {
            self.bump = Bump::new();
        }
        if self.room.memory() > SCRATCH_KEPT {
            self.room = ScratchBuffers::default();
        }
    }
}

/// Inspects `message` with `ruleset`. The inspection ends early once `stop` returns true, e.g. at a time limit.
/// Never fails and never panics on input: [`Inspection::not_inspected`] lists what could not be inspected.
pub fn inspect(
    message: &Message<'_>,
    ruleset: &Ruleset,
    plan: &InspectionOptions<'_>,
    scratch: &mut Scratch,
    stop: &dyn Fn() -> bool,
) -> Inspection {
    scratch.reset();
    let budget = Budget::new(plan.limits.work, stop);
    let Scratch { bump, seen, known, room } = scratch;
    known.reset_for(ruleset.id);
    let looked_at = detect::TABLE.iter().fold(ruleset.zones, |all, detector| all.with(detector.zones));
    // An explanation lists every value, so none may be skipped as known benign.
    let benign_lookup =
        (!plan.explain).then_some(BenignLookup { cache: known, skip_libinjection: plan.skip_libinjection });
    let options = ParseOptions { unscanned_zones: Zone::ALL.without(looked_at), benign: benign_lookup, ..plan.parsing };
    let extracted = extract_with_buffers(message, &options, &plan.limits, &budget, bump, std::mem::take(room));
    let mut found = FindingCollector::new(&extracted.tree, plan);
    for value in &extracted.values {
        let looked = if value.covered {
            Ok(ScanOutcome::NotCacheable)
        } else {
            look(value, &extracted.tree, ruleset, &budget, seen, &mut found)
        };
        if plan.explain {
            found.explain(value);
        }
        match looked {
            Ok(ScanOutcome::Benign) if !value.parser_reacted && value.hint == Hint::None => {
                let place = ValueContext {
                    zone: value.zone,
                    tag: extracted.tree.segment(value.point).map(|s| s.tag),
                    skip_libinjection: plan.skip_libinjection,
                };
                known.insert(value.bytes, place);
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    let out = found.finish(&extracted, &budget);
    *room = extracted.into_buffers();
    out
}

/// Result of scanning one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ScanOutcome {
    /// Nothing matched, and the location played no part: the value may be cached as benign.
    Benign,
    /// Something matched, or a detector read the location: the value must be scanned again next time.
    NotCacheable,
}

/// Runs every detector on every form of one value.
fn look<'r>(
    value: &Value<'_>,
    tree: &PointTree<'_>,
    ruleset: &'r Ruleset,
    budget: &Budget<'_>,
    seen: &mut CandidateSet,
    found: &mut FindingCollector<'r, '_>,
) -> Result<ScanOutcome, Stop> {
    found.hits.clear();
    let dropped = found.out.findings_dropped;
    let subject = Subject::new(value.bytes, value.classes, value, tree);
    let mut result = detect::signature::run(ruleset, &subject, PLAIN, budget, seen, &mut found.hits);
    for detector in detect::candidates_for(value.classes, value.zone) {
        if result.is_err() {
            break;
        }
        if found.plan.skip_libinjection && detect::LIBINJECTION_DETECTORS.contains(&detector.name) {
            continue;
        }
        result = budget.spend(value.bytes.len());
        if result.is_ok()
            && let Some(Match { confidence, start, end }) = (detector.run)(&subject)
        {
            found.hits.push(RuleMatch {
                rule: RuleName::Detector(detector.name),
                attack: detector.attack,
                confidence,
                start,
                end,
            });
        }
    }
    found.record_findings(value, value.bytes);
    let mut location_dependent = subject.is_location_dependent();
    for (number, kind) in VIEWS.iter().enumerate() {
        if result.is_err() || !value.classes.intersects(kind.needs) || !ruleset.views(number, value.zone) {
            continue;
        }
        result = budget.spend(value.bytes.len());
        if let Cow::Owned(bytes) = (kind.run)(value.bytes) {
            let view = Subject::new(&bytes, ByteClasses::of(&bytes), value, tree);
            result = result
                .and_then(|()| detect::signature::run(ruleset, &view, 1 << number, budget, seen, &mut found.hits));
            location_dependent |= view.is_location_dependent();
            found.record_findings(value, &bytes);
        }
    }
    let nothing = found.judge() == 0 && found.out.findings_dropped == dropped;
    result.map(|()| if nothing && !location_dependent { ScanOutcome::Benign } else { ScanOutcome::NotCacheable })
}

/// Findings of the message so far.
struct FindingCollector<'r, 't> {
    tree: &'t PointTree<'t>,
    plan: &'t InspectionOptions<'t>,
    hits: Vec<RuleMatch<'r>>,
    /// Where the findings of the current value begin.
    from: usize,
    out: Inspection,
}

impl<'r, 't> FindingCollector<'r, 't> {
    fn new(tree: &'t PointTree<'t>, plan: &'t InspectionOptions<'t>) -> Self {
        Self { tree, plan, hits: Vec::new(), from: 0, out: Inspection::default() }
    }

    /// Turns the hits on one form of `value` into findings.
    #[inline]
    fn record_findings(&mut self, value: &Value<'_>, text: &[u8]) {
        if !self.hits.is_empty() {
            self.add_findings(value, text);
        }
    }

    fn add_findings(&mut self, value: &Value<'_>, text: &[u8]) {
        for hit in self.hits.drain(..) {
            let known = self.out.findings[self.from..].iter().any(|f| *f.rule == *hit.rule.name());
            if known {
                continue;
            }
            if self.out.findings.len() >= self.plan.limits.findings {
                self.out.findings_dropped += 1;
                continue;
            }
            let rule = match hit.rule {
                RuleName::Signature(id) => Arc::clone(id),
                RuleName::Detector(name) => name.into(),
            };
            self.out.findings.push(Finding {
                attack: hit.attack,
                rule,
                point: self.tree.path(value.point),
                confidence: hit.confidence,
                decisive: false,
                start: hit.start,
                matched: printable(&text[hit.start..hit.end], MAX_MATCHED),
            });
        }
    }

    /// Sums up the findings of the current value by attack type. Answers how many there are.
    fn judge(&mut self) -> usize {
        let count = self.out.findings.len() - self.from;
        if count == 0 {
            return 0;
        }
        let findings = &mut self.out.findings[self.from..];
        for at in 0..findings.len() {
            let attack = findings[at].attack;
            let sum: u32 = findings.iter().filter(|f| f.attack == attack).map(|f| f.confidence.weight()).sum();
            findings[at].decisive = sum >= Confidence::ATTACK;
        }
        self.from = self.out.findings.len();
        count
    }

    fn explain(&mut self, value: &Value<'_>) {
        let views =
            VIEWS.iter().filter(|kind| !value.covered && value.classes.intersects(kind.needs)).filter_map(|kind| {
                match (kind.run)(value.bytes) {
                    Cow::Owned(bytes) => Some((kind.name, printable(&bytes, MAX_SHOWN))),
                    Cow::Borrowed(_) => None,
                }
            });
        self.out.steps.push(DecodeStep {
            point: self.tree.path(value.point),
            value: printable(value.bytes, MAX_SHOWN),
            length: value.bytes.len(),
            scanned: !value.covered,
            views: views.collect(),
        });
    }

    fn finish(self, extracted: &Extracted<'_>, budget: &Budget<'_>) -> Inspection {
        let mut out = self.out;
        let anomalies = extracted.notes.anomalies.iter();
        out.anomalies = anomalies.map(|&(kind, at)| Anomaly { kind, point: self.tree.path(at) }).collect();
        let skipped = extracted.notes.skipped.iter();
        out.not_inspected = skipped.map(|&(reason, at)| NotInspected { point: self.tree.path(at), reason }).collect();
        if let Some(stop) = budget.stopped() {
            let reason = if stop == Stop::Time { SkipReason::TimeLimit } else { SkipReason::WorkLimit };
            out.not_inspected.push(NotInspected { point: Default::default(), reason });
        }
        let files = extracted.values.iter().filter(|value| {
            value.zone.intersects(Zone::FILE) && self.tree.segment(value.point).is_some_and(|s| s.tag == Tag::File)
        });
        let uploads = files.take(self.plan.limits.multipart_parts);
        out.uploads =
            uploads.map(|file| Upload { point: self.tree.path(file.point), bytes: file.bytes.len() as u64 }).collect();
        out.graphql =
            extracted.notes.graphql.clone().map(|(facts, at)| GraphqlStats { point: self.tree.path(at), ..facts });
        out.values = extracted.values.len() as u32 + extracted.notes.benign_skipped;
        out.work = budget.spent();
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Header;

    #[test]
    fn etc_passwd_is_found_at_its_point() {
        let ruleset = crate::ruleset::compile::compile(&crate::ruleset::builtin::files()).unwrap();
        let message = Message {
            method: b"GET",
            target: b"/etc/passwd",
            protocol: b"HTTP/1.1",
            headers: vec![Header { name: b"Host", value: b"example.com" }],
            ..Message::default()
        };
        let got = inspect(&message, &ruleset, &InspectionOptions::default(), &mut Scratch::default(), &|| false);
        assert_eq!(got.findings[0].rule.as_ref(), "ptrav.etc-passwd");
        assert!(got.findings[0].decisive);
        assert_eq!(got.findings[0].point.to_string(), "[uri]");
    }

    fn get<'m>(headers: Vec<Header<'m>>, body: &'m [u8]) -> Message<'m> {
        Message { method: b"POST", target: b"/", protocol: b"HTTP/1.1", headers, body, ..Message::default() }
    }

    /// Names and headers that came before are passed over; that must change no answer, wherever they come again.
    #[test]
    fn what_is_known_changes_no_answer() {
        let ruleset = crate::ruleset::compile::compile(&crate::ruleset::builtin::files()).unwrap();
        let samples = ruleset.signatures.iter().flat_map(|s| s.doc.positive.iter().chain(&s.doc.negative));
        let detectors = detect::TABLE.iter().flat_map(|d| d.samples.positive.iter().chain(d.samples.negative));
        let ordinary = ["customer_id", "prototype", "constructor", "$ne", "filter", "q"];
        let texts = samples.map(String::as_str).chain(detectors.copied()).chain(ordinary);
        let mut used = Scratch::default();
        let (mut all, mut passed_over) = (0, 0);
        for text in texts {
            let bodies = [
                serde_json::json!({ text: "x" }),
                serde_json::json!({ "constructor": { text: 1 } }),
                serde_json::json!({ "filter": { text: 1 } }),
                serde_json::json!({ "q": text, "url": [text] }),
            ];
            for round in 0..3 {
                for body in bodies.iter().map(|body| body.to_string()) {
                    let header = |name: &'static [u8]| Header { name, value: text.as_bytes() };
                    let message =
                        get(vec![header(b"X-One"), header(b"User-Agent"), header(b"Referer")], body.as_bytes());
                    let inspect = |scratch: &mut Scratch| {
                        inspect(&message, &ruleset, &InspectionOptions::default(), scratch, &|| false)
                    };
                    let (got, want) = (inspect(&mut used), inspect(&mut Scratch::default()));
                    assert_eq!(got.findings, want.findings, "{text:?} in round {round}: {body}");
                    assert_eq!((got.anomalies, got.not_inspected), (want.anomalies, want.not_inspected), "{text:?}");
                    assert_eq!(got.values, want.values, "{text:?}");
                    (all, passed_over) = (all + want.work, passed_over + want.work - got.work);
                }
            }
        }
        assert!(passed_over * 10 > all, "hardly anything was known: {passed_over} of {all}");
    }
}
