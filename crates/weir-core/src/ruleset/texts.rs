//! Texts that are in every match of a pattern, with what the pattern has beside them.
//!
//! Computed bottom-up on the HIR. `exact` is the full set of texts that a node can match, while that is small; `any` is
//! the best set found so far of which one must occur. Letters are lower-cased: the prefilter ignores case.

use super::neighbours::{Neighbours, Step};
use regex_syntax::hir::{Class, Hir, HirKind};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Most texts in an exact set; above, it is given up for a required set.
const MAX_EXACT: usize = 64;
/// Most literals for one signature.
pub(super) const MAX_ANY: usize = 200;
/// Longest literal kept; longer ones tell nothing more.
pub(super) const MAX_LEN: usize = 24;
/// A literal shorter than this is no filter.
pub const MIN_LEN: usize = 2;

/// A text that is in a match, with what a pattern has beside it.
#[derive(Clone, Debug)]
pub(super) struct Found<'h> {
    pub text: Vec<u8>,
    /// Parts of the pattern before it, the nearest first.
    before: Vec<Step<'h>>,
    /// Parts of the pattern after it, the nearest first.
    after: Vec<Step<'h>>,
}

impl<'h> Found<'h> {
    fn alone(text: Vec<u8>) -> Self {
        Self { text, before: Vec::new(), after: Vec::new() }
    }

    /// The same text in a longer part of the pattern.
    fn within(mut self, before: impl Iterator<Item = Step<'h>>, after: impl Iterator<Item = Step<'h>>) -> Self {
        self.before.extend(before);
        self.after.extend(after);
        self
    }

    /// A part of this text: the `length` bytes from `at` on.
    fn part(&self, at: usize, length: usize) -> Self {
        let beside = |text: &[u8], steps: &[Step<'h>]| {
            let text = (!text.is_empty()).then(|| Step::Text(text.to_vec()));
            text.into_iter().chain(steps.iter().cloned()).collect()
        };
        Self {
            text: self.text[at..at + length].to_vec(),
            before: beside(&self.text[..at], &self.before),
            after: beside(&self.text[at + length..], &self.after),
        }
    }

    /// The first place of `part` in this text.
    pub fn first(&self, part: &[u8]) -> Option<Self> {
        memchr::memmem::find(&self.text, part).map(|at| self.part(at, part.len()))
    }

    /// What a match has beside it.
    pub fn neighbours(&self) -> Neighbours {
        Neighbours::of(&self.text, &self.before, &self.after)
    }
}

/// Which texts are of use.
#[derive(Clone, Copy)]
pub(super) enum Sought<'w> {
    /// Those of [`MIN_LEN`] bytes or more.
    Long,
    /// Those that hold one of these.
    Given(&'w [Vec<u8>]),
}

impl Sought<'_> {
    fn is_useful(self, text: &[u8]) -> bool {
        match self {
            Self::Long => text.len() >= MIN_LEN,
            Self::Given(given) => given.iter().any(|part| memchr::memmem::find(text, part).is_some()),
        }
    }

    /// `set`, if it is of use as a whole.
    fn useful<'h>(self, set: Vec<Vec<u8>>) -> Option<Vec<Found<'h>>> {
        let is_useful = !set.is_empty() && set.len() <= MAX_ANY && set.iter().all(|text| self.is_useful(text));
        is_useful.then(|| set.into_iter().map(Found::alone).collect())
    }
}

/// What every match of a part of a pattern has.
struct Info<'h> {
    /// All that it can match.
    exact: Option<Vec<Vec<u8>>>,
    /// Texts of which it has one.
    any: Option<Vec<Found<'h>>>,
    /// Of a part that is matched once or more: all that it can match once, and what of it can come besides.
    again: Option<(Vec<Vec<u8>>, Step<'h>)>,
}

