//! Replays the minimised fuzzing corpora on a stable toolchain, so that bugs found by fuzzing stay fixed.

#[path = "../fuzz/targets.rs"]
mod targets;
#[path = "../fuzz/wire.rs"]
mod wire;

use std::fs;
use std::path::PathBuf;

fn replay(name: &str, target: fn(&[u8])) {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut count = 0;
    for entry in fs::read_dir(&dir).expect("seeds are in the repository") {
        let path = entry.unwrap().path();
        let data = fs::read(&path).unwrap();
        let outcome = std::panic::catch_unwind(|| target(&data));
        assert!(outcome.is_ok(), "{} panics", path.display());
        count += 1;
    }
    assert!(count > 0, "{} holds no seeds", dir.display());
}

#[test]
fn request() {
    replay("request", targets::request);
}

#[test]
fn body() {
    replay("body", targets::body);
}

#[test]
fn padded() {
    replay("padded", targets::padded);
}

#[test]
fn normalize() {
    replay("normalize", targets::normalize);
}

#[test]
fn rules() {
    replay("rules", targets::rules);
}

#[test]
fn calls_on_the_wire() {
    replay("wire", wire::wire);
}
