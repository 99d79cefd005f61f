//! Kinds of bytes that every match of a pattern has: on a value without them there is nothing to confirm.
//!
//! Computed bottom-up on the HIR as a list of clauses: of each, one kind at least is in every match.

use crate::model::ByteClasses;
use regex_syntax::hir::{Class, Hir, HirKind};
use smallvec::SmallVec;

/// Clauses kept of one node: the rarest.
const MAX_CLAUSES: usize = 12;
/// Kinds that most values have.
pub(super) const ORDINARY: ByteClasses =
    ByteClasses::TOKEN.with(ByteClasses::BLANK).with(ByteClasses::COMMA).with(ByteClasses::HIGH);
/// What one ordinary kind in a clause costs, in kinds that are not.
const COMMON: u32 = 8;
/// From this cost on a clause tells next to nothing.
const MAX_COST: u32 = 2 * COMMON;

/// What every match of a pattern has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequiredClasses {
    /// Each of these kinds.
    pub all: ByteClasses,
    /// Of each of these sets, one kind or more.
    pub one_of: SmallVec<[ByteClasses; 4]>,
}

impl RequiredClasses {
    /// What every match of `hir` has.
    pub fn of(hir: &Hir) -> Self {
        let (single, several): (Vec<ByteClasses>, Vec<ByteClasses>) =
            clauses(hir).into_iter().partition(|c| c.kinds().count() == 1);
        Self {
            all: single.into_iter().fold(ByteClasses::NONE, ByteClasses::with),
            one_of: several.into_iter().filter(|clause| cost(*clause) < MAX_COST).collect(),
        }
    }

    /// Whether a value of these kinds of bytes may match.
    #[inline]
    pub fn satisfied_by(&self, classes: ByteClasses) -> bool {
        classes.contains(self.all) && self.one_of.iter().all(|clause| classes.intersects(*clause))
    }
}

fn clauses(hir: &Hir) -> Vec<ByteClasses> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Vec::new(),
        HirKind::Literal(literal) => least(ByteClasses::of(&literal.0).each().collect()),
        HirKind::Class(class) => class_kinds(class).into_iter().collect(),
        HirKind::Capture(capture) => clauses(&capture.sub),
        HirKind::Repetition(rep) if rep.min > 0 => clauses(&rep.sub),
        HirKind::Repetition(_) => Vec::new(),
        HirKind::Concat(parts) => least(parts.iter().flat_map(clauses).collect()),
        HirKind::Alternation(parts) => either(&parts.iter().map(clauses).collect::<Vec<_>>()),
    }
}

/// What holds whichever of `branches` is taken: clauses that each of them has, and one made of the rarest of each.
fn either(branches: &[Vec<ByteClasses>]) -> Vec<ByteClasses> {
    let everywhere =
        |clause: &ByteClasses| branches.iter().all(|branch| branch.iter().any(|other| other.within(*clause)));
    let mut all: Vec<ByteClasses> = branches.iter().flatten().copied().filter(everywhere).collect();
    let rarest = branches.iter().map(|branch| branch.iter().copied().min_by_key(|clause| cost(*clause)));
    all.extend(rarest.reduce(|a, b| Some(a?.with(b?))).flatten());
    least(all)
}

/// The rarest clauses, none of which follows from another.
fn least(mut all: Vec<ByteClasses>) -> Vec<ByteClasses> {
    all.sort_by_key(|clause| cost(*clause));
    let mut kept: Vec<ByteClasses> = Vec::new();
    for clause in all {
        if kept.len() < MAX_CLAUSES && !kept.iter().any(|other| other.within(clause)) {
            kept.push(clause);
        }
    }
    kept
}

/// How much of ordinary text a clause holds for.
fn cost(clause: ByteClasses) -> u32 {
    clause.each().map(|kind| if ORDINARY.intersects(kind) { COMMON } else { 1 }).sum()
}

/// The kinds that the bytes of a class are of.
fn class_kinds(class: &Class) -> Option<ByteClasses> {
    let Class::Bytes(class) = class else { return None };
    let bytes = class.ranges().iter().flat_map(|range| range.start()..=range.end());
    bytes.map(|byte| ByteClasses::of(&[byte])).reduce(ByteClasses::with)
}

#[cfg(test)]
mod tests {
    use super::RequiredClasses;
    use crate::model::ByteClasses;
    use proptest::prelude::*;

    fn hir(pattern: &str) -> regex_syntax::hir::Hir {
        let mut builder = regex_syntax::ParserBuilder::new();
        builder.unicode(false).utf8(false).case_insensitive(true).build().parse(pattern).unwrap()
    }

    fn of(pattern: &str) -> (ByteClasses, Vec<ByteClasses>) {
        let needs = RequiredClasses::of(&hir(pattern));
        (needs.all, needs.one_of.to_vec())
    }

    #[test]
    fn needs_are_the_kinds_that_no_match_lacks() {
        assert_eq!(of(r"a\s*\(x|b\(\d+"), (ByteClasses::ALPHA.with(ByteClasses::LPAREN), vec![]));
        assert_eq!(of(r"(?:=)?[<>]a*"), (ByteClasses::NONE, vec![ByteClasses::LT.with(ByteClasses::GT)]));
        assert_eq!(of(r"[a-f]+\d{2}"), (ByteClasses::ALPHA.with(ByteClasses::DIGIT), vec![]));
        assert_eq!(
            of(r#"['"]\s*(?:or|and)"#),
            (ByteClasses::ALPHA, vec![ByteClasses::QUOTE.with(ByteClasses::DQUOTE)])
        );
        assert_eq!(
            of(r"(?:&lt;|\\x3c|%3c)svg").1,
            [ByteClasses::AMP.with(ByteClasses::BACKSLASH).with(ByteClasses::PERCENT)]
        );
        assert_eq!(of(r"a|"), (ByteClasses::NONE, vec![]));
    }

    proptest! {
        /// Whatever a pattern matches meets its needs.
        #[test]
        fn every_match_meets_them(parts in prop::collection::vec("[ab]|\\(|\\[<>\\]|x\\?|(a\\||b)|\\.\\*|(\\(=\\|%\\)\\+)|[.;]", 1..6), text in "[abx(<>=%;. ]{0,12}") {
            let pattern = parts.join("|").replace("||", "|");
            for pattern in [parts.concat(), pattern] {
                let Ok(regex) = regex::bytes::RegexBuilder::new(&pattern).unicode(false).build() else { continue };
                if let Some(found) = regex.find(text.as_bytes()) {
                    prop_assert!(RequiredClasses::of(&hir(&pattern)).satisfied_by(ByteClasses::of(found.as_bytes())), "{} in {}", pattern, text);
                }
            }
        }
    }
}
