//! Runs the ruleset on a value: one pass of the prefilter, then the pattern of each candidate signature.

use super::{RuleMatch, RuleName, Subject};
use crate::model::{Budget, Stop};
use crate::ruleset::{CandidateSet, Ruleset, Signature};

/// Appends a match to `hits` for every signature that matches `subject`, whose form is `view` (a bit of a signature's
/// views). Fails when the work budget or the time is used up.
pub fn run<'s>(
    ruleset: &'s Ruleset,
    subject: &Subject<'_>,
    view: u16,
    budget: &Budget<'_>,
    seen: &mut CandidateSet,
    hits: &mut Vec<RuleMatch<'s>>,
) -> Result<(), Stop> {
    budget.spend(subject.bytes.len())?;
    let mut result = Ok(());
    ruleset.candidates(subject.bytes, subject.classes, subject.value.zone, seen, |number| {
        let signature = &ruleset.signatures[number as usize];
        let applies = signature.views & view != 0
            && signature.zones.intersects(subject.value.zone)
            && signature.needs.satisfied_by(subject.classes)
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

/// Whether `signature` matches `text` in one of its views. The samples of signatures are tested with this.
pub fn matches(signature: &Signature, text: &[u8]) -> bool {
    signature.matches(text)
}
