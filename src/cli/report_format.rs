//! How subcommands that check or convert a file report what they found.

use clap::{Args, ValueEnum};

/// The value of `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Lines for people.
    Human,
    /// One JSON object.
    Json,
}

/// Options that say how to report: the same for each subcommand that reports.
#[derive(Args, Clone, Copy, Debug)]
pub struct ReportArgs {
    /// How to report.
    #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
    format: ReportFormat,
    /// Print JSON, as `--format json` does.
    #[arg(long)]
    json: bool,
}

impl ReportArgs {
    /// The format that was asked for.
    pub fn format(self) -> ReportFormat {
        if self.json { ReportFormat::Json } else { self.format }
    }
}
