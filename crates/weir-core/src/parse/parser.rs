//! The interface of parsers: their input, their result, and their entry in the table.

use super::emitter::Emitter;
use crate::model::{AnomalyKind, ByteClassFilter, ByteClasses, Hint, ParserSet, Stop, Tag, Zone};

/// What a parser knows about a value before it runs.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The bytes of the value.
    pub bytes: &'a [u8],
    /// Which kinds of bytes occur.
    pub classes: ByteClasses,
    /// The part of the message that the value comes from.
    pub zone: Zone,
    /// Tag of the last step of the value's point.
    pub tag: Tag,
    /// What is declared about the value.
    pub hint: Hint<'a>,
    /// How many parsers led to the value.
    pub depth: u8,
    /// Whether a parser has covered the value ([`Parsed::Covered`]), so that only declared parsers are still tried.
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

    /// Whether the bytes are text in ASCII throughout, which a receiver may read as it is.
    pub fn is_plain_text(&self) -> bool {
        !self.classes.intersects(ByteClasses::HIGH.with(ByteClasses::CONTROL))
    }

    /// The declared media type with its parameters.
    pub fn hint_media(&self) -> Option<&'a [u8]> {
        if let Hint::Media(media) = self.hint { Some(media) } else { None }
    }

    /// Whether the value is declared to have the syntax of `parser`.
    pub fn is_declared(&self, parser: ParserSet) -> bool {
        self.hint == Hint::Parser(parser)
    }
}

/// Whether a parser applies to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applicability {
    /// The value cannot have this syntax.
    No,
    /// The value looks like this syntax. If it is not, the attempt leaves no trace.
    Sniffed,
    /// The value is declared to have this syntax. If it does not, that is an anomaly.
    Declared,
}

impl Applicability {
    /// [`Applicability::Sniffed`] if `yes`, otherwise [`Applicability::No`].
    pub fn sniffed(yes: bool) -> Applicability {
        if yes { Applicability::Sniffed } else { Applicability::No }
    }
}

/// What a parser did with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The emitted values contain everything in the input, so detectors need not inspect the input itself.
    Covered,
    /// Values were emitted, and detectors inspect the input itself too.
    Added,
}

/// Why a parser stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// The value does not have this syntax. What was emitted is taken back.
    NotApplicable,
    /// The value has this syntax with errors. What was emitted stays, the input itself is inspected too, and the anomaly
    /// is reported if the syntax was declared.
    Broken(AnomalyKind),
    /// A limit of this parser was reached, and the parser has recorded it with [`Emitter::skip`]. What was emitted stays.
    Limit,
    /// The parser panicked, which is a defect of weir. What was emitted stays.
    Failed,
    /// The work budget or the time of the whole inspection is used up.
    Stop(Stop),
}

impl From<Stop> for ParseError {
    fn from(stop: Stop) -> Self {
        if stop == Stop::Limit { ParseError::Limit } else { ParseError::Stop(stop) }
    }
}

/// An entry of [`super::TABLE`].
pub struct Parser {
    /// The bit that switches the parser off.
    pub id: ParserSet,
    /// Byte classes without which the parser applies to no undeclared value.
    ///
    /// **Correctness.** It must not reject a value that `applicability` accepts. The test
    /// `filters_reject_only_values_that_no_parser_applies_to` checks this.
    pub filter: ByteClassFilter,
    /// Cheap test of whether the parser applies to a value.
    pub applicability: fn(&Candidate<'_>) -> Applicability,
    /// Parses the value and emits what it finds below the current point.
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
