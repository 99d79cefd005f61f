//! Detectors inspect a value and report the attack that it contains.
//!
//! [`signature`] runs the ruleset. The other detectors are code, because their attacks have a grammar. Each is an entry of
//! [`TABLE`] with a cheap prefilter, and inspects one value at a time. Detectors know neither the mode nor the message, and
//! do not call each other.
//!
//! To add a detector: write its module and add an entry to [`TABLE`].

mod ahead;
mod any_of;
pub mod archive;
mod code;
pub mod crlf;
pub mod mass_assignment;
pub mod nosqli;
pub mod path;
pub mod probe;
mod rejoin;
pub mod relayed;
pub mod shell;
pub mod shown;
pub mod signature;
pub mod sqli;
pub mod template;
pub mod text_field;
pub mod type_member;
pub mod url;
pub mod webshell;
mod work;
pub mod xss;

use crate::model::byte_class_filter;
use crate::model::{
    AttackType, Budget, ByteClassFilter, ByteClasses, Confidence, FilterTable, Key, PointId, PointPattern, PointTree,
    Segment, Span, Stop, Tag, TagSet, Value, Zone,
};
use crate::normalize::VIEWS;
use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::ops::Range;

/// The input of a detector: one value, in one of its forms.
pub struct Subject<'s> {
    /// The bytes.
    pub bytes: &'s [u8],
    /// Which kinds of bytes occur.
    pub classes: ByteClasses,
    /// The value that `bytes` are, or are a normalised form of.
    pub value: &'s Value<'s>,
    tree: &'s PointTree<'s>,
    /// The parts of `bytes` in which something new can be found; none if all of it is new.
    pub changes: Option<&'s [Span]>,
    conditions: Option<&'s MeetsConditions<'s>>,
    budget: Option<&'s Budget<'s>>,
    /// What [`work`] had counted when the running detector last paid for it.
    paid: Cell<u64>,
    /// The normalised views of `bytes` that were asked for, by number; [`None`] for one that changes nothing.
    views: [OnceCell<Option<Vec<u8>>>; VIEWS.len()],
    /// Results of earlier detectors of the table.
    pub memo: Memo,
}

/// Bytes that a detector examines in one work unit.
pub const EXAMINED_PER_UNIT: usize = 4;
/// Bytes of the first pass of a detector in one work unit. Most detectors search for a few bytes, or look at the begin.
pub const PASSED_PER_UNIT: usize = 8;
/// Work units of a run of a detector besides those of the bytes.
pub const RUN_COST: usize = 2;
/// Most parts of a value that are looked at for the one that holds a match.
const NESTED_PARTS: usize = 16;
/// Longest begin of a line that is read, in bytes.
const MAX_LINE: usize = crate::ruleset::READ_AROUND;
/// Bytes before a match that decide whether it counts, besides its line.
const JUDGED_BEFORE: usize = 256;
/// Bytes that could be examined in the time that a step of a point takes.
const STEP_BYTES: usize = 2;

/// Tells whether the request meets the conditions of a signature, which is given by its number in the ruleset.
pub type MeetsConditions<'s> = dyn Fn(u32) -> Result<bool, Stop> + 's;

/// What detectors store about the current subject for later detectors and for the engine.
#[derive(Default)]
pub struct Memo {
    /// The SQL grammar found something but is not certain.
    sql_in_doubt: Cell<bool>,
    /// A detector or signature read the location of the value, so the result holds only there and must not be cached.
    location_dependent: Cell<bool>,
}

impl<'s> Subject<'s> {
    /// A subject of `bytes`, which are `value` or a normalised form of it.
    pub fn new(bytes: &'s [u8], classes: ByteClasses, value: &'s Value<'s>, tree: &'s PointTree<'s>) -> Self {
        let (views, memo, paid) = Default::default();
        Self { bytes, classes, value, tree, changes: None, conditions: None, budget: None, paid, views, memo }
    }

    /// The same subject, in a request on which conditions of signatures are judged.
    pub fn with_conditions(self, conditions: &'s MeetsConditions<'s>) -> Self {
        Self { conditions: Some(conditions), ..self }
    }

