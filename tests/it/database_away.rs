//! PostgreSQL stops and comes back while the control plane runs.

use crate::WEIR;
use weir_testkit::postgres::Server;
use weir_testkit::until;

#[test]
fn a_stopped_database_is_said_and_heals() {
    let Some(mut server) = Server::start() else { return };
    let database = format!("control_plane.database={}", server.create("away"));
    let control_plane = WEIR.control_plane(&[&database]);
    let browser = control_plane.login();
    assert_eq!(browser.get("/api/v1/attacks").status, 200);
    for round in 0..2 {
        if round == 0 {
            server.stop()
        } else {
            server.crash()
        }
        // Whatever way calls notice it, from the first refusal on each is refused at once, and says when to come back.
        until("a refusal", || browser.get("/api/v1/attacks").status == 503);
        for path in ["/api/v1/attacks", "/", "/login", "/api/v1/rules"] {
            let answer = browser.get(path);
            assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{path}: {answer:?}");
        }
        server.run();
        until("an answer", || browser.get("/api/v1/attacks").status == 200);
        assert_eq!(browser.get("/").status, 200);
    }
}
