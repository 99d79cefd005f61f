//! `weir migrate values`: what becomes of the values of an older chart, and the file to go on with.

use super::judge::{Fate, Finding, chart_of, judge};
use super::table::{Chart, Known};
use super::{edit, report};
use crate::cli::error::CliError;
use crate::cli::report_format::{ReportArgs, ReportFormat};
use crate::config::tree;
use clap::Args;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Everything carries over, or goes without loss.
const CARRIES: u8 = 0;
/// Something has to be read or decided.
const READ: u8 = 1;
/// The file cannot be used.
const UNUSABLE: u8 = 2;

/// Arguments of `weir migrate values`.
#[derive(Args, Debug)]
#[command(after_help = "Exit codes:
  0  everything carries over, or had no effect
  1  something changes, is unknown, or has to be edited by hand: read the report
  2  the file cannot be read, or nothing in it shows which chart it is for")]
pub struct ValuesArgs {
    /// The values file, or what `helm get values` printed; `-` reads standard input.
    file: PathBuf,
    /// The chart it was written for. Without it, the values have to tell.
    #[arg(long, value_enum)]
    from: Option<Chart>,
    /// Where to write the new values; the file must not exist. It holds what the old one held, secrets too.
    #[arg(long, short, visible_alias = "out", value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    report: ReportArgs,
}

/// Runs it. Fails only if `out` cannot be written.
pub fn run(args: &ValuesArgs, out: &mut dyn Write) -> io::Result<u8> {
    match migrate(args) {
        Ok(Migrated { code, text }) => {
            out.write_all(text.as_bytes())?;
            Ok(code)
        }
        Err(error) => {
            eprintln!("error: {error}");
            Ok(UNUSABLE)
        }
    }
}

struct Migrated {
    code: u8,
    text: String,
}

fn migrate(args: &ValuesArgs) -> Result<Migrated, CliError> {
    let name = args.file.display().to_string();
    let source = read(&args.file)?;
    let root = tree::parse(&source).map_err(|error| CliError::Yaml { name: name.clone(), error })?;
    let chart = args.from.or_else(|| chart_of(&root));
    let chart = chart.ok_or_else(|| CliError::UnknownChart { name: name.clone() })?;
    let findings = judge(&Known::new(), chart, &root);
    let edited = edit::apply(&source, &root, &findings);
    let mut text = match args.report.format() {
        ReportFormat::Human => report::human(&name, chart, &findings),
        ReportFormat::Json => report::json(&name, chart, &findings, &edited.by_hand),
    };
    if let Some(path) = &args.output {
        write(path, &edited.text)?;
        if args.report.format() == ReportFormat::Human {
            text.push_str(&format!("\n{} written. Check it: helm template RELEASE weir -f {0}\n", path.display()));
            for key in &edited.by_hand {
                text.push_str(&format!("Edit it by hand: {key} could not be, since it stands within braces.\n"));
            }
        }
    }
    Ok(Migrated { code: code(&findings, &edited.by_hand, args.output.is_some()), text })
}

fn code(findings: &[Finding], by_hand: &[String], wrote: bool) -> u8 {
    let read =
        findings.iter().any(|f| matches!(f.fate, Fate::Changed | Fate::Unknown) || (f.fate == Fate::Added && !wrote));
    if read || (wrote && !by_hand.is_empty()) { READ } else { CARRIES }
}

fn read(path: &Path) -> Result<String, CliError> {
    let fail = CliError::file(path);
    let mut bytes = Vec::new();
    let limit = tree::MAX_FILE as u64 + 1;
    if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(&fail)?;
    } else {
        File::open(path).map_err(&fail)?.take(limit).read_to_end(&mut bytes).map_err(&fail)?;
    }
    String::from_utf8(bytes).map_err(|_| CliError::Encoding { name: path.display().to_string() })
}

/// Writes a file that only its owner reads: there is a token in it.
fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(CliError::file(path))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
