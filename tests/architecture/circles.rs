//! Circles of `use` between files of different folders. Such files can only be read, tested and moved together.

use crate::sources::{Source, sources};
use std::collections::{BTreeMap, BTreeSet};

/// Circles that are still to be undone, each by its files. FIXME: this list must shrink. A circle that is not in it fails
/// the test, and so does an entry whose circle is gone.
const KNOWN: &[&[&str]] = &[];

/// The modules of a crate, and the names that each one exports again.
pub struct Modules<'s> {
    files: BTreeMap<Vec<String>, &'s Source>,
    /// By module and name: the path that `pub use` gives that name.
    exports: BTreeMap<(Vec<String>, String), Vec<String>>,
}

impl<'s> Modules<'s> {
    pub fn new(sources: &'s [Source], package: &str) -> Self {
        let own = sources.iter().filter(|source| source.package == package);
        let files: BTreeMap<_, _> = own.map(|source| (source.module.clone(), source)).collect();
        let mut modules = Self { files, exports: BTreeMap::new() };
        for source in modules.files.values().copied().collect::<Vec<_>>() {
            for (name, path) in exports(&source.bare) {
                if let Some(path) = modules.absolute(&source.module, &path) {
                    modules.exports.insert((source.module.clone(), name), path);
                }
            }
        }
        modules
    }

    /// `path` from the root of the crate; none where it leads out of the crate.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Vec<String>> {
        let mut at = module.to_vec();
        let mut path = path.iter().peekable();
        match path.peek().map(|first| first.as_str()) {
            Some("crate") => {
                at.clear();
                path.next();
            }
            Some("self") => drop(path.next()),
            Some("super") => {
                while path.next_if(|name| *name == "super").is_some() {
                    at.pop()?;
                }
            }
            // A module of its own; anything else is another crate or a name in scope.
            Some(first) => {
                let child = [module, &[first.to_owned()]].concat();
                self.files.contains_key(&child).then_some(())?;
            }
            None => return None,
        }
        at.extend(path.cloned());
        Some(at)
    }

    /// The file that has what is at `path`.
    fn file(&self, path: &[String], depth: usize) -> Option<&'s Source> {
        let mut module: Vec<String> = Vec::new();
        for (number, name) in path.iter().enumerate() {
            let child = [&module[..], std::slice::from_ref(name)].concat();
            if self.files.contains_key(&child) {
                module = child;
                continue;
            }
            if let Some(target) = self.exports.get(&(module.clone(), name.clone()))
                && depth < 8
            {
                return self.file(&[target, &path[number + 1..]].concat(), depth + 1);
            }
            break;
        }
        self.files.get(&module).copied()
    }

    /// The other files of the crate that `source` names by `crate::` or `super::`.
    pub fn uses(&self, source: &Source) -> Vec<&'s Source> {
        let mut out: BTreeMap<&str, &Source> = BTreeMap::new();
        for path in paths(&source.bare) {
            let used = self.absolute(&source.module, &path).and_then(|path| self.file(&path, 0));
            if let Some(used) = used.filter(|used| used.path != source.path) {
                out.insert(&used.path, used);
            }
        }
        out.into_values().collect()
    }
}

/// Every path in `bare` code that begins with `crate::` or `super::`; groups give one for each member.
fn paths(bare: &str) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    for word in ["crate::", "super::"] {
        for (at, _) in bare.match_indices(word) {
            let before = &bare[..at];
            if !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
                tree(&bare[at..], &mut Vec::new(), &mut |path, _| out.push(path.to_vec()));
            }
        }
    }
    out
}

/// Names that `bare` exports again, with the paths that they stand for.
fn exports(bare: &str) -> Vec<(String, Vec<String>)> {
    let mut out = Vec::new();
    for (at, _) in bare.match_indices("use ") {
        let before = bare[..at].trim_end();
        if before.ends_with("pub")
            || (before.ends_with(')') && before[before.len().min(before.rfind('\n').unwrap_or(0))..].contains("pub("))
        {
            tree(bare[at + 4..].trim_start(), &mut Vec::new(), &mut |path, renamed| {
                let name = renamed.or_else(|| path.last().cloned());
                out.extend(name.map(|name| (name, path.to_vec())));
            });
        }
    }
    out
}

/// Reads a tree of `use`, or the path of an expression, at the begin of `text`. Calls `found` with each path, and with the
/// name that it is given by `as`. Returns what follows.
fn tree<'t>(text: &'t str, prefix: &mut Vec<String>, found: &mut dyn FnMut(&[String], Option<String>)) -> &'t str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
            let before = rest.len();
            rest = tree(rest, prefix, found).trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest);
            if rest.len() == before {
                // Not a tree after all.
                return rest;
            }
        }
    }
    let ident = |c: char| c.is_alphanumeric() || c == '_';
    let end = text.find(|c| !ident(c)).unwrap_or(text.len());
    if end == 0 {
        found(prefix, None);
        return text.strip_prefix('*').unwrap_or(text);
    }
    let (name, rest) = text.split_at(end);
    // `a::{self}` is `a`.
    let is_self = name == "self" && !prefix.is_empty();
    if !is_self {
        prefix.push(name.to_owned());
    }
    let rest = match rest.strip_prefix("::") {
        Some(rest) => tree(rest, prefix, found),
        None => {
            let renamed = rest.trim_start().strip_prefix("as ").map(str::trim_start);
            let new = renamed.map(|rest| rest.chars().take_while(|c| ident(*c)).collect::<String>());
            found(prefix, new.clone());
            match (renamed, new) {
                (Some(rest), Some(new)) => &rest[new.len()..],
                _ => rest,
            }
        }
    };
    if !is_self {
        prefix.pop();
    }
    rest
}

