//! Every source file of the workspace, tests excluded.

use crate::lexer;
use std::fs;
use std::path::{Path, PathBuf};

/// A source file.
#[derive(Clone, Debug)]
pub struct Source {
    /// The package.
    pub package: String,
    /// Path from the root of the repository.
    pub path: String,
    /// Names of modules from the root of the crate: `parse/json.rs` and `parse/json/mod.rs` are `parse`, `json`.
    pub module: Vec<String>,
    /// Code without comments and tests.
    pub code: String,
    /// The same without the contents of strings.
    pub bare: String,
}

impl Source {
    /// Names of modules.
    pub fn module_names(&self) -> Vec<&str> {
        self.module.iter().map(String::as_str).collect()
    }
}

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below the `src` of each crate.
pub fn sources() -> Vec<Source> {
    let mut out = Vec::new();
    collect("weir", &root().join("src"), &mut out);
    for package in entries(&root().join("crates")) {
        let name = package.file_name().unwrap().to_string_lossy().into_owned();
        collect(&name, &package.join("src"), &mut out);
    }
    out
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

fn collect(package: &str, src: &Path, out: &mut Vec<Source>) {
    let mut files = Vec::new();
    walk(src, &mut files);
    let texts: Vec<(PathBuf, String)> =
        files.into_iter().map(|path| (path.clone(), fs::read_to_string(&path).unwrap())).collect();
    let of_tests: Vec<PathBuf> = texts.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    for (path, text) in texts {
        // The file of a test module, or a file in its folder.
        if of_tests.iter().any(|test| path == test.with_extension("rs") || path.starts_with(test)) {
            continue;
        }
        let (mut code, mut bare) = (lexer::without_comments(&text), lexer::bare(&text));
        for range in lexer::tests(&bare).into_iter().rev() {
            code.replace_range(range.clone(), "");
            bare.replace_range(range, "");
        }
        let mut module: Vec<String> = path.strip_prefix(src).unwrap().with_extension("").iter().map(name).collect();
        if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
            module.pop();
        }
        let path = name(path.strip_prefix(root()).unwrap().as_os_str());
        out.push(Source { package: package.to_owned(), path, module, code, bare });
    }
}

fn name(text: &std::ffi::OsStr) -> String {
    text.to_string_lossy().into_owned()
}

fn walk(directory: &Path, out: &mut Vec<PathBuf>) {
    for path in entries(directory) {
        if path.is_dir() {
            walk(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

/// Paths, without extension, of the modules that the file at `path` declares under `#[cfg(test)]`.
fn test_modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let is_root =
        path.file_name().is_some_and(|name| ["mod.rs", "lib.rs", "main.rs"].map(Into::into).contains(&name.to_owned()));
    let folder = if is_root { path.parent().unwrap().to_path_buf() } else { path.with_extension("") };
    let bare = lexer::bare(text);
    let mut out = Vec::new();
    for range in lexer::tests(&bare) {
        let item = &text[range];
        let declaration = item.lines().last().unwrap_or_default();
        let Some(module) = declaration.trim().trim_start_matches("pub(crate) ").strip_prefix("mod ") else { continue };
        let Some(module) = module.strip_suffix(';') else { continue };
        let given = item.split_once("#[path = \"").and_then(|(_, rest)| rest.split_once('"'));
        out.push(match given {
            Some((given, _)) => path.parent().unwrap().join(given).with_extension(""),
            None => folder.join(module),
        });
    }
    out
}
