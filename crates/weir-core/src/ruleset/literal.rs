//! Required literals of a pattern: a set of which at least one occurs in every match.
//!
//! Computed bottom-up on the HIR. `exact` is the full set of texts that a node can match, while that is small;
//! `any` is the best set found so far of which one must occur. Letters are lower-cased: the prefilter ignores case.

use super::RequiredClasses;
use super::pattern::Anchors;
use regex_syntax::hir::{Class, Hir, HirKind};
use std::cmp::Reverse;

/// Most texts in an exact set; above, it is given up for a required set.
const MAX_EXACT: usize = 64;
/// Most literals for one signature.
const MAX_ANY: usize = 200;
/// Most branches of a choice that are looked at apart.
const MAX_BRANCHES: usize = MAX_ANY;
/// Longest literal kept; longer ones tell nothing more.
pub(super) const MAX_LEN: usize = 24;
/// A literal shorter than this is no filter.
pub const MIN_LEN: usize = 2;

struct Info {
    exact: Option<Vec<Vec<u8>>>,
    any: Option<Vec<Vec<u8>>>,
}

/// One of a set of literals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    /// Its bytes, in lower case.
    pub bytes: Vec<u8>,
    /// What every match has besides that is to be found by it.
    pub needs: RequiredClasses,
    /// Where every match is that is to be found by it.
    pub anchors: Anchors,
}

/// The literals of a signature by which the prefilter finds candidates; [`None`] for one that is tried on every value.
pub type RequiredLiterals = Option<Vec<Literal>>;

/// Literals of which at least one occurs, in lower case, in every match of `hir`; none where there is no useful set.
///
/// Where the pattern is a choice, each literal goes with what its own branch needs: `sam` is looked for in vain in a
/// value without `:` if only `[a-z]:\\sam` matches by it.
pub fn required(hir: &Hir) -> RequiredLiterals {
    let whole = with_needs(hir)?;
    let shortest = |set: &[Literal]| shortest_of(set.iter().map(|l| &l.bytes));
    let parted = branches(hir).and_then(|branches| branches.map(|branch| with_needs(&branch)).collect());
    let parted = parted.map(|sets: Vec<_>| sets.concat()).filter(|set| shortest(set) >= shortest(&whole));
    let mut set = parted.unwrap_or(whole);
    set.sort_by(|a, b| a.bytes.cmp(&b.bytes));
    Some(set)
}

fn with_needs(hir: &Hir) -> Option<Vec<Literal>> {
    let literals = in_every_match(hir)?;
    let (needs, anchors) = (RequiredClasses::of(hir), Anchors::of(hir));
    Some(literals.into_iter().map(|bytes| Literal { bytes, needs: needs.clone(), anchors }).collect())
}

/// `literals`, which are in lower case and of which one occurs in every match of `hir`, with what a match needs besides.
///
/// Where the pattern is a choice, those that occur in every match of a branch go with what this branch needs. All of them do
/// for a branch of which that is not known.
pub fn given(hir: &Hir, literals: &[Vec<u8>]) -> Vec<Literal> {
    let branches: Vec<Hir> = branches(hir).map_or_else(|| vec![hir.clone()], Iterator::collect);
    let mut all: Vec<Literal> = Vec::new();
    for branch in &branches {
        let (needs, anchors) = (RequiredClasses::of(branch), Anchors::of(branch));
        let in_all = occurring(branch, literals);
        for bytes in in_all.as_deref().unwrap_or(literals) {
            let literal = Literal { bytes: bytes.clone(), needs: needs.clone(), anchors };
            if !all.contains(&literal) {
                all.push(literal);
            }
        }
    }
    all
}

/// Those of `literals` of which one occurs in every match of `hir`, if that follows from its own literals.
fn occurring(hir: &Hir, literals: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    let holds = |text: &[u8]| literals.iter().find(|literal| memchr::memmem::find(text, literal).is_some()).cloned();
    in_every_match(hir)?.iter().map(|text| holds(text)).collect()
}

/// The pattern as a choice, if it has one at its outermost level: each branch with what precedes and follows it.
fn branches(hir: &Hir) -> Option<Box<dyn Iterator<Item = Hir> + '_>> {
    match hir.kind() {
        HirKind::Capture(capture) => branches(&capture.sub),
        HirKind::Alternation(parts) if parts.len() <= MAX_BRANCHES => Some(Box::new(parts.iter().cloned())),
        HirKind::Concat(parts) => {
            let choices = parts.iter().map(|part| choice(part).filter(|choice| choice.len() <= MAX_BRANCHES));
            let (at, choice) = (0..).zip(choices).max_by_key(|(_, choice)| choice.map_or(0, <[Hir]>::len))?;
            let with = move |branch: &Hir| {
                let mut parts = parts.clone();
                parts[at] = branch.clone();
                Hir::concat(parts)
            };
            Some(Box::new(choice?.iter().map(with)))
        }
        _ => None,
    }
}

