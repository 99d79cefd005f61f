//! Why a subcommand failed.

use super::readers::ReadError;
use crate::app::StartError;
use crate::app::admin::AdminError;
use crate::app::backup::BackupError;
use crate::app::error::SettingsError;
use crate::config::tree::SyntaxError;
use crate::config::{Report, diagnostic};
use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use thiserror::Error;
use weir_core::ruleset::RuleError;
use weir_policy::PolicyError;

/// Most bytes of a file of which a line is shown.
const MAX_SOURCE: u64 = 64 << 20;

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
    /// The configuration is wrong; the report lists every mistake.
    #[error("{}", .0.render())]
    Configuration(Box<Report>),
    /// The configuration names something that cannot be used.
    #[error(transparent)]
    Start(Box<StartError>),
    /// Mistakes in the rules.
    #[error("{}", lines(.0.iter().map(|e| (rule_text(e), e.file.as_str(), e.line, e.column))))]
    Rules(Vec<RuleError>),
    /// Mistakes in a policy file.
    #[error("{}", lines(.0.iter().map(|e| (e.to_string(), e.file.as_str(), e.line, e.column))))]
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
    /// A file is no backup, or not a whole one.
    #[error("{name}: {source}")]
    NoBackup {
        /// The path, or the name of the stream.
        name: String,
        /// What is wrong with it.
        source: BackupError,
    },
    /// A backup or restore failed.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The store was not changed.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Settings(SettingsError::Policy(errors)) => CliError::Policy(errors),
            StartError::Settings(SettingsError::Rules(errors)) => CliError::Rules(errors),
            error => CliError::Start(Box::new(error)),
        }
    }
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

/// The mistakes, each marked as one, with the line of the file where there is one: text, file, line and column of each.
fn lines<'e>(mistakes: impl Iterator<Item = (String, &'e str, usize, usize)>) -> String {
    let mut sources: BTreeMap<&str, String> = BTreeMap::new();
    let all = mistakes.map(|(text, file, line, column)| {
        let source = sources.entry(file).or_insert_with(|| if line > 0 { source_of(file) } else { String::new() });
        format!("{text}{}", diagnostic::excerpt(source, line, column))
    });
    all.collect::<Vec<_>>().join("\nerror: ")
}

/// A mistake of a rule file; of a file that cannot be read, whose error names it, the error alone.
fn rule_text(error: &RuleError) -> String {
    if error.line == 0 { error.message.clone() } else { error.to_string() }
}

/// The text of a file in which a mistake was found; empty where it cannot be read again, as of built-in rules.
fn source_of(file: &str) -> String {
    let mut text = String::new();
    let read = std::fs::File::open(file).map(|opened| opened.take(MAX_SOURCE).read_to_string(&mut text));
    if read.is_ok_and(|read| read.is_ok()) { text } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_shown_with_their_line() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        std::fs::write(&file, "- id: own.a\n  attack: sqly\n").unwrap();
        let error = |file: &str, line, column| RuleError { file: file.into(), line, column, message: "no".into() };
        let name = file.to_str().unwrap();
        let text = CliError::Rules(vec![error(name, 2, 11), error("rules/none.yaml", 3, 1)]).to_string();
        let shown =
            format!("{name}:2:11: no\n  |\n2 |   attack: sqly\n  |           ^\nerror: rules/none.yaml:3:1: no");
        assert_eq!(text, shown);
        let missing = super::super::rule_loading::load(&[directory.path().join("none")]).unwrap_err();
        let text = CliError::Rules(missing).to_string();
        assert!(text.starts_with(&format!("{}/none: ", directory.path().display())), "{text}");
        assert!(!text.contains(":0:"), "{text}");
    }
}
