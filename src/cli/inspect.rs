//! `weir inspect`: the verdict on a request, with every decoding step, point, finding and rule.

use super::error::CliError;
use super::readers::{self, Form, Sample};
use super::rules;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use weir_core::engine::{self, Scratch};
use weir_core::model::bytes::printable;
use weir_core::model::{Confidence, Finding, Inspection, Message};
use weir_core::parse::{facts, message};
use weir_core::ruleset::RuleError;
use weir_core::ruleset::custom::CompiledSignature;
use weir_policy::{Action, Policy, PolicyDoc, RequestContext, Settings, Source, Verdict};

/// Arguments of `weir inspect`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Files with one or more requests each, or `-` for standard input.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Form of the input.
    #[arg(long, value_enum, default_value = "auto")]
    pub form: Form,
    /// Print JSON, one object a request.
    #[arg(long)]
    pub json: bool,
    /// Print only the verdict line of each request.
    #[arg(long, short, conflicts_with = "json")]
    pub quiet: bool,
    /// Directory of further rule files; may be given several times.
    #[arg(long = "rules", value_name = "DIR")]
    pub rules: Vec<PathBuf>,
    /// Policy file to judge by; without one, everything is judged in blocking mode.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Client address to judge as.
    #[arg(long, value_name = "IP", default_value = "203.0.113.1")]
    pub client: IpAddr,
}

/// Runs it. Exit codes: 0 every request passes, 1 one or more would be blocked, 2 input, rules or policy are unusable.
pub fn run(arguments: &Arguments) -> ExitCode {
    match judge_all(arguments) {
        Ok(blocked) => ExitCode::from(u8::from(blocked)),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn judge_all(arguments: &Arguments) -> Result<bool, CliError> {
    let policy = policy(arguments.policy.as_deref())?;
    let ruleset = rules::load_with(&arguments.rules, signatures(&policy)?).map_err(CliError::Rules)?;
    let mut blocked = false;
    for file in &arguments.files {
        let samples = readers::read(&input(file)?, arguments.form).map_err(CliError::requests(file))?;
        if arguments.files.len() > 1 && !arguments.json && !say(&format!("{}\n", file.display())) {
            break;
        }
        blocked |= judge_file(&samples, arguments, &ruleset, &policy);
    }
    Ok(blocked)
}

/// Writes `text`; false where no one reads it any more.
fn say(text: &str) -> bool {
    std::io::stdout().lock().write_all(text.as_bytes()).is_ok()
}

/// The user's signatures in `policy`: rules of type `regex` and `experimental_regex`.
fn signatures(policy: &Policy) -> Result<Vec<CompiledSignature>, CliError> {
    let compiled =
        policy.custom_signatures().into_iter().map(|own| {
            CompiledSignature::new(&own.name(), own.attack, &own.pattern, own.points.clone()).map_err(|error| {
                RuleError { file: "policy".into(), line: 0, column: 0, message: format!("rule {}: {error}", own.rule) }
            })
        });
    compiled.collect::<Result<Vec<_>, _>>().map_err(|error| CliError::Rules(vec![error]))
}

/// Judges the requests of one file; true if one would be blocked.
fn judge_file(
    samples: &[Sample],
    arguments: &Arguments,
    ruleset: &weir_core::ruleset::Ruleset,
    policy: &Policy,
) -> bool {
    let mut scratch = Scratch::default();
    let mut blocked = false;
    for (number, sample) in samples.iter().enumerate() {
        let judged = Judged::new(sample, arguments, ruleset, policy, &mut scratch);
        blocked |= judged.verdict.action == Action::Block;
        let text = if arguments.json { judged.json() } else { judged.text(number, samples.len(), arguments.quiet) };
        if !say(&text) {
            break;
        }
    }
    blocked
}

fn input(path: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(readers::MAX_INPUT + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(readers::MAX_INPUT + 1).read_to_end(&mut bytes))
    };
    read.map_err(CliError::file(path))?;
    if bytes.len() as u64 > readers::MAX_INPUT {
        return Err(CliError::TooLarge { name: path.display().to_string(), limit: readers::MAX_INPUT });
    }
    Ok(bytes)
}

fn policy(path: Option<&Path>) -> Result<Policy, CliError> {
    let Some(path) = path else {
        return Policy::compile(&Settings::default(), None).map_err(CliError::Policy);
    };
    let text = std::fs::read_to_string(path).map_err(CliError::file(path))?;
    let doc = PolicyDoc::parse(&path.display().to_string(), &text).map_err(CliError::Policy)?;
    Policy::compile(&Settings::default(), Some(&doc)).map_err(CliError::Policy)
}

/// A request and what was found out about it.
struct Judged<'s> {
    sample: &'s Sample,
    message: Message<'s>,
    inspection: Inspection,
    verdict: Verdict,
    micros: f64,
}

