//! Why a subcommand failed.

use super::readers::ReadError;
use crate::app::admin::AdminError;
use crate::app::backup::BackupError;
use crate::config::tree::SyntaxError;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;
use weir_core::ruleset::RuleError;
use weir_policy::PolicyError;

/// Why a subcommand failed; the text goes to standard error.
#[derive(Debug, Error)]
pub enum CliError {
    /// A file, or standard input or output, cannot be read or written.
    #[error("{name}: {source}")]
    File {
        /// The path, or the name of the stream.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// A file is larger than what is read.
    #[error("{name}: larger than {limit} bytes")]
    TooLarge {
        /// The path.
        name: String,
        /// Bytes that are read at most.
        limit: u64,
    },
    /// A file that must not be overwritten exists.
    #[error("{} already exists: choose another name, or give `--force`", .0.display())]
    Exists(PathBuf),
    /// A file is not UTF-8.
    #[error("{name}: expected UTF-8 text")]
    Encoding {
        /// The path.
        name: String,
    },
    /// A file holds no requests in a form that is known.
    #[error("{name}: {source}")]
    Requests {
        /// The path.
        name: String,
        /// What is wrong with it.
        source: ReadError,
    },
    /// A file is not YAML.
    #[error("{name}:{}: {}", .error.mark.line, .error.message)]
    Yaml {
        /// The path.
        name: String,
        /// Where and what.
        error: SyntaxError,
    },
    /// Mistakes in the rules.
    #[error("{}", lines(.0))]
    Rules(Vec<RuleError>),
    /// Mistakes in a policy file.
    #[error("{}", lines(.0))]
    Policy(Vec<PolicyError>),
    /// The URL of the node cannot be called.
    #[error("expected an http:// URL with a host, got `{0}`")]
    Target(hyper::Uri),
    /// The control plane cannot be called.
    #[error("control plane {url}: {why}")]
    ControlPlane {
        /// Its address.
        url: String,
        /// Why not.
        why: String,
    },
    /// The runtime does not start.
    #[error("cannot start: {0}")]
    Runtime(#[source] io::Error),
    /// Nothing in a values file shows which chart it is for.
    #[error(
        "{name}: cannot tell which chart these values are for: add --from next (wallarm-node-next) or --from native \
         (wallarm-node-native)"
    )]
    UnknownChart {
        /// The path of the values file.
        name: String,
    },
    /// A backup or restore failed.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The store was not changed.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

impl CliError {
    /// Names the file at `path` in an error of its contents.
    pub(super) fn requests(path: &Path) -> impl Fn(ReadError) -> CliError {
        move |source| CliError::Requests { name: path.display().to_string(), source }
    }

    /// Names the file at `path` in an error of the operating system.
    pub(super) fn file(path: &Path) -> impl Fn(io::Error) -> CliError {
        move |source| CliError::File { name: path.display().to_string(), source }
    }
}

/// One error a line, each marked as one.
fn lines<E: Display>(errors: &[E]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nerror: ")
}
