//! A verdict as spans.

use super::proto::{AnyValue, ArrayValue, KeyValue, Span, Status, any_value::Value};
use super::sampling::Sampled;
use weir_core::model::Inspection;
use weir_policy::{Bypass, Verdict};

/// Methods that are named; others are unbounded texts of clients.
const METHODS: &[&str] =
    &["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "REPORT", "SEARCH"];
/// Longest path, in bytes.
const MAX_PATH: usize = 256;
/// `SPAN_KIND_INTERNAL` and `SPAN_KIND_SERVER`.
const INTERNAL: i32 = 1;
const SERVER: i32 = 2;

/// When the parts of a verdict began and ended, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The call begins to be read.
    pub begin: u64,
    /// Head, framing and facts have been read.
    pub parsed: u64,
    /// The inspection begins: policy has planned it, and limits were counted.
    pub inspect: u64,
    /// It ends.
    pub inspected: u64,
    /// The verdict is made.
    pub end: u64,
}

/// What spans say about a message.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'f> {
    /// `request` or `response`.
    pub leg: &'static str,
    /// Method of the request, as sent.
    pub method: &'f [u8],
    /// Path with secrets masked.
    pub path: &'f [u8],
    /// Application.
    pub application: i64,
    /// Bytes of the message.
    pub bytes: usize,
    /// Why it was not inspected.
    pub bypass: Option<Bypass>,
}

/// A traced verdict: what becomes four spans.
#[derive(Clone, Debug, PartialEq)]
pub struct VerdictSpan {
    sampled: Sampled,
    ids: [[u8; 8]; 4],
    parts: Parts,
    attributes: Vec<KeyValue>,
    inspected: Option<Vec<KeyValue>>,
}

impl VerdictSpan {
    /// The spans of `verdict`, with `ids` for itself and its parts.
    pub fn new(
        sampled: Sampled,
        ids: [[u8; 8]; 4],
        parts: Parts,
        facts: &Facts<'_>,
        verdict: &Verdict,
        inspection: Option<&Inspection>,
    ) -> Self {
        let method = METHODS.iter().copied().find(|known| known.as_bytes() == facts.method).unwrap_or("_OTHER");
        let path = weir_core::model::bytes::printable(facts.path, MAX_PATH);
        let types = verdict.attacks.iter().map(|attack| text(attack.code())).collect();
        let mut attributes = vec![
            attribute("http.request.method", text(method)),
            attribute("url.path", text(&path)),
            attribute("weir.leg", text(facts.leg)),
            attribute("weir.verdict", text(verdict.action.code())),
            attribute("weir.mode", text(verdict.mode.code())),
            attribute("weir.would_block", Value::Bool(verdict.would_block)),
            attribute("weir.attack_types", Value::Array(ArrayValue { values: values(types) })),
            attribute("weir.findings", count(verdict.findings.len())),
            attribute("weir.application", Value::Int(facts.application)),
            attribute("weir.bytes", count(facts.bytes)),
        ];
        attributes.extend(verdict.reason.map(|reason| attribute("weir.reason", text(reason.code()))));
        attributes.extend(facts.bypass.map(|bypass| attribute("weir.bypass", text(bypass.code()))));
        let inspected = inspection.map(|inspection| {
            vec![
                attribute("weir.values", count(inspection.values as usize)),
                attribute("weir.work", count(inspection.work as usize)),
                attribute("weir.anomalies", count(inspection.anomalies.len())),
                attribute("weir.not_inspected", count(inspection.not_inspected.len())),
            ]
        });
        Self { sampled, ids, parts, attributes, inspected }
    }

    /// As a collector takes them: the verdict, then its parts.
    pub fn into_spans(self) -> Vec<Span> {
        let Self { sampled, ids, parts, attributes, inspected } = self;
        let span = |id: [u8; 8], parent: &[u8], name: &str, kind, from, to, attributes| Span {
            trace_id: sampled.trace.to_vec(),
            span_id: id.to_vec(),
            parent_span_id: parent.to_vec(),
            name: name.to_owned(),
            kind,
            start_time_unix_nano: from,
            end_time_unix_nano: to,
            attributes,
            status: Some(Status::default()),
        };
        let outer = sampled.parent.map(|parent| parent.to_vec()).unwrap_or_default();
        let mut all = vec![span(ids[0], &outer, "verdict", SERVER, parts.begin, parts.end, attributes)];
        all.push(span(ids[1], &ids[0], "parse", INTERNAL, parts.begin, parts.parsed, Vec::new()));
        if let Some(inspected) = inspected {
            all.push(span(ids[2], &ids[0], "inspect", INTERNAL, parts.inspect, parts.inspected, inspected));
        }
        all.push(span(ids[3], &ids[0], "decide", INTERNAL, parts.inspected, parts.end, Vec::new()));
        all
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn count(n: usize) -> Value {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

fn values(all: Vec<Value>) -> Vec<AnyValue> {
    all.into_iter().map(|value| AnyValue { value: Some(value) }).collect()
}
