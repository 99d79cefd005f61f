//! NoSQL injection by operator names: `user[$ne]=1`, `{"user": {"$gt": ""}}`.
//!
//! If an application turns brackets or JSON members into a query object, the operators reach the database (CWE-943).
//! Operators below a name such as `filters` (`filters[name][$eq]=x`) belong to a documented query language of an API, and
//! are not reported.

use super::{Detector, Match, Samples, Subject};
use crate::model::{AttackType, ByteClassFilter, ByteClasses, Confidence, Key, Tag, Zone};

/// The detector.
pub const DETECTOR: Detector = Detector {
    name: "nosqli.operator-name",
    attack: AttackType::Nosqli,
    about: "A query operator of a document database as the name of a parameter or member.",
    zones: Zone::NAME,
    filter: FILTER,
    run: operator_name,
    samples: SAMPLES,
};

/// Samples of [`operator_name`].
const SAMPLES: Samples = Samples {
    positive: &[
        "user[$ne]",
        "password[$gt]",
        "age[$ne]",
        "$gt",
        "$where",
        "login[password][$regex]",
        "a.$nin",
        "[$exists]",
        "filter[$where]",
        "$func",
        "$lookup",
    ],
    negative: &[
        "$ref",
        "$schema",
        "$id",
        "filters[price][$gt]",
        "price$",
        "US$",
        "$set",
        "$gte2",
        "$type",
        "cost[$]",
        "age[$gt]",
        "createdAt[$lte]",
    ],
};

/// Only names with a dollar sign can match.
const FILTER: ByteClassFilter = ByteClassFilter::any(ByteClasses::DOLLAR);

/// The operator in a parameter's or member's name.
fn operator_name(subject: &Subject<'_>) -> Option<Match> {
    let text = subject.bytes;
    let start =
        memchr::memchr_iter(b'$', text).find(|&at| at == 0 || matches!(text[at - 1], b'[' | b'.' | b'"' | b'\''))?;
    let rest = &text[start + 1..];
    let len = rest.iter().position(|b| !b.is_ascii_alphabetic()).unwrap_or(rest.len());
    if !matches!(rest.get(len), None | Some(b']' | b'[' | b'.' | b'"' | b'\'')) {
        return None;
    }
    let name = &rest[..len];
    let confidence = operator(name)?;
    // No language of filters has these: they run script, or are a stage that reads another collection.
    let foreign = is_any(name, &[b"where", b"func", b"function", b"accumulator"])
        || is_any(name, &[b"lookup", b"graphlookup", b"unionwith"]) && is_stage(subject);
    if foreign {
        return Some(Match { confidence: Confidence::High, start, end: start + 1 + len });
    }
    if is_range(name) && is_measure(&text[..start]) {
        return None;
    }
    if is_query_language(&text[..start]) || above_is_query_language(subject) {
        return None;
    }
    // `{"user": {"$eq": "admin"}}` turns a comparison with a text into a query.
    let login = confidence < Confidence::High && (is_credential(&text[..start]) || above_is_credential(subject));
    let confidence = if login { Confidence::High } else { confidence };
    Some(Match { confidence, start, end: start + 1 + len })
}

/// Confidence of an operator. Injections use those that match any value or run code.
fn operator(name: &[u8]) -> Option<Confidence> {
    const LONGEST: usize = 14;
    if name.len() > LONGEST {
        return None;
    }
    let mut lower = [0u8; LONGEST];
    lower[..name.len()].copy_from_slice(name);
    lower.make_ascii_lowercase();
    match &lower[..name.len()] {
        b"ne" | b"gt" | b"gte" | b"lt" | b"lte" | b"nin" | b"regex" | b"exists" | b"where" | b"expr" | b"function"
        | b"accumulator" | b"nor" | b"not" | b"elemmatch" | b"jsonschema" | b"mod" | b"or" | b"and" | b"func" => {
            Some(Confidence::High)
        }
        b"eq" | b"in" | b"all" | b"size" | b"lookup" | b"graphlookup" | b"unionwith" | b"out" | b"merge" => {
            Some(Confidence::Medium)
        }
        _ => None,
    }
}

