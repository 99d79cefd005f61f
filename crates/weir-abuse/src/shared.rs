//! What a counter knows of the other replicas, and what it has to tell them.

use super::counter::Spec;
use super::entries::Key;
use super::window::Window;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most values that one exchange carries for a key; more than any threshold needs within its time.
pub(super) const MAX_VALUES: usize = 256;

/// The shared side of a counter.
#[derive(Clone, Debug, Default)]
pub struct SharedState {
    /// Counts of all replicas at the last exchange.
    total: Window,
    /// Counted here since the last batch was made.
    unsent: Window,
    /// In the batch under way, which may or may not have arrived.
    sent: Window,
    /// Number of that batch: one sent again counts once.
    batch: u64,
    in_flight: bool,
    values: Vec<u64>,
    sent_values: Vec<u64>,
    /// Different values of all replicas at the last exchange, and in which slot that was.
    distinct: (u32, u64),
}

/// What a replica tells the others about one counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// The counter.
    #[serde(serialize_with = "write_key", deserialize_with = "read_key")]
    pub key: u128,
    /// Its window, in milliseconds.
    pub window_ms: u64,
    /// Its limit.
    pub limit: u32,
    /// Increases for each counter; the same for a batch that is sent again.
    pub batch: u64,
    /// Slots with what to add to them.
    pub slots: Vec<(u64, i32)>,
    /// Hashes of values.
    pub values: Vec<u64>,
}

pub(super) fn write_key<S: Serializer>(key: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    Key(*key).serialize(serializer)
}

pub(super) fn read_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    Key::deserialize(deserializer).map(|key| key.0)
}

impl SharedState {
    /// The shared side of a counter that counted alone: all of `window` is still to be sent.
    pub(super) fn with(window: &Window) -> Self {
        Self { unsent: window.clone(), ..Self::default() }
    }

    pub(super) fn add(&mut self, slot: u64, n: i32) {
        self.unsent.add(slot, n);
    }

    pub(super) fn add_value(&mut self, hash: u64) {
        if self.values.len() < MAX_VALUES && !self.values.contains(&hash) {
            self.values.push(hash);
        }
    }

    /// Events of all replicas, as far as is known.
    pub(super) fn sum(&self, slot: u64) -> i64 {
        self.total.sum(slot) + self.unsent.sum(slot) + self.sent.sum(slot)
    }

    /// The most that [`Self::sum`] can be in any slot, as long as nothing is added or learnt.
    pub(super) fn most(&self) -> i64 {
        self.total.most() + self.unsent.most() + self.sent.most()
    }

    /// Different values of all replicas, as far as is known: those of the last exchange are valid for a window.
    pub(super) fn distinct(&self, slot: u64) -> u32 {
        let (count, at) = self.distinct;
        let fresh = self.values.len() + self.sent_values.len();
        if slot.saturating_sub(at) < super::SLOTS as u64 { count.saturating_add(fresh as u32) } else { 0 }
    }

    /// The batch to send: the one under way again, or a new one numbered `next`.
    pub(super) fn outgoing(&mut self, key: u128, spec: Spec, next: u64) -> Outgoing {
        if !self.in_flight {
            self.sent = std::mem::take(&mut self.unsent);
            self.sent_values = std::mem::take(&mut self.values);
            (self.batch, self.in_flight) = (next, true);
        }
        let (slots, values) = (self.sent.slots().collect(), self.sent_values.clone());
        let Spec { window_ms, limit, .. } = spec;
        Outgoing { key, window_ms, limit, batch: self.batch, slots, values }
    }

    /// The batch arrived: `slots` and `distinct` hold the counts of all replicas. Returns true if more waits.
    pub(super) fn arrived(&mut self, batch: u64, slots: &[(u64, i32)], distinct: u32, now: u64) -> bool {
        if !self.in_flight || batch != self.batch {
            return self.in_flight;
        }
        self.total = Window::default();
        slots.iter().for_each(|&(slot, n)| self.total.set(slot, n));
        self.sent = Window::default();
        self.sent_values.clear();
        self.in_flight = false;
        self.distinct = (distinct, now);
        self.unsent.slots().next().is_some() || !self.values.is_empty()
    }

    /// Another replica reports the counts of all. While a batch of this one is under way, they may or may not hold it: then
    /// the answer to the batch will tell.
    pub(super) fn learn(&mut self, slots: &[(u64, i32)], distinct: u32, now: u64) {
        if !self.in_flight {
            self.total = Window::default();
            slots.iter().for_each(|&(slot, n)| self.total.set(slot, n));
            self.distinct = (distinct, now);
        }
    }

    pub(super) fn heap(&self) -> usize {
        size_of::<Self>() + 8 * (self.values.capacity() + self.sent_values.capacity())
    }
}
