//! `weir`, `weir run`: the node.

use super::{EXIT_FAILED, EXIT_OK, EXIT_UNANSWERED};
use crate::app::Role;
use crate::config::{Flag, Sources};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// What a run is started with.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Configuration file (YAML). Without it, built-in defaults and the environment.
    #[arg(short, long, env = "WEIR_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set a key, above file and environment: `--set connector.address=:5001`. May be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = super::config::flag)]
    set: Vec<Flag>,
}

/// Runs the node until it is told to stop.
pub fn run(args: RunArgs, role: Role) -> ExitCode {
    let sources = Sources { file: args.config, environment: crate::config::environment(), flags: args.set };
    match crate::app::run(sources, role) {
        Ok(true) => ExitCode::from(EXIT_OK),
        Ok(false) => ExitCode::from(EXIT_UNANSWERED),
        Err(error) => {
            eprintln!("weir: {error}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}