fn choice(hir: &Hir) -> Option<&[Hir]> {
    match hir.kind() {
        HirKind::Capture(capture) => choice(&capture.sub),
        HirKind::Alternation(parts) => Some(parts),
        _ => None,
    }
}

fn in_every_match(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let info = walk(hir);
    let from_exact = info.exact.and_then(useful);
    let mut best = better(from_exact, info.any)?;
    best.iter_mut().for_each(|literal| literal.truncate(MAX_LEN));
    best.sort();
    best.dedup();
    Some(without_longer(&best))
}

/// Without those that hold another one.
fn without_longer(set: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let holds = |long: &[u8], short: &[u8]| long.len() > short.len() && memchr::memmem::find(long, short).is_some();
    set.iter().filter(|literal| !set.iter().any(|other| holds(literal, other))).cloned().collect()
}

fn useful(set: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    (!set.is_empty() && set.len() <= MAX_ANY && set.iter().all(|l| l.len() >= MIN_LEN)).then_some(set)
}

/// Bytes of the shortest literal of a set, as far as longer ones tell more.
fn shortest_of<'l>(set: impl Iterator<Item = &'l Vec<u8>>) -> usize {
    set.map(Vec::len).min().unwrap_or(0).min(6)
}

/// The set that will match less often: longer shortest literal first, then fewer literals.
fn better(a: Option<Vec<Vec<u8>>>, b: Option<Vec<Vec<u8>>>) -> Option<Vec<Vec<u8>>> {
    let score = |set: &Vec<Vec<u8>>| (shortest_of(set.iter()), Reverse(set.len()));
    match (a, b) {
        (Some(a), Some(b)) => Some(if score(&b) > score(&a) { b } else { a }),
        (a, b) => a.or(b),
    }
}

fn exactly(texts: Vec<Vec<u8>>) -> Info {
    Info { exact: Some(texts), any: None }
}

const NOTHING: Info = Info { exact: None, any: None };

fn walk(hir: &Hir) -> Info {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => exactly(vec![Vec::new()]),
        HirKind::Literal(literal) => exactly(vec![literal.0.to_ascii_lowercase()]),
        HirKind::Class(class) => class_texts(class).map_or(NOTHING, exactly),
        HirKind::Capture(capture) => walk(&capture.sub),
        HirKind::Repetition(rep) => repetition(rep.min, rep.max, &rep.sub),
        HirKind::Concat(parts) => concat(parts),
        HirKind::Alternation(parts) => alternation(parts),
    }
}

fn class_texts(class: &Class) -> Option<Vec<Vec<u8>>> {
    let mut texts = Vec::new();
    match class {
        Class::Bytes(class) => {
            for range in class.ranges() {
                (range.start()..=range.end()).for_each(|b| texts.push(vec![b.to_ascii_lowercase()]));
            }
        }
        Class::Unicode(class) => {
            for range in class.ranges() {
                if u32::from(range.end()) - u32::from(range.start()) > MAX_EXACT as u32 {
                    return None;
                }
                (range.start()..=range.end()).for_each(|c| texts.push(c.to_lowercase().to_string().into_bytes()));
            }
        }
    }
    texts.sort();
    texts.dedup();
    (texts.len() <= 8).then_some(texts)
}

fn repetition(min: u32, max: Option<u32>, sub: &Hir) -> Info {
    let inner = walk(sub);
    match (min, max) {
        (0, Some(1)) => match inner.exact {
            Some(mut texts) => {
                texts.push(Vec::new());
                exactly(texts)
            }
            None => NOTHING,
        },
        (0, _) => NOTHING,
        (1, Some(1)) => inner,
        _ => Info { any: better(inner.exact.and_then(useful), inner.any), exact: None },
    }
}

fn concat(parts: &[Hir]) -> Info {
    let mut run: Option<Vec<Vec<u8>>> = Some(vec![Vec::new()]);
    let mut whole = true;
    let mut any = None;
    for part in parts {
        let info = walk(part);
        any = better(any, info.any);
        let product = match (&run, &info.exact) {
            (Some(left), Some(right)) => cross(left, right),
            _ => None,
        };
        if product.is_none() {
            whole = false;
            any = better(any, run.take().and_then(useful));
            run = info.exact;
        } else {
            run = product;
        }
    }
    if whole {
        return Info { exact: run, any };
    }
    Info { any: better(any, run.and_then(useful)), exact: None }
}

fn cross(left: &[Vec<u8>], right: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    if left.len() * right.len() > MAX_EXACT {
        return None;
    }
    let mut out: Vec<Vec<u8>> =
        left.iter().flat_map(|l| right.iter().map(move |r| [l.as_slice(), r].concat())).collect();
    out.sort();
    out.dedup();
    Some(out)
}

