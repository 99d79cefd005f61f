//! Parsers turn a message into values at points.
//!
//! [`extract::extract`] splits the message (target, headers, body) and then offers every value, including those that
//! parsers emit, to each parser of [`TABLE`] that applies to it. A declared content type adds a parser to those tried;
//! no declaration removes one, because attackers choose declarations too. Parsers do not call each other.
//!
//! To add a parser: write its module, add an entry to [`TABLE`] and, if it can be switched off, a bit to [`ParserSet`];
//! add a sample to the tests of this module.

pub mod archive;
pub mod base64;
pub mod benign_lookup;
pub mod cbor;
pub mod charset;
pub mod chunked;
pub mod content;
pub mod cookie;
pub mod data;
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
mod state;
pub mod target;
#[cfg(test)]
pub(crate) mod testing;
pub mod viewstate;
pub mod visitor;
pub mod xml;

use crate::model::{ByteClassFilter, ByteClasses, FilterTable, Hint, ParserSet, byte_class_filter};
pub use emitter::Emitter;
pub use parser::{Applicability, Candidate, ParseError, Parsed, Parser};

/// Parsers that only recode a value as a whole. They are skipped in zones where no detector runs, such as the content of
/// an uploaded file: nothing would inspect the recoded value either.
pub const RECODINGS: ParserSet =
    ParserSet::PERCENT.with(ParserSet::HTMLJS).with(ParserSet::CHARSET).with(ParserSet::BASE64).with(ParserSet::HEX);

/// Parsers of formats in which texts follow each other with a few bytes between them. A receiver may read it all as one text:
/// where that is possible, it is inspected as one, too, besides its texts.
pub const BINARY_FORMATS: ParserSet =
    ParserSet::GRPC.with(ParserSet::PROTOBUF).with(ParserSet::MSGPACK).with(ParserSet::CBOR);

/// Every parser of values, in the order in which they are tried: those that split a whole body come first. Once one has
/// covered a value, only declared parsers are still tried: others would find in the whole what they find in its parts.
pub static TABLE: &[Parser] = &[
    Parser {
        id: ParserSet::GZIP,
        filter: ByteClassFilter::any(ByteClasses::HIGH.with(ByteClasses::CONTROL)),
        applicability: inflate::applicability,
        run: inflate::run,
    },
    Parser {
        id: ParserSet::COOKIE,
        filter: ByteClassFilter::NEVER,
        applicability: cookie::applicability,
        run: cookie::run,
    },
    Parser {
        id: ParserSet::MULTIPART,
        filter: ByteClassFilter::any(ByteClasses::COLON),
        applicability: multipart::applicability,
        run: multipart::run,
    },
    Parser {
        id: ParserSet::FORM_URLENCODED,
        filter: ByteClassFilter::any(ByteClasses::EQUALS),
        applicability: form_urlencoded::applicability,
        run: form_urlencoded::run,
    },
    Parser {
        id: ParserSet::JSON_DOC,
        filter: ByteClassFilter::any(ByteClasses::LBRACE.with(ByteClasses::LBRACKET).with(ByteClasses::DQUOTE)),
        applicability: json_doc::applicability,
        run: json_doc::run,
    },
    Parser {
        id: ParserSet::CHARSET,
        filter: ByteClassFilter::any(ByteClasses::HIGH.with(ByteClasses::CONTROL).with(ByteClasses::PLUS)),
        applicability: charset::applicability,
        run: charset::run,
    },
    Parser {
        id: ParserSet::GRPC,
        filter: ByteClassFilter::any(ByteClasses::CONTROL),
        applicability: grpc::applicability,
        run: grpc::run,
    },
    Parser {
        id: ParserSet::GRPC,
        filter: ByteClassFilter::NEVER,
        applicability: grpc_web::applicability,
        run: grpc_web::run,
    },
    Parser {
        id: ParserSet::PROTOBUF,
        filter: ByteClassFilter::any(ByteClasses::CONTROL),
        applicability: protobuf::applicability,
        run: protobuf::run,
    },
    Parser {
        id: ParserSet::MSGPACK,
        filter: ByteClassFilter::any(ByteClasses::HIGH),
        applicability: msgpack::applicability,
        run: msgpack::run,
    },
    Parser {
        id: ParserSet::CBOR,
        filter: ByteClassFilter::any(ByteClasses::HIGH),
        applicability: cbor::applicability,
        run: cbor::run,
    },
    Parser {
        id: ParserSet::PERCENT,
        filter: ByteClassFilter::any(ByteClasses::PERCENT.with(ByteClasses::PLUS)),
        applicability: percent::applicability,
        run: percent::run,
    },
    Parser {
        id: ParserSet::XML,
        filter: ByteClassFilter::any(ByteClasses::GT),
        applicability: xml::applicability,
        run: xml::run,
    },
    Parser {
        id: ParserSet::GQL,
        filter: ByteClassFilter::any(ByteClasses::RBRACE),
        applicability: gql::applicability,
        run: gql::run,
    },
    Parser {
        id: ParserSet::JWT,
        filter: ByteClassFilter::any(ByteClasses::DOT).only(jwt::ALPHABET),
        applicability: jwt::applicability,
        run: jwt::run,
    },
    Parser {
        id: ParserSet::BASE64,
        filter: ByteClassFilter::any(ByteClasses::ALPHA).only(base64::ALPHABET),
        applicability: base64::applicability,
        run: base64::run,
    },
    Parser {
        id: ParserSet::BASE64,
        filter: ByteClassFilter::any(ByteClasses::BANG),
        applicability: base64::applicability_of_yaml,
        run: base64::run_on_yaml,
    },
    Parser {
        id: ParserSet::BASE64,
        filter: ByteClassFilter::any(ByteClasses::ALPHA).only(base64::ALPHABET),
        applicability: base64::applicability_of_saml,
        run: base64::run_on_saml,
    },
    Parser {
        id: ParserSet::HEX,
        filter: ByteClassFilter::any(ByteClasses::DIGIT).only(hex::ALPHABET),
        applicability: hex::applicability,
        run: hex::run,
    },
    Parser {
        id: ParserSet::HTMLJS,
        filter: ByteClassFilter::any(ByteClasses::AMP.with(ByteClasses::BACKSLASH)),
        applicability: htmljs::applicability,
        run: htmljs::run,
    },
    Parser {
        id: ParserSet::ARCHIVE,
        filter: ByteClassFilter::any(ByteClasses::CONTROL),
        applicability: archive::applicability,
        run: archive::run,
    },
    Parser {
        id: ParserSet::VIEWSTATE,
        filter: ByteClassFilter::any(ByteClasses::HIGH),
        applicability: viewstate::applicability,
        run: viewstate::run,
    },
];

