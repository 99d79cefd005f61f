//! What 50 rules on behaviour cost a request: time, and with `behaviour-instructions` beside this file instructions.
//!
//! ```text
//! cargo bench -p weir-node --bench behaviour                     # nanoseconds of processor time a request, best of the rounds
//! crates/weir-node/benches/behaviour-instructions                # instructions a request, counted by callgrind
//! ```
//!
//! A request is planned and counted as the node does it, without its inspection; with `responses` its response is counted
//! too. What the rules cost is the difference to the set `no rules`. Requests come from 1,000 sources in turn, so that a
//! counter is rarely in the first caches; callgrind, which knows no caches, counts those of 100. A busy source sends four
//! requests a second, a quiet one six a minute. Where counters are shared, what was counted is taken for the exchange with
//! other replicas, and their answer is noted, every 80 ms of the requests' clock: that is measured by itself.

mod rules;

use cpu_time::ThreadTime;
use rules::{RULES, mixed, one_key, ten_keys};
use std::hint::black_box;
use std::net::IpAddr;
use std::time::Duration;
use weir_core::model::{DecodedHead, Message};
use weir_core::parse::{facts::facts, message};
use weir_node::abuse::{Abuse, AbuseSettings, Carried, RequestView, ResponseView};
use weir_policy::{Policy, PolicyDoc, RequestContext, Settings, Source};

/// Sources of the requests, and those where instructions are counted.
const SOURCES: usize = 1_000;
const FEW_SOURCES: usize = 100;
/// Milliseconds between two requests of a busy source, and of a quiet one.
const BUSY_MS: u64 = 250;
const QUIET_MS: u64 = 10_000;
/// Milliseconds between two exchanges of shared counters, and counters in each, as the node does it.
const EXCHANGE_MS: u64 = 80;
const EXCHANGED: usize = 1_000;
/// Requests of a round.
const REQUESTS: usize = 20_000;
/// Rounds; the best counts, for the machine may be busy.
const ROUNDS: usize = 9;
/// Argument with which a set runs once, for callgrind.
const ONCE: &str = "--once";
/// Argument with which the names of the sets are listed.
const LIST: &str = "--list";

/// A policy, and what comes.
#[derive(Clone, Copy)]
struct Set {
    name: &'static str,
    rule: fn(usize) -> String,
    rules: usize,
    /// Whether responses are counted.
    responses: bool,
    /// Whether counters are shared with other replicas.
    shared: bool,
    /// Milliseconds between two requests of a source.
    pause: u64,
}

fn routes(id: usize) -> String {
    rules::route(id, 0, &format!("part-{id}"))
}

const BUSY: Set = Set { name: "no rules", rule: one_key, rules: 0, responses: false, shared: false, pause: BUSY_MS };
const ONE_KEY: Set = Set { name: "one key", rules: RULES, ..BUSY };
const TEN_KEYS: Set = Set { name: "ten keys", rule: ten_keys, ..ONE_KEY };
const MIXED: Set = Set { name: "mixed", rule: mixed, ..ONE_KEY };

const SETS: [Set; 13] = [
    BUSY,
    ONE_KEY,
    Set { name: "one key, quiet", pause: QUIET_MS, ..ONE_KEY },
    Set { name: "one key, shared", shared: true, ..ONE_KEY },
    TEN_KEYS,
    Set { name: "ten keys, quiet", pause: QUIET_MS, ..TEN_KEYS },
    Set { name: "ten keys, shared", shared: true, ..TEN_KEYS },
    Set { name: "ten keys, quiet, shared", shared: true, pause: QUIET_MS, ..TEN_KEYS },
    Set { name: "50 routes", rule: routes, ..ONE_KEY },
    MIXED,
    Set { name: "mixed, quiet", pause: QUIET_MS, ..MIXED },
    Set { name: "mixed, shared", shared: true, ..MIXED },
    Set { name: "mixed, responses", responses: true, ..MIXED },
];

fn policy(set: &Set) -> Policy {
    let doc = PolicyDoc::parse("bench.yaml", &rules::document(set.rules, set.rule)).expect("a document");
    Policy::compile(&Settings::default(), Some(&doc)).expect("a policy")
}

/// A request as it came: each source has a session of its own.
fn raw(number: usize, sources: usize) -> String {
    format!(
        "GET /part-{}/items/{number}?page={} HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
         Accept: application/json\r\nAccept-Language: en\r\nCookie: theme=dark; sid=s-{}\r\nAuthorization: Bearer t\r\n\r\n",
        1 + number % RULES,
        number % 7,
        number % sources,
    )
}

struct Input<'a> {
    message: &'a Message<'a>,
    head: &'a DecodedHead<'a>,
    client: IpAddr,
}

/// A stretch of requests, and when they come.
struct Stretch<'i, 'a> {
    inputs: &'i [Input<'a>],
    /// When the first of them comes, in milliseconds since 1970.
    begin: u64,
    /// Requests of each millisecond.
    rate: f64,
}

impl Stretch<'_, '_> {
    /// When request `number` comes.
    fn time(&self, number: usize) -> u64 {
        self.begin + (number as f64 / self.rate) as u64
    }

    /// When it is over.
    fn end(&self) -> u64 {
        self.time(self.inputs.len())
    }

    /// Requests of so many milliseconds, at least one.
    fn within(&self, milliseconds: u64) -> usize {
        ((milliseconds as f64 * self.rate) as usize).max(1)
    }
}

