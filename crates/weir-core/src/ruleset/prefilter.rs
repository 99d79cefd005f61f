//! Which signatures may match a text: one pass for the required literals of all of them.
//!
//! **Safety.** A signature is left out only where it cannot match: none of its required literals occurs, or a kind of
//! byte that every match has ([`super::Signature::needs`]) does not, or it does not apply in the zone. Most values are
//! made of few kinds of bytes and are in one of few zones; for those of [`KINDS`] in each of [`ZONES`] there are smaller
//! sets, with only the signatures and literals that such a value can have. `same_answer_as_every_regex` in `tests/rules.rs`
//! holds this against the slow path.

use super::beside::Columns;
use super::literal::{Literal as RequiredLiteral, RequiredLiterals};
use super::literal_matcher::{Literal, LiteralMatcher};
use super::neighbours::{ByteSet, MAX_PROBES, Neighbours};
use super::pattern::{Anchors, MAX_REACH, Reach};
use super::texts::MAX_LEN;
use super::{CandidateSet, Origin, RequiredClasses, Signature};
use crate::model::{ByteClasses, Zone};
use std::collections::HashMap;
use std::ops::Range;

/// What values are made of, fewest kinds first: numbers and dates, tokens, words, prose and times of day, addresses and paths,
/// anything.
const KINDS: [ByteClasses; 6] =
    [NUMBER, ByteClasses::TOKEN, WORDS, PROSE, PROSE.with(ByteClasses::SLASH).with(ByteClasses::AT), ByteClasses::ALL];
/// Zones with sets of their own. Values in other zones, or in several at once, use sets for every zone.
const ZONES: [Zone; 7] = [Zone::BODY, Zone::QUERY, Zone::NAME, Zone::HEADER, Zone::COOKIE, Zone::PATH, Zone::ALL];
/// Bytes of numbers, dates and versions.
const NUMBER: ByteClasses = ByteClasses::DIGIT.with(ByteClasses::DOT).with(ByteClasses::DASH);
/// Bytes of words and lists of words.
const WORDS: ByteClasses = ByteClasses::TOKEN.with(ByteClasses::BLANK).with(ByteClasses::COMMA);
/// Bytes of prose without brackets and double quotes.
const PROSE: ByteClasses = WORDS
    .with(ByteClasses::QUOTE)
    .with(ByteClasses::COLON)
    .with(ByteClasses::PLUS)
    .with(ByteClasses::BANG)
    .with(ByteClasses::QUESTION);

/// How many bytes around a match decide whether a signature that spares documents spares it.
pub const READ_AROUND: usize = 4096;

/// The literals of all signatures.
#[derive(Debug)]
pub struct Prefilter {
    /// Sets by zone, and by what values are made of.
    sets: [(Zone, [(ByteClasses, Literals); KINDS.len()]); ZONES.len()],
    /// The set for the content of files, which only few signatures look at and which may be large.
    file: Literals,
    /// What there can be beside literals, each set once.
    byte_sets: Vec<ByteSet>,
}

/// A signature with its number and the literals that it requires.
struct Numbered<'s> {
    number: u32,
    signature: &'s Signature,
    required: Option<Vec<Required<'s>>>,
}

/// One of them, with what there is beside it in a match, the one that leaves most out first.
struct Required<'s> {
    literal: &'s RequiredLiteral,
    beside: [Beside; MAX_PROBES],
}

/// One set.
#[derive(Debug)]
struct Literals {
    anchors: LiteralMatcher,
    /// Signatures that ask for each literal.
    wanted_by: Vec<WantedBy>,
    /// Signatures to be tried on every value that has what they need.
    unfiltered: Vec<Unfiltered>,
}

/// A signature that asks for no literal.
#[derive(Debug)]
struct Unfiltered {
    /// Its number.
    signature: u32,
    /// What it needs to match.
    needs: RequiredClasses,
    /// Where it matches.
    anchors: Anchors,
    /// How far a match is followed, in bytes.
    reach: usize,
    /// What texts that it matches begin and end with; none if they may be any.
    edges: Option<Neighbours>,
}

/// The signatures that ask for one literal.
#[derive(Debug, Default)]
struct WantedBy {
    /// For each of them, the place beside the literal that leaves most out.
    first: Vec<Beside>,
    all: Vec<Wanted>,
    /// Where they are many, what there is beside the literal in the matches of all.
    columns: Option<Columns>,
}

/// Fewest signatures that are many for one literal.
const MANY: usize = 12;
/// Looks at what is beside a literal in the time that it takes to note one signature.
const LOOKS_NOTED: usize = 4;

/// What there is beside a literal in a match.
#[derive(Clone, Copy, Debug)]
struct Beside {
    /// Bytes from the begin of the literal.
    offset: i16,
    /// Number of the set in [`Prefilter::byte_sets`].
    set: u16,
}

