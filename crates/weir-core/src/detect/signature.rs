//! Runs the ruleset on a value: one pass of the prefilter, then the pattern of each candidate signature.

use super::{RuleMatch, RuleName, Subject, text_field};
use crate::model::{Budget, Stop};
use crate::ruleset::{CandidateSet, Condition, Origin, Ruleset, Signature};

/// Work units of a confirmation besides those of the bytes that it reads.
const CONFIRM_COST: usize = 32;
/// Bytes that a confirmation reads in one work unit.
const CONFIRMED_PER_UNIT: usize = 4;
/// Looks at what is beside a literal, and signatures that it leaves, in one work unit.
const LOOKUPS_PER_UNIT: usize = 4;
/// Bytes in which no literals are looked for, but whose kinds are noted, in one work unit.
const CLASSED_PER_UNIT: usize = 8;
/// Work units of a form of a value besides those of its bytes.
const FORM_COST: usize = 16;
/// Work units of a literal that is in the text, besides the signatures looked up for it.
const LITERAL_COST: usize = 2;
/// Longest name of a parameter that is compared before the pattern is run, in bytes: comparing it costs less than that.
const SHORT_NAME: usize = 64;
/// Work units that the confirmations on one value may take whatever its length.
const CONFIRM_BASE: usize = 32 << 10;
/// Further work units that they may take for each byte of the value.
const CONFIRM_PER_BYTE: usize = 8;

/// Appends a match to `hits` for every signature that matches `subject`, whose form is `view` (a bit of a signature's
/// views). Fails when the work budget or the time is used up, and with [`Stop::Limit`] when the value has so many
/// candidates that confirming the rest would cost more than a multiple of its length. The embedded signatures come first,
/// and those of a user have such a multiple of their own: what they use up is not taken from the embedded ones.
pub fn run<'s>(
    ruleset: &'s Ruleset,
    subject: &Subject<'_>,
    view: u16,
    budget: &Budget<'_>,
    set: &mut CandidateSet,
    hits: &mut Vec<RuleMatch<'s>>,
) -> Result<(), Stop> {
    let embedded = run_of(Origin::Embedded, ruleset, subject, view, budget, set, hits);
    if !ruleset.has(Origin::User) || embedded.is_err_and(|stop| stop != Stop::Limit) {
        return embedded;
    }
    run_of(Origin::User, ruleset, subject, view, budget, set, hits).and(embedded)
}

/// The same, for the signatures of one origin.
fn run_of<'s>(
    origin: Origin,
    ruleset: &'s Ruleset,
    subject: &Subject<'_>,
    view: u16,
    budget: &Budget<'_>,
    set: &mut CandidateSet,
    hits: &mut Vec<RuleMatch<'s>>,
) -> Result<(), Stop> {
    let length = subject.bytes.len();
    budget.spend(FORM_COST)?;
    ruleset.candidates(origin, subject.bytes, subject.classes, subject.value.zone, subject.changes, set);
    let passed = length.saturating_sub(set.searched()) / CLASSED_PER_UNIT;
    budget.spend(set.searched() + passed + set.lookups() / LOOKUPS_PER_UNIT + set.literals() * LITERAL_COST)?;
    let mut left = CONFIRM_BASE + CONFIRM_PER_BYTE * length;
    let mut at = 0;
    while let Some(window) = set.window(at) {
        at += 1;
        if set.is_settled(window) {
            continue;
        }
        let signature = &ruleset.signatures[window.signature as usize];
        let applies = signature.views & view != 0
            && signature.zones.intersects(subject.value.zone)
            && signature.needs.satisfied_by(subject.classes)
            && subject.is_at(&signature.points);
        if !applies {
            set.settle(window);
            continue;
        }
        let cost = CONFIRM_COST + (window.end - window.start) / CONFIRMED_PER_UNIT;
        if cost > left {
            return Err(Stop::Limit);
        }
        left -= cost;
        budget.spend(cost)?;
        // Some patterns that ask for the name of the parameter match nearly every value.
        if window.end - window.start == length && is_ruled_out_by_name(signature, subject) {
            set.settle(window);
            continue;
        }
        let mut from = window.start;
        while let Some(found) = signature.pattern.find_in(subject.bytes, from..window.end) {
            let (start, end) = (found.start(), found.end());
            match judge(signature, window.signature, subject, start, end)? {
                Judgement::Counts => hits.push(RuleMatch {
                    rule: RuleName::Signature(&signature.id),
                    attack: signature.attack,
                    confidence: signature.confidence,
                    start,
                    end,
                }),
                Judgement::NeverHere => {}
                // What follows may count.
                spared => {
                    if spared == Judgement::SparedInDocument {
                        set.note_spared();
                    }
                    from = end.max(start + 1);
                    if from >= window.end {
                        break;
                    }
                    if CONFIRM_COST > left {
                        return Err(Stop::Limit);
                    }
                    left -= CONFIRM_COST;
                    budget.spend(CONFIRM_COST)?;
                    continue;
                }
            }
            set.settle(window);
            break;
        }
    }
    if set.is_truncated() { Err(Stop::Limit) } else { Ok(()) }
}

