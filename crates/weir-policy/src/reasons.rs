//! Findings for what is no match of a signature: anomalies, limits, lists. Each says by name, point and words why a request
//! was blocked, and an exception can name it as a stamp.

use super::abuse::AbuseExcess;
use super::finding_name;
use super::graphql::GraphqlLimits;
use super::list::ListHit;
use std::sync::Arc;
use weir_core::model::{Anomaly, AttackType, Confidence, Finding, GraphqlStats, PointPath, SkipReason};

fn finding(attack: AttackType, rule: String, point: PointPath, matched: String) -> Finding {
    Finding {
        attack,
        rule: Arc::from(rule),
        point,
        also_at: Vec::new(),
        confidence: Confidence::High,
        decisive: true,
        start: 0,
        matched,
    }
}

/// An anomaly that counts as an attack.
pub fn anomaly(anomaly: &Anomaly, attack: AttackType) -> Finding {
    finding(attack, finding_name::anomaly(anomaly.kind.code()), anomaly.point.clone(), anomaly.kind.about().to_owned())
}

/// An upload or a body that is too large.
pub fn upload(point: PointPath, bytes: u64, most: u64, rule: u64) -> Finding {
    let attack = AttackType::FileUploadViolation;
    finding(attack, finding_name::limit(attack), point, format!("{bytes} bytes; {most} are allowed by rule {rule}"))
}

/// A GraphQL document that goes over one of its limits.
pub fn graphql(attack: AttackType, facts: &GraphqlStats, limits: &GraphqlLimits) -> Finding {
    let over =
        |have: usize, most: usize, what: &str| format!("{have} {what}; {most} are allowed by rule {}", limits.rule);
    let matched = match attack {
        AttackType::GqlDepth => over(facts.depth, limits.depth, "levels"),
        AttackType::GqlValueSize => over(facts.value_bytes, limits.value_bytes, "bytes in a value"),
        AttackType::GqlAliases => over(facts.aliases, limits.aliases, "aliases"),
        AttackType::GqlDocSize => over(facts.document_bytes, limits.document_bytes, "bytes in a document"),
        AttackType::GqlDocsPerBatch => over(facts.documents, limits.batch, "documents in a batch"),
        AttackType::GqlIntrospection => format!("a query for the schema; rule {} forbids it", limits.rule),
        _ => format!("a debug switch; rule {} forbids it", limits.rule),
    };
    finding(attack, finding_name::limit(attack), facts.point.clone(), matched)
}

/// A part of the message that was not inspected.
pub fn overlimit(point: PointPath, reason: SkipReason) -> Finding {
    let attack = AttackType::OverlimitRes;
    finding(attack, finding_name::limit(attack), point, format!("not inspected: {}", reason.code().replace('_', " ")))
}

/// More than an abuse rule allows.
pub fn abuse(excess: &AbuseExcess) -> Finding {
    let rule = &excess.rule;
    let mut found = finding(rule.attack(), rule.finding(), PointPath::default(), excess.text.clone());
    found.decisive = rule.is_enforced();
    found
}

/// A source on the denylist.
pub fn denylist(list: &ListHit) -> Finding {
    let why = list.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let matched = format!("{} is on the denylist{why}", list.value);
    finding(AttackType::BlockedSource, finding_name::DENYLIST.into(), PointPath::default(), matched)
}
