//! Detectors: what looks at a value and says what attack it carries.
//!
//! [`signature`] runs the ruleset. The others are code, because their attacks have a grammar: each stands in [`TABLE`]
//! with a cheap gate, and sees one value at a time. Detectors know no mode, no message, and nothing of each other.
//!
//! To add a detector: its module, one line in [`TABLE`].

pub mod crlf;
pub mod mass_assignment;
pub mod nosqli;
pub mod path;
pub mod shell;
pub mod signature;
pub mod sqli;
pub mod template;
pub mod url;
mod work;
pub mod xss;

use crate::model::byte_class_filter;
use crate::model::{
    AttackType, ByteClassFilter, ByteClasses, Confidence, FilterTable, Hint, PointId, PointPattern, PointTree, Segment,
    Value, Zone,
};
use std::cell::Cell;

/// What a detector looks at: one value, in one of its forms.
pub struct Subject<'s> {
    /// The bytes.
    pub bytes: &'s [u8],
    /// Which kinds of bytes occur.
    pub classes: ByteClasses,
    /// The value that this is, or is a form of.
    pub value: &'s Value<'s>,
    tree: &'s PointTree<'s>,
    /// What earlier detectors of the table left.
    pub memo: Memo,
}

/// What a detector leaves about the current subject for those behind it in the table, so that nothing is worked out twice.
#[derive(Default)]
pub struct Memo {
    /// The SQL grammar found something, and is in doubt.
    sql_in_doubt: Cell<bool>,
    /// Somebody asked where the value stands.
    location_dependent: Cell<bool>,
}

impl<'s> Subject<'s> {
    /// `bytes`, which are `value` or a form of it.
    pub fn new(bytes: &'s [u8], classes: ByteClasses, value: &'s Value<'s>, tree: &'s PointTree<'s>) -> Self {
        Self { bytes, classes, value, tree, memo: Memo::default() }
    }

    /// Whether the value sits at, or below, one of `points`; true for an empty list.
    pub fn is_at(&self, points: &[PointPattern]) -> bool {
        points.is_empty() || {
            self.memo.location_dependent.set(true);
            points.iter().any(|p| p.covers_node(self.tree, self.value.point))
        }
    }

    /// The steps of the value's point, the last one first.
    pub fn ancestors(&self) -> impl Iterator<Item = Segment<'s>> {
        self.memo.location_dependent.set(true);
        self.tree.ancestors(self.value.point)
    }

    /// Whether anybody has asked where the value stands, so that elsewhere the answers may be others.
    pub fn is_location_dependent(&self) -> bool {
        self.memo.location_dependent.get()
    }
}

/// A match in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleMatch<'s> {
    /// Name of the signature or detector.
    pub rule: RuleName<'s>,
    /// Attack class.
    pub attack: AttackType,
    /// How sure.
    pub confidence: Confidence,
    /// First byte.
    pub start: usize,
    /// Past the last byte.
    pub end: usize,
}

/// Who found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleName<'s> {
    /// A signature of the ruleset.
    Signature(&'s std::sync::Arc<str>),
    /// A detector of [`TABLE`].
    Detector(&'static str),
}

impl RuleName<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            RuleName::Signature(id) => id,
            RuleName::Detector(name) => name,
        }
    }
}

/// One line of the detector table.
pub struct Detector {
    /// Name, e.g. `sqli.grammar`; exceptions name it like a signature.
    pub name: &'static str,
    /// Attack class.
    pub attack: AttackType,
    /// What it knows and reports, for people.
    pub about: &'static str,
    /// Zones in which it runs.
    pub zones: Zone,
    /// Kinds of bytes without which no value is worth running it.
    pub filter: ByteClassFilter,
    /// The work: the first, or surest, match. Linear in the length of the subject.
    pub run: fn(&Subject<'_>) -> Option<Match>,
    /// Values that it must report and values that it must not, held by a test.
    pub samples: Samples,
}

impl Detector {
    /// Whether it reports `text` as a parameter's value: what its samples are judged by.
    pub fn matches(&self, text: &[u8]) -> bool {
        let classes = ByteClasses::of(text);
        let value = Value {
            point: PointId::ROOT,
            bytes: text,
            zone: self.zones,
            hint: Hint::None,
            depth: 0,
            parser_reacted: false,
            covered: false,
            classes,
        };
        let tree = PointTree::new();
        let subject = Subject::new(text, classes, &value, &tree);
        // Those before it in the table leave what it may need.
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
    /// How sure.
    pub confidence: Confidence,
    /// First byte.
    pub start: usize,
    /// Past the last byte.
    pub end: usize,
}

/// Line ends from which on a text is a document.
const DOCUMENT_LINES: usize = 4;
/// Lines with something on them that a document has at least.
const FILLED_LINES: usize = 3;

/// Whether a text is a document that may well show code or commands: several lines, or Markdown with a fenced block.
///
/// Detectors of code that stands in the open ask more of such a text before they believe it.
fn is_document(text: &[u8]) -> bool {
    // Both have line ends; most values have none, and detectors ask of every value.
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

/// Detectors that ask libinjection, which a node may leave out.
pub const LIBINJECTION_DETECTORS: &[&str] = &[sqli::LIBRARY.name];

/// Every detector that is code.
pub static TABLE: &[Detector] = &[
    sqli::GRAMMAR,
    sqli::LIBRARY,
    nosqli::DETECTOR,
    mass_assignment::DETECTOR,
    xss::DETECTOR,
    shell::DETECTOR,
    template::DETECTOR,
    crlf::DETECTOR,
    path::DETECTOR,
    url::SSRF,
    url::REDIRECT,
];

/// The gates of [`TABLE`].
static FILTERS: FilterTable = byte_class_filter::filter_table!(TABLE);

/// Detectors of [`TABLE`] that are worth running on a value of these kinds of bytes in `zone`, in order.
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
    fn documents_are_told_from_padding() {
        for text in ["a\nb\nc\n\nd", "```bash\nls && id\n```", "See:\n```\nls\n```\n", "```c\r\nx\r\n```\r\n"] {
            assert!(is_document(text.as_bytes()), "{text:?}");
        }
        for text in ["x\n\n\n\n;id", "```id```", "a ```\nid\n```", "```\nid", "```a`\nid\n```b", "a\nb\nc"] {
            assert!(!is_document(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn every_detector_judges_its_samples_as_it_says() {
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
