//! Which values the driver and the emitter leave out because an earlier inspection found nothing in them.

use crate::model::known::Place;
use crate::model::{Known, Tag, Zone};

/// Values known to hold nothing, for an inspection that leaves libinjection out or not.
#[derive(Clone, Copy, Debug)]
pub struct BenignLookup<'o> {
    /// The values.
    pub cache: &'o Known,
    /// Whether libinjection is left out.
    pub grammar_only: bool,
}

impl BenignLookup<'_> {
    /// Whether `bytes` in `zone` below a step called `tag` may be passed over.
    #[inline]
    pub(super) fn contains(&self, bytes: &[u8], zone: Zone, tag: Option<Tag>) -> bool {
        let place = Place { zone, tag, grammar_only: self.grammar_only };
        self.cache.holds(bytes, place)
    }
}
