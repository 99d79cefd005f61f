//! `weir backup`: writes everything that a control plane stores to one file.

use super::error::CliError;
use super::progress::Counted;
use super::sources::SourceArgs;
use super::{EXIT_FAILED, EXIT_OK};
use crate::app::backup::{Backup, BackupReport};
use crate::config::Sources;
use clap::Args;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::io::BufWriter;

/// Bytes buffered before they are written.
const BUFFER: usize = 1 << 20;

/// What to back up, and the file to write. The first lines of the help are at the subcommand.
#[derive(Args, Debug)]
#[command(after_help = "Exit codes:
  0  the file is complete
  1  the store could not be read or the file could not be written: no incomplete file is left
  2  the command line is wrong")]
pub struct Arguments {
    /// File to write; `-` for standard output.
    file: PathBuf,
    #[command(flatten)]
    control_plane: SourceArgs,
    /// Overwrite the file if it exists.
    #[arg(long)]
    force: bool,
}

/// Runs the subcommand.
pub fn run(args: Arguments) -> ExitCode {
    let sources = args.control_plane.sources();
    match back_up(&sources, &args.file, args.force) {
        Ok(report) => {
            eprintln!("weir: {} rows of {} tables written", report.dumped.rows, report.dumped.tables);
            if let Some(id) = report.key_id {
                let place = report.key_file.display();
                eprintln!(
                    "weir: not included, keep a copy of it elsewhere: the key `{id}` that signs policies, {place}"
                );
            }
            ExitCode::from(EXIT_OK)
        }
        Err(error) => {
            super::report(&error);
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn back_up(sources: &Sources, file: &Path, force: bool) -> Result<BackupReport, CliError> {
    let backup = Backup::new(sources)?;
    if file == Path::new("-") {
        let out = io::stdout().as_fd().try_clone_to_owned();
        let out = out.map_err(|source| CliError::File { name: "standard output".into(), source })?;
        return dump(&backup, File::from(out));
    }
    if !force && file.exists() {
        return Err(CliError::Exists(file.to_owned()));
    }
    // Written beside the file and renamed when it is complete, so that `file` is never a part of a backup.
    let mut part = file.as_os_str().to_owned();
    part.push(format!(".{}.part", std::process::id()));
    let part = PathBuf::from(part);
    let opened = File::options().write(true).create_new(true).mode(0o600).open(&part).map_err(CliError::file(file))?;
    let synced = opened.try_clone().map_err(CliError::file(file))?;
    let written = dump(&backup, opened).and_then(|report| {
        synced.sync_all().and_then(|()| std::fs::rename(&part, file)).map_err(CliError::file(file))?;
        Ok(report)
    });
    if written.is_err()
        && let Err(error) = std::fs::remove_file(&part)
    {
        eprintln!("error: {}: {error}", part.display());
    }
    written
}

fn dump(backup: &Backup, to: File) -> Result<BackupReport, CliError> {
    let to = BufWriter::with_capacity(BUFFER, tokio::fs::File::from_std(to));
    Ok(backup.dump(&mut Counted::new(to, "written"))?)
}