    /// The same subject, outside of whose `changes` it was scanned already.
    pub fn with_changes(self, changes: Option<&'s [Span]>) -> Self {
        Self { changes, ..self }
    }

    /// The same subject, in an inspection whose work is limited.
    pub fn with_budget(self, budget: &'s Budget<'s>) -> Self {
        Self { budget: Some(budget), ..self }
    }

    /// The bytes `range`, as a part of the same value.
    pub fn within(&self, range: Range<usize>) -> Self {
        let bytes = &self.bytes[range];
        let Self { conditions, budget, .. } = *self;
        Self { conditions, budget, ..Self::new(bytes, ByteClasses::of(bytes), self.value, self.tree) }
    }

    /// View `number` of [`VIEWS`] of the bytes, if it changes them.
    pub fn view(&self, number: usize) -> Option<&[u8]> {
        let run = || match (VIEWS[number].run)(self.bytes) {
            Cow::Owned(bytes) => Some(bytes),
            Cow::Borrowed(_) => None,
        };
        self.views[number].get_or_init(run).as_deref()
    }

    /// Spends `units` of the inspection's work. False if the work or the time is used up: the detector returns what it has
    /// found, and the engine reports the rest as not inspected.
    pub fn spend(&self, units: usize) -> bool {
        self.budget.is_none_or(|budget| budget.spend(units).is_ok())
    }

    /// Begins the run of a detector, for whose first pass over the bytes the engine pays.
    pub fn begin_detector(&self) {
        self.paid.set(work::examined() + self.bytes.len() as u64);
    }

    /// Pays for what the detector that ran has examined, and begins the run of another.
    #[inline]
    pub fn next_detector(&self) {
        let examined = work::examined();
        if examined > self.paid.get() {
            self.pay();
        }
        self.paid.set(examined + self.bytes.len() as u64);
    }

    /// Whether the running detector may go on. It pays for what [`work`] has counted, in portions that are much smaller than
    /// the interval at which the budget asks whether to stop. False as [`Self::spend`] is.
    #[inline]
    fn pays(&self) -> bool {
        const PORTION: u64 = 2048;
        work::examined() < self.paid.get() + PORTION || self.pay()
    }

    /// Pays for all that [`work`] has counted in the run of a detector.
    #[cold]
    fn pay(&self) -> bool {
        let unpaid = work::examined().saturating_sub(self.paid.get());
        let units = unpaid as usize / EXAMINED_PER_UNIT;
        self.paid.set(self.paid.get() + (units * EXAMINED_PER_UNIT) as u64);
        self.spend(units)
    }

    /// Whether the request meets the conditions of signature `number`; true for a subject without a request.
    fn meets_conditions(&self, number: u32) -> Result<bool, Stop> {
        self.memo.location_dependent.set(true);
        self.conditions.map_or(Ok(true), |conditions| conditions(number))
    }

    /// Whether the value is at, or below, one of `points`; true for an empty list.
    pub fn is_at(&self, points: &[PointPattern]) -> bool {
        points.is_empty() || {
            self.memo.location_dependent.set(true);
            points.iter().any(|p| p.covers_node(self.tree, self.value.point))
        }
    }

    /// Whether decoding left alone the line of `start..end` and what is shortly before it: then they were judged in the form
    /// from which these bytes were decoded, where it is known what they are part of.
    fn was_judged(&self, start: usize, end: usize) -> bool {
        let Some(changes) = self.changes else { return false };
        let line = &self.bytes[start.saturating_sub(MAX_LINE)..start];
        let line = memchr::memrchr(b'\n', line).map_or(start - line.len(), |at| start - line.len() + at + 1);
        work::count((start - line) / work::SEARCHED);
        let from = line.min(start.saturating_sub(JUDGED_BEFORE));
        let next = changes.partition_point(|change| (change.end as usize) < from);
        changes.get(next).is_none_or(|change| change.start as usize > end)
    }

    /// Where the part ends that holds all of `start..end`, if what is found there was judged as a value of its own.
    pub fn part_around(&self, start: usize, end: usize) -> Option<usize> {
        let parts = self.value.parts;
        let until = parts.partition_point(|part| part.start as usize <= start);
        // Of parts that are nested the outer ones come first.
        let around = parts[..until].iter().rev().take(NESTED_PARTS).find(|part| part.end as usize >= end);
        around.map(|part| part.end as usize)
    }

