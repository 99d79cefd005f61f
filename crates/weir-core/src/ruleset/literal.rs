//! Required literals of a pattern: a set of which at least one occurs in every match, with what else a match has there.

use super::RequiredClasses;
use super::neighbours::{ByteSet, Neighbours};
use super::pattern::{Anchors, reach};
use super::texts::{Found, MAX_ANY, Sought, in_every_match, shortest_of};
use crate::model::ByteClasses;
use regex_syntax::hir::{Hir, HirKind};

/// Most branches of a choice that are looked at apart.
const MAX_BRANCHES: usize = MAX_ANY;

/// One of a set of literals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    /// Its bytes, in lower case.
    pub bytes: Vec<u8>,
    /// What every match has besides that is to be found by it.
    pub needs: RequiredClasses,
    /// Where every match is that is to be found by it.
    pub anchors: Anchors,
    /// What every match has beside it, and how far it goes.
    pub neighbours: Neighbours,
}

impl Literal {
    /// Whether a value made of `kinds`, which are these `bytes`, can have a match by it.
    pub fn is_possible_in(&self, kinds: ByteClasses, bytes: ByteSet) -> bool {
        self.needs.satisfied_by(kinds)
            && ByteClasses::of(&self.bytes).within(kinds)
            && self.neighbours.are_possible_in(bytes)
    }
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
    let mut set = merged(parted.unwrap_or(whole));
    set.sort_by(|a, b| a.bytes.cmp(&b.bytes));
    Some(set)
}

fn with_needs(hir: &Hir) -> Option<Vec<Literal>> {
    Some(literals(hir, in_every_match(hir, Sought::Long)?))
}

/// `found` in the matches of `hir`, each text once.
fn literals(hir: &Hir, found: Vec<Found<'_>>) -> Vec<Literal> {
    let (needs, anchors) = (RequiredClasses::of(hir), Anchors::of(hir));
    let literal = |found: Found<'_>| {
        let neighbours = found.neighbours();
        Literal { bytes: found.text, needs: needs.clone(), anchors, neighbours }
    };
    merged(found.into_iter().map(literal).collect())
}

/// `all`, where those that differ by what is beside them alone are one.
fn merged(all: Vec<Literal>) -> Vec<Literal> {
    let mut out: Vec<Literal> = Vec::new();
    for literal in all {
        let is_alike = |other: &&mut Literal| {
            other.bytes == literal.bytes && other.needs == literal.needs && other.anchors == literal.anchors
        };
        match out.iter_mut().find(is_alike) {
            Some(other) => other.neighbours = other.neighbours.or(&literal.neighbours),
            None => out.push(literal),
        }
    }
    out
}

/// `given`, which are in lower case and of which one occurs in every match of `hir`, with what a match needs besides.
///
/// Where the pattern is a choice, those that occur in every match of a branch go with what this branch needs. All of them do
/// for a branch of which that is not known.
pub fn given(hir: &Hir, given: &[Vec<u8>]) -> Vec<Literal> {
    let branches: Vec<Hir> = branches(hir).map_or_else(|| vec![hir.clone()], Iterator::collect);
    let literals = branches.iter().flat_map(|branch| match occurring(branch, given) {
        Some(found) => literals(branch, found),
        None => anywhere(branch, given),
    });
    merged(literals.collect())
}

/// `given`, one of which is somewhere in every match of `hir`.
fn anywhere(hir: &Hir, given: &[Vec<u8>]) -> Vec<Literal> {
    let (needs, anchors, neighbours) = (RequiredClasses::of(hir), Anchors::of(hir), Neighbours::unknown(reach(hir)));
    let literal = |bytes: &Vec<u8>| Literal {
        bytes: bytes.clone(),
        needs: needs.clone(),
        anchors,
        neighbours: neighbours.clone(),
    };
    given.iter().map(literal).collect()
}

/// Those of `given` of which one occurs in every match of `hir`, if that follows from its own literals.
fn occurring<'h>(hir: &'h Hir, given: &[Vec<u8>]) -> Option<Vec<Found<'h>>> {
    let found = in_every_match(hir, Sought::Given(given))?;
    found.iter().map(|found| given.iter().find_map(|part| found.first(part))).collect()
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

#[cfg(test)]
mod tests {
    use super::{Anchors, Literal, Neighbours, required};
    use crate::model::ByteClasses;
    use crate::ruleset::pattern::{GAP, Reach};
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

    /// Whether `set` finds the match at `found` of `text`: one of its literals is in it, with what goes with it and beside
    /// it, and all of the match is within its reach.
    fn is_found(set: &[Literal], text: &[u8], found: std::ops::Range<usize>) -> bool {
        let classes = ByteClasses::of(&text[found.clone()]);
        let lower = text.to_ascii_lowercase();
        set.iter().filter(|literal| literal.needs.satisfied_by(classes)).any(|literal| {
            // Occurrences may overlap: `aa` is at two places in `aaa`.
            let width = literal.bytes.len();
            found.clone().filter(|at| lower[*at..found.end].starts_with(&literal.bytes)).any(|at| {
                let (end, neighbours) = (at + width, &literal.neighbours);
                neighbours.probes(width).iter().all(|probe| probe.allows(text, at))
                    && at - found.start <= neighbours.before()
                    && found.end - end <= neighbours.after()
            })
        })
    }

