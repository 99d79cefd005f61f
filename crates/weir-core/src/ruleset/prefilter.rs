//! Which signatures may match a text: one pass for the required literals of all of them.
//!
//! **Safety.** A signature is left out only where it cannot match: none of its required literals occurs, or a kind of
//! byte that every match has ([`super::Signature::needs`]) does not, or it does not apply in the zone. Most values are
//! made of few kinds of bytes and are in one of few zones; for those of [`KINDS`] in each of [`ZONES`] there are smaller
//! sets, with only the signatures and literals that such a value can have. `same_answer_as_every_regex` in `tests/rules.rs`
//! holds this against the slow path.

use super::literal::{MAX_LEN, RequiredLiterals};
use super::literal_matcher::{Literal, LiteralMatcher};
use super::pattern::Anchors;
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
}

/// A signature with its number and the literals that it requires.
struct Numbered<'s> {
    number: u32,
    signature: &'s Signature,
    required: &'s RequiredLiterals,
}

/// One set.
#[derive(Debug)]
struct Literals {
    anchors: LiteralMatcher,
    /// Signatures that ask for each literal.
    wanted_by: Vec<Vec<Wanted>>,
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
    reach: usize,
    /// How many bytes around a match decide whether it counts, besides those of the match.
    read_around: usize,
}

impl Wanted {
    fn new(number: u32, signature: &Signature, needs: RequiredClasses, anchors: Anchors) -> Self {
        let read_around = if signature.doc.spares_documents { READ_AROUND } else { 0 };
        Self { signature: number, needs, anchors, reach: signature.pattern.reach(), read_around }
    }
}

impl Prefilter {
    /// Sets for those of `signatures` that come from `origin`, with their required literals.
    pub(super) fn new(signatures: &[Signature], required: &[RequiredLiterals], origin: Origin) -> Self {
        let all = (0u32..).zip(signatures.iter().zip(required));
        let signatures: Vec<Numbered<'_>> = all
            .filter(|(_, (signature, _))| signature.origin == origin)
            .map(|(number, (signature, required))| Numbered { number, signature, required })
            .collect();
        let set = |kinds, zones| Literals::new(&signatures, kinds, zones);
        let sets = ZONES.map(|zones| (zones, KINDS.map(|kinds| (kinds, set(kinds, zones)))));
        Self { sets, file: set(ByteClasses::ALL, Zone::FILE) }
    }

    /// Adds each signature that may match `text` to `set`, with the windows around its literals, until the set is full;
    /// one that may match anywhere is added without a position.
    #[inline]
    pub(super) fn candidates(&self, text: &[u8], classes: ByteClasses, zone: Zone, set: &mut CandidateSet) {
        if zone == Zone::FILE {
            return self.file.candidates(text, classes, set);
        }
        let sets = self.sets.iter().find(|(zones, _)| zones.contains(zone));
        let (_, sets) = sets.expect("the last sets are for every zone");
        let literals = sets.iter().find(|(kinds, _)| classes.within(*kinds));
        let (_, literals) = literals.expect("the last set is for every kind of byte");
        literals.candidates(text, classes, set);
    }
}

impl Literals {
    /// Those of signatures for one of `zones` that a value made of `kinds` can have.
    fn new(signatures: &[Numbered<'_>], kinds: ByteClasses, looked_at: Zone) -> Self {
        let mut by_literal: HashMap<&[u8], usize> = HashMap::new();
        let mut literals: Vec<Literal<'_>> = Vec::new();
        let mut wanted_by: Vec<Vec<Wanted>> = Vec::new();
        let mut unfiltered = Vec::new();
        for &Numbered { number, signature, required } in signatures {
            if !signature.needs.satisfied_by(kinds) || !signature.zones.intersects(looked_at) {
                continue;
            }
            let Some(required) = required else {
                unfiltered.push(Unfiltered {
                    signature: number,
                    needs: signature.needs.clone(),
                    anchors: signature.pattern.anchors(),
                    reach: signature.pattern.reach(),
                });
                continue;
            };
            for needed in
                required.iter().filter(|l| l.needs.satisfied_by(kinds) && ByteClasses::of(&l.bytes).within(kinds))
            {
                let (bytes, own) = (&needed.bytes, ByteClasses::of(&needed.bytes));
                let at = *by_literal.entry(bytes).or_insert_with(|| {
                    literals.push(Literal { bytes, needs: ByteClasses::ALL });
                    wanted_by.push(Vec::new());
                    literals.len() - 1
                });
                // What all that want it need.
                literals[at].needs = literals[at].needs.intersection(needed.needs.all.with(own));
                wanted_by[at].push(Wanted::new(number, signature, needed.needs.clone(), needed.anchors));
            }
        }
        Self { anchors: LiteralMatcher::new(&literals), wanted_by, unfiltered }
    }

    #[inline]
    fn candidates(&self, text: &[u8], classes: ByteClasses, set: &mut CandidateSet) {
        set.note_classes(text);
        for part in set.parts(READ_AROUND + MAX_LEN) {
            self.find(text, part, classes, set);
        }
        for candidate in self.unfiltered.iter().filter(|candidate| candidate.needs.satisfied_by(classes)) {
            set.add_unfiltered(candidate.signature, candidate.anchors, candidate.reach);
        }
    }

    /// Adds the signatures that may match by the literals in `part` of `text`.
    #[inline]
    fn find(&self, text: &[u8], part: Range<usize>, classes: ByteClasses, set: &mut CandidateSet) {
        self.anchors.find(&text[part.clone()], classes, |literal, at| {
            let (wanted_by, at) = (&self.wanted_by[literal as usize], part.start + at);
            if !set.look_up(wanted_by.len()) {
                return;
            }
            let place = set.place(at, classes);
            for wanted in wanted_by {
                if set.is_open(&place, wanted.reach, wanted.read_around, &wanted.needs, wanted.anchors) {
                    set.add(wanted.signature, at, wanted.reach);
                }
            }
        });
    }
}
