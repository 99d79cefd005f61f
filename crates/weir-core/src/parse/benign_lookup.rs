//! Which values the driver and the emitter leave out because an earlier inspection found nothing in them.

use crate::model::benign_cache::ValueContext;
use crate::model::{BenignCache, Tag, Zone};
use std::cell::RefCell;

/// The cache of benign values, as one inspection uses it.
#[derive(Clone, Copy, Debug)]
pub struct BenignLookup<'o> {
    /// Values in which no parser, signature or detector found anything.
    pub cache: &'o RefCell<BenignCache>,
    /// Whether the inspection leaves libinjection out: a value is benign only for inspections of the same kind.
    pub skip_libinjection: bool,
}

impl BenignLookup<'_> {
    /// The work units of a scan of `bytes` in `zone`, at a point whose last step is `tag`, if they are known to be benign.
    #[inline]
    pub(super) fn get(&self, bytes: &[u8], zone: Zone, tag: Option<Tag>) -> Option<u32> {
        let place = ValueContext { zone, tag, skip_libinjection: self.skip_libinjection };
        self.cache.borrow().get(bytes, place)
    }
}
