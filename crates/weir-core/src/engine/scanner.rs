//! [`Scanner`]: runs signatures and detectors on each value, and records what they find.

use super::{InspectionOptions, binary, excerpt};
use crate::detect::{self, Detector, Match, MeetsConditions, RuleMatch, RuleName, Subject, relayed};
use crate::model::benign_cache::ValueContext;
use crate::model::bytes::printable;
use crate::model::changes::changed_parts;
use crate::model::finding::MAX_MATCHED;
use crate::model::guard::guarded;
use crate::model::{
    Anomaly, AttackType, BenignCache, Budget, ByteClasses, Confidence, DecodeStep, Finding, FormId, GraphqlStats, Hint,
    Inspection, NotInspected, PointId, PointTree, SkipReason, Span, Stop, Tag, Upload, Value, Zone,
};
use crate::normalize::{PLAIN, VIEW_MARKS, VIEWS};
use crate::parse::extract::Notes;
use crate::parse::visitor::ValueVisitor;
use crate::ruleset::{CandidateSet, Ruleset};
use bumpalo::Bump;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

/// Longest value shown by `explain`, in bytes.
const MAX_SHOWN: usize = 400;
/// Parts of a value with a finding behind which detectors look on.
const MOST_PARTS_LEFT: usize = 32;
/// Other points kept of one finding.
const MAX_ALSO_AT: usize = 16;

/// Scans the values of one message.
pub(super) struct Scanner<'r, 'p> {
    ruleset: &'r Ruleset,
    options: &'p InspectionOptions<'p>,
    budget: &'p Budget<'p>,
    candidates: &'p mut CandidateSet,
    benign: &'p RefCell<BenignCache>,
    conditions: &'p MeetsConditions<'p>,
    /// The well-known service that the request calls, if any.
    service: Option<relayed::Service>,
    matches: Vec<RuleMatch<'r>>,
    /// Index of the first finding of the current value.
    from: usize,
    /// For each finding, the form of the value that it is on.
    forms: Vec<FormId>,
    /// Whether some part of the current value was not scanned.
    incomplete: bool,
    out: Inspection,
}

/// A text to be scanned.
#[derive(Clone, Copy)]
struct Content<'t> {
    text: &'t [u8],
    /// The kinds of bytes in it.
    classes: ByteClasses,
    /// The parts of it on which signatures are run; none for all of it.
    changes: Option<&'t [Span]>,
}

impl<'t> Content<'t> {
    /// All of `text`.
    fn new(text: &'t [u8]) -> Self {
        Self { text, classes: ByteClasses::of(text), changes: None }
    }
}

/// What a scan of a value found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ScanOutcome {
    /// Nothing, and it would find nothing in the same bytes at any other point.
    Benign,
    /// Something, or nothing at this point.
    Other,
}

impl<'a> ValueVisitor<'a> for Scanner<'_, '_> {
    fn visit(&mut self, value: &Value<'a>, tree: &PointTree<'a>) -> Result<(), Stop> {
        let begin = self.budget.spent();
        let outcome = if value.covered { Ok(ScanOutcome::Other) } else { self.scan(value, tree) };
        if self.options.explain {
            self.explain(value, tree);
        }
        if value.zone.intersects(Zone::FILE) {
            self.record_upload(value, tree);
        }
        // Of a value with changes, the rest was judged where it was decoded from.
        let judged_alone = value.changes.is_none() && !value.parser_reacted && value.hint == Hint::None;
        if outcome? == ScanOutcome::Benign && judged_alone {
            let context = ValueContext {
                zone: value.zone,
                tag: tree.segment(value.point).map(|segment| segment.tag),
                skip_libinjection: self.options.skip_libinjection,
            };
            let work = self.budget.spent() - begin;
            self.benign.borrow_mut().insert(value.bytes, context, u32::try_from(work).unwrap_or(u32::MAX));
        }
        Ok(())
    }

    fn reached_again(&mut self, form: FormId, point: PointId, tree: &PointTree<'a>) {
        for (finding, _) in self.out.findings.iter_mut().zip(&self.forms).filter(|(_, on)| **on == form) {
            if finding.also_at.len() < MAX_ALSO_AT {
                finding.also_at.push(tree.path(point));
            }
        }
    }

    fn position(&self) -> usize {
        self.out.findings.len()
    }

    fn rollback(&mut self, position: usize) {
        self.out.findings.truncate(position);
        self.forms.truncate(position);
        self.from = position;
    }
}