    /// The steps of the value's point, the last one first.
    pub fn ancestors(&self) -> impl Iterator<Item = Segment<'s>> {
        self.memo.location_dependent.set(true);
        self.tree.ancestors(self.value.point).inspect(|_| work::count(STEP_BYTES))
    }

    /// The names in the steps of the value's point, the innermost one first.
    pub fn names(&self) -> impl Iterator<Item = &'s [u8]> {
        self.ancestors().filter_map(|step| match step.key {
            Key::Name(name) => Some(name),
            _ => None,
        })
    }

    /// Whether the value is the name of a parameter, member or field rather than its value.
    pub fn is_name(&self) -> bool {
        self.ancestors().next().is_some_and(|step| {
            matches!(
                step.tag,
                Tag::GetName
                    | Tag::FormUrlencodedName
                    | Tag::MultipartName
                    | Tag::CookieName
                    | Tag::HeaderName
                    | Tag::HashName
                    | Tag::XmlTagName
            )
        })
    }

    /// Whether a step of the value's point has one of `tags`.
    pub fn is_within(&self, tags: TagSet) -> bool {
        self.memo.location_dependent.set(true);
        self.tree.is_within(self.value.point, tags)
    }

    /// The name of the innermost parameter, member or field that the value belongs to; empty if there is none.
    fn parameter_name(&self) -> &'s [u8] {
        self.memo.location_dependent.set(true);
        self.tree.parameter_name(self.value.point)
    }

    /// Whether a detector or signature read the location of the value, so that results may differ at another location.
    pub fn is_location_dependent(&self) -> bool {
        self.memo.location_dependent.get()
    }
}

/// A match of a signature or detector in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleMatch<'s> {
    /// Name of the signature or detector.
    pub rule: RuleName<'s>,
    /// Attack class.
    pub attack: AttackType,
    /// How certain it is that the value is an attack.
    pub confidence: Confidence,
    /// Index of the first byte.
    pub start: usize,
    /// Index past the last byte.
    pub end: usize,
}

/// The signature or detector that matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleName<'s> {
    /// A signature of the ruleset.
    Signature(&'s std::sync::Arc<str>),
    /// A detector of [`TABLE`].
    Detector(&'static str),
}

impl RuleName<'_> {
    /// Name of the signature or detector.
    pub fn name(&self) -> &str {
        match self {
            RuleName::Signature(id) => id,
            RuleName::Detector(name) => name,
        }
    }
}

/// An entry of [`TABLE`].
pub struct Detector {
    /// Name, e.g. `sqli.grammar`. Exceptions refer to it as to a signature.
    pub name: &'static str,
    /// Attack class.
    pub attack: AttackType,
    /// What it detects, in a sentence for users.
    pub about: &'static str,
    /// Zones in which it runs.
    pub zones: Zone,
    /// Byte classes without which it matches no value.
    pub filter: ByteClassFilter,
    /// Finds the first match, or the one of highest confidence. Takes time linear in the length of the subject.
    pub run: fn(&Subject<'_>) -> Option<Match>,
    /// Values that it must report, and values that it must not report. A test checks them.
    pub samples: Samples,
}

impl Detector {
    /// Whether it reports `text` as the value of a parameter. Its samples are tested with this.
    pub fn matches(&self, text: &[u8]) -> bool {
        let value = Value::new(PointId::ROOT, text, self.zones);
        let (classes, tree) = (value.classes, PointTree::new());
        let subject = Subject::new(text, classes, &value, &tree);
        // Earlier detectors of the table may leave results that it needs.
        let before = TABLE.iter().take_while(|other| other.name != self.name);
        for earlier in before.filter(|other| other.filter.matches(classes)) {
            (earlier.run)(&subject);
        }
        self.filter.matches(classes) && (self.run)(&subject).is_some()
    }
}

/// What a detector of [`TABLE`] reports about a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// How certain it is that the value is an attack.
    pub confidence: Confidence,
    /// Index of the first byte.
    pub start: usize,
    /// Index past the last byte.
    pub end: usize,
}

