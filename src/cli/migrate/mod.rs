//! `weir migrate`: from the settings of other programs to ours.

mod edit;
mod judge;
mod report;
mod table;
mod values;

use clap::{Args, Subcommand};
use std::io::{self, Write};

/// Arguments of `weir migrate`.
#[derive(Args, Debug)]
pub struct MigrateArgs {
    #[command(subcommand)]
    command: MigrateCommand,
}

#[derive(Subcommand, Debug)]
enum MigrateCommand {
    /// Convert a values file of the charts wallarm-node-next 0.5.3 and wallarm-node-native, and report what becomes of each setting.
    Values(values::ValuesArgs),
}

/// Runs the subcommand and answers its exit code. Fails only if `out` cannot be written.
pub fn run(args: &MigrateArgs, out: &mut dyn Write) -> io::Result<u8> {
    match &args.command {
        MigrateCommand::Values(values) => values::run(values, out),
    }
}