/// Groups of nodes that reach each other, of two or more. `edges[n]` are the nodes that `n` leads to.
fn strongly_connected(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let reach = |from: usize| {
        let mut seen = vec![false; edges.len()];
        let mut todo = edges[from].clone();
        while let Some(at) = todo.pop() {
            if !std::mem::replace(&mut seen[at], true) {
                todo.extend(&edges[at]);
            }
        }
        seen
    };
    let reached: Vec<Vec<bool>> = (0..edges.len()).map(reach).collect();
    let mut out: Vec<Vec<usize>> = Vec::new();
    for (at, from_here) in reached.iter().enumerate() {
        if out.iter().any(|group| group.contains(&at)) {
            continue;
        }
        let group: Vec<usize> =
            (at..edges.len()).filter(|other| *other == at || (from_here[*other] && reached[*other][at])).collect();
        if group.len() > 1 {
            out.push(group);
        }
    }
    out
}

/// The folder whose files belong together: `app.rs` belongs to those in `app/`.
fn folder(source: &Source, sources: &[&Source]) -> Vec<String> {
    let has_children = sources
        .iter()
        .any(|other| other.module.len() > source.module.len() && other.module.starts_with(&source.module));
    let keep = if has_children { source.module.len() } else { source.module.len().saturating_sub(1) };
    source.module[..keep].to_vec()
}

/// Files of each circle that spans several folders, and the uses that make it.
fn circles(sources: &[Source]) -> Vec<(BTreeSet<String>, Vec<String>)> {
    let packages: BTreeSet<&str> = sources.iter().map(|source| source.package.as_str()).collect();
    let mut out = Vec::new();
    for package in packages {
        let modules = Modules::new(sources, package);
        let own: Vec<&Source> = modules.files.values().copied().collect();
        let number = |source: &Source| own.iter().position(|other| other.path == source.path).expect("of this crate");
        let edges: Vec<Vec<usize>> =
            own.iter().map(|source| modules.uses(source).into_iter().map(number).collect()).collect();
        for group in strongly_connected(&edges) {
            let folders: BTreeSet<_> = group.iter().map(|at| folder(own[*at], &own)).collect();
            if folders.len() > 1 {
                let inside = |at: &usize| {
                    edges[*at].iter().filter(|to| group.contains(to)).map(|to| (*at, *to)).collect::<Vec<_>>()
                };
                let uses =
                    group.iter().flat_map(inside).map(|(from, to)| format!("{} uses {}", own[from].path, own[to].path));
                out.push((group.iter().map(|at| own[*at].path.clone()).collect(), uses.collect()));
            }
        }
    }
    out
}

#[test]
fn files_of_different_folders_do_not_use_each_other_in_circles() {
    let known: Vec<BTreeSet<String>> =
        KNOWN.iter().map(|files| files.iter().map(|file| (*file).to_owned()).collect()).collect();
    let found = circles(&sources());
    let mut wrong: Vec<String> = Vec::new();
    for (files, uses) in &found {
        if !known.iter().any(|known| files.is_subset(known)) {
            wrong.push(format!("a circle:\n  {}", uses.join("\n  ")));
        }
    }
    for known in &known {
        if !found.iter().any(|(files, _)| files == known) {
            wrong.push(format!("this circle has changed or is gone, shrink or remove its entry: {known:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn circles_are_found_through_groups_exports_and_several_supers() {
    let source = |path: &str, code: &str| Source {
        package: "p".into(),
        path: path.into(),
        module: path.trim_end_matches(".rs").trim_end_matches("/mod").split('/').map(str::to_owned).collect(),
        code: String::new(),
        bare: code.into(),
    };
    let sources = [
        source("a/mod.rs", "mod x;\nmod y;\npub use x::{X, Z as Other};\n"),
        source("a/x.rs", "use super::y::Y;\nuse crate::b::{self, deep::{inner::I}};\n"),
        source("a/y.rs", "pub struct Y;\n"),
        source("b/mod.rs", "pub mod deep;\n"),
        source("b/deep/mod.rs", "pub mod inner;\n"),
        source("b/deep/inner.rs", "fn f() { super::super::super::a::Other::new() }\n"),
        source("c.rs", "use crate::a::Y;\n"),
    ];
    let found = circles(&sources);
    assert_eq!(found.len(), 1, "{found:?}");
    let files: Vec<&str> = found[0].0.iter().map(String::as_str).collect();
    assert_eq!(files, ["a/x.rs", "b/deep/inner.rs"]);
}