/// Texts of which one is in every match of `hir`; none where there is no set that is of use.
pub(super) fn in_every_match<'h>(hir: &'h Hir, sought: Sought<'_>) -> Option<Vec<Found<'h>>> {
    let info = walk(hir, sought);
    let best = better(info.any, info.exact.and_then(|set| sought.useful(set)))?;
    Some(without_longer(best.iter().map(|found| found.part(0, found.text.len().min(MAX_LEN))).collect()))
}

/// With the shorter in place of those that hold another one.
fn without_longer(set: Vec<Found<'_>>) -> Vec<Found<'_>> {
    let shorter = |long: &Found<'_>| {
        let mut others = set.iter().filter(|other| other.text.len() < long.text.len());
        others.find(|other| memchr::memmem::find(&long.text, &other.text).is_some()).map(|other| other.text.clone())
    };
    let mut out = set.clone();
    // The shorter one may hold another one.
    for found in &mut out {
        while let Some(part) = shorter(found).and_then(|text| found.first(&text)) {
            *found = part;
        }
    }
    out.sort_by(|a, b| a.text.cmp(&b.text));
    out
}

/// Bytes of the shortest literal of a set, as far as longer ones tell more.
pub(super) fn shortest_of<'l>(set: impl Iterator<Item = &'l Vec<u8>>) -> usize {
    set.map(Vec::len).min().unwrap_or(0).min(6)
}

/// The set that will match less often: longer shortest literal first, then fewer literals. Of two alike the first, which
/// is to be the one of which more is known.
fn better<'h>(a: Option<Vec<Found<'h>>>, b: Option<Vec<Found<'h>>>) -> Option<Vec<Found<'h>>> {
    let score = |set: &Vec<Found<'_>>| (shortest_of(set.iter().map(|found| &found.text)), Reverse(different(set)));
    match (a, b) {
        (Some(a), Some(b)) => Some(if score(&b) > score(&a) { b } else { a }),
        (a, b) => a.or(b),
    }
}

/// How many texts there are.
fn different(set: &[Found<'_>]) -> usize {
    set.iter().map(|found| &found.text).collect::<BTreeSet<_>>().len()
}

fn exactly<'h>(texts: Vec<Vec<u8>>) -> Info<'h> {
    Info { exact: Some(texts), any: None, again: None }
}

/// Nothing is known.
const fn nothing<'h>() -> Info<'h> {
    Info { exact: None, any: None, again: None }
}

fn walk<'h>(hir: &'h Hir, sought: Sought<'_>) -> Info<'h> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => exactly(vec![Vec::new()]),
        HirKind::Literal(literal) => exactly(vec![literal.0.to_ascii_lowercase()]),
        HirKind::Class(class) => class_texts(class).map_or(nothing(), exactly),
        HirKind::Capture(capture) => walk(&capture.sub, sought),
        HirKind::Repetition(rep) => repetition(rep.min, rep.max, &rep.sub, sought),
        HirKind::Concat(parts) => concat(parts, sought),
        HirKind::Alternation(parts) => alternation(parts, sought),
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

fn repetition<'h>(min: u32, max: Option<u32>, sub: &'h Hir, sought: Sought<'_>) -> Info<'h> {
    let inner = walk(sub, sought);
    match (min, max) {
        (0, Some(1)) => match inner.exact {
            Some(mut texts) => {
                texts.push(Vec::new());
                exactly(texts)
            }
            None => nothing(),
        },
        (0, _) => nothing(),
        (1, Some(1)) => inner,
        _ => {
            let more = || std::iter::once(Step::Repeated(sub, max.map(|max| max - 1)));
            let any = better(inner.any, inner.exact.clone().and_then(|set| sought.useful(set)));
            let again = inner.exact.map(|texts| (texts, Step::Repeated(sub, max.map(|max| max - 1))));
            Info { any: any.map(|set| within_all(set, || (more(), more()))), exact: None, again }
        }
    }
}

/// Each of `set` in a longer part of the pattern.
fn within_all<'h, B, A>(set: Vec<Found<'h>>, beside: impl Fn() -> (B, A)) -> Vec<Found<'h>>
where
    B: Iterator<Item = Step<'h>>,
    A: Iterator<Item = Step<'h>>,
{
    let longer = |found: Found<'h>| {
        let (before, after) = beside();
        found.within(before, after)
    };
    set.into_iter().map(longer).collect()
}

