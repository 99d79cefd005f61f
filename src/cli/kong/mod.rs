//! `weir kong`: checks of a Kong configuration with the plugins of this version.

mod fields;
mod instances;
mod judge;
mod values;

use crate::cli::report_format::{ReportArgs, ReportFormat};
use crate::config::tree::{self, Mark, Node, SyntaxError};
use crate::config::{Report, Severity};
use clap::{Args, Subcommand};
use judge::diagnostic;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

/// Arguments of `weir kong`.
#[derive(Args, Debug)]
pub struct KongArgs {
    #[command(subcommand)]
    command: KongCommand,
}

#[derive(Subcommand, Debug)]
enum KongCommand {
    /// Name each instance of kong-lua and kong-lua-response that the plugins of this version would refuse.
    ///
    /// Run it before an upgrade of the plugins: Kong without a database refuses its whole configuration because of one
    /// instance.
    #[command(after_help = "Exit codes:
  0  every instance would be accepted
  1  one or more would not, or the file cannot be read
  2  the command line is wrong")]
    Check(CheckArgs),
}

#[derive(Args, Debug)]
struct CheckArgs {
    /// A declarative configuration (kong.yml), or manifests with KongPlugin and KongClusterPlugin; `-` reads standard
    /// input.
    file: PathBuf,
    #[command(flatten)]
    report: ReportArgs,
}

/// Runs the subcommand and answers its exit code. Fails only if `out` cannot be written.
pub fn run(args: &KongArgs, out: &mut dyn Write) -> io::Result<u8> {
    let KongCommand::Check(check) = &args.command;
    let report = match read(&check.file) {
        Ok((name, text)) => examine(name, text),
        Err(error) => {
            let message = format!("{} cannot be read: {error}", check.file.display());
            let mut report = Report { file: Some(check.file.display().to_string()), ..Report::default() };
            report.diagnostics.push(diagnostic(Severity::Error, message, String::new(), Mark::default()));
            report
        }
    };
    let text = match check.report.format() {
        ReportFormat::Human => report.render(),
        ReportFormat::Json => report.json(),
    };
    out.write_all(text.as_bytes())?;
    Ok(if report.failed() { super::EXIT_FAILED } else { super::EXIT_OK })
}

/// The name and the text of a file, as far as it will be read.
fn read(path: &Path) -> io::Result<(String, String)> {
    let mut text = String::new();
    let limit = tree::MAX_FILE as u64 + 1;
    if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_string(&mut text)?;
        return Ok(("<stdin>".into(), text));
    }
    std::fs::File::open(path)?.take(limit).read_to_string(&mut text)?;
    Ok((path.display().to_string(), text))
}

/// Checks every instance in `text`.
fn examine(name: String, text: String) -> Report {
    let mut report = Report { file: Some(name), source: text, ..Report::default() };
    let mut found = 0;
    match documents(&report.source) {
        Err(SyntaxError { mark, message }) => {
            report.diagnostics.push(diagnostic(Severity::Error, message, String::new(), mark));
        }
        Ok(documents) => {
            for document in &documents {
                let instances = instances::find(document);
                found += instances.len();
                for instance in &instances {
                    report.diagnostics.extend(judge::instance(instance, &report.source));
                }
            }
            if found == 0 {
                let message = "no instance of kong-lua or kong-lua-response in this file".to_owned();
                report.diagnostics.push(diagnostic(Severity::Warning, message, String::new(), Mark::default()));
            }
        }
    }
    report.settle();
    report
}

/// The documents of a file, each with the positions of the whole file.
fn documents(text: &str) -> Result<Vec<Node>, SyntaxError> {
    if text.len() > tree::MAX_FILE {
        return tree::parse(text).map(|node| vec![node]);
    }
    let mut out = Vec::new();
    let (mut part, mut line) = (String::new(), 0);
    for (number, written) in text.split_inclusive('\n').enumerate() {
        // At the start of a line, this cannot be part of a value.
        let rest = written.strip_prefix("---");
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)) {
            out.push(parse_at(&part, line)?);
            part.clear();
            line = number + 1;
        } else {
            part.push_str(written);
        }
    }
    out.push(parse_at(&part, line)?);
    Ok(out)
}

/// Parses a part of a file that begins after `line` lines.
fn parse_at(part: &str, line: usize) -> Result<Node, SyntaxError> {
    let mut node = tree::parse(part).map_err(|mut error| {
        if error.mark.line > 0 {
            error.mark.line += line;
        }
        error
    })?;
    shift(&mut node, line);
    Ok(node)
}

/// Moves the positions of a tree down by `lines`. The tree is no deeper than its parser allows.
fn shift(node: &mut Node, lines: usize) {
    node.mark.line += if node.mark.line > 0 { lines } else { 0 };
    match &mut node.value {
        tree::Value::List(items) => items.iter_mut().for_each(|item| shift(item, lines)),
        tree::Value::Map(entries) => {
            for entry in entries {
                entry.mark.line += lines;
                shift(&mut entry.node, lines);
            }
        }
        tree::Value::Null | tree::Value::Scalar(_) => {}
    }
}

#[cfg(test)]
mod tests;