/// Counts the requests; nothing else is in here, so that callgrind can count it alone.
#[inline(never)]
fn counted(abuse: &Abuse, policy: &Policy, stretch: &Stretch<'_, '_>, response: Option<&Message<'_>>) {
    requests(abuse, policy, stretch, response);
}

/// Takes what was counted for other replicas and notes an answer, as if there were none.
#[inline(never)]
fn exchanged(abuse: &Abuse, now: u64) {
    let table = abuse.table();
    for sent in table.outgoing(EXCHANGED) {
        let (_, slots, distinct) = table.totals(sent.key, now).expect("a counter that was counted");
        table.arrived(&sent, &slots, distinct, now);
    }
}

#[inline(never)]
fn requests(abuse: &Abuse, policy: &Policy, stretch: &Stretch<'_, '_>, response: Option<&Message<'_>>) {
    for (number, input) in stretch.inputs.iter().enumerate() {
        let now = stretch.time(number);
        let context = RequestContext {
            message: input.message,
            facts: input.head,
            client: Some(input.client),
            source: Source::default(),
            now: now / 1000,
            blocking: true,
            request_id: "r",
        };
        let view = RequestView {
            message: input.message,
            head: input.head,
            client: input.client,
            route: "shop",
            now,
            authenticated: true,
            first: true,
            blocking: true,
        };
        let mut plan = policy.plan(&context);
        if let Some(hit) = abuse.listed(&view, policy, &plan) {
            policy.enlist(&mut plan, hit);
        }
        let check = black_box(abuse.check(&view, policy, &plan));
        let carried = check.carried.to_bytes();
        if let Some(message) = response {
            let answer = ResponseView { message, consumer: "", requested: now, now: now + 5 };
            abuse.response(&answer, &Carried::from_bytes(&carried), policy, &plan);
        }
    }
}

/// Nanoseconds of a request, and of its part of the exchange.
struct Times {
    count: f64,
    exchange: f64,
}

/// What a set takes, the best of `rounds`.
fn run(set: &Set, number: usize, sources: usize, rounds: usize) -> Times {
    let policy = policy(set);
    let abuse = Abuse::new(&AbuseSettings { memory: 64 << 20, secrets: vec![b"bench".to_vec()], shared: set.shared });
    abuse.histograms().enable();
    let raws: Vec<String> = (0..number).map(|number| raw(number, sources)).collect();
    let messages: Vec<Message<'_>> = raws.iter().map(|raw| message::request(raw.as_bytes())).collect();
    let heads: Vec<DecodedHead<'_>> = messages.iter().map(facts).collect();
    let inputs: Vec<Input<'_>> = messages
        .iter()
        .zip(&heads)
        .enumerate()
        .map(|(n, (message, head))| {
            let client = IpAddr::from([198, 51, (n % sources / 250) as u8, (n % sources % 250) as u8]);
            Input { message, head, client }
        })
        .collect();
    let answer = message::response(b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n\r\n");
    let response = set.responses.then_some(&answer);
    let mut best = Times { count: f64::INFINITY, exchange: f64::INFINITY };
    let mut begin = 1_700_000_000_000;
    for round in 0..=rounds {
        let all = Stretch { inputs: &inputs, begin, rate: sources as f64 / set.pause as f64 };
        begin = all.end();
        if round == 0 {
            // Makes the counters, and is not counted.
            requests(&abuse, &policy, &all, response);
            exchange(&abuse, set, begin);
            continue;
        }
        let each = if set.shared { all.within(EXCHANGE_MS) } else { inputs.len() };
        let (mut count, mut exchanges, mut from) = (Duration::ZERO, Duration::ZERO, all.begin);
        for part in inputs.chunks(each) {
            let part = Stretch { inputs: part, begin: from, rate: all.rate };
            // Waiting for a busy machine is not counted.
            let start = ThreadTime::now();
            counted(&abuse, &policy, &part, response);
            let done = ThreadTime::now();
            from = part.end();
            exchange(&abuse, set, from);
            count += done.duration_since(start);
            exchanges += done.elapsed();
        }
        let each = |time: Duration| time.as_nanos() as f64 / inputs.len() as f64;
        best = Times { count: best.count.min(each(count)), exchange: best.exchange.min(each(exchanges)) };
    }
    best
}

/// Exchanges what was counted, where counters are shared.
fn exchange(abuse: &Abuse, set: &Set, now: u64) {
    if set.shared {
        exchanged(abuse, now);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let find = |name: &str| SETS.iter().find(|set| set.name == name).expect("the name of a set");
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [LIST] => SETS.iter().for_each(|set| println!("{}", set.name)),
        [ONCE, name, number] => {
            black_box(run(find(name), number.parse().expect("a number"), FEW_SOURCES, 1));
        }
        names => {
            println!("{RULES} rules, {SOURCES} sources, {REQUESTS} requests a round, best of {ROUNDS}");
            println!("{:24} {:>12} {:>12}", "set", "ns/request", "exchange");
            for set in SETS.iter().filter(|set| names.is_empty() || names.contains(&set.name)) {
                let times = run(set, REQUESTS, SOURCES, ROUNDS);
                println!("{:24} {:>12.0} {:>12.0}", set.name, times.count, times.exchange);
            }
        }
    }
}
