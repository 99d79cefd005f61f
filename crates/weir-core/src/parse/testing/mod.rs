//! Helpers for the tests of parsers: they run a body through the whole driver and give points as text.

pub mod messages;

use super::emitter::Emitter;
use super::extract::{ParseOptions, extract};
use super::state::ParseState;
use super::visitor::Collect;
use super::{Candidate, ParseError, Parsed};
use crate::model::bytes::printable;
use crate::model::{
    Budget, ByteClasses, GraphqlStats, Header, Hint, Limits, Message, PointId, PointPath, Segment, SkipReason, Tag,
    Zone,
};
use bumpalo::Bump;

/// The values extracted from a body.
#[derive(Debug, Default)]
pub struct ParsedBody {
    /// Point, value, and whether the value is covered.
    pub values: Vec<(String, String, bool)>,
    /// Codes of the anomalies.
    pub anomalies: Vec<&'static str>,
    /// Codes of the reasons why something was skipped.
    pub skipped: Vec<&'static str>,
    /// Measurements of GraphQL documents.
    pub graphql: Option<GraphqlStats>,
    /// Work units spent.
    pub work: u64,
}

impl ParsedBody {
    /// Fails unless `value` was found at `point`.
    #[track_caller]
    pub fn has(&self, point: &str, value: &str) {
        assert!(self.values.iter().any(|(p, v, _)| p == point && v == value), "no {value:?} at {point} in {self:#?}");
    }

    /// Whether a value was found at or below `point`.
    pub fn has_point(&self, point: &str) -> bool {
        self.values.iter().any(|(p, ..)| p.starts_with(point))
    }

    /// Whether the first value at `point` is covered.
    pub fn covered(&self, point: &str) -> bool {
        self.values.iter().find(|(p, ..)| p == point).expect("a value").2
    }
}

/// Parses a body declared as `media`, under the default limits.
pub fn parse_body(media: &str, body: &[u8]) -> ParsedBody {
    parse_body_with(&[("Content-Type", media)], body, &Limits::default())
}

/// Parses a body with `headers` under `limits`.
pub fn parse_body_with(headers: &[(&str, &str)], body: &[u8], limits: &Limits) -> ParsedBody {
    let headers = headers.iter().map(|(n, v)| Header { name: n.as_bytes(), value: v.as_bytes() }).collect();
    let message = Message { method: b"POST", target: b"/", protocol: b"HTTP/1.1", headers, body, ..Message::default() };
    let bump = Bump::new();
    let budget = Budget::new(limits.work, &|| false);
    let out = extract(&message, &ParseOptions::default(), limits, &budget, &bump);
    let show = |v: &crate::model::Value<'_>| {
        (out.tree.path(v.point).to_string(), String::from_utf8_lossy(v.bytes).into_owned(), v.covered)
    };
    let below = |point: &PointPath| point.to_string().starts_with("[post]");
    ParsedBody {
        values: out.values.iter().map(show).filter(|(p, ..)| p.starts_with("[post]")).collect(),
        anomalies: out.notes.anomalies.iter().filter(|(_, at)| below(at)).map(|(kind, _)| kind.code()).collect(),
        skipped: out.notes.skipped.iter().filter(|(_, at)| below(at)).map(|(reason, _)| reason.code()).collect(),
        graphql: out.notes.graphql.as_ref().map(|(facts, _)| facts.clone()),
        work: budget.spent(),
    }
}

/// What one parser did with a value.
#[derive(Debug)]
pub struct ParserRun {
    /// Points and printable values, in order.
    pub values: Vec<(String, String)>,
    /// What the parser returned.
    pub outcome: Result<Parsed, ParseError>,
    /// Why something was not inspected.
    pub skipped: Vec<SkipReason>,
}

type Run = for<'a> fn(&Candidate<'a>, &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError>;

/// Runs only `run`, on `bytes` at `[tag]`, declared as `media` unless that is empty.
pub fn run_parser(tag: Tag, bytes: &[u8], media: &str, run: Run) -> ParserRun {
    let bump = Bump::new();
    let limits = Limits::default();
    let never = || false;
    let budget = Budget::new(limits.work, &never);
    let mut state =
        ParseState { decoded_left: limits.decoded_bytes, inflate_left: limits.inflated_bytes, ..ParseState::default() };
    let bytes = bump.alloc_slice_copy(bytes) as &[u8];
    let media = bump.alloc_str(media) as &str;
    let hint = if media.is_empty() { Hint::None } else { Hint::Media(media.as_bytes()) };
    let at = state.tree.child(PointId::ROOT, Segment::plain(tag));
    let mut em = Emitter {
        bump: &bump,
        limits: &limits,
        budget: &budget,
        options: &ParseOptions::default(),
        state: &mut state,
        visitor: &mut Collect,
        at,
        zone: Zone::BODY,
        depth: 1,
        recodes: None,
        batch: 0,
    };
    let candidate =
        Candidate { bytes, classes: ByteClasses::of(bytes), zone: Zone::BODY, tag, hint, depth: 0, covered: false };
    let outcome = run(&candidate, &mut em);
    ParserRun {
        values: state.values.iter().map(|v| (state.tree.path(v.point).to_string(), printable(v.bytes, 4096))).collect(),
        outcome,
        skipped: state.notes.skipped.iter().map(|(reason, _)| *reason).collect(),
    }
}
