//! The control plane is away while attacks go on, and the others are killed meanwhile.

use crate::fleet::{Fleet, Options};
use crate::http::until;
use crate::load::Load;
use crate::oracle::Tally;

/// Answers that come in each part of an outage.
const ANSWERS: u64 = 150;

/// Waits until `more` calls are answered.
pub fn under_load(load: &Load, more: u64, fleet: &Fleet) {
    let begin = load.answered();
    until("answers", || load.answered() >= begin + more, || fleet.told());
}

#[test]
fn a_control_plane_that_is_away_costs_nothing() {
    let mut fleet = Fleet::start(&Options::default());
    let load = Load::start(fleet.processing.api, "away");
    under_load(&load, ANSWERS, &fleet);
    fleet.control_plane.kill();
    under_load(&load, ANSWERS, &fleet);
    // Those that stay start anew without anybody to ask.
    fleet.aggregation.kill();
    under_load(&load, ANSWERS, &fleet);
    fleet.aggregation.start();
    fleet.aggregation.ready();
    fleet.processing.kill();
    fleet.processing.start();
    fleet.processing.ready();
    under_load(&load, ANSWERS, &fleet);
    fleet.control_plane.start();
    fleet.control_plane.ready();
    under_load(&load, ANSWERS, &fleet);
    let mut known = load.stop();
    Tally::of(&fleet, &known).check("the control plane was away", &fleet);
    // The oracle sees what is not there.
    known.sent.insert("ghost".into());
    known.blocked.insert("ghost".into());
    assert_eq!(Tally::of(&fleet, &known).lost, ["ghost"]);
}