/// All that some parts in a row can match.
#[derive(Clone)]
struct Run<'h> {
    texts: Vec<Vec<u8>>,
    /// What comes before them.
    before: Vec<Step<'h>>,
    /// Assertions at their end, the last first.
    asserted: Vec<Step<'h>>,
}

impl<'h> Run<'h> {
    fn new(texts: Vec<Vec<u8>>, before: impl Iterator<Item = Step<'h>>) -> Self {
        Self { texts, before: before.collect(), asserted: Vec::new() }
    }

    /// The same with `part`, which can match `texts`.
    fn with(&self, part: &'h Hir, texts: &[Vec<u8>]) -> Option<Self> {
        let mut longer = Self { texts: cross(&self.texts, texts)?, ..self.clone() };
        if !matches!(part.kind(), HirKind::Look(_)) {
            longer.asserted.clear();
        } else if self.texts.iter().all(Vec::is_empty) {
            longer.before.insert(0, Step::Once(part));
        } else {
            longer.asserted.push(Step::Once(part));
        }
        Some(longer)
    }

    /// Its texts where `next` comes after them, if they are of use.
    fn ended(self, sought: Sought<'_>, next: impl Iterator<Item = Step<'h>>) -> Option<Vec<Found<'h>>> {
        let after: Vec<Step<'h>> = self.asserted.into_iter().chain(next).collect();
        let set = sought.useful(self.texts)?;
        Some(within_all(set, || (self.before.iter().cloned(), after.iter().cloned())))
    }
}

fn concat<'h>(parts: &'h [Hir], sought: Sought<'_>) -> Info<'h> {
    let before = |at: usize| parts[..at].iter().rev().map(Step::Once);
    let after = |at: usize| parts[at..].iter().map(Step::Once);
    let mut run = Some(Run::new(vec![Vec::new()], before(0)));
    let mut whole = true;
    let mut any = None;
    for (at, part) in parts.iter().enumerate() {
        let info = walk(part, sought);
        any = better(any, info.any.map(|set| within_all(set, || (before(at), after(at + 1)))));
        let longer = |texts: &[Vec<u8>]| run.as_ref().and_then(|run| run.with(part, texts));
        if let Some(longer) = info.exact.as_deref().and_then(longer) {
            run = Some(longer);
            continue;
        }
        whole = false;
        if let Some((texts, more)) = &info.again {
            // What is before a repetition and the first of it.
            let next = std::iter::once(more.clone()).chain(after(at + 1));
            any = better(any, longer(texts).and_then(|run| run.ended(sought, next)));
        }
        any = better(any, run.and_then(|run| run.ended(sought, after(at))));
        run = match (info.exact, info.again) {
            (Some(texts), _) => Some(Run::new(texts, before(at))),
            // The last of a repetition and what is after it.
            (None, Some((texts, more))) => Some(Run::new(texts, std::iter::once(more).chain(before(at)))),
            (None, None) => None,
        };
    }
    let exact = run.as_ref().filter(|_| whole).map(|run| run.texts.clone());
    Info { any: better(any, run.and_then(|run| run.ended(sought, std::iter::empty()))), exact, again: None }
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

fn alternation<'h>(parts: &'h [Hir], sought: Sought<'_>) -> Info<'h> {
    let infos: Vec<Info<'_>> = parts.iter().map(|part| walk(part, sought)).collect();
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
        match better(info.any, info.exact.and_then(|set| sought.useful(set))) {
            Some(set) => union.extend(set),
            None => return nothing(),
        }
    }
    Info { exact: None, any: (different(&union) <= MAX_ANY).then_some(union), again: None }
}
