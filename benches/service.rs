//! The service against two floors: a bare HTTP stack that reads the call and answers a pass, and itself in mode `off`,
//! which does all but inspect: access, headers of the call, policy, context, metrics, log; and itself with 50 rules on
//! behaviour, all of which count every call: the ratio of its calls a second to those of `weir` is what they cost.
//!
//! ```text
//! cargo bench --bench service                 # five rounds, the servers in turn
//! cargo bench --bench service -- 9 20000      # nine rounds of 20,000 calls
//! cargo bench --bench service -- --rules 60 2000    # what sets of 50 rules on behaviour cost, in 60 short rounds
//! ```
//!
//! Each server has core 0 for itself, the load comes from a thread on core 1 that never sleeps, over 32 kept connections;
//! every call is a distinct
//! POST of 1 KB of JSON as `message/http`. On a machine that does other things too, quote the ratios and the CPU time a
//! call, which is the server's own (user and system, from `/proc`), before calls a second.

#[path = "../crates/weir-node/benches/rules/mod.rs"]
mod rules;
mod served;
#[allow(dead_code)]
mod sets;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use rules::RULES;
use served::{Server, calls_of, pin_load, weir};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// Connections kept, each with one call at a time.
const CONNECTIONS: usize = 32;
/// Distinct calls.
const DISTINCT: usize = 4000;
/// Bytes of JSON in each.
const BODY: usize = 1024;
/// Rounds, and calls in each.
const ROUNDS: usize = 5;
const CALLS: usize = 20_000;
/// Argument by which this program becomes the floor.
const FLOOR: &str = "--floor";
/// Argument by which sets of rules on behaviour are compared, and rounds and calls in each then.
const COMPARE: &str = "--rules";
const SHORT_ROUNDS: usize = 40;
const SHORT_CALLS: usize = 2_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if let [flag, address] = arguments.as_slice()
        && flag == FLOOR
    {
        return floor(address);
    }
    let number = |at: usize, otherwise| arguments.get(at).map_or(otherwise, |a: &String| a.parse().expect("a number"));
    let loads = calls_of(DISTINCT, BODY);
    if arguments.first().is_some_and(|argument| argument == COMPARE) {
        return compare(&loads, number(1, SHORT_ROUNDS), number(2, SHORT_CALLS));
    }
    let (rounds, calls) = (number(0, ROUNDS), number(1, CALLS));
    let me = std::env::current_exe().expect("the path of this program");
    let policy = std::env::temp_dir().join(format!("weir-bench-{}.yaml", std::process::id()));
    std::fs::write(&policy, rules::document(RULES, rules::mixed)).expect("a policy file");
    let start = |name, more: &[&str]| (name, Server::start(name, |address| weir(address, more)));
    let bare = |address: &str| vec![me.display().to_string(), FLOOR.into(), address.into()];
    let servers = [
        ("bare HTTP stack", Server::start("bare HTTP stack", bare)),
        start("weir", &[]),
        start("weir, 50 abuse rules", &[&format!("policy.file={}", policy.display())]),
        start("weir, no access log", &["log.access_log.enabled=false"]),
        start("weir, mode off", &["route_config.wallarm_mode=off"]),
    ];
    pin_load();
    let mut figures = vec![Vec::new(); servers.len()];
    for round in 0..=rounds {
        for ((name, server), figures) in servers.iter().zip(&mut figures) {
            let figure = measure(name, server, &loads, calls);
            // The first round warms the caches of the regex engines.
            if round > 0 {
                figures.push(figure);
            }
        }
    }
    drop(std::fs::remove_file(&policy));
    println!("{calls} calls a round, {rounds} rounds, {CONNECTIONS} connections, {} bytes a call", loads[0].len());
    println!(
        "{:22} {:>12} {:>10} {:>10} {:>12} {:>9} {:>9} {:>9}",
        "server", "CPU us/call", "user", "system", "calls/s", "of bare", "of off", "RSS MiB"
    );
    let rate = |figures: &[Figure]| median(figures.iter().map(|f| f.rate));
    let (bare, off) = (rate(&figures[0]), rate(&figures[servers.len() - 1]));
    for ((name, server), figures) in servers.iter().zip(&figures) {
        let rate = rate(figures);
        println!(
            "{:22} {:>12.1} {:>10.1} {:>10.1} {:>12.0} {:>8.0}% {:>8.0}% {:>9.1}",
            name,
            median(figures.iter().map(|f| f.user + f.system)),
            median(figures.iter().map(|f| f.user)),
            median(figures.iter().map(|f| f.system)),
            rate,
            100.0 * rate / bare,
            100.0 * rate / off,
            server.resident()
        );
    }
}

