//! `weir`, `weir run`: the node.

use super::sources::SourceArgs;
use super::{EXIT_FAILED, EXIT_OK, EXIT_UNANSWERED};
use crate::app::Role;
use std::process::ExitCode;

/// Runs the node until it is told to stop.
pub fn run(args: SourceArgs, role: Role) -> ExitCode {
    match crate::app::run(args.sources(), role) {
        Ok(true) => ExitCode::from(EXIT_OK),
        Ok(false) => ExitCode::from(EXIT_UNANSWERED),
        Err(error) => {
            eprintln!("weir: {error}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}
