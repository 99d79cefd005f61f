//! Which signatures may match a text: one pass for the required literals of all of them.
//!
//! **Safety.** A signature is left out only where it cannot match: none of its required literals occurs, or a kind of
//! octet that every match has ([`super::Signature::needs`]) does not, or it does not apply in the zone. Values made only
//! of token octets are most of all values; for them a second, smaller set holds only the signatures and literals
//! that such a value can have. `same_answer_as_every_regex` in `tests/rules.rs` holds this against the slow path.

use super::anchors::Anchors;
use super::compile::Required;
use super::{Seen, Signature};
use crate::model::{Chars, Zone};
use std::collections::HashMap;

/// The literals of all signatures.
#[derive(Debug)]
pub struct Prefilter {
    /// For any value.
    full: Literals,
    /// For values of token octets only.
    token: Literals,
}

/// One set.
#[derive(Debug)]
struct Literals {
    anchors: Anchors,
    /// Signatures that ask for each literal.
    wanted_by: Vec<Vec<u32>>,
    /// Signatures to be tried on every value.
    unfiltered: Vec<u32>,
    /// Zones in which any of the signatures applies.
    zones: Zone,
}

impl Prefilter {
    /// Sets for `signatures` with their required literals.
    pub(super) fn new(signatures: &[Signature], required: &[Required]) -> Self {
        let all = signatures.iter().zip(required).enumerate();
        let token = all.clone().filter(|(_, (s, _))| s.needs.within(Chars::TOKEN));
        Self {
            full: Literals::new(all.map(|(n, (s, r))| (n as u32, s, r)), Chars::NONE),
            token: Literals::new(token.map(|(n, (s, r))| (n as u32, s, r)), Chars::TOKEN),
        }
    }

    /// Calls `found` with the number of each signature that may match `text`, each once.
    #[inline]
    pub(super) fn candidates(&self, text: &[u8], chars: Chars, zone: Zone, seen: &mut Seen, found: impl FnMut(u32)) {
        let literals = if chars.within(Chars::TOKEN) { &self.token } else { &self.full };
        if literals.zones.meets(zone) {
            literals.candidates(text, seen, found);
        }
    }
}

impl Literals {
    /// `within`: literals with any other kind of octet are left out; none keeps all.
    fn new<'s>(signatures: impl Iterator<Item = (u32, &'s Signature, &'s Required)>, within: Chars) -> Self {
        let mut by_literal: HashMap<&[u8], usize> = HashMap::new();
        let mut patterns: Vec<&[u8]> = Vec::new();
        let mut wanted_by: Vec<Vec<u32>> = Vec::new();
        let mut unfiltered = Vec::new();
        let mut zones = Zone::NONE;
        for (number, signature, required) in signatures {
            zones = zones.with(signature.zones);
            let Some(required) = required else {
                unfiltered.push(number);
                continue;
            };
            for literal in required.iter().filter(|l| within.is_empty() || Chars::of(l).within(within)) {
                let at = *by_literal.entry(literal).or_insert_with(|| {
                    patterns.push(literal);
                    wanted_by.push(Vec::new());
                    patterns.len() - 1
                });
                wanted_by[at].push(number);
            }
        }
        Self { anchors: Anchors::new(&patterns), wanted_by, unfiltered, zones }
    }

    fn candidates(&self, text: &[u8], seen: &mut Seen, mut found: impl FnMut(u32)) {
        self.anchors.find(text, |literal| {
            for &signature in &self.wanted_by[literal as usize] {
                if seen.first(signature) {
                    found(signature);
                }
            }
        });
        self.unfiltered.iter().for_each(|&signature| found(signature));
    }
}