impl Beside {
    /// At the literal itself, where there is nothing to ask.
    const NOTHING: Self = Self { offset: 0, set: 0 };

    /// Whether a literal at `at` of `text` has it.
    #[inline]
    fn is_at(self, text: &[u8], at: usize, sets: &[ByteSet]) -> bool {
        sets[usize::from(self.set)].allows(text, at, self.offset)
    }
}

/// A signature that asks for a literal.
#[derive(Debug)]
struct Wanted {
    /// Its number.
    signature: u32,
    /// What else it needs to match by the literal.
    needs: RequiredClasses,
    /// Where it matches by the literal.
    anchors: Anchors,
    /// How far a match is followed from the literal, in bytes.
    reach: Reach,
    /// Whether what is around a match decides whether it counts.
    reads_around: bool,
    /// What else there is beside the literal in a match than the first.
    others: [Beside; MAX_PROBES - 1],
}

/// The sets of [`Prefilter::byte_sets`], while it is made.
struct ByteSets {
    numbers: HashMap<ByteSet, u16>,
    all: Vec<ByteSet>,
}

impl ByteSets {
    /// With the one of [`Beside::NOTHING`].
    fn new() -> Self {
        Self { numbers: HashMap::new(), all: vec![ByteSet::ALL] }
    }

    fn number(&mut self, set: ByteSet) -> Option<u16> {
        if let Some(number) = self.numbers.get(&set) {
            return Some(*number);
        }
        // Without a number a place is not asked for, which only costs time.
        let number = u16::try_from(self.all.len()).ok()?;
        self.all.push(set);
        self.numbers.insert(set, number);
        Some(number)
    }

    fn required<'s>(&mut self, literal: &'s RequiredLiteral) -> Required<'s> {
        let mut beside = [Beside::NOTHING; MAX_PROBES];
        for (to, probe) in beside.iter_mut().zip(literal.neighbours.probes(literal.bytes.len())) {
            if let Some(set) = self.number(probe.set) {
                *to = Beside { offset: probe.offset, set };
            }
        }
        Required { literal, beside }
    }
}

impl WantedBy {
    fn add(&mut self, number: u32, signature: &Signature, required: &Required<'_>) {
        let Required { literal, beside: [first, others @ ..] } = required;
        let (length, neighbours) = (literal.bytes.len(), &literal.neighbours);
        self.first.push(*first);
        self.all.push(Wanted {
            signature: number,
            needs: literal.needs.clone(),
            anchors: literal.anchors,
            reach: Reach { before: neighbours.before(), after: (length + neighbours.after()).min(MAX_REACH) },
            reads_around: signature.doc.spares_documents,
            others: *others,
        });
    }

    /// Makes columns of what there is beside the literal, once all signatures are known that ask for it.
    fn finish(&mut self, sets: &[ByteSet]) {
        if self.all.len() < MANY {
            return;
        }
        let all = self.first.iter().zip(&self.all).enumerate();
        let probes: Vec<(usize, i16, &ByteSet)> = all
            .flat_map(|(number, (first, wanted))| {
                let beside =
                    std::iter::once(first).chain(&wanted.others).filter(|beside| beside.set != Beside::NOTHING.set);
                beside.map(move |beside| (number, beside.offset, &sets[usize::from(beside.set)]))
            })
            .collect();
        self.columns = Some(Columns::new(self.all.len(), &probes));
    }

    /// Looks at what is beside the literal in one place.
    #[inline]
    fn looks(&self) -> usize {
        self.columns.as_ref().map_or(self.all.len(), Columns::looks)
    }

    /// Calls `noted` with each signature that may match by the literal at `at` of `text`, by what is beside it.
    #[inline]
    fn each_at(&self, text: &[u8], at: usize, sets: &[ByteSet], mut noted: impl FnMut(&Wanted)) {
        if let Some(columns) = &self.columns {
            return columns.at(text, at).for_each(|number| noted(&self.all[number]));
        }
        for (first, wanted) in self.first.iter().zip(&self.all) {
            if first.is_at(text, at, sets) && wanted.others.iter().all(|beside| beside.is_at(text, at, sets)) {
                noted(wanted);
            }
        }
    }
}

impl Prefilter {
    /// Sets for those of `signatures` that come from `origin`, with their required literals.
    pub(super) fn new(signatures: &[Signature], required: &[RequiredLiterals], origin: Origin) -> Self {
        let mut byte_sets = ByteSets::new();
        let mut numbered = |(number, (signature, required))| {
            let required: &Option<Vec<RequiredLiteral>> = required;
            let required = required.as_ref().map(|all| all.iter().map(|literal| byte_sets.required(literal)).collect());
            Numbered { number, signature, required }
        };
        let all = (0u32..).zip(signatures.iter().zip(required));
        let of_origin = all.filter(|(_, (signature, _))| signature.origin == origin);
        let signatures: Vec<Numbered<'_>> = of_origin.map(&mut numbered).collect();
        let set = |kinds, zones| Literals::new(&signatures, kinds, zones, &byte_sets.all);
        let sets = ZONES.map(|zones| (zones, KINDS.map(|kinds| (kinds, set(kinds, zones)))));
        let file = set(ByteClasses::ALL, Zone::FILE);
        Self { sets, file, byte_sets: byte_sets.all }
    }

