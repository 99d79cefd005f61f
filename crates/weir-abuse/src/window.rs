//! A sliding window in slots.

/// Slots of a window. An event counts for at least 15/16 of the window and at most all of it.
pub const SLOTS: usize = 16;

/// Counts of the latest [`SLOTS`] slots. Slots are numbered since 1970, so that replicas number them alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    newest: u64,
    counts: [i32; SLOTS],
}

impl Window {
    /// Milliseconds of one slot.
    pub fn slot_ms(window_ms: u64) -> u64 {
        (window_ms / SLOTS as u64).max(1)
    }

    /// Makes `slot` the newest. A clock that was set back by more than a window empties it.
    fn advance(&mut self, slot: u64) {
        let slots = SLOTS as u64;
        if slot > self.newest {
            for gone in 0..(slot - self.newest).min(slots) {
                self.counts[((slot - gone) % slots) as usize] = 0;
            }
            self.newest = slot;
        } else if self.newest - slot > 2 * slots {
            *self = Self { newest: slot, counts: [0; SLOTS] };
        }
    }

    /// Adds `n` events in `slot`, which may be negative to take back what was added. Too old ones are ignored.
    pub fn add(&mut self, slot: u64, n: i32) {
        self.advance(slot);
        if self.newest - slot < SLOTS as u64 {
            let count = &mut self.counts[(slot % SLOTS as u64) as usize];
            *count = count.saturating_add(n);
        }
    }

    /// Sets the count of `slot`.
    pub fn set(&mut self, slot: u64, n: i32) {
        self.advance(slot);
        if self.newest - slot < SLOTS as u64 {
            self.counts[(slot % SLOTS as u64) as usize] = n;
        }
    }

    /// Events in the window that ends with slot `now`.
    pub fn sum(&self, now: u64) -> i64 {
        self.slots().filter(|(slot, _)| *slot <= now && now - slot < SLOTS as u64).map(|(_, n)| i64::from(n)).sum()
    }

    /// Slots that are not empty, with their counts.
    pub fn slots(&self) -> impl Iterator<Item = (u64, i32)> + '_ {
        let oldest = self.newest.saturating_sub(SLOTS as u64 - 1);
        let all = (oldest..=self.newest).map(|slot| (slot, self.counts[(slot % SLOTS as u64) as usize]));
        all.filter(|(_, n)| *n != 0)
    }

    /// In how many slots the sum will have fallen to `limit`.
    pub fn slots_until(&self, now: u64, limit: i64) -> u64 {
        let mut left = self.sum(now);
        for (slot, n) in self.slots().filter(|(slot, _)| *slot <= now && now - slot < SLOTS as u64) {
            left -= i64::from(n);
            if left <= limit {
                return slot + SLOTS as u64 - now;
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The oracle keeps every event. In slots the window agrees with it exactly; in milliseconds it lies between all
        /// events of the last 15/16 and all of the whole window.
        #[test]
        fn a_window_agrees_with_an_exact_log(
            window_ms in 16u64..200_000,
            start in 1_000_000u64..2_000_000,
            steps in prop::collection::vec((0u64..20_000, 1i32..4), 1..300),
        ) {
            let (mut window, mut log, mut now) = (Window::default(), Vec::new(), start);
            let slot_ms = Window::slot_ms(window_ms);
            for (pause, n) in steps {
                now += pause;
                let slot = now / slot_ms;
                window.add(slot, n);
                log.push((now, i64::from(n)));
                let sum = |from: u64| log.iter().filter(|(at, _)| *at > from).map(|(_, n)| n).sum::<i64>();
                let exact: i64 = log.iter().filter(|(at, _)| slot - at / slot_ms < SLOTS as u64).map(|(_, n)| n).sum();
                let have = window.sum(slot);
                prop_assert_eq!(have, exact);
                prop_assert!(have <= sum(now - (slot_ms * SLOTS as u64)));
                prop_assert!(have >= sum(now - slot_ms * (SLOTS as u64 - 1)));
            }
        }

        #[test]
        fn what_is_taken_back_was_never_there(adds in prop::collection::vec(0u64..SLOTS as u64, 1..60)) {
            let (mut window, mut clean) = (Window::default(), Window::default());
            for (number, slot) in adds.iter().enumerate() {
                window.add(1000 + slot, 1);
                if number % 2 == 0 { window.add(1000 + slot, -1) } else { clean.add(1000 + slot, 1) }
            }
            prop_assert_eq!(window.sum(1015), clean.sum(1015));
        }
    }

    #[test]
    fn a_clock_set_back_does_not_stop_the_count() {
        let mut window = Window::default();
        window.add(10_000, 5);
        window.add(500, 1);
        assert_eq!(window.sum(500), 1);
    }

    #[test]
    fn the_wait_ends_when_enough_has_left_the_window() {
        let mut window = Window::default();
        window.add(100, 2);
        window.add(105, 3);
        assert_eq!(window.slots_until(105, 3), 11);
        assert_eq!(window.sum(116), 3);
        assert_eq!(window.slots_until(105, 2), 16);
    }
}