/// What a match of a signature says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    /// It is a finding.
    Counts,
    /// The request, or the name of the parameter, does not meet the conditions of the signature.
    NeverHere,
    /// It was judged in the value, or the form of the value, that it belongs to.
    JudgedElsewhere,
    /// It is content of a document.
    SparedInDocument,
}

/// Judges the match at `start..end` of `signature`, whose number is `number`.
fn judge(
    signature: &Signature,
    number: u32,
    subject: &Subject<'_>,
    start: usize,
    end: usize,
) -> Result<Judgement, Stop> {
    let conditional = !signature.conditions.is_empty();
    if conditional && (!names_match(signature, subject) || !subject.meets_conditions(number)?) {
        return Ok(Judgement::NeverHere);
    }
    if subject.part_around(start, end).is_some() {
        return Ok(Judgement::JudgedElsewhere);
    }
    if !signature.doc.spares_documents {
        return Ok(Judgement::Counts);
    }
    Ok(if subject.was_judged(start, end) {
        Judgement::JudgedElsewhere
    } else if text_field::is_content(subject, signature.attack, start, end) {
        Judgement::SparedInDocument
    } else {
        Judgement::Counts
    })
}

/// Whether `signature` asks for another name of the parameter, which is short: then its pattern need not be run.
fn is_ruled_out_by_name(signature: &Signature, subject: &Subject<'_>) -> bool {
    signature.conditions.iter().any(Condition::is_of_value)
        && subject.parameter_name().len() <= SHORT_NAME
        && !names_match(signature, subject)
}

/// Whether the parameter that holds the value has a name that the conditions of `signature` ask for. A value without a point,
/// such as a sample, has no parameter.
fn names_match(signature: &Signature, subject: &Subject<'_>) -> bool {
    let mut asked = signature.conditions.iter().filter(|condition| condition.is_of_value()).peekable();
    asked.peek().is_none() || subject.ancestors().next().is_none() || {
        let name = subject.parameter_name();
        asked.all(|condition| condition.holds_for(name))
    }
}

