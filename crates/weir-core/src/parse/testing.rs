//! What the tests of parsers share: a body goes through the whole driver, and points are compared as text.

use super::emitter::{Emitter, Notes};
use super::extract::{Options, extract};
use super::{Candidate, ParseError, Parsed};
use crate::model::bytes::printable;
use crate::model::{
    Budget, Chars, GraphqlFacts, Header, Hint, Limits, Message, PointId, PointTree, Segment, SkipReason, Tag, Zone,
};
use bumpalo::Bump;

/// What came of a body.
#[derive(Debug, Default)]
pub struct Seen {
    /// Point, value, and whether the value is covered.
    pub values: Vec<(String, String, bool)>,
    /// Codes of the anomalies.
    pub anomalies: Vec<&'static str>,
    /// Codes of what was skipped.
    pub skipped: Vec<&'static str>,
    /// Measures of GraphQL documents.
    pub graphql: Option<GraphqlFacts>,
}

impl Seen {
    /// Fails unless `value` was found at `point`.
    #[track_caller]
    pub fn has(&self, point: &str, value: &str) {
        assert!(self.values.iter().any(|(p, v, _)| p == point && v == value), "no {value:?} at {point} in {self:#?}");
    }

    /// Whether a value was found at or below `point`.
    pub fn any(&self, point: &str) -> bool {
        self.values.iter().any(|(p, ..)| p.starts_with(point))
    }

    /// Whether the first value at `point` is covered.
    pub fn covered(&self, point: &str) -> bool {
        self.values.iter().find(|(p, ..)| p == point).expect("a value").2
    }
}

/// Opens a body declared as `media`, under the default limits.
pub fn open(media: &str, body: &[u8]) -> Seen {
    open_with(&[("Content-Type", media)], body, &Limits::default())
}

/// Opens a body with `headers` under `limits`.
pub fn open_with(headers: &[(&str, &str)], body: &[u8], limits: &Limits) -> Seen {
    let headers = headers.iter().map(|(n, v)| Header { name: n.as_bytes(), value: v.as_bytes() }).collect();
    let message = Message { method: b"POST", target: b"/", protocol: b"HTTP/1.1", headers, body, ..Message::default() };
    let bump = Bump::new();
    let budget = Budget::new(limits.work, &|| false);
    let out = extract(&message, &Options::default(), limits, &budget, &bump);
    let show = |v: &crate::model::Value<'_>| {
        (out.tree.path(v.point).to_string(), String::from_utf8_lossy(v.bytes).into_owned(), v.covered)
    };
    let below = |point| out.tree.path(point).to_string().starts_with("[post]");
    Seen {
        values: out.values.iter().map(show).filter(|(p, ..)| p.starts_with("[post]")).collect(),
        anomalies: out.notes.anomalies.iter().filter(|(_, at)| below(*at)).map(|(kind, _)| kind.code()).collect(),
        skipped: out.notes.skipped.iter().filter(|(_, at)| below(*at)).map(|(reason, _)| reason.code()).collect(),
        graphql: out.notes.graphql.as_ref().map(|(facts, _)| facts.clone()),
    }
}

/// What a parser made of a value.
#[derive(Debug)]
pub struct Outcome {
    /// Points and printable values, in order.
    pub values: Vec<(String, String)>,
    /// What the parser said.
    pub outcome: Result<Parsed, ParseError>,
    /// Gaps noted.
    pub skipped: Vec<SkipReason>,
}

type Run = for<'a> fn(&Candidate<'a>, &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError>;

/// Runs only `run`, on `bytes` at `[tag]`, declared as `media` unless that is empty.
pub fn alone(tag: Tag, bytes: &[u8], media: &str, run: Run) -> Outcome {
    let bump = Bump::new();
    let limits = Limits::default();
    let never = || false;
    let budget = Budget::new(limits.work, &never);
    let (mut tree, mut values, mut notes) = (PointTree::new(), Vec::new(), Notes::default());
    let mut decoded_left = limits.decoded_bytes;
    let bytes = bump.alloc_slice_copy(bytes) as &[u8];
    let media = bump.alloc_str(media) as &str;
    let hint = if media.is_empty() { Hint::None } else { Hint::Media(media.as_bytes()) };
    let at = tree.child(PointId::ROOT, Segment::plain(tag));
    let mut em = Emitter {
        bump: &bump,
        limits: &limits,
        budget: &budget,
        tree: &mut tree,
        values: &mut values,
        notes: &mut notes,
        at,
        zone: Zone::BODY,
        depth: 1,
        decoded_left: &mut decoded_left,
        benign: None,
    };
    let candidate = Candidate { bytes, chars: Chars::of(bytes), zone: Zone::BODY, tag, hint, depth: 0, covered: false };
    let outcome = run(&candidate, &mut em);
    Outcome {
        values: values.iter().map(|v| (tree.path(v.point).to_string(), printable(v.bytes, 4096))).collect(),
        outcome,
        skipped: notes.skipped.iter().map(|(reason, _)| *reason).collect(),
    }
}

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
    for parser in super::TABLE {
        let sample = SAMPLES.iter().find(|(id, ..)| crate::model::ParserSet::from_code(id) == Some(parser.id));
        let (_, tag, raw) = sample.unwrap_or_else(|| panic!("{:?} has no line in SAMPLES", parser.id));
        let points = |off| {
            let (bump, limits) = (Bump::new(), Limits::default());
            let budget = Budget::new(limits.work, &|| false);
            let options = Options { parsers_off: off, ..Options::default() };
            let out = extract(&super::message::request(raw), &options, &limits, &budget, &bump);
            let tags = out.values.iter().flat_map(|v| out.tree.ancestors(v.point)).map(|s| s.tag.code());
            let reached = tags.collect::<Vec<_>>().contains(tag);
            (reached, out.notes.skipped.iter().any(|(reason, _)| *reason == crate::model::SkipReason::ParserOff))
        };
        assert_eq!(points(crate::model::ParserSet::NONE), (true, false), "{:?}", parser.id);
        assert_eq!(points(parser.id), (false, true), "{:?} switched off", parser.id);
    }
}
