//! A disk that is full: a small file system of its own under the spool.

use crate::fleet::{Fleet, Options};
use crate::http::until;
use crate::load::Load;
use crate::oracle::Tally;
use crate::outage::under_load;
use std::path::Path;
use std::process::{Command, Stdio};
use weir_testkit::skip;

/// A file system of one MiB in memory.
struct Small(tempfile::TempDir);

impl Small {
    /// None, and loudly so, where this process may not mount.
    fn mount() -> Option<Small> {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs"]).arg(directory.path()).stderr(Stdio::null());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Small(directory));
        }
        skip("full disks (only root can mount a small file system)");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(status.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn a_full_disk_under_processing_costs_what_is_counted_and_no_more() {
    let Some(small) = Small::mount() else { return };
    let data = format!("data_dir={}", small.path().display());
    let mut fleet = Fleet::start(&Options { processing: &[&data], ..Options::default() });
    let load = Load::start(fleet.processing.api, "before");
    under_load(&load, 30, &fleet);
    fleet.aggregation.kill();
    let dropped = |fleet: &Fleet| fleet.processing.counted("weir_events_dropped_total", "disk_full");
    until("a full disk", || dropped(&fleet) >= 20, || fleet.told());
    // The load rests while the process is killed: its last counts are to be read.
    let mut known = load.stop();
    fleet.processing.kill();
    fleet.processing.start();
    fleet.processing.ready();
    let load = Load::start(fleet.processing.api, "full");
    under_load(&load, 30, &fleet);
    fleet.aggregation.start();
    fleet.aggregation.ready();
    fleet.drain();
    // It has room again, all by itself.
    let before = fleet.dropped();
    under_load(&load, 100, &fleet);
    known.merge(load.stop());
    let tally = Tally::of(&fleet, &known);
    assert_eq!(fleet.dropped(), before, "records are dropped though the disk has room\n{}", fleet.told());
    tally.check("the disk of processing was full", &fleet);
    assert_eq!(tally.lost.len() as u64 + known.broken, tally.dropped, "what is lost is counted, and nothing else");
}

#[test]
fn a_full_disk_under_aggregation_costs_nothing() {
    let Some(small) = Small::mount() else { return };
    let data = format!("data_dir={}", small.path().display());
    let mut fleet = Fleet::start(&Options { aggregation: &[&data], ..Options::default() });
    let load = Load::start(fleet.processing.api, "aggregation");
    under_load(&load, 30, &fleet);
    fleet.control_plane.kill();
    let refused =
        |fleet: &Fleet| fleet.processing.counted("weir_events_ship_errors_total", "spool=\"events\",reason=\"retry\"");
    until("a full disk", || refused(&fleet) >= 2, || fleet.told());
    fleet.aggregation.kill();
    fleet.aggregation.start();
    fleet.aggregation.ready();
    under_load(&load, 30, &fleet);
    fleet.control_plane.start();
    fleet.control_plane.ready();
    let tally = Tally::of(&fleet, &load.stop());
    tally.check("the disk of aggregation was full", &fleet);
    assert_eq!(tally.dropped, 0);
}
