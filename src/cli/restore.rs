//! `weir restore`: reads what `weir backup` wrote into a new store.

use super::error::CliError;
use super::progress::Counted;
use super::sources::SourceArgs;
use super::{EXIT_FAILED, EXIT_OK};
use crate::app::backup::{Backup, BackupError, BackupReport};
use crate::config::Sources;
use clap::Args;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::io::BufReader;

/// Bytes read at once.
const BUFFER: usize = 1 << 20;

/// The file to restore, and the store to restore into. The first lines of the help are at the subcommand.
#[derive(Args, Debug)]
#[command(after_help = "Exit codes:
  0  everything is restored
  1  nothing is restored: the file is damaged, or the store is in use or cannot be written
  2  the command line is wrong")]
pub struct Arguments {
    /// File to read; `-` for standard input.
    file: PathBuf,
    #[command(flatten)]
    control_plane: SourceArgs,
    /// Replace users, policy and settings of a store that is in use. A store with hits is never overwritten.
    #[arg(long)]
    replace: bool,
}

/// Runs the subcommand.
pub fn run(args: Arguments) -> ExitCode {
    let sources = args.control_plane.sources();
    match restore(&sources, &args.file, args.replace) {
        Ok(report) => {
            eprintln!("weir: {} rows of {} tables restored", report.dumped.rows, report.dumped.tables);
            if let (Some(id), Some(problem)) = (report.key_id, report.key_problem) {
                let place = report.key_file.display();
                eprintln!("weir: before the control plane starts, put the key `{id}` at {place}: {problem}");
            }
            ExitCode::from(EXIT_OK)
        }
        Err(error) => {
            super::report(&error);
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// The name of the file, or of standard input.
fn name(file: &Path) -> String {
    if file == Path::new("-") { "<stdin>".to_owned() } else { file.display().to_string() }
}

fn restore(sources: &Sources, file: &Path, replace: bool) -> Result<BackupReport, CliError> {
    let backup = Backup::new(sources)?;
    let opened = if file == Path::new("-") {
        std::io::stdin().as_fd().try_clone_to_owned().map(File::from)
    } else {
        File::open(file)
    };
    let opened = opened.map_err(CliError::file(file))?;
    let input = Counted::new(tokio::fs::File::from_std(opened), "read");
    let done = backup.restore(&mut BufReader::with_capacity(BUFFER, input), replace);
    done.map_err(|error| match error {
        source @ BackupError::Damaged(_) => CliError::NoBackup { name: name(file), source },
        error => error.into(),
    })
}
