//! Reads and compiles rule files.

use crate::app::rule_files;
use std::path::PathBuf;
use weir_core::ruleset::compile::compile_with;
use weir_core::ruleset::custom::CompiledSignature;
use weir_core::ruleset::{RuleError, Ruleset, builtin};

/// The built-in rules and those of every file or directory of `paths`, compiled.
pub fn load(paths: &[PathBuf]) -> Result<Ruleset, Vec<RuleError>> {
    load_with(paths, true, Vec::new())
}

/// The rules of every file or directory of `paths` and the signatures of a policy, compiled; with the built-in ones if
/// `builtin`.
pub fn load_with(paths: &[PathBuf], builtin: bool, custom: Vec<CompiledSignature>) -> Result<Ruleset, Vec<RuleError>> {
    let mut files = if builtin { builtin::files() } else { Vec::new() };
    let mut errors = Vec::new();
    for path in paths {
        if let Err(error) = rule_files::read(path, &mut files) {
            errors.push(RuleError { file: path.display().to_string(), line: 0, column: 0, message: error.to_string() });
        }
    }
    if errors.is_empty() { compile_with(&files, custom) } else { Err(errors) }
}
