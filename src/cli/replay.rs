//! `weir replay`: sends a corpus to a running node and reports what it answered.

use super::error::CliError;
use super::readers::{self, Form, Sample};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Reasons of missing verdicts that are printed.
const MAX_REASONS: usize = 5;

/// Exit codes, for the help.
const EXIT_CODES: &str = "Exit codes:
  0  every request got a verdict
  1  some got none
  2  the command line is wrong, or a file or the target cannot be used";

/// Arguments of `weir replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Arguments {
    /// Inspection URL of the node.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5000/v1/requests")]
    pub target: hyper::Uri,
    /// Files of requests: raw HTTP, HAR, curl command lines or JSONL.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Form of the files.
    #[arg(long, value_enum, default_value = "auto")]
    pub form: Form,
    /// Calls under way at once.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub connections: u16,
    /// Seconds to wait for one answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub timeout: u64,
    /// Connector key; better given by the environment than on the command line.
    #[arg(long, env = "WEIR_CONNECTOR_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// Record attacks as hits and count the requests, as if they were traffic.
    #[arg(long)]
    pub record: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Answers of one group of requests.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
struct Counts {
    blocked: u64,
    passed: u64,
    failed: u64,
}

/// One answer.
struct Answer {
    sample: usize,
    /// The status of a verdict, or why there is none.
    verdict: Result<u16, String>,
    took: Duration,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> ExitCode {
    match replay(arguments) {
        Ok(true) => ExitCode::from(0),
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Sends all requests and prints the report. True if each got a verdict.
fn replay(arguments: &Arguments) -> Result<bool, CliError> {
    let samples = Arc::new(load(arguments)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::Runtime)?;
    let begin = Instant::now();
    let answers = runtime.block_on(send_all(arguments, &samples));
    let report = Report::new(&samples, &answers, begin.elapsed());
    if arguments.json {
        report.print_json()
    } else {
        report.print_table()
    }
    Ok(report.failed == 0)
}

fn load(arguments: &Arguments) -> Result<Vec<Sample>, CliError> {
    if arguments.target.scheme_str() != Some("http") || arguments.target.host().is_none() {
        return Err(CliError::Target(arguments.target.clone()));
    }
    let mut samples = Vec::new();
    for file in &arguments.files {
        let size = std::fs::metadata(file).map_err(CliError::file(file))?.len();
        if size > readers::MAX_INPUT {
            return Err(CliError::TooLarge { name: file.display().to_string(), limit: readers::MAX_INPUT });
        }
        let bytes = std::fs::read(file).map_err(CliError::file(file))?;
        samples.extend(readers::read(&bytes, arguments.form).map_err(CliError::requests(file))?);
    }
    Ok(samples)
}

async fn send_all(arguments: &Arguments, samples: &Arc<Vec<Sample>>) -> Vec<Answer> {
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let next = Arc::new(AtomicUsize::new(0));
    let bar = ProgressBar::new(samples.len() as u64);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..arguments.connections {
        let (client, next, bar, samples) = (client.clone(), Arc::clone(&next), bar.clone(), Arc::clone(samples));
        let (target, key, record) = (arguments.target.clone(), arguments.key.clone(), arguments.record);
        let timeout = Duration::from_secs(arguments.timeout);
        workers.spawn(async move {
            let mut answers = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(sample) = samples.get(at) else { return answers };
                let begin = Instant::now();
                let call = send(&client, &target, key.as_deref(), record, at, sample);
                let answered = tokio::time::timeout(timeout, call).await;
                let verdict = answered.unwrap_or_else(|_| Err(format!("no answer within {} s", timeout.as_secs())));
                answers.push(Answer { sample: at, verdict, took: begin.elapsed() });
                bar.inc(1);
            }
        });
    }
    let answers = workers.join_all().await.into_iter().flatten().collect();
    bar.finish_and_clear();
    answers
}

async fn send(
    client: &Client<HttpConnector, Full<Bytes>>,
    target: &hyper::Uri,
    key: Option<&str>,
    record: bool,
    at: usize,
    sample: &Sample,
) -> Result<u16, String> {
    let mut call = hyper::Request::post(target)
        .header("content-type", "message/http; msgtype=request")
        .header("inspector-request-id", format!("replay-{at}"))
        .header("inspector-client", "203.0.113.1:40000")
        .header("inspector-connector", concat!("weir-replay/", env!("CARGO_PKG_VERSION")));
    if let Some(key) = key {
        call = call.header("authorization", format!("Bearer {key}"));
    }
    if !record {
        call = call.header("inspector-purpose", "test");
    }
    let call = call.body(Full::new(Bytes::from(sample.raw.clone()))).map_err(|error| error.to_string())?;
    let answer = client.request(call).await.map_err(|error| causes(&error))?;
    let verdict = answer.headers().contains_key("inspector-verdict");
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.map_err(|error| causes(&error))?.to_bytes();
    if verdict && matches!(status, 200 | 204) {
        return Ok(status);
    }
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    Err(format!("{status} {}", problem["detail"].as_str().unwrap_or("without a verdict")))
}

/// An error with its causes.
fn causes(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        out = format!("{out}: {cause}");
        next = cause.source();
    }
    out
}

/// Answers by source and class of the requests, and how long they took.
struct Report {
    groups: BTreeMap<(String, String), Counts>,
    /// Sorted.
    times: Vec<Duration>,
    /// Requests without a verdict.
    failed: u64,
    /// Why, with how many of each.
    reasons: BTreeMap<String, u64>,
    took: Duration,
}

impl Report {
    fn new(samples: &[Sample], answers: &[Answer], took: Duration) -> Self {
        let mut groups: BTreeMap<(String, String), Counts> = BTreeMap::new();
        let (mut failed, mut reasons) = (0, BTreeMap::new());
        for answer in answers {
            let sample = &samples[answer.sample];
            let label = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
            let counts = groups.entry((label(&sample.source), label(&sample.class))).or_default();
            match &answer.verdict {
                Ok(200) => counts.blocked += 1,
                Ok(_) => counts.passed += 1,
                Err(why) => {
                    *reasons.entry(why.clone()).or_default() += 1;
                    counts.failed += 1;
                    failed += 1;
                }
            }
        }
        let mut times: Vec<Duration> = answers.iter().map(|answer| answer.took).collect();
        times.sort();
        Self { groups, times, failed, reasons, took }
    }

