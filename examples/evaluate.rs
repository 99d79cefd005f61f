//! Judges a labelled corpus in process and writes what was blocked, for tuning signatures.
//!
//! ```text
//! cargo run --release --example evaluate -- [--rules DIR] OUT_DIR CORPUS.jsonl...
//! ```
//!
//! A corpus line is one request: `{id, source, class, method, path, headers, body_b64, raw_b64?, meta}`.
//! `OUT_DIR` gets `verdicts.tsv` and `summary.json` (for a scoring script) and `findings.tsv`:
//! id, class, source, attack types, deciding rules, points, matched text.

use base64::Engine as _;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::time::Instant;
use weir_core::engine::{InspectionOptions, Scratch, inspect};
use weir_core::model::Inspection;
use weir_core::ruleset::{Ruleset, builtin, compile};

#[derive(Deserialize)]
struct Record {
    id: String,
    source: String,
    class: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body_b64: String,
    #[serde(default)]
    raw_b64: Option<String>,
    #[serde(default)]
    meta: serde_json::Value,
}

impl Record {
    fn raw(&self) -> Vec<u8> {
        let decode = |text: &str| {
            base64::engine::general_purpose::STANDARD.decode(text.replace(['\n', '\r'], "")).expect("base64")
        };
        if let Some(raw) = &self.raw_b64 {
            return decode(raw);
        }
        let mut raw = format!("{} {} HTTP/1.1\r\n", self.method, self.path).into_bytes();
        for (name, value) in &self.headers {
            raw.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        raw.extend_from_slice(b"\r\n");
        raw.extend_from_slice(&decode(&self.body_b64));
        raw
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    let rules = arguments.next_if(|a| a == "--rules").and_then(|_| arguments.next());
    let out = arguments.next().expect("usage: evaluate [--rules DIR] OUT_DIR CORPUS.jsonl...");
    let files = rules.map_or_else(builtin::files, |dir| files_below(Path::new(&dir)));
    let ruleset = match compile::compile(&files) {
        Ok(ruleset) => ruleset,
        Err(errors) => {
            errors.iter().for_each(|e| eprintln!("{e}"));
            std::process::exit(1);
        }
    };
    fs::create_dir_all(&out).expect("create OUT_DIR");
    let mut verdicts = BufWriter::new(fs::File::create(format!("{out}/verdicts.tsv")).expect("create"));
    let mut findings = BufWriter::new(fs::File::create(format!("{out}/findings.tsv")).expect("create"));
    let mut totals: BTreeMap<(String, String, String), [u32; 2]> = BTreeMap::new();
    let mut scratch = Scratch::default();
    let start = Instant::now();
    let mut count = 0u32;
    let mut inspecting = std::time::Duration::ZERO;
    for path in arguments {
        for line in BufReader::new(fs::File::open(&path).expect("open corpus")).lines() {
            let record: Record = serde_json::from_str(&line.expect("read")).expect("a corpus line");
            let raw = record.raw();
            let begin = Instant::now();
            let inspection = judge(&raw, &ruleset, &mut scratch);
            let took = begin.elapsed();
            inspecting += took;
            count += 1;
            let blocked = inspection.findings.iter().any(|f| f.decisive);
            let (outcome, status) = if blocked { ("blocked", 200) } else { ("passed", 204) };
            let micros = took.as_secs_f64() * 1000.0;
            writeln!(verdicts, "{}\t{}\t{outcome}\t{status}\t{micros:.3}", record.id, record.class).expect("write");
            report(&mut findings, &record, &inspection);
            let tier = record.meta.get("tier").and_then(|t| t.as_str()).unwrap_or("-").to_string();
            totals.entry((record.source, record.class, tier)).or_default()[usize::from(blocked)] += 1;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let summary = format!("{{\"target\": \"in process\", \"seconds\": {seconds:.1}, \"groups\": []}}");
    fs::write(format!("{out}/summary.json"), summary).expect("write");
    for ((source, class, tier), [passed, blocked]) in &totals {
        let rate = 100.0 * f64::from(*blocked) / f64::from(passed + blocked);
        println!("{source:22} {class:16} {tier:8} {blocked:6} of {:6} blocked {rate:6.2} %", passed + blocked);
    }
    println!("{count} requests, {:.1} us each in inspect()", inspecting.as_secs_f64() * 1e6 / f64::from(count.max(1)));
}

/// Rule files in `dir/*/*.yaml`, so that a signature can be tuned without a build.
fn files_below(dir: &Path) -> Vec<(String, String)> {
    let entries =
        |dir: &Path| -> Vec<_> { fs::read_dir(dir).expect("a directory").map(|e| e.unwrap().path()).collect() };
    let mut files = Vec::new();
    for class in entries(dir).into_iter().filter(|path| path.is_dir()) {
        for file in entries(&class).into_iter().filter(|path| path.extension().is_some_and(|e| e == "yaml")) {
            files.push((file.display().to_string(), fs::read_to_string(&file).expect("a rule file")));
        }
    }
    files.sort();
    files
}

fn judge(raw: &[u8], ruleset: &Ruleset, scratch: &mut Scratch) -> Inspection {
    let message = weir_core::parse::message::request(raw);
    inspect(&message, ruleset, &InspectionOptions::default(), scratch, &|| false)
}

fn report(out: &mut impl Write, record: &Record, inspection: &Inspection) {
    for finding in &inspection.findings {
        let weight = if finding.decisive { "decisive" } else { "weak" };
        writeln!(
            out,
            "{}\t{}\t{}\t{weight}\t{}\t{}\t{}\t{}",
            record.id, record.class, record.source, finding.attack, finding.rule, finding.point, finding.matched
        )
        .expect("write");
    }
}
