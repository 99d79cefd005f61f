//! Options that say where the configuration comes from: the same for each subcommand that reads it.

use crate::config::{Flag, Sources, environment};
use clap::Args;
use std::path::PathBuf;
use thiserror::Error;

/// Where the configuration comes from.
#[derive(Args, Clone, Debug)]
pub struct SourceArgs {
    /// Configuration file (YAML). Without it, built-in defaults and the environment.
    #[arg(short, long, env = "WEIR_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Set a key, above file and environment: `--set data_dir=/srv/weir`. May be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = flag)]
    pub(super) set: Vec<Flag>,
}

impl SourceArgs {
    /// The sources, with the environment of the process.
    pub fn sources(self) -> Sources {
        Sources { file: self.config, environment: environment(), flags: self.set }
    }
}

/// A `--set` without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected KEY=VALUE, such as connector.address=:5001")]
pub struct NoValue;

/// Parses `KEY=VALUE` of `--set`.
pub fn flag(text: &str) -> Result<Flag, NoValue> {
    let (key, value) = text.split_once('=').ok_or(NoValue)?;
    Ok(Flag { name: format!("--set {key}"), key: key.to_owned(), value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_has_a_key_and_a_value() {
        let set = flag("connector.address=[::1]:5001=").unwrap();
        assert_eq!((set.key.as_str(), set.value.as_str()), ("connector.address", "[::1]:5001="));
        assert!(flag("connector.address").is_err());
    }
}
