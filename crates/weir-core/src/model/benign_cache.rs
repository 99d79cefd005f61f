//! Per-thread cache of values that nothing reacted to: the names and headers that come with every request.
//!
//! The member names, parameter names and header values of an API are few, and most of what a request consists of. Once a
//! value has been scanned and no parser, detector or signature reacted, the cache lets the same bytes in the same
//! [`ValueContext`] and under the same ruleset be skipped. Results that depend on the location of the value are never
//! cached.
//!
//! Bounded: `SETS` times `WAYS` values of at most `MAX_BYTES` bytes each. A value is stored when it comes the second
//! time, so that values which come once, such as ids, evict none. A client that fills the cache with names of its own
//! makes inspection as slow as it is without the cache.
//!
//! The cache saves time, never work units: a value that is skipped costs what its scan cost, so that what an inspection
//! finds before the work limit does not depend on the requests before it.

use super::point::Tag;
use super::value::Zone;
use smallvec::SmallVec;
use std::hash::BuildHasher;

/// Sets of the table; a value belongs to one.
const SETS: usize = 2048;
/// Values in a set: the oldest makes way.
const WAYS: usize = 2;
/// Longest name or header remembered, in bytes: user agents are among them.
const MAX_BYTES: usize = 192;
/// Longest other value remembered: words such as `active`, codes of countries, segments of paths.
const MAX_WORD: usize = 12;
/// Bits that say which values have come once.
const ONCE_BITS: usize = 1 << 16;
/// Values noted in them before they are cleared.
const MAX_ONCE: usize = ONCE_BITS / 8;

/// What the result of scanning a value depends on besides its bytes, the ruleset and its full location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ValueContext {
    /// Zone of the value.
    pub zone: Zone,
    /// Tag of the last step of its point.
    pub tag: Option<Tag>,
    /// Whether libinjection is left out.
    pub skip_libinjection: bool,
}

impl ValueContext {
    /// Zones whose values come again whatever they are.
    const REPEATED: Zone = Zone::NAME.with(Zone::HEADER);

    /// Whether values here of `length` bytes are worth remembering.
    #[inline]
    pub const fn is_cacheable(&self, length: usize) -> bool {
        // Uploaded files are counted, whatever they hold.
        let word = length <= MAX_WORD && self.zone.intersects(Zone::PARAMETERS) && !self.zone.intersects(Zone::FILE);
        word || length <= MAX_BYTES && self.zone.intersects(Self::REPEATED)
    }
}

/// A value that is known.
#[derive(Debug, Default)]
struct Entry {
    place: ValueContext,
    bytes: SmallVec<[u8; 24]>,
    /// Work units of its scan.
    work: u32,
}

/// Values that are known to hold nothing.
#[derive(Debug, Default)]
pub struct BenignCache {
    /// Ruleset by which they were looked at.
    ruleset: u64,
    hasher: foldhash::fast::RandomState,
    sets: Vec<[Entry; WAYS]>,
    /// A few bits of the hash of each entry: most values that are not known end here, in a small part of memory.
    tags: Vec<[u16; WAYS]>,
    once: Vec<u64>,
    noted: usize,
    /// Work units of the scans that it spared.
    #[cfg(test)]
    pub spared: std::cell::Cell<u64>,
}

impl BenignCache {
    /// Forgets what was learnt by another ruleset than number `ruleset`.
    pub fn reset_for(&mut self, ruleset: u64) {
        if self.ruleset != ruleset {
            *self = Self { ruleset, ..Self::default() };
        }
    }

    /// The work units that the scan of `bytes` at `place` took, if they are known to hold nothing.
    #[inline]
    pub fn get(&self, bytes: &[u8], place: ValueContext) -> Option<u32> {
        if self.tags.is_empty() || !place.is_cacheable(bytes.len()) {
            return None;
        }
        let (at, tag) = set_and_tag(self.hasher.hash_one(bytes));
        let tags = self.tags[at];
        (0..WAYS).filter(|&way| tags[way] == tag).find_map(|way| {
            let entry = &self.sets[at][way];
            // An empty entry holds the empty value, which holds nothing.
            let known = entry.bytes.as_slice() == bytes && entry.place == place;
            #[cfg(test)]
            self.spared.update(|units| units + u64::from(known) * u64::from(entry.work));
            known.then_some(entry.work)
        })
    }