impl<'r, 'p> Scanner<'r, 'p> {
    pub fn new(
        ruleset: &'r Ruleset,
        options: &'p InspectionOptions<'p>,
        budget: &'p Budget<'p>,
        candidates: &'p mut CandidateSet,
        benign: &'p RefCell<BenignCache>,
        conditions: &'p MeetsConditions<'p>,
    ) -> Self {
        candidates.begin();
        let (matches, forms, out) = (Vec::new(), Vec::new(), Inspection::default());
        Self {
            ruleset,
            options,
            budget,
            candidates,
            benign,
            conditions,
            service: None,
            matches,
            from: 0,
            forms,
            incomplete: false,
            out,
        }
    }

    /// The same scanner, for a request to `service`.
    pub fn for_service(self, service: Option<relayed::Service>) -> Self {
        Self { service, ..self }
    }

    /// Runs signatures and detectors on what is new in `value`, and signatures on its normalized views.
    fn scan(&mut self, value: &Value<'_>, tree: &PointTree<'_>) -> Result<ScanOutcome, Stop> {
        match excerpt::of_changes(value, tree) {
            Some(text) => {
                self.budget.spend(text.len())?;
                self.scan_content(Content::new(&text), value, tree)
            }
            None => {
                let Value { bytes, classes, changes, .. } = *value;
                self.scan_content(Content { text: bytes, classes, changes }, value, tree)
            }
        }
    }

    /// Scans `content`, which is all of `value` or the changed parts of it, or if it is data the runs of text in it. Signatures
    /// and detectors for files look at data as a whole.
    fn scan_content(
        &mut self,
        content: Content<'_>,
        value: &Value<'_>,
        tree: &PointTree<'_>,
    ) -> Result<ScanOutcome, Stop> {
        let Content { text, classes, .. } = content;
        let in_other_zones = value.zone.without(Zone::FILE);
        let runs = if in_other_zones.is_empty() { None } else { binary::runs_of_text(text, classes, value, tree) };
        let Some(runs) = runs else { return self.scan_text(content, value, tree) };
        self.budget.spend(text.len())?;
        let mut outcome = ScanOutcome::Benign;
        if value.zone.intersects(Zone::FILE) {
            outcome = self.scan_text(content, &Value { zone: Zone::FILE, ..*value }, tree)?;
        }
        let runs_outcome = self.scan_text(Content::new(&runs), &Value { zone: in_other_zones, ..*value }, tree)?;
        Ok(if outcome == ScanOutcome::Benign { runs_outcome } else { outcome })
    }

    /// Scans `content`, which represents `value`.
    fn scan_text(
        &mut self,
        Content { text, classes, changes }: Content<'_>,
        value: &Value<'_>,
        tree: &PointTree<'_>,
    ) -> Result<ScanOutcome, Stop> {
        self.matches.clear();
        self.incomplete = false;
        let dropped = self.out.findings_dropped;
        let subject = Subject::new(text, classes, value, tree)
            .with_changes(changes)
            .with_conditions(self.conditions)
            .with_budget(self.budget);
        let mut result = self.signatures(&subject, PLAIN, tree);
        if result.is_ok() {
            result = self.detectors(&subject, tree);
        }
        self.record_matches(&subject, tree);
        let mut location_dependent = subject.is_location_dependent();
        // Lines and views of a value in parts are those of its parts.
        let whole = value.parts.is_empty();
        if result.is_ok() && whole && classes.intersects(ByteClasses::NEWLINE) {
            let lines = self.lines(text, value, tree);
            location_dependent |= *lines.as_ref().unwrap_or(&true);
            result = lines.map(drop);
        }
        if result.is_ok() && whole && classes.intersects(VIEW_MARKS) {
            let views = self.views(&subject, value, tree);
            location_dependent |= *views.as_ref().unwrap_or(&true);
            result = views.map(drop);
        }
        let benign =
            self.weigh(value) == 0 && self.out.findings_dropped == dropped && !location_dependent && !self.incomplete;
        result.map(|()| if benign { ScanOutcome::Benign } else { ScanOutcome::Other })
    }

    /// Runs signatures on the lines of `text` that are injections of their own, if any. Returns whether results depend on
    /// the location.
    fn lines(&mut self, text: &[u8], value: &Value<'_>, tree: &PointTree<'_>) -> Result<bool, Stop> {
        let mut location_dependent = false;
        for line in detect::shown::injected_lines(text) {
            self.budget.spend(line.len())?;
            let view = Subject::new(line, ByteClasses::of(line), value, tree).with_conditions(self.conditions);
            let result = self.signatures(&view, PLAIN, tree);
            self.record_matches(&view, tree);
            location_dependent |= view.is_location_dependent();
            result?;
        }
        Ok(location_dependent)
    }

