//! Runs the ruleset on a value: one pass of the prefilter, then the pattern of each candidate signature.

use super::{RuleMatch, RuleName, Subject, text_field};
use crate::model::{Budget, Stop};
use crate::ruleset::{CandidateSet, Ruleset, Signature};

/// Work units of a confirmation besides those of the bytes that it reads.
const CONFIRM_COST: usize = 100;
/// Work units that the confirmations on one value may take whatever its length.
const CONFIRM_BASE: usize = 128 << 10;
/// Further work units that they may take for each byte of the value.
const CONFIRM_PER_BYTE: usize = 24;

/// Appends a match to `hits` for every signature that matches `subject`, whose form is `view` (a bit of a signature's
/// views). Fails when the work budget or the time is used up, and with [`Stop::Limit`] when the value has so many
/// candidates that confirming the rest would cost more than a multiple of its length.
pub fn run<'s>(
    ruleset: &'s Ruleset,
    subject: &Subject<'_>,
    view: u16,
    budget: &Budget<'_>,
    set: &mut CandidateSet,
    hits: &mut Vec<RuleMatch<'s>>,
) -> Result<(), Stop> {
    let length = subject.bytes.len();
    budget.spend(length)?;
    ruleset.candidates(subject.bytes, subject.classes, subject.value.zone, set);
    let mut left = CONFIRM_BASE + CONFIRM_PER_BYTE * length;
    let mut at = 0;
    while let Some(window) = set.window(at) {
        at += 1;
        let signature = &ruleset.signatures[window.signature as usize];
        let applies = signature.views & view != 0
            && signature.zones.intersects(subject.value.zone)
            && signature.needs.satisfied_by(subject.classes)
            && subject.is_at(&signature.points);
        if !applies || set.has_matched(window) {
            continue;
        }
        let cost = CONFIRM_COST + window.end - window.start;
        if cost > left {
            return Err(Stop::Limit);
        }
        left -= cost;
        budget.spend(cost)?;
        if let Some(found) = signature.pattern.find_in(subject.bytes, window.start..window.end) {
            set.set_matched(window);
            if !signature.conditions.is_empty() && !subject.meets_conditions(window.signature)? {
                continue;
            }
            let (start, end) = (found.start(), found.end());
            if signature.doc.spares_documents && text_field::is_content(subject, signature.attack, start, end) {
                continue;
            }
            hits.push(RuleMatch {
                rule: RuleName::Signature(&signature.id),
                attack: signature.attack,
                confidence: signature.confidence,
                start,
                end,
            });
        }
    }
    Ok(())
}

/// Whether `signature` matches `text` in one of its views. The samples of signatures are tested with this.
pub fn matches(signature: &Signature, text: &[u8]) -> bool {
    signature.matches(text)
}