/// A node for each set of rules against one without, in turn and in short rounds: what else the machine does falls on both.
fn compare(loads: &[Vec<u8>], rounds: usize, calls: usize) {
    let route = |id: usize| rules::route(id, 1, sets::WORDS[id % sets::WORDS.len()]);
    let documents = [
        ("no rules", rules::document(0, rules::one_key)),
        ("50 routes", rules::document(RULES, route)),
        ("one key", rules::document(RULES, rules::one_key)),
        ("ten keys", rules::document(RULES, rules::ten_keys)),
        ("mixed", rules::document(RULES, rules::mixed)),
    ];
    let start = |(name, document): &(&'static str, String)| {
        let file =
            std::env::temp_dir().join(format!("weir-bench-{}-{}.yaml", std::process::id(), name.replace(' ', "-")));
        std::fs::write(&file, document).expect("a policy file");
        let server = Server::start(name, |address| weir(address, &[&format!("policy.file={}", file.display())]));
        drop(std::fs::remove_file(&file));
        (*name, server)
    };
    let servers: Vec<(&str, Server)> = documents.iter().map(start).collect();
    pin_load();
    let mut times = vec![Vec::new(); servers.len()];
    for round in 0..=rounds {
        for ((name, server), times) in servers.iter().zip(&mut times) {
            let before = server.cpu_ns();
            measure(name, server, loads, calls);
            let time = (server.cpu_ns() - before) as f64 / 1e3 / calls as f64;
            // The first round warms the caches.
            if round > 0 {
                times.push(time);
            }
        }
    }
    println!("{rounds} rounds of {calls} calls, {} bytes a call: processor time of the server", loads[0].len());
    println!("{:12} {:>9} {:>18} {:>10}", "rules", "us/call", "more than none", "quartiles");
    for ((name, _), each) in servers.iter().zip(&times) {
        let mut more: Vec<f64> = each.iter().zip(&times[0]).map(|(own, none)| 100.0 * (own / none - 1.0)).collect();
        more.sort_by(f64::total_cmp);
        let part = |share: usize| more[more.len() * share / 4];
        let quartiles = format!("{:.1} {:.1}", part(1), part(3));
        println!("{name:12} {:>9.1} {:>17.1}% {quartiles:>10}", median(each.iter().copied()), part(2));
    }
}

/// The floor: route, headers and body read as the service reads them, a pass as the answer.
fn floor(address: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let answer = |headers: HeaderMap, body: Bytes| async move {
            let status = if body.is_empty() { StatusCode::BAD_REQUEST } else { StatusCode::NO_CONTENT };
            let id = headers.get("inspector-request-id").cloned().expect("an id");
            (status, [("inspector-verdict", "pass".try_into().expect("a value")), ("inspector-request-id", id)])
        };
        let listener = tokio::net::TcpListener::bind(address).await.expect("the address is free");
        axum::serve(listener, Router::new().route("/v1/requests", post(answer))).await.expect("it serves");
    });
}

/// What one round showed.
#[derive(Clone, Copy)]
struct Figure {
    /// CPU time of the server, in microseconds a call.
    user: f64,
    system: f64,
    /// Calls answered a second.
    rate: f64,
}

/// One round of calls.
fn measure(name: &str, server: &Server, loads: &[Vec<u8>], calls: usize) -> Figure {
    let (before, begin) = (server.cpu_ticks(), Instant::now());
    let each = calls / CONNECTIONS;
    let mut callers: Vec<Caller<'_>> = (0..CONNECTIONS).map(|n| Caller::new(server, loads, n * each, each)).collect();
    // One thread that never sleeps: to wake the load would be work of the server, and only of one that is slower.
    while !callers.is_empty() {
        callers.retain_mut(|caller| {
            caller.poll(name);
            caller.left > 0
        });
    }
    let (made, took) = ((each * CONNECTIONS) as f64, begin.elapsed().as_secs_f64());
    let after = server.cpu_ticks();
    // Linux reports these times in hundredths of a second.
    let each = |before: u64, after: u64| (after - before) as f64 * 1e4 / made;
    Figure { user: each(before[0], after[0]), system: each(before[1], after[1]), rate: made / took }
}

/// A kept connection with one call under way.
struct Caller<'l> {
    stream: TcpStream,
    loads: &'l [Vec<u8>],
    next: usize,
    /// Calls not answered yet.
    left: usize,
    answer: [u8; 4096],
    read: usize,
}

impl<'l> Caller<'l> {
    /// Connects to `server` and makes the first of `left` calls, beginning with the load `next`.
    fn new(server: &Server, loads: &'l [Vec<u8>], next: usize, left: usize) -> Self {
        let stream = TcpStream::connect(server.address).expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        stream.set_nonblocking(true).expect("a socket that does not block");
        let mut caller = Self { stream, loads, next, left, answer: [0; 4096], read: 0 };
        caller.call();
        caller
    }

    /// A call fits into the buffer of the socket, which is empty.
    fn call(&mut self) {
        self.stream.write_all(&self.loads[self.next % self.loads.len()]).expect("the call is taken");
        self.next += 1;
        self.read = 0;
    }

    /// Takes what has arrived, and makes the next call after an answer.
    fn poll(&mut self, name: &str) {
        match self.stream.read(&mut self.answer[self.read..]) {
            Ok(more) => {
                assert!(more > 0, "{name} closed a connection");
                self.read += more;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{name}: {error}"),
        }
        let answer = &self.answer[..self.read];
        if answer.ends_with(b"\r\n\r\n") {
            assert!(answer.starts_with(b"HTTP/1.1 204"), "{name}: {}", String::from_utf8_lossy(answer));
            self.left -= 1;
            if self.left > 0 {
                self.call();
            }
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
