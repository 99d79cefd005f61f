//! SecRule files of ModSecurity and Coraza.

mod actions;
mod lexer;
mod operators;
mod rules;
mod variables;

use super::model::{Collected, SourceFile};
use std::collections::HashMap;
use weir_core::model::AttackType;

/// Reads the rules of `files`; of those with levels, the ones of up to `paranoia_level`.
pub(super) fn read(files: &[SourceFile], paranoia_level: u8, default: AttackType) -> Collected {
    // Word lists are named relative to the file that uses them.
    let lists: HashMap<_, &str> = files.iter().map(|file| (file.path.clone(), file.text.as_str())).collect();
    let mut collected = Collected::default();
    for (order, file) in files.iter().enumerate() {
        if file.path.extension().is_some_and(|end| end == "data") {
            continue;
        }
        rules::Reader { order, file, lists: &lists, paranoia_level, default, collected: &mut collected }.read();
    }
    collected
}