    /// `bytes` at `place` hold nothing, which does not depend on their point; their scan took `work` units.
    pub fn insert(&mut self, bytes: &[u8], place: ValueContext, work: u32) {
        if !place.is_cacheable(bytes.len()) {
            return;
        }
        let hash = self.hasher.hash_one(bytes);
        if !self.came_before(hash) {
            return;
        }
        if self.sets.is_empty() {
            self.sets.resize_with(SETS, Default::default);
            self.tags.resize(SETS, Default::default());
        }
        let (at, tag) = set_and_tag(hash);
        let (set, tags) = (&mut self.sets[at], &mut self.tags[at]);
        set.rotate_right(1);
        tags.rotate_right(1);
        set[0] = Entry { place, bytes: SmallVec::from_slice(bytes), work };
        tags[0] = tag;
    }

    /// Whether a value with this hash was noted before; notes it.
    fn came_before(&mut self, hash: u64) -> bool {
        if self.noted >= MAX_ONCE || self.once.is_empty() {
            self.once.clear();
            self.once.resize(ONCE_BITS / 64, 0);
            self.noted = 0;
        }
        // Other bits of the hash than those that choose the set.
        let bit = (hash >> 32) as usize % ONCE_BITS;
        let (word, mask) = (&mut self.once[bit / 64], 1 << (bit % 64));
        let before = *word & mask != 0;
        *word |= mask;
        self.noted += usize::from(!before);
        before
    }
}

/// The set that a value with this hash belongs to, and its tag.
#[inline]
fn set_and_tag(hash: u64) -> (usize, u16) {
    (hash as usize % SETS, (hash >> 48) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: ValueContext = ValueContext { zone: Zone::NAME, tag: Some(Tag::HashName), skip_libinjection: false };

    #[test]
    fn what_came_twice_is_known_at_its_place_and_by_its_ruleset() {
        let mut known = BenignCache::default();
        known.reset_for(1);
        known.insert(b"customer_id", NAME, 7);
        assert!(known.get(b"customer_id", NAME).is_none());
        known.insert(b"customer_id", NAME, 7);
        assert!(known.get(b"customer_id", NAME).is_some());
        assert!(known.get(b"customer_ix", NAME).is_none() && known.get(b"customer_i", NAME).is_none());
        for other in [
            ValueContext { zone: Zone::HEADER, ..NAME },
            ValueContext { tag: Some(Tag::GetName), ..NAME },
            ValueContext { skip_libinjection: true, ..NAME },
        ] {
            assert!(known.get(b"customer_id", other).is_none(), "{other:?}");
        }
        known.reset_for(1);
        assert!(known.get(b"customer_id", NAME).is_some());
        known.reset_for(2);
        assert!(known.get(b"customer_id", NAME).is_none());
    }

    #[test]
    fn what_comes_once_drives_nothing_out_and_memory_is_bounded() {
        let mut known = BenignCache::default();
        for _ in 0..2 {
            known.insert(b"name", NAME, 7);
        }
        // Some are taken to have come before, as they share a bit: seldom enough for the set of `name` to stay.
        (0..MAX_ONCE / 16).for_each(|id| known.insert(format!("id-{id}").as_bytes(), NAME, 7));
        assert!(known.get(b"name", NAME).is_some());
        for id in 0..8 * SETS * WAYS {
            for _ in 0..2 {
                known.insert(format!("id-{id}").as_bytes(), NAME, 7);
            }
        }
        assert_eq!(known.sets.len(), SETS);
        let long = [b'a'; MAX_BYTES + 1];
        for _ in 0..2 {
            known.insert(&long, NAME, 7);
        }
        assert!(known.get(&long, NAME).is_none());
        assert!(known.noted <= MAX_ONCE);
    }
}
