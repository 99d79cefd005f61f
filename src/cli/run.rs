//! `weir`, `weir run`: the node.

use super::sources::SourceArgs;
use super::{EXIT_FAILED, EXIT_OK, EXIT_UNANSWERED};
use crate::app::{Outcome, Role};
use std::process::ExitCode;

/// Runs `role` until a signal stops it.
pub fn run(args: SourceArgs, role: Role) -> ExitCode {
    match crate::app::run(args.sources(), role) {
        Ok(Outcome::Drained) => ExitCode::from(EXIT_OK),
        Ok(Outcome::Unanswered) => ExitCode::from(EXIT_UNANSWERED),
        Err(error) => {
            super::report(&error);
            ExitCode::from(EXIT_FAILED)
        }
    }
}