    /// Parts of patterns, with repetitions, choices, boundaries and anchors.
    fn part() -> impl Strategy<Value = &'static str> {
        prop::sample::select(
            &[
                "a",
                "ab",
                "aba",
                "b{2,3}",
                "x?",
                "(?:ab|ba\\.)",
                "[xb]{2}:",
                ".*",
                "|",
                "\\(",
                "[<]",
                "(?:ab)+",
                "[ab]+",
                "x{1,2}",
                "[^a]",
                "\\b",
                "\\B",
                "^",
                "$",
                "(?:^|<)",
                "(?:$|:)",
                "(?m:^)",
                "(?m:$)",
                " *",
                "\\w",
                "(?:a|b\\b)*",
                "(?:x(?:ab)?){2}",
            ][..],
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Whatever a pattern matches holds one of its literals, and what goes with it.
        #[test]
        fn every_match_is_found(
            parts in prop::collection::vec(part(), 1..7),
            given in prop::collection::vec("[abx<:(]{1,2}", 1..4),
            text in "[abAx(<:. \n]{0,14}",
        ) {
            let pattern = parts.concat();
            let mut builder = regex::bytes::RegexBuilder::new(&pattern);
            let Ok(regex) = builder.unicode(false).case_insensitive(true).build() else { return Ok(()) };
            let hir = hir(&pattern);
            let edges = Neighbours::of_edges(&hir, Anchors::of(&hir));
            let given: Vec<Vec<u8>> = given.into_iter().map(String::into_bytes).collect();
            let text = text.as_bytes();
            let Some(found) = regex.find(text).map(|found| found.range()) else { return Ok(()) };
            let fits = edges.as_ref().is_none_or(|edges| edges.allow_edges(text));
            prop_assert!(fits, "{} at the edges of {:?}: {:?}", pattern, text, edges);
            if let Some(set) = required(&hir) {
                prop_assert!(is_found(&set, text, found.clone()), "{} in {:?}: {:?}", pattern, text, set);
            }
            // Literals that a user gives are to be in every match.
            let of_match = text[found.clone()].to_ascii_lowercase();
            let holds = |literal: &Vec<u8>| memchr::memmem::find(&of_match, literal).is_some();
            if given.iter().any(holds) {
                let set = super::given(&hir, &given);
                prop_assert!(is_found(&set, text, found), "{} in {:?} by {:?}: {:?}", pattern, text, given, set);
            }
        }
    }

    #[test]
    fn neighbours_are_what_a_pattern_has_beside_a_literal() {
        let found = |pattern: &str, text: &str| {
            let set = required(&hir(pattern)).unwrap();
            let at = |l: &Literal| memchr::memmem::find(text.as_bytes(), &l.bytes);
            let allows = |l: &Literal| {
                at(l).map(|at| l.neighbours.probes(l.bytes.len()).iter().all(|p| p.allows(text.as_bytes(), at)))
            };
            set.iter().find_map(allows).unwrap()
        };
        for (pattern, text, expected) in [
            (r"document\s*\.", "document .", true),
            (r"document\s*\.", "documents.", false),
            (r#"["']\s{0,4}return\b"#, "' return", true),
            (r#"["']\s{0,4}return\b"#, "areturn", false),
            (r#"["']\s{0,4}return\b"#, "'returns", false),
            (r"^\s*select\b", "  select", true),
            (r"^\s*select\b", "x select", false),
            (r"passwd(?:$|/)", "passwd", true),
            (r"passwd(?:$|/)", "passwd ", false),
            (r"(?:etc[/\\]+){2,3}hosts", "etc//etc/hosts", true),
        ] {
            assert_eq!(found(pattern, text), expected, "{pattern} in {text}");
        }
    }

    #[test]
    fn reach_is_that_of_each_side() {
        let reach = |pattern: &str| {
            let set = required(&hir(pattern)).unwrap();
            set.iter().map(|l| (l.neighbours.before(), l.neighbours.after())).collect::<Vec<_>>()
        };
        assert_eq!(reach(r"[0-9]{2,5}foobar\s{0,3};"), [(5, 4)]);
        assert_eq!(reach(r"x?(?:foobar[0-9]){2,4}"), [(22, 22)]);
        assert_eq!(reach(r"foobar.*"), [(0, GAP)]);
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
        let (at_start, at_end) = (Anchors { start: true, end: false }, Anchors { start: false, end: true });
        let reach = Reach { before: 9, after: 10 };
        assert!(at_start.allow(9, reach, 100) && !at_start.allow(10, reach, 100));
        assert!(at_end.allow(90, reach, 100) && !at_end.allow(89, reach, 100));
    }

    #[test]
    fn finds_none_where_there_is_none() {
        assert_eq!(of(r"\d+"), None);
        assert_eq!(of(r"(?:foo)?\d"), None);
        assert_eq!(of(r"foo|\d"), None);
        assert_eq!(of("a"), None);
    }
}
