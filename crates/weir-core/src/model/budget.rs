//! The work budget of one inspection.

use std::cell::Cell;

/// Why an inspection ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A limit of one branch: the running parser ends, and what it leaves is inspected as it is.
    Limit,
    /// The work budget is spent.
    Work,
    /// The caller's stop signal: the time limit.
    Time,
}

/// How often the stop signal is asked, in work units.
const STOP_CHECK_INTERVAL: u64 = 4 << 10;

/// Counts work units down and asks the caller's stop signal now and then, so that a time limit holds without a clock here.
pub struct Budget<'s> {
    /// Units that are left until the stop signal is asked; none once the inspection has ended.
    until_check: Cell<u64>,
    /// Units that are left besides.
    beyond: Cell<u64>,
    stopped: Cell<Option<Stop>>,
    granted: Cell<u64>,
    interruptible: Cell<bool>,
    signal: &'s dyn Fn() -> bool,
}

impl<'s> Budget<'s> {
    /// A budget of `work` units; `signal` answers true when the inspection must end.
    pub fn new(work: u64, signal: &'s dyn Fn() -> bool) -> Self {
        let budget = Self {
            until_check: Cell::new(0),
            beyond: Cell::new(0),
            stopped: Cell::new(None),
            granted: Cell::new(work),
            interruptible: Cell::new(true),
            signal,
        };
        budget.set_left(work);
        budget
    }

    /// Begins another part of the inspection with `work` units besides those that are left. `interruptible` says whether
    /// the stop signal can end it.
    pub fn begin(&self, work: u64, interruptible: bool) {
        self.grant(work);
        self.set_left(self.left());
        self.interruptible.set(interruptible);
        self.stopped.set(None);
    }

    /// Adds `work` units, for input that has come to light.
    pub fn grant(&self, work: u64) {
        self.beyond.set(self.beyond.get().saturating_add(work));
        self.granted.set(self.granted.get().saturating_add(work));
    }

    /// Takes `units`. Once this has failed it fails for good.
    #[inline]
    pub fn spend(&self, units: usize) -> Result<(), Stop> {
        let (units, until_check) = (units as u64, self.until_check.get());
        if units >= until_check {
            return self.check(units);
        }
        self.until_check.set(until_check - units);
        Ok(())
    }

    /// The same where the stop signal is to be asked, the units are used up, or the inspection has ended.
    #[cold]
    fn check(&self, units: u64) -> Result<(), Stop> {
        let left = self.left();
        if units > left || self.stopped.get().is_some() {
            return Err(self.stop(Stop::Work));
        }
        self.set_left(left - units);
        if self.interruptible.get() && (self.signal)() {
            return Err(self.stop(Stop::Time));
        }
        Ok(())
    }

    #[cold]
    fn stop(&self, why: Stop) -> Stop {
        let why = self.stopped.get().unwrap_or(why);
        self.stopped.set(Some(why));
        self.beyond.set(self.left());
        self.until_check.set(0);
        why
    }

    fn left(&self) -> u64 {
        self.beyond.get().saturating_add(self.until_check.get())
    }

    fn set_left(&self, left: u64) {
        let until_check = left.min(STOP_CHECK_INTERVAL);
        self.until_check.set(until_check);
        self.beyond.set(left - until_check);
    }

    /// Why the inspection ended early, if it did.
    pub fn stopped(&self) -> Option<Stop> {
        self.stopped.get()
    }

    /// Units spent so far.
    pub fn spent(&self) -> u64 {
        self.granted.get() - self.left()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spends_down_and_stays_stopped() {
        let never = || false;
        let budget = Budget::new(10, &never);
        assert_eq!(budget.spend(7), Ok(()));
        assert_eq!(budget.spend(4), Err(Stop::Work));
        assert_eq!(budget.spend(1), Err(Stop::Work));
        assert_eq!(budget.spent(), 7);
    }

    #[test]
    fn asks_the_signal() {
        let now = || true;
        let budget = Budget::new(1 << 20, &now);
        assert_eq!(budget.spend(100), Ok(()));
        assert_eq!(budget.spend(STOP_CHECK_INTERVAL as usize), Err(Stop::Time));
        assert_eq!(budget.stopped(), Some(Stop::Time));
    }
}
