//! kill -9 of each process at random moments under load.

use crate::fleet::{Fleet, Options};
use crate::http::until;
use crate::load::Load;
use crate::oracle::Tally;
use crate::random::Random;
use std::time::Duration;
use weir_testkit::postgres::Server;

/// Kills in the short form.
const SHORT: u64 = 12;
/// Kills after which all must run and answers must have come, so that the test is one under load.
const ROUND: u64 = 6;

fn kills() -> u64 {
    std::env::var("WEIR_KILLS").map_or(SHORT, |kills| kills.parse().expect("WEIR_KILLS is a number"))
}

#[test]
fn kill_9_at_random_moments_on_sqlite() {
    run("kills on SQLite", Options::default(), None);
}

#[test]
fn kill_9_at_random_moments_on_postgresql_and_of_its_server() {
    let Some(server) = Server::start() else { return };
    let url = server.create("kills");
    run("kills on PostgreSQL", Options { database: Some(&url), ..Options::default() }, Some(server));
}

fn run(what: &str, options: Options<'_>, mut server: Option<Server>) {
    let (kills, mut random) = (kills(), Random::new(what));
    let mut fleet = Fleet::start(&options);
    fleet.control_plane.supervised = server.is_some();
    let load = Load::start(fleet.processing.api, "kills");
    let victims = if server.is_some() { 4 } else { 3 };
    let (mut killed, mut answered) = ([0u64; 4], 0);
    for kill in 0..kills {
        std::thread::sleep(Duration::from_millis(20 + random.below(400)));
        let victim = random.below(victims) as usize;
        killed[victim] += 1;
        let away = Duration::from_millis(random.below(300));
        if let (3, Some(server)) = (victim, &mut server) {
            server.crash();
            std::thread::sleep(away);
            server.run();
        } else {
            let part = &mut fleet.parts()[victim];
            part.kill();
            std::thread::sleep(away);
            part.start();
            // Otherwise the next kill may come while it starts.
            if random.below(4) > 0 {
                part.ready();
            }
        }
        if kill % ROUND == ROUND - 1 || kill + 1 == kills {
            fleet.parts().into_iter().for_each(|part| part.ready());
            until("answers after kills", || load.answered() > answered, || fleet.told());
            answered = load.answered();
        }
    }
    let known = load.stop();
    eprintln!(
        "{what}: killed control plane {}, aggregation {}, processing {}, database {}",
        killed[0], killed[1], killed[2], killed[3]
    );
    Tally::of(&fleet, &known).check(what, &fleet);
}
