//! Runs the ruleset on a value: one prefilter pass, then the regex of each candidate.

use super::{RuleMatch, RuleName, Subject};
use crate::model::{Budget, Stop};
use crate::ruleset::{Ruleset, Seen, Signature};

/// Appends a hit for every signature that matches `subject`, whose form is `view` (a bit of a signature's views).
pub fn run<'s>(
    ruleset: &'s Ruleset,
    subject: &Subject<'_>,
    view: u16,
    budget: &Budget<'_>,
    seen: &mut Seen,
    hits: &mut Vec<RuleMatch<'s>>,
) -> Result<(), Stop> {
    budget.spend(subject.bytes.len())?;
    let mut result = Ok(());
    ruleset.candidates(subject.bytes, subject.classes, subject.value.zone, seen, |number| {
        let signature = &ruleset.signatures[number as usize];
        let applies = signature.views & view != 0
            && signature.zones.intersects(subject.value.zone)
            && signature.needs.met(subject.classes)
            && subject.is_at(&signature.points);
        if !applies || result.is_err() {
            return;
        }
        result = budget.spend(subject.bytes.len());
        if result.is_ok()
            && let Some(found) = signature.pattern.find(subject.bytes)
        {
            hits.push(RuleMatch {
                rule: RuleName::Signature(&signature.id),
                attack: signature.attack,
                confidence: signature.confidence,
                start: found.start(),
                end: found.end(),
            });
        }
    });
    result
}

/// Whether `signature` matches `text` in one of the forms that it looks at: what its samples are judged by.
pub fn matches(signature: &Signature, text: &[u8]) -> bool {
    signature.matches(text)
}
