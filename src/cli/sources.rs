//! Where the configuration comes from, as the command line tells it: the same for each subcommand that needs all of it.

use crate::config::{Flag, Sources, environment};
use clap::Args;
use std::path::PathBuf;

/// Where the configuration comes from.
#[derive(Args, Debug)]
pub struct SourceArgs {
    /// Configuration file (YAML). Without it, built-in defaults and the environment.
    #[arg(short, long, env = "WEIR_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set a key, above file and environment: `--set data_dir=/srv/weir`. May be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = super::config::flag)]
    set: Vec<Flag>,
}

impl SourceArgs {
    /// The sources, with the environment of the process.
    pub fn sources(self) -> Sources {
        Sources { file: self.config, environment: environment(), flags: self.set }
    }
}