/// Whether `signature` matches `text` in one of its views. The samples of signatures are tested with this.
pub fn matches(signature: &Signature, text: &[u8]) -> bool {
    signature.matches(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PointId, PointTree, Span, Value, Zone};
    use crate::normalize::PLAIN;
    use crate::ruleset::{builtin, compile};
    use std::fmt::Write as _;

    /// What one run counts: work units, signatures looked up, and windows.
    fn counted(ruleset: &Ruleset, text: &[u8]) -> (Result<(), Stop>, usize, usize, usize) {
        let tree = PointTree::new();
        let value = Value::new(PointId::ROOT, text, Zone::QUERY);
        let subject = Subject::new(text, value.classes, &value, &tree);
        let budget = Budget::new(u64::MAX >> 1, &|| false);
        let (mut set, mut hits) = (CandidateSet::default(), Vec::new());
        let result = run(ruleset, &subject, PLAIN, &budget, &mut set, &mut hits);
        let windows = (0..).take_while(|&at| set.window(at).is_some()).count();
        (result, usize::try_from(budget.spent()).unwrap(), set.lookups(), windows)
    }

    /// 1,000 signatures for the same short literal, each with a short reach, so that no windows merge.
    fn crowded() -> Ruleset {
        compile::compile(&[("crowded.yaml".to_owned(), crowded_rules())])
            .unwrap_or_else(|errors| panic!("{}", errors[0]))
    }

    fn crowded_rules() -> String {
        let mut rules = String::new();
        for n in 0..1000 {
            let (a, b) = (char::from(b'a' + n as u8 % 26), n / 26);
            writeln!(
                rules,
                "- id: sqli.n{n}\n  attack: sqli\n  about: x\n  pattern: 'qz{a}{{1,2}}{b}'\n  literals: [qz]\n  \
                 confidence: low\n  positive: [qz{a}{b}]\n  negative: [qz]"
            )
            .unwrap();
        }
        rules
    }

    #[test]
    fn work_is_bounded_whatever_signatures_there_are() {
        let (crowded, shipped) = (crowded(), compile::compile(&builtin::files()).unwrap_or_else(|_| panic!()));
        let literals = "qz select union ../ <script ${jndi: /etc/ exec( \u{0}' or 1=1-- ";
        for (ruleset, unit) in [
            (&crowded, "qz...........7"),
            (&crowded, "qzaa.........7"),
            (&crowded, "qz7"),
            (&shipped, literals),
            (&shipped, "../"),
            (&shipped, "<a "),
        ] {
            for bytes in [1 << 10, 16 << 10, 256 << 10] {
                let text = unit.repeat(bytes / unit.len());
                let (_, work, lookups, windows) = counted(ruleset, text.as_bytes());
                // A byte is read once for the embedded signatures and once for a user's.
                assert!(work <= (160 << 10) + 42 * bytes, "{unit}, {bytes}: {work} units");
                assert!(lookups <= (64 << 10) + 64 * bytes, "{unit}, {bytes}: {lookups} lookups");
                assert!(windows <= (8 << 10) + bytes / 2, "{unit}, {bytes}: {windows} windows");
            }
        }
    }

    #[test]
    fn signatures_of_a_user_take_nothing_from_the_embedded_ones() {
        let mut files = builtin::files();
        files.insert(0, ("crowded.yaml".to_owned(), crowded_rules()));
        let ruleset = compile::compile(&files).unwrap_or_else(|errors| panic!("{}", errors[0]));
        let text = "qzaa.........7".repeat(1 << 12) + " /etc/passwd";
        let tree = PointTree::new();
        let value = Value::new(PointId::ROOT, text.as_bytes(), Zone::QUERY);
        let subject = Subject::new(text.as_bytes(), value.classes, &value, &tree);
        let budget = Budget::new(u64::MAX >> 1, &|| false);
        let (mut set, mut hits) = (CandidateSet::default(), Vec::new());
        assert_eq!(run(&ruleset, &subject, PLAIN, &budget, &mut set, &mut hits), Err(Stop::Limit));
        assert!(hits.iter().any(|hit| *hit.rule.name() == *"ptrav.etc-passwd"), "{hits:?}");
    }

    /// What is in one part of a value was judged there. It hides nothing that follows it or goes beyond it.
    #[test]
    fn matches_in_parts_do_not_count_and_hide_nothing() {
        let ruleset = compile::compile(&builtin::files()).unwrap_or_else(|errors| panic!("{}", errors[0]));
        let text = b"\x81a cat of ${jndi:ldap://a.example/x} \x82b ${jndi:ldap://b.example/y} ";
        let second = text.iter().position(|b| *b == 0x82).expect("is there");
        let first = Span { start: 2, end: second as u32 };
        let count = |parts: &[Span]| {
            let tree = PointTree::new();
            let value = Value { parts, ..Value::new(PointId::ROOT, text, Zone::BODY) };
            let subject = Subject::new(text, value.classes, &value, &tree);
            let budget = Budget::new(u64::MAX >> 1, &|| false);
            let (mut set, mut hits) = (CandidateSet::default(), Vec::new());
            run(&ruleset, &subject, PLAIN, &budget, &mut set, &mut hits).expect("no limit is reached");
            hits.iter().map(|hit| hit.start).min()
        };
        assert!(count(&[]).is_some_and(|at| at < second));
        assert!(count(&[first]).is_some_and(|at| at >= second));
        assert_eq!(count(&[first, Span { start: first.end + 2, end: text.len() as u32 }]), None);
        // A part that begins within the match is another text.
        assert!(count(&[Span { start: 14, ..first }]).is_some_and(|at| at < second));
    }

    #[test]
    fn candidates_left_out_are_reported() {
        let crowded = crowded();
        // Nothing, or something that no match has, is beside the literal; the third may be the begin of 39 signatures' matches.
        assert_eq!(counted(&crowded, "qz............".repeat(1 << 12).as_bytes()).0, Ok(()));
        assert_eq!(counted(&crowded, "qz...........7".repeat(1 << 12).as_bytes()).0, Ok(()));
        assert_eq!(counted(&crowded, "qzaa.........7".repeat(1 << 12).as_bytes()).0, Err(Stop::Limit));
    }
}