/// Fewest line ends of a document.
const DOCUMENT_LINES: usize = 4;
/// Fewest lines of a document that are not blank.
const FILLED_LINES: usize = 3;

/// Whether a text is a document that may legitimately show code or commands: it has several lines, or is Markdown with a
/// fenced block. Detectors of code outside of any markup need stronger evidence in such a text.
fn is_document(text: &[u8]) -> bool {
    // Both kinds have line ends. Most values have none, so this decides most calls.
    if memchr::memchr(b'\n', text).is_none() {
        return false;
    }
    let lines = memchr::memchr_iter(b'\n', text).take(DOCUMENT_LINES).count() == DOCUMENT_LINES;
    let filled = || text.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty()).take(FILLED_LINES).count();
    lines && filled() == FILLED_LINES || has_fence(text)
}

/// Whether Markdown fences a block of code in `text`: a line that opens it, and a later one that closes it (CommonMark 4.5).
fn has_fence(text: &[u8]) -> bool {
    let mut fences = memchr::memmem::find_iter(text, b"```").filter(|&at| at == 0 || text[at - 1] == b'\n');
    let opens = |at: usize| {
        let info = text[at + 3..].split(|b| *b == b'\n').next().unwrap_or_default();
        work::count(info.len());
        at + 3 + info.len() < text.len() && !info.contains(&b'`')
    };
    let closes = |at: usize| text[at + 3..].iter().find(|b| !matches!(b, b' ' | b'\t')).is_none_or(|b| *b < b' ');
    fences.by_ref().any(opens) && fences.any(closes)
}

/// Positive and negative samples of a detector.
pub struct Samples {
    /// Values that it must report.
    pub positive: &'static [&'static str],
    /// Values that it must not report.
    pub negative: &'static [&'static str],
}

/// Detectors that use libinjection, which a node may switch off.
pub const LIBINJECTION_DETECTORS: &[&str] = &[sqli::LIBRARY.name];

/// Every detector that is code.
pub static TABLE: &[Detector] = &[
    sqli::GRAMMAR,
    sqli::LIBRARY,
    nosqli::DETECTOR,
    mass_assignment::DETECTOR,
    xss::DETECTOR,
    shell::DETECTOR,
    code::DETECTOR,
    template::DETECTOR,
    type_member::DETECTOR,
    crlf::DETECTOR,
    path::DETECTOR,
    probe::DETECTOR,
    url::SSRF,
    url::REDIRECT,
    xss::svg::IN_FILES,
    webshell::DETECTOR,
    archive::DETECTOR,
];

/// The byte class filters of [`TABLE`].
static FILTERS: FilterTable = byte_class_filter::filter_table!(TABLE);

/// Detectors of [`TABLE`] that may match a value of these byte classes in `zone`, in order of the table.
#[inline]
pub fn candidates_for(classes: ByteClasses, zone: Zone) -> impl Iterator<Item = &'static Detector> {
    byte_class_filter::each(FILTERS.matching(classes))
        .map(|line| &TABLE[line])
        .filter(move |detector| detector.zones.intersects(zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_distinguished_from_padding() {
        for text in ["a\nb\nc\n\nd", "```bash\nls && id\n```", "See:\n```\nls\n```\n", "```c\r\nx\r\n```\r\n"] {
            assert!(is_document(text.as_bytes()), "{text:?}");
        }
        for text in ["x\n\n\n\n;id", "```id```", "a ```\nid\n```", "```\nid", "```a`\nid\n```b", "a\nb\nc"] {
            assert!(!is_document(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn every_detector_classifies_its_samples_correctly() {
        let mut wrong = Vec::new();
        let mut names = std::collections::HashSet::new();
        for detector in TABLE {
            let Samples { positive, negative } = detector.samples;
            assert!(names.insert(detector.name), "{} twice", detector.name);
            assert!(!positive.is_empty() && !negative.is_empty(), "{} lacks samples", detector.name);
            let missed = positive.iter().filter(|text| !detector.matches(text.as_bytes()));
            wrong.extend(missed.map(|text| format!("{} misses {text:?}", detector.name)));
            let false_hits = negative.iter().filter(|text| detector.matches(text.as_bytes()));
            wrong.extend(false_hits.map(|text| format!("{} reports {text:?}", detector.name)));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