/// Whether `name` is one of these, in any case of letters.
fn is_any(name: &[u8], names: &[&[u8]]) -> bool {
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether the name is that of an element of an array which no member names as an aggregation that the API takes.
fn is_stage(subject: &Subject<'_>) -> bool {
    let mut steps = subject.ancestors().skip(1);
    let element = steps.next().is_some_and(|step| step.tag == Tag::Array);
    let aggregates = |name: &[u8]| is_any(name, &[b"pipeline", b"stages", b"aggregate"]);
    element && !steps.any(|step| matches!(step.key, Key::Name(name) if aggregates(name)))
}

/// Whether an operator compares with a bound.
fn is_range(operator: &[u8]) -> bool {
    is_any(operator, &[b"gt", b"gte", b"lt", b"lte"])
}

/// Whether the `before` of a parameter such as `price[$gte]` names what is measured. Ranges of these are filters that many
/// APIs offer (`age[$gt]=18`), and no check depends on them.
fn is_measure(before: &[u8]) -> bool {
    const NAMES: &[&[u8]] = &[
        b"age",
        b"price",
        b"amount",
        b"cost",
        b"total",
        b"sum",
        b"count",
        b"quantity",
        b"qty",
        b"stock",
        b"size",
        b"length",
        b"width",
        b"height",
        b"weight",
        b"distance",
        b"duration",
        b"score",
        b"rating",
        b"rank",
        b"level",
        b"year",
        b"month",
        b"day",
        b"hour",
        b"date",
        b"time",
        b"timestamp",
        b"start",
        b"end",
        b"createdat",
        b"updatedat",
        b"created_at",
        b"updated_at",
        b"publishedat",
        b"published_at",
        b"created",
        b"updated",
        b"modified",
        b"since",
        b"until",
        b"lat",
        b"lng",
        b"latitude",
        b"longitude",
        b"temperature",
        b"value",
        b"views",
        b"likes",
        b"salary",
        b"percent",
        b"discount",
        b"startdate",
        b"enddate",
        b"start_date",
        b"end_date",
        b"duedate",
        b"due_date",
    ];
    let Some(name) = before.strip_suffix(b"[") else { return false };
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether the `before` of a parameter such as `password[$in]` names what a login compares.
fn is_credential(before: &[u8]) -> bool {
    const NAMES: &[&[u8]] = &[
        b"user",
        b"username",
        b"user_name",
        b"login",
        b"email",
        b"password",
        b"passwd",
        b"pass",
        b"pwd",
        b"token",
        b"reset_token",
        b"resettoken",
        b"api_key",
        b"apikey",
        b"secret",
        b"otp",
    ];
    let before = before.strip_suffix(b"[").unwrap_or(before);
    NAMES.iter().any(|known| before.eq_ignore_ascii_case(known))
}

/// Whether the member above the name of a member is one of a login.
fn above_is_credential(subject: &Subject<'_>) -> bool {
    subject.names().next().is_some_and(is_credential)
}

/// Names under which an API offers its own query language.
fn is_query_language(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 8] =
        [b"filter", b"filters", b"where", b"query", b"populate", b"selector", b"$match", b"conditions"];
    let end = name.iter().position(|b| matches!(b, b'[' | b'.')).unwrap_or(name.len());
    NAMES.iter().any(|known| name[..end].eq_ignore_ascii_case(known))
}

fn above_is_query_language(subject: &Subject<'_>) -> bool {
    subject.names().any(is_query_language)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PointId, PointTree, Segment, Value};

    #[test]
    fn operators_below_a_filter_are_not_reported() {
        let mut tree = PointTree::new();
        let body = tree.child(PointId::ROOT, Segment::plain(Tag::JsonDoc));
        let found: Vec<bool> = [&b"filter"[..], b"user"]
            .into_iter()
            .map(|above| {
                let member = tree.child(body, Segment::named(Tag::Hash, above));
                let point = tree.child(member, Segment::plain(Tag::HashName));
                let bytes = b"$gt";
                let value = Value::new(point, bytes, Zone::NAME);
                operator_name(&Subject::new(bytes, value.classes, &value, &tree)).is_some()
            })
            .collect();
        assert_eq!(found, [false, true]);
    }

    #[test]
    fn joins_are_reported_unless_the_api_takes_a_pipeline() {
        let found = |above: &'static str| {
            let mut tree = PointTree::new();
            let body = tree.child(PointId::ROOT, Segment::plain(Tag::JsonDoc));
            let member = tree.child(body, Segment::named(Tag::Hash, above.as_bytes()));
            let stage = tree.child(member, Segment::indexed(Tag::Array, 0));
            let point = tree.child(stage, Segment::plain(Tag::HashName));
            let value = Value::new(point, b"$lookup", Zone::NAME);
            operator_name(&Subject::new(b"$lookup", value.classes, &value, &tree)).map(|found| found.confidence)
        };
        assert_eq!(found("stage"), Some(Confidence::High));
        assert_eq!(found("pipeline"), Some(Confidence::Medium));
    }

    #[test]
    fn equality_is_certain_where_a_login_compares() {
        let confidence = |above: &'static str| {
            let mut tree = PointTree::new();
            let body = tree.child(PointId::ROOT, Segment::plain(Tag::JsonDoc));
            let member = tree.child(body, Segment::named(Tag::Hash, above.as_bytes()));
            let point = tree.child(member, Segment::plain(Tag::HashName));
            let value = Value::new(point, b"$eq", Zone::NAME);
            operator_name(&Subject::new(b"$eq", value.classes, &value, &tree)).map(|found| found.confidence)
        };
        assert_eq!(confidence("password"), Some(Confidence::High));
        assert_eq!(confidence("colour"), Some(Confidence::Medium));
    }
}
