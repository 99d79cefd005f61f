//! The rule files that ship with the node, embedded.

use super::error::FileErrors;
use super::format::SignatureDoc;
use super::{read, yaml_tree};
use rust_embed::Embed;
use std::collections::HashSet;
use std::sync::LazyLock;

#[derive(Embed)]
#[folder = "rules/"]
struct Rules;

/// Name of the rule pack that takes the place of every embedded file.
pub const PACK: &str = "builtin";
/// Directories whose files a rule pack of the same name takes the place of.
const REPLACED_BY_PACKS: &[&str] = &["cve"];

/// The embedded files that are used beside rule packs called `packs`.
pub fn files_beside(packs: &[&str]) -> Vec<(String, String)> {
    if packs.contains(&PACK) {
        return Vec::new();
    }
    let replaced = |path: &str| {
        let directory = path.split('/').next().unwrap_or_default();
        REPLACED_BY_PACKS.contains(&directory) && packs.contains(&directory)
    };
    let mut files = files();
    files.retain(|(path, _)| !replaced(path));
    files
}

/// Whether one of rule packs called `packs` takes the place of embedded files.
pub fn replaces(packs: &[&str]) -> bool {
    packs.iter().any(|name| *name == PACK || REPLACED_BY_PACKS.contains(name))
}

/// Ids of the embedded signatures.
pub fn ids() -> &'static HashSet<String> {
    // Every entry begins with its id; reading the files whole would take a node longer than the rest of its start.
    static IDS: LazyLock<HashSet<String>> = LazyLock::new(|| {
        let id = |line: &str| line.strip_prefix("- id: ").map(|id| id.trim().to_owned());
        files().iter().flat_map(|(_, text)| text.lines().filter_map(id)).collect()
    });
    &IDS
}

/// The embedded signatures as they are written, in order of file: to describe them, no pattern has to be compiled.
pub fn docs() -> Vec<SignatureDoc> {
    let mut docs = Vec::new();
    for (path, text) in files() {
        if let Ok(root) = yaml_tree::parse(&text) {
            let (parsed, _) = read::entries(&root, &mut FileErrors::new(&path));
            docs.extend(parsed.into_iter().map(|one| one.doc));
        }
    }
    docs
}

/// Whether an embedded file has this path below `rules/`.
pub(super) fn contains(path: &str) -> bool {
    Rules::get(path).is_some()
}

/// Path below `rules/` and text of every embedded rule file, in order of path.
pub fn files() -> Vec<(String, String)> {
    let mut files: Vec<_> = Rules::iter()
        .filter(|path| path.ends_with(".yaml"))
        .filter_map(|path| {
            Rules::get(&path).map(|file| (path.to_string(), String::from_utf8_lossy(&file.data).into_owned()))
        })
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_take_the_place_of_embedded_files() {
        let patches = |files: &[(String, String)]| files.iter().filter(|(path, _)| path.starts_with("cve/")).count();
        let all = files();
        assert!(patches(&all) > 0);
        assert_eq!(files_beside(&["own", "sqli"]), all);
        let without = files_beside(&["own", "cve"]);
        assert_eq!((patches(&without), without.len()), (0, all.len() - patches(&all)));
        assert!(files_beside(&["cve", "builtin"]).is_empty());
        assert!(replaces(&["own", "cve"]) && replaces(&["builtin"]) && !replaces(&["own", "sqli"]));
    }

    #[test]
    fn ids_are_those_of_the_compiled_signatures() {
        let all = super::super::compile::compile(&files()).unwrap_or_else(|errors| panic!("{}", errors[0]));
        let compiled: HashSet<String> = all.signatures.iter().map(|one| one.id.to_string()).collect();
        assert_eq!(compiled, *ids());
        let described: Vec<String> = docs().into_iter().map(|doc| doc.id).collect();
        assert_eq!(described, all.signatures.iter().map(|one| one.id.to_string()).collect::<Vec<_>>());
    }
}