    /// Runs signatures on the normalised views of `subject`. Returns whether results depend on the location.
    fn views(&mut self, subject: &Subject<'_>, value: &Value<'_>, tree: &PointTree<'_>) -> Result<bool, Stop> {
        let mut location_dependent = false;
        for (number, kind) in VIEWS.iter().enumerate() {
            if !subject.classes.intersects(kind.needs) || !self.ruleset.views(number, value.zone) {
                continue;
            }
            self.budget.spend(subject.bytes.len())?;
            let Some(bytes) = subject.view(number) else { continue };
            let bump = Bump::new();
            // What the view left as it was has been scanned, by the signatures that look at the value itself too.
            let scanned = self.ruleset.looks_at_plain(number);
            let changes = scanned.then(|| changed_parts(subject.bytes, bytes, &bump)).flatten();
            let view = Subject::new(bytes, ByteClasses::of(bytes), value, tree)
                .with_changes(changes)
                .with_conditions(self.conditions);
            let result = self.signatures(&view, 1 << number, tree);
            self.record_matches(&view, tree);
            location_dependent |= view.is_location_dependent();
            result?;
        }
        Ok(location_dependent)
    }

    /// Runs signatures on one form of a value. If there are more candidates than are confirmed, that is reported, and
    /// the scan goes on with detectors.
    #[inline]
    fn signatures(&mut self, subject: &Subject<'_>, view: u16, tree: &PointTree<'_>) -> Result<(), Stop> {
        let (budget, candidates, matches) = (self.budget, &mut *self.candidates, &mut self.matches);
        let run = || detect::signature::run(self.ruleset, subject, view, budget, candidates, matches);
        match guarded("signatures", run) {
            Some(Err(Stop::Limit)) => {
                self.record_gap(subject.value.point, tree, SkipReason::WorkLimit);
                Ok(())
            }
            Some(result) => result,
            None => {
                self.record_gap(subject.value.point, tree, SkipReason::InternalError);
                Ok(())
            }
        }
    }

    #[cold]
    fn record_gap(&mut self, point: PointId, tree: &PointTree<'_>, reason: SkipReason) {
        self.incomplete = true;
        if self.out.not_inspected.len() < self.options.limits.anomalies {
            self.out.not_inspected.push(NotInspected { point: tree.path(point), reason });
        }
    }

    fn detectors(&mut self, subject: &Subject<'_>, tree: &PointTree<'_>) -> Result<(), Stop> {
        subject.begin_detector();
        for detector in detect::candidates_for(subject.classes, subject.value.zone) {
            if self.options.skip_libinjection && detect::LIBINJECTION_DETECTORS.contains(&detector.name) {
                continue;
            }
            self.budget.spend(detect::RUN_COST + subject.bytes.len() / detect::PASSED_PER_UNIT)?;
            let Some(found) = guarded(detector.name, || run_beside_parts(detector, subject)) else {
                self.record_gap(subject.value.point, tree, SkipReason::InternalError);
                continue;
            };
            if let Some(Match { confidence, start, end }) = found {
                let rule = RuleName::Detector(detector.name);
                self.matches.push(RuleMatch { rule, attack: detector.attack, confidence, start, end });
            }
            subject.next_detector();
        }
        // Fails if a detector has used up what was left.
        self.budget.spend(0)
    }

    #[cold]
    fn record_upload(&mut self, value: &Value<'_>, tree: &PointTree<'_>) {
        let is_file = tree.segment(value.point).is_some_and(|segment| segment.tag == Tag::File);
        if is_file && self.out.uploads.len() < self.options.limits.multipart_parts {
            self.out.uploads.push(Upload { point: tree.path(value.point), bytes: value.bytes.len() as u64 });
        }
    }

    /// Turns the matches on one form of a value into findings, but for those that are content of a text that is relayed.
    #[inline]
    fn record_matches(&mut self, subject: &Subject<'_>, tree: &PointTree<'_>) {
        if !self.matches.is_empty() {
            self.matches.retain(|found| !relayed::is_content(subject, self.service, found.attack, found.start));
            self.record_findings(subject.value, tree, subject.bytes);
        }
    }

