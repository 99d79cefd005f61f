//! `weir eval`: detection and false positives on labelled requests, in this process.

mod changes;
mod corpus;
mod judging;
mod markdown;
mod outcome;
mod rates;
mod report;
mod text;

pub(super) use outcome::{Outcome, read_run};

use super::error::CliError;
use super::ignore_closed_pipe;
use super::judge::JudgeRules;
use changes::Changes;
use report::{Groups, Report};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `weir eval`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes:
  0  evaluated
  1  with --compare: a request that was judged rightly is judged wrongly now
  2  a corpus, rule file, policy or run cannot be used

docs/evaluation.md describes the forms of a corpus and what is counted.")]
pub struct Arguments {
    /// Files of requests as JSON lines, tables of raw requests (.tsv), or directories of such files.
    #[arg(required = true, value_name = "CORPUS")]
    pub corpora: Vec<PathBuf>,
    /// Directory of further rule files; may be given several times.
    #[arg(long = "rules", value_name = "DIR")]
    pub rules: Vec<PathBuf>,
    /// Leave out the built-in signatures, to measure a changed copy of them that `--rules` names.
    #[arg(long, requires = "rules")]
    pub no_builtin_rules: bool,
    /// Policy file to judge by; without one, everything is judged in blocking mode.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Sources whose name starts so are listed, but not counted in the rates above them: their labels are loose.
    #[arg(long, value_name = "PREFIX")]
    pub uncounted: Vec<String>,
    /// Sources whose name starts so were kept apart while rules were written: rates are also given without and for them.
    #[arg(long, value_name = "PREFIX")]
    pub held_out: Vec<String>,
    /// Explain attacks that pass, at most N.
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "20")]
    pub misses: Option<usize>,
    /// Explain ordinary requests that are blocked, at most N.
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "20")]
    pub alarms: Option<usize>,
    /// Form of the report.
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// Print JSON, as `--format json` does.
    #[arg(long)]
    pub json: bool,
    /// Write the verdict on each request to a file, for `--compare` and `weir rules stats`.
    #[arg(long, value_name = "RUN")]
    pub save: Option<PathBuf>,
    /// Show which verdicts differ from those of a saved run.
    #[arg(long, value_name = "RUN")]
    pub compare: Option<PathBuf>,
    /// Write every finding to a table: id, class, source, attack, weight, rule, point, matched.
    #[arg(long, value_name = "FILE")]
    pub findings: Option<PathBuf>,
    /// Threads; all cores unless given.
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

/// The value of `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Tables for a terminal.
    Text,
    /// One JSON object.
    Json,
    /// The page `docs/scorecard.md`.
    Markdown,
}

/// Runs it; the exit codes are in the help.
pub fn run(arguments: &Arguments) -> ExitCode {
    match evaluate(arguments) {
        Ok((report, code)) => {
            let mut out = std::io::stdout().lock();
            ignore_closed_pipe(out.write_all(report.as_bytes()).map(|()| code))
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// The report and the exit code.
fn evaluate(arguments: &Arguments) -> Result<(String, u8), CliError> {
    let before = arguments.compare.as_deref().map(read_run).transpose()?;
    let files = corpus::expand(&arguments.corpora)?;
    let rules = JudgeRules::load(&arguments.rules, !arguments.no_builtin_rules, arguments.policy.as_deref())?;
    let run = judging::judge_all(&files, &rules, arguments)?;
    if let Some(path) = &arguments.save {
        outcome::save_run(path, &run.outcomes)?;
    }
    if let Some(path) = &arguments.findings {
        save_findings(path, &run.outcomes)?;
    }
    let changes = before.map(|before| Changes::between(&before, &run.outcomes));
    let groups = Groups { uncounted: &arguments.uncounted, held_out: &arguments.held_out };
    let report = Report::new(&run, groups, changes);
    let format = if arguments.json { Format::Json } else { arguments.format };
    let text = match format {
        Format::Text => text::render(&report, &run.outcomes, arguments),
        Format::Json => format!("{}\n", report.json(&run.outcomes, arguments)),
        Format::Markdown => markdown::render(&report),
    };
    let worse = report.changes.as_ref().is_some_and(|changes| changes.worse() > 0);
    Ok((text, u8::from(worse)))
}

fn save_findings(path: &Path, outcomes: &[Outcome]) -> Result<(), CliError> {
    let mut out = BufWriter::new(File::create(path).map_err(CliError::file(path))?);
    for outcome in outcomes {
        outcome.write_findings(&mut out).map_err(CliError::file(path))?;
    }
    out.flush().map_err(CliError::file(path))
}

#[cfg(test)]
mod tests;
