//! `weir admin`: what only whoever has the store can do.

use super::error::CliError;
use super::sources::SourceArgs;
use super::{EXIT_FAILED, EXIT_OK};
use crate::app::admin::Administration;
use clap::{Args, Subcommand};
use std::io::{BufRead, Read};
use std::process::ExitCode;

/// Longest line that is read as a password, in bytes.
const MAX_LINE: u64 = 4_096;

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Give a user of the Console a new password.
    ///
    /// It works on the store itself, while the control plane runs or not: run it where the configuration of the control
    /// plane is. The sessions of the user end, a disabled user is enabled again, and the audit log records it. Users of an
    /// identity provider have no password here.
    ResetPassword(ResetPassword),
    /// Remove the second factor of a user who lost the device and the recovery codes.
    ///
    /// The user logs in with the password alone and can set up a new one. Their sessions end, and the audit log records it.
    ResetTotp(ResetTotp),
}

/// Whose password, and which.
#[derive(Args, Debug)]
#[command(after_help = "Exit codes:
  0  the password is set
  1  it is not: there is no such user, or the store cannot be written
  2  the command line is wrong")]
pub struct ResetPassword {
    /// Login; without it, that of the first administrator (`control_plane.admin_login`).
    login: Option<String>,
    /// Read the password from the first line of standard input, instead of making one.
    #[arg(long)]
    stdin: bool,
    #[command(flatten)]
    control_plane: SourceArgs,
}

/// Whose second factor.
#[derive(Args, Debug)]
#[command(after_help = "Exit codes:
  0  the second factor is gone
  1  it is not: there is no such user, they have none, or the store cannot be written
  2  the command line is wrong")]
pub struct ResetTotp {
    /// Login; without it, that of the first administrator (`control_plane.admin_login`).
    login: Option<String>,
    #[command(flatten)]
    control_plane: SourceArgs,
}

/// Runs the subcommand.
pub fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::ResetPassword(args) => reset_password(args),
        Command::ResetTotp(args) => reset_totp(args),
    };
    match done {
        Ok(text) => {
            println!("{text}");
            ExitCode::from(EXIT_OK)
        }
        Err(error) => {
            super::report(&error);
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn reset_password(args: ResetPassword) -> Result<String, CliError> {
    let given = args.stdin.then(read_line).transpose()?;
    let administration = Administration::new(&args.control_plane.sources())?;
    let done = administration.reset_password(args.login.as_deref(), given)?;
    Ok(match done.made {
        Some(password) => format!("login {}  password {password}", done.login),
        None => format!("the password of {} is set", done.login),
    })
}

fn reset_totp(args: ResetTotp) -> Result<String, CliError> {
    let administration = Administration::new(&args.control_plane.sources())?;
    let login = administration.reset_totp(args.login.as_deref())?;
    Ok(format!("the second factor of {login} is gone"))
}

fn read_line() -> Result<String, CliError> {
    let mut line = String::new();
    let read = std::io::stdin().lock().take(MAX_LINE).read_line(&mut line);
    read.map_err(|source| CliError::File { name: "standard input".into(), source })?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