    /// Adds each signature that may match `text` to `set`, with the windows around its literals, until the set is full;
    /// one that may match anywhere is added without a position.
    #[inline]
    pub(super) fn candidates(&self, text: &[u8], classes: ByteClasses, zone: Zone, set: &mut CandidateSet) {
        if zone == Zone::FILE {
            return self.file.candidates(text, classes, &self.byte_sets, set);
        }
        let sets = self.sets.iter().find(|(zones, _)| zones.contains(zone));
        let (_, sets) = sets.expect("the last sets are for every zone");
        let literals = sets.iter().find(|(kinds, _)| classes.within(*kinds));
        let (_, literals) = literals.expect("the last set is for every kind of byte");
        literals.candidates(text, classes, &self.byte_sets, set);
    }
}

impl Literals {
    /// Those of signatures for one of `zones` that a value made of `kinds` can have.
    fn new(signatures: &[Numbered<'_>], kinds: ByteClasses, looked_at: Zone, sets: &[ByteSet]) -> Self {
        let mut by_literal: HashMap<&[u8], usize> = HashMap::new();
        let mut literals: Vec<Literal<'_>> = Vec::new();
        let mut wanted_by: Vec<WantedBy> = Vec::new();
        let mut unfiltered = Vec::new();
        let bytes_of_kinds = ByteSet::of_kinds(kinds);
        for &Numbered { number, signature, ref required } in signatures {
            if !signature.needs.satisfied_by(kinds) || !signature.zones.intersects(looked_at) {
                continue;
            }
            let Some(required) = required else {
                unfiltered.push(Unfiltered {
                    signature: number,
                    needs: signature.needs.clone(),
                    anchors: signature.pattern.anchors(),
                    reach: signature.pattern.reach(),
                    edges: signature.pattern.edges().cloned(),
                });
                continue;
            };
            for required in required.iter().filter(|required| required.literal.is_possible_in(kinds, bytes_of_kinds)) {
                let needed = required.literal;
                let (bytes, own) = (&needed.bytes, ByteClasses::of(&needed.bytes));
                let at = *by_literal.entry(bytes).or_insert_with(|| {
                    literals.push(Literal { bytes, needs: ByteClasses::ALL });
                    wanted_by.push(WantedBy::default());
                    literals.len() - 1
                });
                // What all that want it need.
                literals[at].needs = literals[at].needs.intersection(needed.needs.all.with(own));
                wanted_by[at].add(number, signature, required);
            }
        }
        wanted_by.iter_mut().for_each(|wanted_by| wanted_by.finish(sets));
        Self { anchors: LiteralMatcher::new(&literals), wanted_by, unfiltered }
    }

    #[inline]
    fn candidates(&self, text: &[u8], classes: ByteClasses, sets: &[ByteSet], set: &mut CandidateSet) {
        set.note_classes(text);
        if set.is_searched_whole() {
            self.find(text, 0..text.len(), classes, sets, set);
        } else {
            for part in set.parts_for(MAX_LEN) {
                self.find(text, part, classes, sets, set);
            }
        }
        for candidate in self.unfiltered.iter().filter(|candidate| candidate.needs.satisfied_by(classes)) {
            if candidate.edges.as_ref().is_none_or(|edges| edges.allow_edges(text)) {
                set.add_unfiltered(candidate.signature, candidate.anchors, candidate.reach);
            }
        }
    }

    /// Adds the signatures that may match by the literals in `part` of `text`.
    fn find(&self, text: &[u8], part: Range<usize>, classes: ByteClasses, sets: &[ByteSet], set: &mut CandidateSet) {
        self.anchors.find(&text[part.clone()], classes, |literal, at| {
            let (wanted_by, at) = (&self.wanted_by[literal as usize], part.start + at);
            if !set.look_up(wanted_by.looks()) {
                return;
            }
            set.count_literal();
            // Most literals have beside them what no match has.
            let mut place = None;
            wanted_by.each_at(text, at, sets, |wanted| {
                let place = place.get_or_insert_with(|| set.place(at, classes));
                if set.look_up(LOOKS_NOTED)
                    && set.is_open(place, wanted.reach, wanted.reads_around, &wanted.needs, wanted.anchors)
                {
                    set.add(wanted.signature, at, wanted.reach);
                }
            });
        });
    }
}
