//! What a parser of values is: what it is given, what it answers, and its entry in the table.

use super::emitter::Emitter;
use crate::model::{AnomalyKind, Chars, Gate, Hint, ParserSet, Stop, Tag, Zone};

/// What a parser may know about a value before it is run.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Which kinds of bytes occur.
    pub chars: Chars,
    /// Where in the message the value is.
    pub zone: Zone,
    /// Tag of the last step of the value's point.
    pub tag: Tag,
    /// What is declared about the value.
    pub hint: Hint<'a>,
    /// Parsers stacked so far.
    pub depth: u8,
    /// Whether a parser has taken it apart whole, so that only what is declared is still to be tried.
    pub covered: bool,
}

impl<'a> Candidate<'a> {
    /// Whether the declared media type is one of `types` (lower case, without parameters).
    /// An entry such as `+json` matches as a structured syntax suffix (RFC 6839).
    pub fn is_media(&self, types: &[&str]) -> bool {
        let Some(media) = self.hint_media() else { return false };
        let essence = media.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
        types.iter().any(|want| {
            if want.starts_with('+') {
                essence.len() >= want.len()
                    && essence[essence.len() - want.len()..].eq_ignore_ascii_case(want.as_bytes())
            } else {
                essence.eq_ignore_ascii_case(want.as_bytes())
            }
        })
    }

    /// The declared media type with its parameters.
    pub fn hint_media(&self) -> Option<&'a [u8]> {
        if let Hint::Media(media) = self.hint { Some(media) } else { None }
    }

    /// Whether the message says that this parser is the right one.
    pub fn is_declared(&self, parser: ParserSet) -> bool {
        self.hint == Hint::Parser(parser)
    }
}

/// Whether a parser wants to try a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applicability {
    /// It cannot be this syntax.
    No,
    /// It looks like this syntax; when it is not, nothing happened.
    Sniffed,
    /// The message says it is; when it is not, that is an anomaly.
    Declared,
}

impl Applicability {
    /// Sniffed if `yes`.
    pub fn sniffed(yes: bool) -> Applicability {
        if yes { Applicability::Sniffed } else { Applicability::No }
    }
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The values emitted hold all that is in the input: detectors need not look at the input itself.
    Covered,
    /// Values were emitted, and the input itself is still worth a look.
    Added,
}

/// Why a parser gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// It is not this syntax: whatever was emitted is taken back.
    NotApplicable,
    /// It is this syntax, but broken: what was emitted stays, the input itself is looked at too,
    /// and the anomaly is reported where the syntax was declared.
    Broken(AnomalyKind),
    /// A limit of this parser: what was emitted stays; the limit has been noted by [`Emitter::skip`].
    Limit,
    /// The budget or the time of the whole inspection is over.
    Stop(Stop),
}

impl From<Stop> for ParseError {
    fn from(stop: Stop) -> Self {
        ParseError::Stop(stop)
    }
}

/// One line of the parser table.
pub struct Parser {
    /// The bit that switches it off.
    pub id: ParserSet,
    /// Kinds of bytes without which no undeclared value suits.
    ///
    /// **Safety.** It only repeats what `suits` asks; `gates_change_no_answer` holds both together.
    pub gate: Gate,
    /// Cheap test of a value.
    pub applicability: fn(&Candidate<'_>) -> Applicability,
    /// The work: emits values below the current point.
    pub run: for<'a> fn(&Candidate<'a>, &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError>,
}

impl Parser {
    /// Whether the parser applies to `value`, which is one of its [`candidates`](super::candidates_for).
    #[inline]
    pub fn check(&self, value: &Candidate<'_>) -> Applicability {
        match (self.applicability)(value) {
            Applicability::Sniffed if value.covered => Applicability::No,
            applicability => applicability,
        }
    }
}
