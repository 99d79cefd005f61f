//! Files and functions stay small: lines of code, without comments, blank lines and tests.

use crate::lexer;
use crate::sources::{Source, sources};

/// Lines of code of a file.
const MAX_FILE: usize = 420;
/// Lines of code of a function, from its `fn` to its closing brace. The aim is 40.
const MAX_FUNCTION: usize = 80;

fn lines(code: &str) -> usize {
    code.lines().filter(|line| !line.trim().is_empty()).count()
}

/// Name and lines of code of each function.
fn functions(source: &Source) -> Vec<(String, usize)> {
    let bare = &source.bare;
    let ident = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = Vec::new();
    for (at, _) in bare.match_indices("fn ") {
        let name: String = bare[at + 3..].trim_start().chars().take_while(|c| ident(*c)).collect();
        // `fn(u8)` is a type; a name ending in `fn` is no keyword.
        if name.is_empty() || bare[..at].ends_with(ident) {
            continue;
        }
        out.push((name, lines(&bare[at..lexer::end_of_item(bare, at)])));
    }
    out
}

#[test]
fn files_stay_small() {
    let sizes = sources().into_iter().map(|source| (lines(&source.bare), source.path));
    let wrong: Vec<String> = sizes
        .filter(|(size, _)| *size > MAX_FILE)
        .map(|(size, path)| format!("{path}: {size} lines of code"))
        .collect();
    assert!(wrong.is_empty(), "split these by purpose, at most {MAX_FILE} lines:\n{}", wrong.join("\n"));
}

#[test]
fn functions_stay_small() {
    let mut all: Vec<(usize, String)> = Vec::new();
    for source in sources() {
        let functions = functions(&source).into_iter();
        all.extend(functions.map(|(name, size)| (size, format!("{}: {name}, {size} lines", source.path))));
    }
    assert!(all.len() > 1_000, "only {} functions found", all.len());
    all.sort();
    let wrong: Vec<&str> =
        all.iter().filter(|(size, _)| *size > MAX_FUNCTION).map(|(_, function)| function.as_str()).collect();
    let largest = &all.last().expect("there are functions").1;
    assert!(wrong.is_empty(), "split these, at most {MAX_FUNCTION} lines:\n{}", wrong.join("\n"));
    eprintln!("the longest function: {largest}");
}