    /// In milliseconds.
    fn percentile(&self, p: usize) -> f64 {
        let at = (self.times.len() * p / 100).min(self.times.len().saturating_sub(1));
        self.times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    }

    /// Answers a second.
    fn rate(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64().max(1e-9)
    }

    fn print_json(&self) {
        let group = |((source, class), counts): (&(String, String), &Counts)| serde_json::json!({"source": source, "class": class, "counts": counts});
        let groups: Vec<_> = self.groups.iter().map(group).collect();
        let out = serde_json::json!({
            "requests": self.times.len(), "without_verdict": self.failed, "reasons": self.reasons,
            "per_second": self.rate().round(),
            "milliseconds": {"p50": self.percentile(50), "p95": self.percentile(95), "p99": self.percentile(99)},
            "groups": groups,
        });
        println!("{out}");
    }

    fn print_table(&self) {
        println!(
            "{:24} {:16} {:>8} {:>8} {:>10} {:>10}",
            "source", "class", "blocked", "passed", "no verdict", "blocked %"
        );
        for ((source, class), c) in &self.groups {
            let share = 100.0 * c.blocked as f64 / (c.blocked + c.passed).max(1) as f64;
            println!("{source:24} {class:16} {:>8} {:>8} {:>10} {share:>10.2}", c.blocked, c.passed, c.failed);
        }
        println!(
            "{} requests in {:.1} s, {:.0} a second; p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms",
            self.times.len(),
            self.took.as_secs_f64(),
            self.rate(),
            self.percentile(50),
            self.percentile(95),
            self.percentile(99)
        );
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (why, count) in reasons.iter().take(MAX_REASONS) {
            println!("no verdict, {count} times: {why}");
        }
    }
}
