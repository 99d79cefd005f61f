//! `weir restore`: what `weir backup` wrote, into a new store.

use super::progress::Counted;
use super::sources::SourceArgs;
use super::{EXIT_FAILED, EXIT_OK};
use crate::app::backup::{Backup, Done};
use crate::config::Sources;
use clap::Args;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::io::BufReader;

/// Bytes read at once.
const BUFFER: usize = 1 << 20;

/// What to restore, and where to. What its help says first is with the subcommand.
#[derive(Args, Debug)]
#[command(after_help = "Exit codes:
  0  everything is restored
  1  it is not: the file is damaged, the store is in use, or it could not be written
  2  the command line is wrong")]
pub struct Arguments {
    /// File to read; `-` for standard input.
    file: PathBuf,
    #[command(flatten)]
    control_plane: SourceArgs,
    /// Replace users, policy and settings of a store that is in use. One with hits is never written to.
    #[arg(long)]
    replace: bool,
}

/// Restores.
pub fn run(args: Arguments) -> ExitCode {
    let sources = args.control_plane.sources();
    match restore(&sources, &args.file, args.replace) {
        Ok(done) => {
            eprintln!("weir: {} rows of {} tables restored", done.dumped.rows, done.dumped.tables);
            if let (Some(id), Some(trouble)) = (done.key_id, done.key_trouble) {
                let place = done.key_file.display();
                eprintln!("weir: before the control plane starts, put the key `{id}` to {place}: {trouble}");
            }
            ExitCode::from(EXIT_OK)
        }
        Err(why) => {
            eprintln!("weir: {why}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn restore(sources: &Sources, file: &Path, replace: bool) -> Result<Done, String> {
    let backup = Backup::new(sources).map_err(|error| error.to_string())?;
    let opened = if file == Path::new("-") {
        std::io::stdin().as_fd().try_clone_to_owned().map(File::from)
    } else {
        File::open(file)
    };
    let opened = opened.map_err(|error| format!("{}: {error}", file.display()))?;
    let input = Counted::new(tokio::fs::File::from_std(opened), "read");
    backup.restore(&mut BufReader::with_capacity(BUFFER, input), replace).map_err(|error| error.to_string())
}
