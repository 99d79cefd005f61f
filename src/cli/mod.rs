//! The command line: one file for each subcommand.

mod admin;
mod backup;
mod catalogue;
pub mod config;
mod cve_index;
pub mod error;
pub mod eval;
mod import;
pub mod inspect;
mod judge;
pub mod kong;
pub mod migrate;
pub mod policy;
mod progress;
pub mod readers;
pub mod replay;
mod report_format;
mod restore;
mod rule_loading;
mod rule_stats;
pub mod rules;
mod run;
mod sources;

use crate::app::Role;
use clap::{Parser, Subcommand};
use sources::SourceArgs;
use std::process::ExitCode;

/// Success.
pub const EXIT_OK: u8 = 0;
/// The command failed; the reason is on standard error.
pub const EXIT_FAILED: u8 = 1;
/// The command line is wrong.
pub const EXIT_USAGE: u8 = 2;
/// Stopped with calls left unanswered.
pub const EXIT_UNANSWERED: u8 = 3;
/// What was compared differs.
pub const EXIT_DIFFERENT: u8 = 4;
/// The change has to be confirmed.
pub const EXIT_UNCONFIRMED: u8 = 5;

/// A self-hosted API-security filtering node.
///
/// Without a subcommand it runs the node. A gateway posts each request to its API and acts on the answer.
#[derive(Parser, Debug)]
#[command(name = "weir", version, args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: SourceArgs,
}

const EXIT_CODES: &str = "Exit codes of the node:
  0  stopped, every call under way was answered
  1  it could not start: configuration, rules, certificate or address
  2  the command line is wrong
  3  stopped before every call under way was answered";

#[derive(Subcommand, Debug)]
enum Command {
    /// Run everything in one process (the default): inspection, and a control plane on an embedded database.
    Run(SourceArgs),
    /// Run inspection alone: the API for gateways.
    Processing(SourceArgs),
    /// Take events from nodes and give them policy, on behalf of a control plane.
    Aggregation(SourceArgs),
    /// Run the control plane alone: Console, API and store.
    ControlPlane(SourceArgs),
    /// Show the verdict on requests from a file, with every decoding step, finding and rule.
    Inspect(inspect::Arguments),
    /// Measure detection and false positives on labelled requests, in this process.
    Eval(eval::Arguments),
    /// List, explain, check and test the detection rules.
    #[command(subcommand)]
    Rules(rules::Command),
    /// Send requests from files to a running node and report its answers.
    Replay(replay::Arguments),
    /// Check a configuration, or describe its keys.
    Config(config::ConfigArgs),
    /// Write everything that a control plane stores to one file, while it runs.
    ///
    /// The file is NDJSON, the same from SQLite and PostgreSQL: it restores on either. It holds hits, users with the hashes
    /// of their passwords, tokens as hashes, secrets of webhooks, policy, rule packs and databases: it is made with mode
    /// 0600. The key that signs policies is not in it: whoever has that key commands the nodes, so keep a copy of its file
    /// apart.
    Backup(backup::Arguments),
    /// Read what `weir backup` wrote into a new store.
    ///
    /// Stop the control plane of the store first. After an error users, policy and settings are as they were before. The
    /// restored policy is published anew, so that nodes that had a later one follow it.
    Restore(restore::Arguments),
    /// Check a Kong configuration before an upgrade of the plugins.
    Kong(kong::KongArgs),
    /// Do what needs access to the store of a control plane rather than a login: replace a lost password or second factor.
    #[command(subcommand)]
    Admin(admin::Command),
    /// Compile rules of other programs to rule files: SecRules, and AppSec rules of CrowdSec.
    Import(import::ImportArgs),
    /// Keep the policy of a control plane in a file: export, compare and apply it.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Take over the settings of other programs.
    Migrate(migrate::MigrateArgs),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        None => run::run(cli.run, Role::All),
        Some(Command::Run(args)) => run::run(args, Role::All),
        Some(Command::Processing(args)) => run::run(args, Role::Processing),
        Some(Command::Aggregation(args)) => run::run(args, Role::Aggregation),
        Some(Command::ControlPlane(args)) => run::run(args, Role::ControlPlane),
        Some(Command::Inspect(args)) => inspect::run(&args),
        Some(Command::Eval(args)) => eval::run(&args),
        Some(Command::Rules(command)) => rules::run(&command),
        Some(Command::Replay(args)) => replay::run(&args),
        Some(Command::Config(args)) => {
            ignore_closed_pipe(config::run(&args, crate::config::environment(), &mut std::io::stdout().lock()))
        }
        Some(Command::Backup(args)) => backup::run(args),
        Some(Command::Restore(args)) => restore::run(args),
        Some(Command::Kong(args)) => ignore_closed_pipe(kong::run(&args, &mut std::io::stdout().lock())),
        Some(Command::Admin(command)) => admin::run(command),
        Some(Command::Import(args)) => import::run(&args),
        Some(Command::Policy(command)) => policy::run(command),
        Some(Command::Migrate(args)) => ignore_closed_pipe(migrate::run(&args, &mut std::io::stdout().lock())),
    }
}

/// Says on standard error why a command failed.
fn report(error: &dyn std::fmt::Display) {
    let text = error.to_string();
    // The mistakes of a configuration are marked one by one.
    let mark = if text.starts_with("error: ") { "" } else { "error: " };
    eprintln!("{mark}{}", text.trim_end());
}

/// The exit code of a subcommand that fails only if its output cannot be written.
fn ignore_closed_pipe(result: std::io::Result<u8>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        // The reader went away, as `head` does: nothing is wrong.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::from(EXIT_OK),
        Err(error) => {
            report(&error);
            ExitCode::from(EXIT_FAILED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn what_to_know_before_a_backup_or_a_restore_is_in_its_help() {
        for (name, text) in
            [("backup", "The key that signs policies is not in it"), ("restore", "Stop the control plane")]
        {
            let mut cli = Cli::command();
            let help = cli.find_subcommand_mut(name).unwrap().render_long_help().to_string();
            let words: Vec<&str> = help.split_whitespace().collect();
            assert!(words.join(" ").contains(text), "{help}");
        }
    }
}