fn alternation(parts: &[Hir]) -> Info {
    let infos: Vec<Info> = parts.iter().map(walk).collect();
    if infos.iter().all(|i| i.exact.is_some()) {
        let mut texts: Vec<_> = infos.iter().flat_map(|i| i.exact.clone().unwrap_or_default()).collect();
        texts.sort();
        texts.dedup();
        if texts.len() <= MAX_EXACT {
            return exactly(texts);
        }
    }
    let mut union = Vec::new();
    for info in infos {
        match better(info.exact.and_then(useful), info.any) {
            Some(set) => union.extend(set),
            None => return NOTHING,
        }
    }
    union.sort();
    union.dedup();
    Info { exact: None, any: (union.len() <= MAX_ANY).then_some(union) }
}

#[cfg(test)]
mod tests {
    use super::{Anchors, Literal, required};
    use crate::model::ByteClasses;
    use proptest::prelude::*;

    fn hir(pattern: &str) -> regex_syntax::hir::Hir {
        let mut builder = regex_syntax::ParserBuilder::new();
        builder.unicode(false).utf8(false).case_insensitive(true).build().parse(pattern).unwrap()
    }

    fn of(pattern: &str) -> Option<Vec<String>> {
        required(&hir(pattern)).map(|set| set.into_iter().map(|l| String::from_utf8(l.bytes).unwrap()).collect())
    }

    fn set(texts: &[&str]) -> Option<Vec<String>> {
        Some(texts.iter().map(|t| t.to_string()).collect())
    }

    #[test]
    fn finds_literals() {
        assert_eq!(of("etc/passwd"), set(&["etc/passwd"]));
        assert_eq!(of(r"union\s+(?:all\s+)?select"), set(&["select"]));
        assert_eq!(of("(?:cat|less) "), set(&["cat ", "less "]));
        assert_eq!(of(r"\b(?:sleep|benchmark)\s*\("), set(&["benchmark", "sleep"]));
        assert_eq!(of(r"[ab]x?y"), set(&["axy", "ay", "bxy", "by"]));
        assert_eq!(of(r"(?:foo){2,}"), set(&["foo"]));
    }

    #[test]
    fn each_literal_goes_with_what_its_branch_needs() {
        let set = required(&hir(r"(?:^|/)(?:document\.cookie|[a-z]:\\(?:\w+\\)*(?:sam|ntds)|x?eval\s*\()")).unwrap();
        let found = |text: &str| {
            let found = set.iter().filter(|l| text.contains(std::str::from_utf8(&l.bytes).unwrap()));
            found.map(|l| l.needs.satisfied_by(ByteClasses::of(text.as_bytes()))).collect::<Vec<_>>()
        };
        assert_eq!(found("a sample"), [false]);
        assert_eq!(found(r"c:\sam"), [true]);
        assert_eq!(found("evaluate."), [false]);
        assert_eq!(found("eval (1)"), [true]);
    }

    proptest! {
        /// Whatever a pattern matches holds one of its literals, and what goes with it.
        #[test]
        fn every_match_is_found(
            parts in prop::collection::vec("[ab]{2,3}|\\(|[<]|x\\?|\\((ab|ba\\.)\\|[xb]{2}:\\)|\\.\\*|[|]", 1..6),
            text in "[abx(<:. ]{0,14}",
        ) {
            let pattern = parts.concat();
            let Ok(regex) = regex::bytes::RegexBuilder::new(&pattern).unicode(false).build() else { return Ok(()) };
            let Some(set) = required(&hir(&pattern)) else { return Ok(()) };
            if let Some(found) = regex.find(text.as_bytes()) {
                let classes = ByteClasses::of(found.as_bytes());
                let is_in = |l: &Literal| l.needs.satisfied_by(classes) && memchr::memmem::find(found.as_bytes(), &l.bytes).is_some();
                prop_assert!(set.iter().any(is_in), "{} in {}: {:?}", pattern, text, set);
            }
        }
    }

    #[test]
    fn anchors_are_those_of_the_branch() {
        let anchors = |pattern: &str| -> Vec<(bool, bool)> {
            required(&hir(pattern)).unwrap().iter().map(|l| (l.anchors.start, l.anchors.end)).collect()
        };
        assert_eq!(anchors(r"^\s{0,4}(?:abc|def)"), [(true, false); 2]);
        assert_eq!(anchors(r"^abc|def$|ghi"), [(true, false), (false, true), (false, false)]);
        assert_eq!(anchors(r"(?:^|;)abc"), [(false, false), (true, false)]);
        assert_eq!(anchors(r"(?m)^abc$"), [(false, false)]);
        assert!(
            Anchors { start: true, end: false }.allow(9, 9, 100)
                && !Anchors { start: true, end: false }.allow(10, 9, 100)
        );
        assert!(
            Anchors { start: false, end: true }.allow(90, 10, 100)
                && !Anchors { start: false, end: true }.allow(89, 10, 100)
        );
    }

    #[test]
    fn finds_none_where_there_is_none() {
        assert_eq!(of(r"\d+"), None);
        assert_eq!(of(r"(?:foo)?\d"), None);
        assert_eq!(of(r"foo|\d"), None);
        assert_eq!(of("a"), None);
    }
}