    fn record_findings(&mut self, value: &Value<'_>, tree: &PointTree<'_>, text: &[u8]) {
        for found in self.matches.drain(..) {
            if self.out.findings[self.from..].iter().any(|other| *other.rule == *found.rule.name()) {
                continue;
            }
            if self.out.findings.len() >= self.options.limits.findings {
                self.out.findings_dropped += 1;
                continue;
            }
            let rule = match found.rule {
                RuleName::Signature(id) => Arc::clone(id),
                RuleName::Detector(name) => name.into(),
            };
            self.forms.push(value.form);
            self.out.findings.push(Finding {
                attack: found.attack,
                rule,
                point: tree.path(value.point),
                also_at: Vec::new(),
                confidence: found.confidence,
                decisive: false,
                start: found.start,
                matched: printable(&text[found.start..found.end], MAX_MATCHED),
            });
        }
    }

    /// Decides which findings of the current value are decisive: their confidences are added up by attack type. Returns
    /// how many findings there are.
    fn weigh(&mut self, value: &Value<'_>) -> usize {
        let count = self.out.findings.len() - self.from;
        if count == 0 {
            return 0;
        }
        let (earlier, findings) = self.out.findings.split_at_mut(self.from);
        // What a decoded form has in common with an earlier one was found there.
        let forms = if value.changes.is_some() { &self.forms[..self.from] } else { &[] };
        let earlier: Vec<&Finding> = earlier
            .iter()
            .zip(forms)
            .filter(|(_, form)| form.root == value.form.root)
            .map(|(found, _)| found)
            .collect();
        for at in 0..findings.len() {
            let weight = weight_of(findings[at].attack, findings.iter().chain(earlier.iter().copied()));
            findings[at].decisive = weight >= Confidence::ATTACK;
        }
        self.from = self.out.findings.len();
        count
    }

    fn explain(&mut self, value: &Value<'_>, tree: &PointTree<'_>) {
        let applicable = VIEWS.iter().filter(|kind| !value.covered && value.classes.intersects(kind.needs));
        let views = applicable.filter_map(|kind| match (kind.run)(value.bytes) {
            Cow::Owned(bytes) => Some((kind.name, printable(&bytes, MAX_SHOWN))),
            Cow::Borrowed(_) => None,
        });
        self.out.steps.push(DecodeStep {
            point: tree.path(value.point),
            value: printable(value.bytes, MAX_SHOWN),
            length: value.bytes.len(),
            scanned: !value.covered,
            views: views.collect(),
        });
    }

    /// The inspection, with what parsers have noted.
    pub fn finish(self, notes: &Notes) -> Inspection {
        let mut out = self.out;
        out.anomalies =
            notes.anomalies.iter().map(|(kind, point)| Anomaly { kind: *kind, point: point.clone() }).collect();
        let skipped = notes.skipped.iter();
        out.not_inspected.extend(skipped.map(|(reason, at)| NotInspected { point: at.clone(), reason: *reason }));
        out.graphql = notes.graphql.clone().map(|(stats, point)| GraphqlStats { point, ..stats });
        out.values = notes.values;
        out.work = self.budget.spent();
        out
    }
}

/// What `detector` finds in `subject` besides what is in one of the parts of the value, which was judged there.
fn run_beside_parts(detector: &Detector, subject: &Subject<'_>) -> Option<Match> {
    let mut found = (detector.run)(subject)?;
    let mut from = 0;
    for _ in 0..MOST_PARTS_LEFT {
        let Some(end) = subject.part_around(from + found.start, from + found.start + 1) else { break };
        // A command goes on to the end of its line, whatever follows the text that it is in.
        let alone = || run_within(detector, subject, from..end).is_some_and(|part| part.start == found.start);
        if from + found.end > end && !alone() {
            break;
        }
        found = run_within(detector, subject, end..subject.bytes.len())?;
        from = end;
    }
    Some(Match { start: from + found.start, end: from + found.end, ..found })
}

/// What `detector` finds in the bytes `range` of `subject`, from their begin on; it pays for each run, as there may be many.
fn run_within(detector: &Detector, subject: &Subject<'_>, range: Range<usize>) -> Option<Match> {
    if !subject.spend(detect::RUN_COST + range.len() / detect::PASSED_PER_UNIT) {
        return None;
    }
    let part = subject.within(range);
    part.begin_detector();
    let found = (detector.run)(&part);
    part.next_detector();
    found
}

/// Sum of the confidences of the rules that report `attack` among `findings`, each counted once.
fn weight_of<'f>(attack: AttackType, findings: impl Iterator<Item = &'f Finding>) -> u32 {
    let mut rules: SmallVec<[&str; 8]> = SmallVec::new();
    let mut sum = 0;
    for found in findings.filter(|found| found.attack == attack) {
        if !rules.contains(&&*found.rule) {
            rules.push(&found.rule);
            sum += found.confidence.weight();
        }
    }
    sum
}
