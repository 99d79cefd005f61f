//! `weir inspect`: the verdict on a request, with every decoding step, point, finding and rule.

use super::error::CliError;
use super::judge::{Judge, JudgeRules, Judgement};
use super::readers::{self, Form, Sample};
use super::sources::SourceArgs;
use super::{EXIT_FAILED, EXIT_OK, EXIT_USAGE};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use weir_core::engine::Scratch;
use weir_core::model::bytes::printable;
use weir_core::model::{Confidence, Finding};
use weir_policy::Action;

/// Exit codes, for the help.
const EXIT_CODES: &str = "Exit codes:
  0  every request passes
  1  one request or more would be blocked
  2  the command line, a request, the configuration, a rule file or the policy cannot be used";

/// Arguments of `weir inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
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
    /// Policy file to judge by, in place of `policy.file` of the configuration.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Address that the gateway sees as its client; `proxy_headers` of the configuration apply.
    #[arg(long, value_name = "IP", default_value = "203.0.113.1")]
    pub client: IpAddr,
    /// Configuration of the node whose verdict is to be given.
    #[command(flatten)]
    pub sources: SourceArgs,
}

/// Runs it. Exit codes: 0 every request passes, 1 one or more would be blocked, 2 input, rules or policy are unusable.
pub fn run(arguments: &Arguments) -> ExitCode {
    match judge_all(arguments) {
        Ok(true) => ExitCode::from(EXIT_FAILED),
        Ok(false) => ExitCode::from(EXIT_OK),
        Err(error) => {
            super::report(&error);
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn judge_all(arguments: &Arguments) -> Result<bool, CliError> {
    let sources = arguments.sources.clone().sources();
    let rules = JudgeRules::configured(&sources, &arguments.rules, arguments.policy.as_deref())?;
    let judge = Judge { rules: &rules, client: arguments.client, explain: !arguments.quiet };
    let mut blocked = false;
    for file in &arguments.files {
        let samples = readers::read(&input(file)?, arguments.form).map_err(CliError::requests(file))?;
        if arguments.files.len() > 1 && !arguments.json && !say(&format!("{}\n", file.display())) {
            break;
        }
        blocked |= judge_file(file, &samples, arguments, &judge);
    }
    Ok(blocked)
}

/// Writes `text`; false where no one reads it any more.
fn say(text: &str) -> bool {
    std::io::stdout().lock().write_all(text.as_bytes()).is_ok()
}

/// Judges the requests of one file; true if one would be blocked.
fn judge_file(file: &Path, samples: &[Sample], arguments: &Arguments, judge: &Judge<'_>) -> bool {
    let mut scratch = Scratch::default();
    let mut blocked = false;
    for (number, sample) in samples.iter().enumerate() {
        let judged = Judged { file, sample, judgement: judge.judge(&sample.raw, &mut scratch) };
        blocked |= judged.judgement.verdict.action == Action::Block;
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

/// A request and what was found out about it.
struct Judged<'s> {
    file: &'s Path,
    sample: &'s Sample,
    judgement: Judgement<'s>,
}

impl Judged<'_> {
    fn json(&self) -> String {
        let value = serde_json::json!({
            "file": self.file.display().to_string(),
            "id": self.sample.id,
            "method": printable(self.judgement.message.method, 64),
            "target": printable(self.judgement.message.target, 2048),
            "verdict": self.action(),
            "attacks": self.judgement.verdict.attacks,
            "findings": self.judgement.verdict.findings,
            "inspection": self.judgement.inspection,
            "reply": self.judgement.verdict.reply.as_ref().map(|reply| serde_json::json!({
                "status": reply.status, "headers": reply.headers, "body": String::from_utf8_lossy(&reply.body),
            })),
            "microseconds": self.judgement.micros.round(),
        });
        format!("{value}\n")
    }

    fn action(&self) -> &'static str {
        if self.judgement.verdict.action == Action::Block { "block" } else { "pass" }
    }

    fn text(&self, number: usize, total: usize, quiet: bool) -> String {
        let attacks: Vec<&str> = self.judgement.verdict.attacks.iter().map(|a| a.code()).collect();
        let name = self.sample.id.clone().unwrap_or_else(|| (number + 1).to_string());
        let mut out = format!(
            "{:5}  {}  {} {}  {}\n",
            self.action(),
            if total > 1 { name } else { String::new() },
            printable(self.judgement.message.method, 20),
            printable(self.judgement.message.target, 100),
            attacks.join(",")
        );
        if !quiet {
            self.reply(&mut out);
            self.findings(&mut out);
            self.gaps(&mut out);
            self.steps(&mut out);
            out.push('\n');
        }
        out
    }

    /// What the client of a blocked request gets.
    fn reply(&self, out: &mut String) {
        let Some(reply) = &self.judgement.verdict.reply else { return };
        let _ = writeln!(out, "\nreply: {}", reply.status);
        for (name, value) in &reply.headers {
            let _ = writeln!(out, "  {name}: {value}");
        }
        for line in String::from_utf8_lossy(&reply.body).lines() {
            let _ = writeln!(out, "  | {}", printable(line.as_bytes(), 200));
        }
    }

    fn findings(&self, out: &mut String) {
        // What counts by the policy, then what an exception leaves out.
        let excepted = self.judgement.inspection.findings.iter().filter(|found| {
            !self.judgement.verdict.findings.iter().any(|kept| kept.rule == found.rule && kept.point == found.point)
        });
        let all: Vec<(&Finding, bool)> = self
            .judgement
            .verdict
            .findings
            .iter()
            .map(|one| (one, true))
            .chain(excepted.map(|one| (one, false)))
            .collect();
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
        for anomaly in &self.judgement.inspection.anomalies {
            let _ = writeln!(out, "anomaly: {} {}", anomaly.kind.code(), anomaly.point);
        }
        for gap in &self.judgement.inspection.not_inspected {
            let _ = writeln!(out, "not inspected: {} {}", gap.reason.code(), gap.point);
        }
    }

    fn steps(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "\ndecoding ({} values, {} work units, {:.0} us; `-` marks a value whose contents stand below)",
            self.judgement.inspection.values, self.judgement.inspection.work, self.judgement.micros
        );
        for step in &self.judgement.inspection.steps {
            let mark = if step.scanned { ' ' } else { '-' };
            let _ = writeln!(out, " {mark} {}\n       {}", step.point, step.value);
            for (name, view) in &step.views {
                let _ = writeln!(out, "       {name}: {view}");
            }
        }
    }
}
