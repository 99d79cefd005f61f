//! Wording of sources and documentation: words and turns of phrase that we do not use, each with the better one, and
//! paths in the documentation, which must exist.
//!
//! A reader who knows web application firewalls and Rust should find the words of that field. Add an entry when a
//! review finds a phrase that newcomers stumble over; add an exception where a protocol or a file format has the word.

use regex::Regex;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A phrase that must not occur, as a whole word, in any case. A space also matches a line break within a comment.
struct Phrase {
    /// Regular expression.
    phrase: &'static str,
    /// What to write instead.
    better: &'static str,
    /// Regular expressions for text that has the phrase for a reason.
    except: &'static [&'static str],
}

const PHRASES: &[Phrase] = &[
    Phrase {
        phrase: "octets?",
        better: "byte",
        except: &[
            "application/octet-stream",
            // The placeholder of released migrations, and a column of a stored table.
            r"\{octets\}",
            "\"octets\"",
            "sha256, octets",
            "SELECT octets",
        ],
    },
    Phrase {
        phrase: "(is|are|be|been|being|was|were) told",
        better: "is reported, or say who reports it",
        except: &[],
    },
    Phrase { phrase: "(told|tells) (of|about)", better: "reports", except: &[] },
    Phrase { phrase: "of (yours|ours)", better: "your, our", except: &[] },
    Phrase { phrase: "for want of", better: "because ... is missing", except: &[] },
    Phrase { phrase: "(is|are) wanted", better: "expected ..., got ...", except: &[] },
    Phrase { phrase: "(is|are) none of", better: "is not one of", except: &[] },
    Phrase { phrase: "(that|which|it) is none", better: "is not one", except: &[] },
    Phrase { phrase: "nobody", better: "no one, or say what does not happen", except: &["nogroup", "nobody:x:"] },
    Phrase { phrase: "somebody", better: "someone, or say who", except: &[] },
    Phrase { phrase: "whom", better: "who, or say the name", except: &[] },
    Phrase { phrase: "minds who", better: "say what happens when two do it at once", except: &[] },
    Phrase { phrase: "speaks? against", better: "say what is found", except: &[] },
    Phrase { phrase: "stands (in|at|on|there|where|with|alone|behind|before|beside)", better: "is", except: &[] },
    Phrase { phrase: "(oddity|oddities)", better: "anomaly", except: &[] },
    Phrase { phrase: "by (its|their) nature", better: "is normal for", except: &[] },
    Phrase { phrase: "(is|are) not believed", better: "is not trusted, is ignored", except: &[] },
    Phrase { phrase: "in silence", better: "without a report", except: &[] },
];

/// Folders and files whose text is checked.
const ROOTS: &[&str] = &[
    ".ci",
    ".github",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.toml",
    "README.md",
    "SECURITY.md",
    "benches",
    "charts",
    "connectors",
    "crates",
    "docs",
    "examples",
    "fuzz",
    "image",
    "rules/README.md",
    "src",
    "tests",
    "tools",
];

/// File name extensions of text that people read.
const EXTENSIONS: &[&str] = &["rs", "lua", "html", "js", "md", "py", "sh", "sql", "toml", "tpl", "txt", "yaml", "yml"];

