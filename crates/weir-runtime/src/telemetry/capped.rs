//! Counters by a label that clients choose: the first values get a series each, the others share one.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// Label of values above the cap.
pub const OTHER: &str = "__other__";
/// Label of invalid values.
pub const INVALID: &str = "__invalid__";

/// A counter family whose label set is bounded.
pub struct CappedCounter<L> {
    family: Family<L, Counter>,
    known: RwLock<HashMap<Box<[u8]>, Counter>>,
    cap: usize,
    label: fn(&str) -> L,
    legal: fn(&[u8]) -> bool,
}

impl<L> CappedCounter<L>
where
    L: Clone + std::hash::Hash + Eq + EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static,
{
    /// At most `cap` series, in addition to those for [`OTHER`] and [`INVALID`].
    pub fn new(cap: usize, label: fn(&str) -> L, legal: fn(&[u8]) -> bool) -> Self {
        Self { family: Family::default(), known: RwLock::default(), cap, label, legal }
    }

    /// The family, for registration.
    pub fn family(&self) -> Family<L, Counter> {
        self.family.clone()
    }

    /// Counts one for `value`. A known value takes a lookup and no allocation.
    pub fn inc(&self, value: &[u8]) {
        if let Some(counter) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(value) {
            counter.inc();
            return;
        }
        self.first(value).inc();
    }

    #[cold]
    fn first(&self, value: &[u8]) -> Counter {
        let Some(text) = std::str::from_utf8(value).ok().filter(|_| (self.legal)(value)) else {
            return self.family.get_or_create_owned(&(self.label)(INVALID));
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= self.cap && !known.contains_key(value) {
            return self.family.get_or_create_owned(&(self.label)(OTHER));
        }
        let counter = self.family.get_or_create_owned(&(self.label)(text));
        known.insert(value.into(), counter.clone());
        counter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
    struct Host {
        host: String,
    }

    #[test]
    fn the_label_set_stays_bounded() {
        let hosts = CappedCounter::new(2, |host| Host { host: host.into() }, |b| !b.contains(&b' '));
        for name in ["a", "b", "c", "d", "a", "b c", "\u{e9} "] {
            hosts.inc(name.as_bytes());
        }
        hosts.inc(b"\xff");
        let count = |host: &str| hosts.family.get(&Host { host: host.into() }).map(|c| c.get());
        assert_eq!((count("a"), count("b"), count("c")), (Some(2), Some(1), None));
        assert_eq!((count(OTHER), count(INVALID)), (Some(2), Some(3)));
    }
}
