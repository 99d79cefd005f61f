//! How subcommands that check or convert a file report what they found.

use clap::ValueEnum;

/// The value of `--format`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ReportFormat {
    /// Lines for people.
    Human,
    /// One JSON object.
    Json,
}
