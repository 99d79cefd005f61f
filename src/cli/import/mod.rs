//! `weir import`: compiles rules of other programs to rule files.

mod compile;
mod crowdsec;
mod emit;
mod model;
mod pcre;
mod report;
mod sample;
mod seclang;

use super::error::CliError;
use super::ignore_closed_pipe;
use super::report_format::{ReportArgs, ReportFormat};
use clap::{Args, Subcommand};
use model::{Collected, SourceFile};
use report::Report;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use weir_core::model::AttackType;

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 16 << 20;
/// Most files that are read from directories.
const MAX_FILES: usize = 20_000;
/// Deepest directory that is looked into.
const MAX_DEPTH: usize = 16;

/// Arguments of `weir import`.
#[derive(Args, Debug)]
pub struct ImportArgs {
    #[command(subcommand)]
    from: From,
}

#[derive(Subcommand, Debug)]
enum From {
    /// SecRule files of ModSecurity and Coraza.
    Seclang {
        /// What to read and write.
        #[command(flatten)]
        arguments: Arguments,
        /// Paranoia level whose rules are taken, of a rule set that has such levels.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
        paranoia_level: u8,
    },
    /// AppSec rules of CrowdSec in YAML.
    Crowdsec {
        /// What to read and write.
        #[command(flatten)]
        arguments: Arguments,
    },
}

/// What both forms have in common.
#[derive(Args, Debug)]
#[command(after_help = "Exit codes:
  0  every rule was taken, exactly or approximated
  1  some rules were refused: the report says why
  2  a file cannot be read or written

docs/import.md says what is taken.")]
struct Arguments {
    /// Files, or directories of such files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Directory for `rules.yaml` and, where rules have exceptions, `policy.yaml`. Without it nothing is written.
    #[arg(long, short, visible_alias = "output", value_name = "DIR")]
    out: Option<PathBuf>,
    /// Overwrite files of an earlier import.
    #[arg(long, requires = "out")]
    force: bool,
    /// Attack type of rules that do not say what they are against.
    #[arg(long, value_name = "TYPE", default_value = "protocol", value_parser = attack_type)]
    attack: AttackType,
    #[command(flatten)]
    report: ReportArgs,
}

fn attack_type(text: &str) -> Result<AttackType, String> {
    AttackType::from_code(text).ok_or_else(|| "expected an attack type, e.g. rce; `weir rules list` shows them".into())
}

/// Runs it; the exit codes are in the help.
pub fn run(args: &ImportArgs) -> ExitCode {
    match import(args) {
        Ok((text, code)) => ignore_closed_pipe(std::io::stdout().lock().write_all(text.as_bytes()).map(|()| code)),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn import(args: &ImportArgs) -> Result<(String, u8), CliError> {
    let (arguments, collected) = match &args.from {
        From::Seclang { arguments, paranoia_level } => {
            let files = read_all(&arguments.files, &["conf", "data"])?;
            (arguments, seclang::read(&files, *paranoia_level, arguments.attack))
        }
        From::Crowdsec { arguments } => {
            let files = read_all(&arguments.files, &["yaml", "yml"])?;
            (arguments, crowdsec::read(&files, arguments.attack))
        }
    };
    let Collected { rules, exceptions, mut entries } = collected;
    let mut emitted = emit::Emitted::default();
    for rule in rules {
        entries.push(emitted.add(rule));
    }
    let policy = emitted.policy(exceptions, &mut entries);
    entries.sort_by_key(|entry| (entry.order, entry.line));
    let report = Report { entries: &entries };
    if let Some(folder) = &arguments.out {
        fs::create_dir_all(folder).map_err(CliError::file(folder))?;
        write(&folder.join("rules.yaml"), &emitted.text, arguments.force)?;
        if let Some(policy) = &policy {
            write(&folder.join("policy.yaml"), policy, arguments.force)?;
        }
    }
    let text = match arguments.report.format() {
        ReportFormat::Human => report.text(arguments.out.as_deref(), policy.is_some()),
        ReportFormat::Json => format!("{}\n", report.json()),
    };
    Ok((text, u8::from(report.refused() > 0)))
}

fn write(path: &Path, text: &str, force: bool) -> Result<(), CliError> {
    if path.exists() && !force {
        return Err(CliError::Exists(path.to_owned()));
    }
    fs::write(path, text).map_err(CliError::file(path))
}

/// The files of `paths`, those of directories by the ends of their names.
fn read_all(paths: &[PathBuf], ends: &[&str]) -> Result<Vec<SourceFile>, CliError> {
    let mut names = Vec::new();
    for path in paths {
        if path.is_dir() { walk(path, ends, 0, &mut names)? } else { names.push(path.clone()) }
    }
    names.into_iter().map(|name| read_file(&name)).collect()
}

fn walk(folder: &Path, ends: &[&str], depth: usize, found: &mut Vec<PathBuf>) -> Result<(), CliError> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(CliError::file(folder))? {
        entries.push(entry.map_err(CliError::file(folder))?.path());
    }
    entries.sort();
    for entry in entries {
        if found.len() >= MAX_FILES {
            return Ok(());
        }
        if entry.is_dir() {
            if depth < MAX_DEPTH {
                walk(&entry, ends, depth + 1, found)?;
            }
        } else if entry.extension().is_some_and(|end| ends.iter().any(|wanted| end == *wanted)) {
            found.push(entry);
        }
    }
    Ok(())
}

fn read_file(path: &Path) -> Result<SourceFile, CliError> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    read.map_err(CliError::file(path))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(CliError::TooLarge { name: path.display().to_string(), limit: MAX_FILE });
    }
    // Word lists of old rule sets are not always UTF-8.
    Ok(SourceFile { path: path.to_owned(), text: String::from_utf8_lossy(&bytes).into_owned() })
}

#[cfg(test)]
mod tests;
