//! A sliding window in slots.

/// Slots of a window. An event counts for at least 15/16 of the window and at most all of it.
pub const SLOTS: usize = 16;

/// Counts of the latest [`SLOTS`] slots. Slots are numbered since 1970, so that replicas number them alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    newest: u64,
    /// Sum of `counts`.
    total: i64,
    counts: [i32; SLOTS],
}

impl Window {
    /// Milliseconds of one slot.
    #[inline]
    pub fn slot_ms(window_ms: u64) -> u64 {
        (window_ms / SLOTS as u64).max(1)
    }

    /// The newest slot in which something was counted.
    #[inline]
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// Makes `slot` the newest. A clock that was set back by more than a window empties it.
    #[inline]
    pub fn advance(&mut self, slot: u64) {
        if slot != self.newest {
            self.advance_to_other(slot);
        }
    }

    fn advance_to_other(&mut self, slot: u64) {
        let slots = SLOTS as u64;
        let is_later = slot > self.newest;
        if is_later && slot - self.newest < slots {
            for gone in self.newest + 1..=slot {
                let count = &mut self.counts[(gone % slots) as usize];
                self.total -= i64::from(std::mem::take(count));
            }
            self.newest = slot;
        } else if is_later || self.newest - slot > 2 * slots {
            *self = Self { newest: slot, ..Self::default() };
        }
    }

    /// The most that the sum of a window can be which ends with any slot, as long as nothing is added.
    pub fn most(&self) -> i64 {
        self.counts.iter().map(|&count| i64::from(count.max(0))).sum()
    }

    /// Events that are no longer in the window once `slot`, which is later than the newest, is the newest.
    fn leaving(&self, slot: u64) -> i64 {
        let slots = SLOTS as u64;
        if slot - self.newest >= slots {
            return self.total;
        }
        let gone = 0..slot - self.newest;
        gone.map(|gone| i64::from(self.counts[((slot - gone) % slots) as usize])).sum()
    }

    /// Adds `n` events in `slot`, which may be negative to take back what was added. Too old ones are ignored.
    #[inline]
    pub fn add(&mut self, slot: u64, n: i32) {
        self.change(slot, |count| count.saturating_add(n));
    }

    /// Adds `n` events in the newest slot, and returns the sum of the window that ends with it.
    #[inline(always)]
    pub fn add_newest(&mut self, n: i32) -> i64 {
        let count = &mut self.counts[(self.newest % SLOTS as u64) as usize];
        let before = *count;
        *count = before.saturating_add(n);
        self.total += i64::from(*count) - i64::from(before);
        self.total
    }

    /// Sets the count of `slot`.
    pub fn set(&mut self, slot: u64, n: i32) {
        self.change(slot, |_| n);
    }

    fn change(&mut self, slot: u64, to: impl Fn(i32) -> i32) {
        self.advance(slot);
        if self.newest - slot < SLOTS as u64 {
            let count = &mut self.counts[(slot % SLOTS as u64) as usize];
            let before = std::mem::replace(count, to(*count));
            self.total += i64::from(*count) - i64::from(before);
        }
    }

    /// Events in the window that ends with slot `now`. Takes no more time than there are slots since the newest.
    #[inline]
    pub fn sum(&self, now: u64) -> i64 {
        if now == self.newest { self.total } else { self.sum_at_other(now) }
    }

    /// Events in the window that ends with slot `now`, which is not the newest.
    fn sum_at_other(&self, now: u64) -> i64 {
        if now > self.newest {
            return self.total - self.leaving(now);
        }
        let earlier = self.slots().filter(|(slot, _)| *slot <= now && now - slot < SLOTS as u64);
        earlier.map(|(_, n)| i64::from(n)).sum()
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
            steps in prop::collection::vec((0u64..20_000, 1i32..4, 0u64..40), 1..300),
        ) {
            let (mut window, mut log, mut now) = (Window::default(), Vec::new(), start);
            let slot_ms = Window::slot_ms(window_ms);
            for (pause, n, apart) in steps {
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
                // Later and, as the clocks of replicas differ, earlier windows.
                let later = slot + apart;
                let counted = log.iter().filter(|(time, _)| later - time / slot_ms < SLOTS as u64);
                prop_assert_eq!(window.sum(later), counted.map(|(_, n)| n).sum::<i64>());
                let earlier = slot.saturating_sub(apart);
                let kept = log.iter().filter(|(time, _)| slot - time / slot_ms < SLOTS as u64);
                let counted = kept.filter(|(time, _)| {
                    time / slot_ms <= earlier && earlier - time / slot_ms < SLOTS as u64
                });
                prop_assert_eq!(window.sum(earlier), counted.map(|(_, n)| n).sum::<i64>());
            }
        }

        #[test]
        fn the_sum_is_that_of_the_slots(steps in prop::collection::vec((990u64..1_060, -3i32..4, any::<bool>()), 1..100)) {
            let mut window = Window::default();
            for (slot, n, is_set) in steps {
                if is_set { window.set(slot, n) } else { window.add(slot, n) }
                let newest = window.newest;
                if n > 0 {
                    let mut other = window.clone();
                    let sum = other.add_newest(n);
                    window.add(newest, n);
                    prop_assert_eq!((sum, &other), (window.sum(newest), &window));
                }
                prop_assert_eq!(window.sum(newest), window.slots().map(|(_, n)| i64::from(n)).sum::<i64>());
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
