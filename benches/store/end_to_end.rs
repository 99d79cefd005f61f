//! Attacks over HTTP, until the last one is in the store.

use crate::WEIR;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use weir_testkit::Session;
use weir_testkit::http::read;
use weir_testkit::node::call;

const CONNECTIONS: u64 = 4;
/// Attacks of each connection.
const EACH: u64 = 5_000;
/// Longest wait for the last one.
const PATIENCE: Duration = Duration::from_secs(300);

pub fn measure(places: &[&str]) {
    // The disk is shared with whatever else the machine does: that it stalls for a moment must not cost hits here.
    let weir = WEIR.all_in_one(&[places, &["events.stall=1s"]].concat());
    let browser = weir.login();
    let before = stored(&browser);
    let at = weir.node.expect("the node listens");
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            scope.spawn(move || attack(at, connection));
        }
    });
    let answered = begun.elapsed();
    let wanted = before + CONNECTIONS * EACH;
    while stored(&browser) < wanted {
        let now = stored(&browser);
        assert!(begun.elapsed() < PATIENCE, "{} of {} are stored", now - before, wanted - before);
        std::thread::sleep(Duration::from_millis(50));
    }
    let rate = |time: Duration| (CONNECTIONS * EACH) as f64 / time.as_secs_f64();
    println!("  end to end  {:>8.0} hits/s; answered at {:.0}/s", rate(begun.elapsed()), rate(answered));
}

fn attack(at: SocketAddr, connection: u64) {
    let mut stream = BufReader::new(TcpStream::connect(at).expect("a connection"));
    for n in 0..EACH {
        let raw =
            format!("GET /{n}?q=1'+union+select+{connection},password+from+users-- HTTP/1.1\r\nHost: shop\r\n\r\n");
        let id = format!("bench-{connection}-{n}");
        let bytes = call("/v1/requests", &[("Inspector-Request-Id", &id)], raw.as_bytes());
        stream.get_mut().write_all(&bytes).expect("the call is taken");
        let answer = read(&mut stream).expect("an answer");
        assert_eq!(answer.header("inspector-verdict"), Some("block"), "{answer:?}");
    }
}

/// Hits of the last day.
fn stored(browser: &Session<'_>) -> u64 {
    let series = browser.get("/api/v1/statistics/hits").json();
    series["slots"].as_array().expect("slots").iter().filter_map(|slot| slot["hits"].as_u64()).sum()
}
