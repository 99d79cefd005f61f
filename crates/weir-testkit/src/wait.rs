//! Waiting for something, and saying that a test cannot run.

use std::io::Write;
use std::time::{Duration, Instant};

/// Longest wait for anything: a debug build on a busy machine is slow.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `done` returns something, at most [`PATIENCE`].
pub fn eventually<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(PAUSE);
    }
}

/// Waits until `done`, at most [`PATIENCE`].
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    eventually(what, || done().then_some(()));
}

/// Reports that a test could not run. Goes past the test harness, which hides the output of tests that pass.
pub fn skip(what: &str) {
    if let Ok(mut stderr) = std::fs::OpenOptions::new().append(true).open("/dev/stderr") {
        writeln!(stderr, "SKIPPED: {what}").unwrap();
    }
}
