//! Parsers: a message becomes values at points.
//!
//! [`extract::extract`] opens the message (target, headers, body) and then offers every value, those made by parsers
//! included, to each parser of [`TABLE`] that suits it. A declared content type is a hint that adds a parser to those
//! tried; nothing that is declared ever takes one away. Parsers know nothing of each other.
//!
//! To add a parser: its module, one line in [`TABLE`], a bit in [`ParserSet`] if it can be switched off.

pub mod base64;
pub mod benign_lookup;
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
pub mod parser;
pub mod percent;
pub mod protobuf;
pub mod target;
#[cfg(test)]
pub(crate) mod testing;
pub mod viewstate;
pub mod xml;

use crate::model::{Chars, Gate, Gates, Hint, ParserSet, gate};
pub use emitter::Emitter;
pub use parser::{Applicability, Candidate, ParseError, Parsed, Parser};

/// Parsers that make of a value nothing but the same value in another spelling. In a zone at which nobody looks, such as
/// the content of an uploaded file, they are left out.
pub const RECODINGS: ParserSet =
    ParserSet::PERCENT.with(ParserSet::HTMLJS).with(ParserSet::CHARSET).with(ParserSet::BASE64).with(ParserSet::HEX);

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
    use super::extract::{Options, extract};
    use super::*;
    use crate::model::{Budget, Limits, SkipReason, Tag, Zone};
    use bumpalo::Bump;
    use proptest::prelude::*;

    /// A request for each parser of the table, and the tag of the points that it makes.
    const SAMPLES: &[(&str, &str, &[u8])] = &[
        ("percent", "percent", b"POST /?a=%252527 HTTP/1.1\r\n\r\n"),
        ("json_doc", "json_doc", b"POST / HTTP/1.1\r\n\r\n{\"a\":\"b\"}"),
        ("xml", "xml", b"POST / HTTP/1.1\r\n\r\n<a>b</a>"),
        ("gql", "gql", b"POST / HTTP/1.1\r\n\r\n{\"query\":\"{a(b:X)}\"}"),
        ("jwt", "jwt", b"POST / HTTP/1.1\r\nAuthorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.\r\n\r\n"),
        ("base64", "base64", b"POST /?a=JyBvciAxPTEtLSA= HTTP/1.1\r\n\r\n"),
        ("hex", "hex", b"POST /?a=0x2f6574632f706173737764 HTTP/1.1\r\n\r\n"),
        ("gzip", "deflate", b"POST / HTTP/1.1\r\nContent-Encoding: deflate\r\n\r\n\x01\x03\x00\xfc\xffabc"),
        ("htmljs", "htmljs", b"POST /?a=%26lt;b HTTP/1.1\r\n\r\n"),
        ("form_urlencoded", "form_urlencoded", b"POST / HTTP/1.1\r\n\r\na=b"),
        ("cookie", "cookie", b"POST / HTTP/1.1\r\nCookie: a=b\r\n\r\n"),
        (
            "multipart",
            "multipart",
            b"POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--\r\n",
        ),
        ("charset", "charset", b"POST / HTTP/1.1\r\n\r\n\xff\xfea\0b\0c\0d\0"),
        ("grpc", "grpc", b"POST / HTTP/1.1\r\nContent-Type: application/grpc\r\n\r\n\0\0\0\0\x03\x0a\x01a"),
        ("protobuf", "protobuf", b"POST / HTTP/1.1\r\nContent-Type: application/x-protobuf\r\n\r\n\x0a\x01a"),
        ("msgpack", "msgpack", b"POST / HTTP/1.1\r\nContent-Type: application/msgpack\r\n\r\n\x81\xa1a\xa1b"),
        ("viewstate", "viewstate", b"POST / HTTP/1.1\r\n\r\n\xff\x01\x05\x04abcd"),
    ];

    #[test]
    fn every_parser_of_the_table_has_a_sample_that_reaches_it() {
        for parser in TABLE {
            let sample = SAMPLES.iter().find(|(id, ..)| ParserSet::from_code(id) == Some(parser.id));
            let (_, tag, raw) = sample.unwrap_or_else(|| panic!("{:?} has no line in SAMPLES", parser.id));
            let points = |off| {
                let (bump, limits) = (Bump::new(), Limits::default());
                let budget = Budget::new(limits.work, &|| false);
                let options = Options { parsers_off: off, ..Options::default() };
                let out = extract(&message::request(raw), &options, &limits, &budget, &bump);
                let tags = out.values.iter().flat_map(|v| out.tree.ancestors(v.point)).map(|s| s.tag.code());
                let reached = tags.collect::<Vec<_>>().contains(tag);
                (reached, out.notes.skipped.iter().any(|(reason, _)| *reason == SkipReason::ParserOff))
            };
            assert_eq!(points(ParserSet::NONE), (true, false), "{:?}", parser.id);
            assert_eq!(points(parser.id), (false, true), "{:?} switched off", parser.id);
        }
    }

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