/// Files whose wording is not checked: written by programs from texts that are, fixed by a release, or this list itself.
const SKIPPED: &[&str] = &[
    "charts/tests/golden",
    "charts/weir/README.md",
    "charts/weir/files",
    "connectors/kong/manifests/kong-lua-response.yaml",
    "connectors/kong/manifests/kong-lua.yaml",
    "crates/weir-control-plane/src/store/migrations",
    "crates/weir-core/rules",
    "fuzz/seeds",
    "fuzz/target",
    "tests/golden/node",
    "tests/golden/store",
    "tests/language.rs",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file below [`ROOTS`]: path relative to the root, and contents.
fn texts() -> Vec<(String, String)> {
    let mut out = Vec::new();
    ROOTS.iter().for_each(|name| collect(&root().join(name), &mut out));
    assert!(out.len() > 500, "only {} files found", out.len());
    out
}

fn collect(path: &Path, out: &mut Vec<(String, String)>) {
    let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    if SKIPPED.contains(&name.as_str()) || name.ends_with("__pycache__") {
        return;
    }
    if path.is_dir() {
        let mut entries: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries.iter().for_each(|entry| collect(entry, out));
    } else if path.extension().is_none_or(|e| EXTENSIONS.iter().any(|known| e == *known))
        && let Ok(text) = fs::read_to_string(path)
    {
        out.push((name, text));
    }
}

/// The phrase as a whole word; between its words there may be a line break with the marks of a comment.
fn pattern(phrase: &str) -> Regex {
    let spaced = phrase.replace(' ', r"[ \t]*(?:[ \t]|\r?\n[ \t]*(?:///?|//!|--|#|\*)?[ \t]*)");
    Regex::new(&format!(r"(?i)(?:^|[^a-z])(?P<phrase>{spaced})(?:$|[^a-z])")).unwrap()
}

/// Line and text of each place in `text` that has the phrase and no exception.
fn places(entry: &Phrase, pattern: &Regex, text: &str) -> Vec<(usize, String)> {
    let excepted: Vec<Regex> = entry.except.iter().map(|except| Regex::new(except).unwrap()).collect();
    let allowed = |start: usize, end: usize| {
        excepted.iter().any(|except| except.find_iter(text).any(|found| found.start() <= start && end <= found.end()))
    };
    let found = pattern.captures_iter(text).map(|captures| captures.name("phrase").unwrap());
    found
        .filter(|found| !allowed(found.start(), found.end()))
        .map(|found| {
            let begin = text[..found.start()].rfind('\n').map_or(0, |at| at + 1);
            let line = text[..begin].bytes().filter(|byte| *byte == b'\n').count() + 1;
            (line, text[begin..].lines().next().unwrap_or_default().trim().to_owned())
        })
        .collect()
}

/// Places by file, with what each should say.
fn wrong_places() -> BTreeMap<String, Vec<String>> {
    let mut wrong: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let texts = texts();
    for entry in PHRASES {
        let pattern = pattern(entry.phrase);
        for (path, text) in &texts {
            for (line, shown) in places(entry, &pattern, text) {
                let place = format!("{path}:{line}: `{}`, better: {}\n    {shown}", entry.phrase, entry.better);
                wrong.entry(path.clone()).or_default().push(place);
            }
        }
    }
    wrong
}

/// Files that were written before this test and are still to be reworded: file and number of places.
/// This list only shrinks: the test fails when a file has more places than listed, and when it has fewer.
fn pending() -> BTreeMap<String, usize> {
    let lines = include_str!("language_pending.txt").lines();
    lines
        .filter_map(|line| line.split_once(' '))
        .map(|(count, file)| (file.to_owned(), count.parse().unwrap()))
        .collect()
}

#[test]
fn sources_and_documentation_use_the_words_of_the_field() {
    let (wrong, pending) = (wrong_places(), pending());
    if std::env::var_os("LANGUAGE_PENDING").is_some() {
        wrong.iter().for_each(|(file, places)| println!("{} {file}", places.len()));
        return;
    }
    let mut out: Vec<String> = Vec::new();
    for (file, places) in &wrong {
        if places.len() > pending.get(file).copied().unwrap_or(0) {
            out.extend(places.iter().cloned());
        }
    }
    for (file, count) in &pending {
        if wrong.get(file).map_or(0, Vec::len) < *count {
            out.push(format!("{file} has fewer places than tests/language_pending.txt says: lower its number"));
        }
    }
    assert!(out.is_empty(), "{}", out.join("\n"));
}

#[test]
fn phrases_are_found_across_lines_and_exceptions_are_not() {
    let lines = |entry: &Phrase, text: &str| {
        let places = places(entry, &pattern(entry.phrase), text);
        places.into_iter().map(|(line, _)| line).collect::<Vec<usize>>()
    };
    let octet = &PHRASES[0];
    assert_eq!(lines(octet, "one\nan Octet, `first_octet`\n"), [2, 2]);
    assert_eq!(lines(octet, "Content-Type: application/octet-stream, octetsize, {octets}"), [0usize; 0]);
    let told = &PHRASES[1];
    assert_eq!(lines(told, "a\n    // what is\n    // told\n"), [2]);
    assert_eq!(lines(told, "this told"), [0usize; 0]);
}

/// Links and paths in the documentation lead to files that exist, so that a renamed file cannot leave them behind.
#[test]
fn paths_in_documentation_exist() {
    let link = Regex::new(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)").unwrap();
    let folders = r"\.ci|\.github|benches|charts|connectors|crates|docs|examples|fuzz|image|rules|src|tests|tools";
    let path = Regex::new(&format!(r"`((?:{folders})/[\w./-]*\w/?)`")).unwrap();
    // The end of a path, where the text has named the folder before.
    let end = Regex::new(r"`([\w-]+/[\w/-]+\.(?:rs|lua|html))`").unwrap();
    let texts = texts();
    let is_file =
        |end: &str| root().join(end).exists() || texts.iter().any(|(name, _)| name.ends_with(&format!("/{end}")));
    // The head of docs/configuration.md: its links start there.
    let is_page = |name: &str| name.ends_with(".md") && name != "src/config/reference_head.md";
    let (mut checked, mut wrong) = (0, Vec::new());
    for (name, text) in texts.iter().filter(|(name, _)| is_page(name)) {
        let folder = root().join(name).parent().unwrap().to_path_buf();
        let targets = |pattern: &Regex| -> Vec<String> {
            pattern.captures_iter(text).map(|captures| captures[1].to_owned()).collect()
        };
        let (links, paths, ends) = (targets(&link), targets(&path), targets(&end));
        checked += links.len() + paths.len() + ends.len();
        wrong.extend(links.iter().filter(|to| !folder.join(to).exists()).map(|to| format!("{name} links to {to}")));
        wrong.extend(paths.iter().filter(|to| !root().join(to).exists()).map(|to| format!("{name} names {to}")));
        wrong.extend(ends.iter().filter(|to| !is_file(to)).map(|to| format!("{name} names {to}")));
    }
    assert!(checked > 100, "only {checked} links and paths found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
