//! Counts the bytes that detectors examine, so that tests can check that their work is linear in the size of a value.
//!
//! Elapsed time says little on a busy machine, and a limit generous enough to be reliable would let quadratic loops
//! pass. Outside of tests [`count`] compiles to nothing.

/// Adds `bytes` to the bytes examined by this thread. Detectors call it in their inner loops.
#[inline(always)]
pub(super) fn count(bytes: usize) {
    #[cfg(test)]
    EXAMINED.set(EXAMINED.get() + bytes as u64);
    #[cfg(not(test))]
    let _ = bytes;
}

#[cfg(test)]
thread_local! {
    static EXAMINED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Bytes counted while `work` runs.
#[cfg(test)]
pub(super) fn counted<T>(work: impl FnOnce() -> T) -> u64 {
    EXAMINED.set(0);
    work();
    EXAMINED.get()
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
    use super::*;

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
