//! The rule files that ship with the node, embedded.

use rust_embed::Embed;

#[derive(Embed)]
#[folder = "rules/"]
#[include = "*/*.yaml"]
struct Rules;

/// Path below `rules/` and text of every embedded rule file, in order of path.
pub fn files() -> Vec<(String, String)> {
    let mut files: Vec<_> = Rules::iter()
        .filter_map(|path| {
            Rules::get(&path).map(|file| (path.to_string(), String::from_utf8_lossy(&file.data).into_owned()))
        })
        .collect();
    files.sort();
    files
}
