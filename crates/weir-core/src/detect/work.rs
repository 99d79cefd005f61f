//! Counts the bytes that detectors examine. Detectors pay for them from the work budget of the inspection
//! ([`Subject::pays`](super::Subject::pays)), and tests check that they are linear in the size of a value: elapsed time says
//! little on a busy machine, and a limit generous enough to be reliable would let quadratic loops pass.

use std::cell::Cell;

/// Whether a detector may go on: it pays for what it has examined. See [`Subject::pays`](super::Subject::pays).
pub(super) type Pays<'s> = dyn Fn() -> bool + 's;

/// Bytes that a search for a byte or a sequence passes over in the time in which one is examined.
pub(super) const SEARCHED: usize = 8;

thread_local! {
    static EXAMINED: Cell<u64> = const { Cell::new(0) };
}

/// Adds `bytes` to the bytes examined by this thread. Detectors call it in their inner loops; a step that costs more than
/// reading its bytes counts as more bytes.
#[inline(always)]
pub(super) fn count(bytes: usize) {
    EXAMINED.with(
        #[inline(always)]
        |examined| examined.set(examined.get().wrapping_add(bytes as u64)),
    );
}

/// Bytes that this thread has examined so far.
#[inline(always)]
pub(super) fn examined() -> u64 {
    EXAMINED.get()
}

/// Bytes counted while `work` runs.
#[cfg(test)]
pub(super) fn counted<T>(work: impl FnOnce() -> T) -> u64 {
    let before = examined();
    work();
    examined() - before
}

/// Asserts that the work of `run` on repetitions of `unit` grows at most linearly from `bytes` to `4 * bytes`, and that
/// it examines each byte at most `per_byte` times on average.
#[cfg(test)]
#[track_caller]
pub(super) fn assert_linear<T>(unit: &str, bytes: usize, per_byte: u64, run: impl Fn(&[u8]) -> T) {
    // Fixed windows at the end of a text are cut short, which weighs more in a small one.
    const CONSTANT: u64 = 4096;
    let work = |bytes: usize| counted(|| run(unit.repeat(bytes / unit.len()).as_bytes()));
    let [once, twice, four_times] = [bytes, 2 * bytes, 4 * bytes].map(work);
    assert!(once > 0, "{unit:?}: no work was counted");
    assert!(2 * twice <= 5 * once + CONSTANT, "{unit:?}: {once} for {bytes} bytes, {twice} for twice as many");
    assert!(2 * four_times <= 9 * once + CONSTANT, "{unit:?}: {once} for {bytes} bytes, {four_times} for four times");
    assert!(four_times <= per_byte * 4 * bytes as u64 + CONSTANT, "{unit:?}: {four_times} for {} bytes", 4 * bytes);
}

#[cfg(test)]
mod tests {
    use super::super::{EXAMINED_PER_UNIT, Subject, TABLE};
    use super::*;
    use crate::model::{Budget, PointId, PointTree, Value};

    /// What the detector `name` examines in `text` with a budget of `units`, and what it spends of that.
    fn run(name: &str, text: &[u8], units: u64) -> (u64, u64) {
        let detector = TABLE.iter().find(|detector| detector.name == name).expect("a detector of the table");
        let value = Value::new(PointId::ROOT, text, detector.zones);
        let (never, tree) = (|| false, PointTree::new());
        let budget = Budget::new(units, &never);
        let subject = Subject::new(text, value.classes, &value, &tree).with_budget(&budget);
        subject.begin_detector();
        let examined = counted(|| {
            (detector.run)(&subject);
        });
        subject.next_detector();
        (examined, budget.spent())
    }

    /// Texts in which a detector reads the same bytes many times.
    const HOSTILE: &[(&str, &str)] = &[
        ("rce.shell", ";id\tx"),
        ("rce.shell", "; Id %"),
        ("rce.shell", "|cat xxxxxxxx"),
        ("xss.grammar", "<a b=' c=\""),
        ("xss.grammar", "<script><%|"),
        ("xss.grammar", "onload=x "),
        ("ssti.expression", "{{{{a}}"),
        ("sqli.grammar", "a<a<a<"),
    ];

    #[test]
    fn detectors_pay_for_all_they_examine() {
        for &(name, unit) in HOSTILE {
            let text = unit.repeat((16 << 10) / unit.len());
            let (examined, spent) = run(name, text.as_bytes(), u64::MAX >> 1);
            assert!(examined > 2 * text.len() as u64, "{name}, {unit}: {examined} bytes");
            // The engine has paid for the first pass.
            assert!(spent * EXAMINED_PER_UNIT as u64 + text.len() as u64 + 64 >= examined, "{name}, {unit}: {spent}");
            let twice = run(name, text.repeat(2).as_bytes(), u64::MAX >> 1).1;
            assert!(2 * twice <= 5 * spent + 4096, "{name}, {unit}: {spent} units, {twice} for twice as much");
        }
    }

    #[test]
    fn detectors_end_when_the_work_is_used_up() {
        for &(name, unit) in HOSTILE.iter().filter(|(name, _)| *name != "sqli.grammar") {
            let text = unit.repeat((64 << 10) / unit.len());
            let (all, _) = run(name, text.as_bytes(), u64::MAX >> 1);
            let (some, _) = run(name, text.as_bytes(), 100);
            // What looks through the text once goes on.
            assert!(2 * some <= all, "{name}, {unit}: {some} of {all} bytes with next to no work left");
        }
    }

    #[test]
    fn linear_work_passes() {
        assert_linear("ab", 1 << 12, 1, |text| text.iter().for_each(|_| count(1)));
    }

    #[test]
    #[should_panic(expected = "for twice as many")]
    fn quadratic_work_fails() {
        assert_linear("ab", 1 << 12, 1 << 20, |text| text.iter().for_each(|_| count(text.len())));
    }

    #[test]
    #[should_panic(expected = "no work was counted")]
    fn uncounted_work_fails() {
        assert_linear("ab", 1 << 12, 1, |_| {});
    }
}
