//! What 50 rules on behaviour cost a request: time, and with `behaviour-instructions` beside this file instructions.
//!
//! ```text
//! cargo bench -p weir-node --bench behaviour                     # nanoseconds of processor time a request, best of the rounds
//! crates/weir-node/benches/behaviour-instructions                # instructions a request, counted by callgrind
//! ```
//!
//! A request is planned and counted as the node does it, without its inspection; with `responses` its response is counted
//! too. What the rules cost is the difference to the set `no rules`. Requests come from 1,000 sources in turn, so that a
//! counter is rarely in the first caches.

mod rules;

use rules::{RULES, mixed, one_key, ten_keys};
use std::hint::black_box;
use std::net::IpAddr;
use weir_core::model::{DecodedHead, Message};
use weir_core::parse::{facts::facts, message};
use weir_node::abuse::{Abuse, AbuseSettings, Carried, RequestView, ResponseView};
use weir_policy::{Policy, PolicyDoc, RequestContext, Settings, Source};

/// Sources of the requests.
const SOURCES: usize = 1_000;
/// Requests of a round.
const REQUESTS: usize = 20_000;
/// Rounds; the best counts, for the machine may be busy.
const ROUNDS: usize = 9;
/// Argument with which a set runs once, for callgrind.
const ONCE: &str = "--once";
/// Argument with which the names of the sets are listed.
const LIST: &str = "--list";

/// A policy, and whether responses are counted.
struct Set {
    name: &'static str,
    rule: fn(usize) -> String,
    rules: usize,
    responses: bool,
}

fn routes(id: usize) -> String {
    rules::route(id, 0, &format!("part-{id}"))
}

const SETS: [Set; 6] = [
    Set { name: "no rules", rule: one_key, rules: 0, responses: false },
    Set { name: "one key", rule: one_key, rules: RULES, responses: false },
    Set { name: "ten keys", rule: ten_keys, rules: RULES, responses: false },
    Set { name: "50 routes", rule: routes, rules: RULES, responses: false },
    Set { name: "mixed", rule: mixed, rules: RULES, responses: false },
    Set { name: "mixed, responses", rule: mixed, rules: RULES, responses: true },
];

fn policy(set: &Set) -> Policy {
    let doc = PolicyDoc::parse("bench.yaml", &rules::document(set.rules, set.rule)).expect("a document");
    Policy::compile(&Settings::default(), Some(&doc)).expect("a policy")
}

/// A request as it came.
fn raw(number: usize) -> String {
    format!(
        "GET /part-{}/items/{number}?page={} HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
         Accept: application/json\r\nAccept-Language: en\r\nCookie: theme=dark; sid=s-{number}\r\nAuthorization: Bearer t\r\n\r\n",
        1 + number % RULES,
        number % 7,
    )
}

struct Input<'a> {
    message: &'a Message<'a>,
    head: &'a DecodedHead<'a>,
    client: IpAddr,
}

/// Counts the requests; nothing else is in here, so that callgrind can count it alone.
#[inline(never)]
fn counted(abuse: &Abuse, policy: &Policy, inputs: &[Input<'_>], response: Option<&Message<'_>>, begin: u64) {
    requests(abuse, policy, inputs, response, begin);
}

#[inline(never)]
fn requests(abuse: &Abuse, policy: &Policy, inputs: &[Input<'_>], response: Option<&Message<'_>>, begin: u64) {
    for (number, input) in (0u64..).zip(inputs) {
        let now = begin + number / 4;
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

/// Nanoseconds for which this thread has run: waiting for a busy machine is not among them.
fn processor_time() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|word| word.parse().ok()).expect("a number")
}

/// Nanoseconds a request, the best of `rounds`.
fn run(set: &Set, number: usize, rounds: usize) -> f64 {
    let policy = policy(set);
    let abuse = Abuse::new(&AbuseSettings { memory: 64 << 20, secrets: vec![b"bench".to_vec()], shared: false });
    abuse.histograms().enable();
    let raws: Vec<String> = (0..number).map(raw).collect();
    let messages: Vec<Message<'_>> = raws.iter().map(|raw| message::request(raw.as_bytes())).collect();
    let heads: Vec<DecodedHead<'_>> = messages.iter().map(facts).collect();
    let inputs: Vec<Input<'_>> = messages
        .iter()
        .zip(&heads)
        .enumerate()
        .map(|(n, (message, head))| {
            let client = IpAddr::from([198, 51, (n % SOURCES / 250) as u8, (n % 250) as u8]);
            Input { message, head, client }
        })
        .collect();
    let answer = message::response(b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n\r\n");
    let response = set.responses.then_some(&answer);
    let times = (0..=rounds as u64).map(|round| {
        let begin = 1_700_000_000_000 + round * 20_000;
        if round == 0 {
            // Makes the counters, and is not counted.
            requests(&abuse, &policy, &inputs, response, begin);
            return f64::INFINITY;
        }
        let start = processor_time();
        counted(&abuse, &policy, &inputs, response, begin);
        (processor_time() - start) as f64 / inputs.len() as f64
    });
    times.fold(f64::INFINITY, f64::min)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let find = |name: &str| SETS.iter().find(|set| set.name == name).expect("the name of a set");
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [LIST] => SETS.iter().for_each(|set| println!("{}", set.name)),
        [ONCE, name, number] => drop(black_box(run(find(name), number.parse().expect("a number"), 1))),
        names => {
            println!("{RULES} rules, {SOURCES} sources, {REQUESTS} requests a round, best of {ROUNDS}");
            println!("{:18} {:>12}", "set", "ns/request");
            for set in SETS.iter().filter(|set| names.is_empty() || names.contains(&set.name)) {
                println!("{:18} {:>12.0}", set.name, run(set, REQUESTS, ROUNDS));
            }
        }
    }
}