impl<'s> Judged<'s> {
    fn new(
        sample: &'s Sample,
        arguments: &Arguments,
        ruleset: &weir_core::ruleset::Ruleset,
        policy: &Policy,
        scratch: &mut Scratch,
    ) -> Self {
        let message = message::request(&sample.raw);
        let facts = facts::facts(&message);
        let now = weir_runtime::clock::now_seconds();
        let client = Some(arguments.client);
        let head = RequestContext {
            message: &message,
            facts: &facts,
            client,
            source: Source::default(),
            now,
            blocking: true,
            request_id: "inspect",
        };
        let plan = policy.plan(&head);
        let begin = Instant::now();
        // Explaining takes its time: the steps are worth more here than the time limit of the service.
        let orders = engine::InspectionOptions {
            limits: plan.limits.clone(),
            parsing: weir_core::parse::extract::ParseOptions {
                parsers_off: plan.parsers_off,
                parsers_off_at: &plan.parsers_off_at,
                ..Default::default()
            },
            skip_libinjection: !plan.libdetection,
            explain: !arguments.quiet,
        };
        let inspection = match plan.bypass {
            None => engine::inspect(&message, ruleset, &orders, scratch, &|| false),
            Some(_) => Inspection::default(),
        };
        let micros = begin.elapsed().as_secs_f64() * 1e6;
        let verdict = policy.decide(&head, &plan, plan.bypass.is_none().then_some(&inspection));
        Self { sample, message, inspection, verdict, micros }
    }

    fn json(&self) -> String {
        let value = serde_json::json!({
            "id": self.sample.id,
            "method": printable(self.message.method, 64),
            "target": printable(self.message.target, 2048),
            "verdict": self.action(),
            "attacks": self.verdict.attacks,
            "findings": self.verdict.findings,
            "inspection": self.inspection,
            "microseconds": self.micros.round(),
        });
        format!("{value}\n")
    }

    fn action(&self) -> &'static str {
        if self.verdict.action == Action::Block { "block" } else { "pass" }
    }

    fn text(&self, number: usize, total: usize, quiet: bool) -> String {
        let attacks: Vec<&str> = self.verdict.attacks.iter().map(|a| a.code()).collect();
        let name = self.sample.id.clone().unwrap_or_else(|| (number + 1).to_string());
        let mut out = format!(
            "{:5}  {}  {} {}  {}\n",
            self.action(),
            if total > 1 { name } else { String::new() },
            printable(self.message.method, 20),
            printable(self.message.target, 100),
            attacks.join(",")
        );
        if !quiet {
            self.findings(&mut out);
            self.gaps(&mut out);
            self.steps(&mut out);
            out.push('\n');
        }
        out
    }

    fn findings(&self, out: &mut String) {
        // What counts by the policy, then what an exception leaves out.
        let excepted = self.inspection.findings.iter().filter(|found| {
            !self.verdict.findings.iter().any(|kept| kept.rule == found.rule && kept.point == found.point)
        });
        let all: Vec<(&Finding, bool)> =
            self.verdict.findings.iter().map(|one| (one, true)).chain(excepted.map(|one| (one, false))).collect();
        out.push_str(if all.is_empty() { "\nfindings: none\n" } else { "\nfindings\n" });
        for (finding, counts) in all {
            let sure = match (counts && finding.decisive, finding.confidence) {
                _ if !counts => "left out by an exception",
                (true, _) => "attack",
                (false, Confidence::Low) => "low, alone no attack",
                (false, _) => "medium, alone no attack",
            };
            let _ = writeln!(out, "  {}  {}  ({sure})", finding.attack, finding.rule);
            let _ = writeln!(out, "      at       {}", finding.point);
            let _ = writeln!(out, "      matched  {}", finding.matched);
        }
    }

    fn gaps(&self, out: &mut String) {
        for anomaly in &self.inspection.anomalies {
            let _ = writeln!(out, "anomaly: {} {}", anomaly.kind.code(), anomaly.point);
        }
        for gap in &self.inspection.not_inspected {
            let _ = writeln!(out, "not inspected: {} {}", gap.reason.code(), gap.point);
        }
    }

    fn steps(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "\ndecoding ({} values, {} work units, {:.0} us; `-` marks a value whose contents stand below)",
            self.inspection.values, self.inspection.work, self.micros
        );
        for step in &self.inspection.steps {
            let mark = if step.scanned { ' ' } else { '-' };
            let _ = writeln!(out, " {mark} {}\n       {}", step.point, step.value);
            for (name, view) in &step.views {
                let _ = writeln!(out, "       {name}: {view}");
            }
        }
    }
}
