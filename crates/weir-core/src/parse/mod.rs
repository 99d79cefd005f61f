//! Parsers: a message becomes values at points.
//!
//! [`extract::extract`] opens the message (target, headers, body) and then offers every value, those made by parsers
//! included, to each parser of [`TABLE`] that suits it. A declared content type is a hint that adds a parser to those
//! tried; nothing that is declared ever takes one away. Parsers know nothing of each other.
//!
//! To add a parser: its module, one line in [`TABLE`], a bit in [`ParserSet`] if it can be switched off.

pub mod base64;
pub mod charset;
pub mod chunked;
pub mod cookie;
pub mod emitter;
pub mod extract;
pub mod facts;
pub mod form_urlencoded;
pub mod gql;
pub mod grpc;
pub mod grpc_web;
pub mod headers;
pub mod hex;
pub mod htmljs;
pub mod inflate;
pub mod json_doc;
pub mod jwt;
pub mod message;
pub mod msgpack;
pub mod multipart;
pub mod percent;
pub mod protobuf;
#[cfg(test)]
pub(crate) mod seen;
pub mod target;
#[cfg(test)]
pub(crate) mod testing;
pub mod viewstate;
pub mod xml;

use crate::model::{AnomalyKind, Chars, Gate, Gates, Hint, ParserSet, Stop, Tag, Zone, gate};
pub use emitter::Emitter;

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

/// Parsers that make of a value nothing but the same value in another spelling. In a zone at which nobody looks, such as
/// the content of an uploaded file, they are left out.
pub const RECODINGS: ParserSet =
    ParserSet::PERCENT.with(ParserSet::HTMLJS).with(ParserSet::CHARSET).with(ParserSet::BASE64).with(ParserSet::HEX);

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
    /// Whether it wants to try `value`, of which [`candidates_for`] thinks so.
    #[inline]
    pub fn tries(&self, value: &Candidate<'_>) -> Applicability {
        match (self.applicability)(value) {
            Applicability::Sniffed if value.covered => Applicability::No,
            suits => suits,
        }
    }
}

/// Every parser of values, in the order in which they are tried: first those that take a whole body apart. Once one has
/// covered a value only declared ones are asked, as others would but make of the whole what they make of its parts.
pub static TABLE: &[Parser] = &[
    Parser { id: ParserSet::COOKIE, gate: Gate::NEVER, applicability: cookie::applicability, run: cookie::run },
    Parser {
        id: ParserSet::MULTIPART,
        gate: Gate::any(Chars::COLON),
        applicability: multipart::applicability,
        run: multipart::run,
    },
    Parser {
        id: ParserSet::FORM_URLENCODED,
        gate: Gate::any(Chars::EQUALS),
        applicability: form_urlencoded::applicability,
        run: form_urlencoded::run,
    },
    Parser {
        id: ParserSet::JSON_DOC,
        gate: Gate::any(Chars::LBRACE.with(Chars::LBRACKET).with(Chars::DQUOTE)),
        applicability: json_doc::applicability,
        run: json_doc::run,
    },
    Parser {
        id: ParserSet::CHARSET,
        gate: Gate::any(Chars::HIGH.with(Chars::CONTROL).with(Chars::PLUS)),
        applicability: charset::applicability,
        run: charset::run,
    },
    Parser {
        id: ParserSet::PERCENT,
        gate: Gate::any(Chars::PERCENT.with(Chars::PLUS)),
        applicability: percent::applicability,
        run: percent::run,
    },
    Parser { id: ParserSet::XML, gate: Gate::any(Chars::GT), applicability: xml::applicability, run: xml::run },
    Parser { id: ParserSet::GQL, gate: Gate::any(Chars::RBRACE), applicability: gql::applicability, run: gql::run },
    Parser {
        id: ParserSet::JWT,
        gate: Gate::any(Chars::DOT).only(jwt::ALPHABET),
        applicability: jwt::applicability,
        run: jwt::run,
    },
    Parser {
        id: ParserSet::BASE64,
        gate: Gate::any(Chars::ALPHA).only(base64::ALPHABET),
        applicability: base64::applicability,
        run: base64::run,
    },
    Parser {
        id: ParserSet::HEX,
        gate: Gate::any(Chars::DIGIT).only(hex::ALPHABET),
        applicability: hex::applicability,
        run: hex::run,
    },
    Parser {
        id: ParserSet::GZIP,
        gate: Gate::any(Chars::HIGH.with(Chars::CONTROL)),
        applicability: inflate::applicability,
        run: inflate::run,
    },
    Parser {
        id: ParserSet::HTMLJS,
        gate: Gate::any(Chars::AMP.with(Chars::BACKSLASH)),
        applicability: htmljs::applicability,
        run: htmljs::run,
    },
    Parser { id: ParserSet::GRPC, gate: Gate::any(Chars::CONTROL), applicability: grpc::applicability, run: grpc::run },
    Parser { id: ParserSet::GRPC, gate: Gate::NEVER, applicability: grpc_web::applicability, run: grpc_web::run },
    Parser {
        id: ParserSet::PROTOBUF,
        gate: Gate::any(Chars::CONTROL),
        applicability: protobuf::applicability,
        run: protobuf::run,
    },
    Parser {
        id: ParserSet::MSGPACK,
        gate: Gate::any(Chars::HIGH),
        applicability: msgpack::applicability,
        run: msgpack::run,
    },
    Parser {
        id: ParserSet::VIEWSTATE,
        gate: Gate::any(Chars::HIGH),
        applicability: viewstate::applicability,
        run: viewstate::run,
    },
];

/// The gates of [`TABLE`].
static GATES: Gates = gate::gates!(TABLE);

/// Parsers of [`TABLE`] that may want to try a value of these kinds of bytes, in order. All of them may want one about
/// which something is declared.
#[inline]
pub fn candidates_for(chars: Chars, hint: Hint<'_>) -> impl Iterator<Item = &'static Parser> {
    let lines = if hint == Hint::None { GATES.open(chars) } else { gate::below(TABLE.len()) };
    gate::each(lines).map(|line| &TABLE[line])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Tag;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn gates_change_no_answer(bytes in "(<!?[?]xml>|--x\r\nContent-Disposition: form-data|\\{query|eyJ|\\PC|[ -~]|\x00){0,6}", raw: Vec<u8>, tag in 0..Tag::ALL.len()) {
            for bytes in [bytes.as_bytes(), &raw] {
                let chars = Chars::of(bytes);
                let value = Candidate { bytes, chars, zone: Zone::BODY, tag: Tag::ALL[tag], hint: Hint::None, depth: 0, covered: false };
                for parser in TABLE.iter().filter(|parser| !parser.gate.opens(chars)) {
                    prop_assert_eq!((parser.applicability)(&value), Applicability::No, "{:?}", parser.id);
                }
            }
        }
    }
}
