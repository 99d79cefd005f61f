//! Clocks that jump: of the nodes, and of the control plane. libfaketime stands between a process and its clock.

use crate::fleet::{Fleet, Options};
use crate::load::Load;
use crate::oracle::Tally;
use crate::outage::under_load;
use crate::part::Part;
use std::path::{Path, PathBuf};
use weir_testkit::skip;

/// Answers that come at each time.
const ANSWERS: u64 = 40;

fn library() -> Option<PathBuf> {
    let directories = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    directories.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.exists())
}

/// A clock that a test sets; monotonic time goes on as it is.
struct Clock(PathBuf);

impl Clock {
    fn of(parts: &mut [&mut Part], library: &Path, file: PathBuf) -> Clock {
        let clock = Clock(file);
        clock.set("+0");
        for part in parts {
            part.with_environment(&[
                ("LD_PRELOAD", library.display().to_string()),
                ("FAKETIME_TIMESTAMP_FILE", clock.0.display().to_string()),
                ("FAKETIME_NO_CACHE", "1".into()),
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
                ("DONT_FAKE_MONOTONIC", "1".into()),
            ]);
        }
        clock
    }

    /// Sets it to `by` from the true time: `+2d`, `-30y`.
    fn set(&self, by: &str) {
        let next = self.0.with_extension("next");
        std::fs::write(&next, by).unwrap();
        std::fs::rename(next, &self.0).unwrap();
    }
}

#[test]
fn clocks_that_jump_cost_and_double_nothing() {
    let Some(library) = library() else { return skip("clocks that jump (install Debian's package faketime)") };
    let mut fleet = Fleet::new(&Options::default());
    let (nodes, plane) = (fleet.home().join("nodes.clock"), fleet.home().join("plane.clock"));
    let [control_plane, aggregation, processing] = fleet.parts();
    let nodes = Clock::of(&mut [aggregation, processing], &library, nodes);
    let plane = Clock::of(&mut [control_plane], &library, plane);
    for part in fleet.parts() {
        part.start();
        part.ready();
    }
    let load = Load::start(fleet.processing.api, "clock");
    // Back and forth by hours, far ahead for a moment, and as without a battery.
    for by in ["+0", "+2h", "-3h", "+400d", "+0", "-30y", "+0"] {
        nodes.set(by);
        under_load(&load, ANSWERS, &fleet);
    }
    nodes.set("+400d");
    fleet.processing.kill();
    fleet.processing.start();
    fleet.processing.ready();
    under_load(&load, ANSWERS, &fleet);
    fleet.aggregation.kill();
    fleet.control_plane.kill();
    nodes.set("+0");
    under_load(&load, ANSWERS, &fleet);
    fleet.control_plane.start();
    fleet.aggregation.start();
    fleet.aggregation.ready();
    for by in ["-3d", "+3d", "+0"] {
        plane.set(by);
        under_load(&load, ANSWERS, &fleet);
    }
    Tally::of(&fleet, &load.stop()).check("clocks jumped", &fleet);
}
