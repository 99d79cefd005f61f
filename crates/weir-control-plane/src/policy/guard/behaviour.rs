//! Rules on behaviour whose limit ordinary clients exceed.

use super::super::state::RuleEntry;
use crate::thresholds::compiled;
use weir_policy::{AbuseKind, AbuseRule, KeyPart};

/// Requests that a client may well make one after the other: one page of an application is some dozens of them.
const USUAL_REQUESTS: u32 = 20;
/// Seconds in which a person may well make one more request, hour after hour.
const PACE: u32 = 60;
/// Wrong passwords of a person who then remembers the right one.
const USUAL_FAILURES: u32 = 3;
/// Files that browsers ask for whether they exist or not.
const USUAL_NOT_FOUND: u32 = 5;
/// Different objects on a page with a list.
const USUAL_VALUES: u32 = 20;
/// Answers of an ordinary application: status, `Location`, body.
const ORDINARY_ANSWERS: &[(u16, &str, &str)] = &[
    (200, "", "<!doctype html><html><head><title>Shop</title></head><body><p>Welcome</p></body></html>"),
    (200, "", r#"{"items": [{"id": 7, "name": "Lamp"}], "next": null}"#),
    (302, "/products?page=2", ""),
    (304, "", ""),
];

/// What a limit without scope would do to ordinary clients, in words; none where it spares them.
pub(super) fn limit(entry: &RuleEntry) -> Option<String> {
    let rule = compiled(entry.id, &entry.rule).filter(|rule| rule.is_enforced())?;
    if rule.kind.reads_responses() && takes_ordinary_answers_for_failures(&rule) {
        return Some(format!(
            "ordinary answers count as failures, and clients with more than {} are blocked",
            count(&rule)
        ));
    }
    if rule.key.iter().all(is_shared) {
        return Some(format!("everybody is blocked when all clients together exceed {}", count(&rule)));
    }
    (rule.limit() < usual(&rule)).then(|| format!("clients with more than {} are blocked", count(&rule)))
}

fn takes_ordinary_answers_for_failures(rule: &AbuseRule) -> bool {
    let fails = |(status, location, body): &(u16, &str, &str)| {
        rule.failure.matches(*status, location.as_bytes(), body.as_bytes())
    };
    ORDINARY_ANSWERS.iter().any(fails)
}

/// Whether many clients have the part in common.
fn is_shared(part: &KeyPart) -> bool {
    matches!(part, KeyPart::Application | KeyPart::Host | KeyPart::Route | KeyPart::Segment(_))
}

/// A count that ordinary clients reach in the window of the rule.
fn usual(rule: &AbuseRule) -> u32 {
    match rule.kind {
        AbuseKind::RateLimit => rule.window.min(USUAL_REQUESTS + rule.window / PACE),
        AbuseKind::Brute => USUAL_FAILURES,
        AbuseKind::ForcedBrowsing => USUAL_NOT_FOUND,
        AbuseKind::Bola => USUAL_VALUES,
    }
}

fn count(rule: &AbuseRule) -> String {
    let what = match (rule.kind, rule.distinct.is_some(), rule.limit()) {
        (_, true, 1) => "different value",
        (_, true, _) => "different values",
        (_, false, 1) => "request",
        (_, false, _) => "requests",
    };
    format!("{} {what} in {} s", rule.limit(), rule.window)
}
