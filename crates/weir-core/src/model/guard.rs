//! Keeps a panic in one parser or detector from ending the inspection.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work`, which belongs to the parser or detector `name`. `None` if it panics, which is a defect of weir: the value
/// then counts as not inspected by it, and the rest of the inspection goes on.
///
/// Whatever `work` mutates must stay valid when it ends at any point.
#[inline]
pub fn guarded<T>(name: &'static str, work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(|| {
        testing::panic_if_asked(name);
        work()
    }))
    .ok()
}

#[cfg(not(test))]
mod testing {
    #[inline]
    pub fn panic_if_asked(_name: &str) {}
}

/// Lets a test decide what panics in its thread.
#[cfg(test)]
pub mod testing {
    use std::cell::Cell;

    thread_local! {
        static PANICKING: Cell<&'static str> = const { Cell::new("") };
    }

    /// From now on, `name` panics in this thread.
    pub fn make_panic(name: &'static str) {
        PANICKING.set(name);
    }

    /// Panics if `name` is asked to.
    pub fn panic_if_asked(name: &str) {
        assert!(PANICKING.get() != name, "a test asked {name} to panic");
    }
}
