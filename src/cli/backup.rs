//! `weir backup`: everything that a control plane stores, in one file.

use super::progress::Counted;
use super::sources::SourceArgs;
use super::{EXIT_FAILED, EXIT_OK};
use crate::app::backup::{Backup, Done};
use crate::config::Sources;
use clap::Args;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::io::BufWriter;

/// Bytes gathered before they are written.
const BUFFER: usize = 1 << 20;

/// What to back up, and where to. What its help says first is with the subcommand.
#[derive(Args, Debug)]
#[command(after_help = "Exit codes:
  0  the file is whole
  1  it could not be written, or the store could not be read: nothing is left of it
  2  the command line is wrong")]
pub struct Arguments {
    /// File to write; `-` for standard output.
    file: PathBuf,
    #[command(flatten)]
    control_plane: SourceArgs,
    /// Replace the file if it is there.
    #[arg(long)]
    force: bool,
}

/// Backs up.
pub fn run(args: Arguments) -> ExitCode {
    let sources = args.control_plane.sources();
    match back_up(&sources, &args.file, args.force) {
        Ok(done) => {
            eprintln!("weir: {} rows of {} tables written", done.dumped.rows, done.dumped.tables);
            if let Some(id) = done.key_id {
                let place = done.key_file.display();
                eprintln!("weir: not in it, keep it apart: the key `{id}` that signs policies, {place}");
            }
            ExitCode::from(EXIT_OK)
        }
        Err(why) => {
            eprintln!("weir: {why}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn back_up(sources: &Sources, file: &Path, force: bool) -> Result<Done, String> {
    let backup = Backup::new(sources).map_err(|error| error.to_string())?;
    if file == Path::new("-") {
        let out = io::stdout().as_fd().try_clone_to_owned().map_err(|error| format!("standard output: {error}"))?;
        return dump(&backup, File::from(out));
    }
    let told = |error: io::Error| format!("{}: {error}", file.display());
    if !force && file.exists() {
        return Err(format!("{} is there already: choose another name, or give `--force`", file.display()));
    }
    let mut part = file.as_os_str().to_owned();
    part.push(format!(".{}.part", std::process::id()));
    let part = PathBuf::from(part);
    let made = File::options().write(true).create_new(true).mode(0o600).open(&part).map_err(told)?;
    let synced = made.try_clone().map_err(told)?;
    let settled = dump(&backup, made).and_then(|done| {
        synced.sync_all().and_then(|()| std::fs::rename(&part, file)).map_err(told)?;
        Ok(done)
    });
    if settled.is_err()
        && let Err(error) = std::fs::remove_file(&part)
    {
        eprintln!("weir: {}: {error}", part.display());
    }
    settled
}

fn dump(backup: &Backup, to: File) -> Result<Done, String> {
    let to = BufWriter::with_capacity(BUFFER, tokio::fs::File::from_std(to));
    backup.dump(&mut Counted::new(to, "written")).map_err(|error| error.to_string())
}