/// The byte class filters of [`TABLE`].
static FILTERS: FilterTable = byte_class_filter::filter_table!(TABLE);

/// Parsers of [`TABLE`] that may want to try a value of these kinds of bytes, in order. All of them may want one about
/// which something is declared.
#[inline]
pub fn candidates_for(classes: ByteClasses, hint: Hint<'_>) -> impl Iterator<Item = &'static Parser> {
    let lines = if hint == Hint::None { FILTERS.matching(classes) } else { byte_class_filter::below(TABLE.len()) };
    byte_class_filter::each(lines).map(|line| &TABLE[line])
}

#[cfg(test)]
mod tests {
    use super::extract::{ParseOptions, extract};
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
        (
            "archive",
            "archive_name",
            b"POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\nPK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0../x\r\n--x--\r\n",
        ),
        ("grpc", "grpc", b"POST / HTTP/1.1\r\nContent-Type: application/grpc\r\n\r\n\0\0\0\0\x03\x0a\x01a"),
        ("protobuf", "protobuf", b"POST / HTTP/1.1\r\nContent-Type: application/x-protobuf\r\n\r\n\x0a\x01a"),
        ("msgpack", "msgpack", b"POST / HTTP/1.1\r\nContent-Type: application/msgpack\r\n\r\n\x81\xa1a\xa1b"),
        ("cbor", "cbor", b"POST / HTTP/1.1\r\nContent-Type: application/cbor\r\n\r\n\xa1\x61a\x61b"),
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
                let options = ParseOptions { parsers_off: off, ..ParseOptions::default() };
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
        fn filters_reject_only_values_that_no_parser_applies_to(bytes in "(<!?[?]xml>|--x\r\nContent-Disposition: form-data|\\{query|eyJ|\\PC|[ -~]|\x00){0,6}", raw: Vec<u8>, tag in 0..Tag::ALL.len()) {
            for bytes in [bytes.as_bytes(), &raw] {
                let classes = ByteClasses::of(bytes);
                let value = Candidate { bytes, classes, zone: Zone::BODY, tag: Tag::ALL[tag], hint: Hint::None, depth: 0, covered: false };
                for parser in TABLE.iter().filter(|parser| !parser.filter.matches(classes)) {
                    prop_assert_eq!((parser.applicability)(&value), Applicability::No, "{:?}", parser.id);
                }
            }
        }
    }
}
