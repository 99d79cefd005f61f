//! From file, environment and flags to [`Resolved`].

use super::diagnostic::{Diagnostic, Origin, Report, Severity};
use super::reader::{Flag, Reader, Section};
use super::resolve::{ENV_ALIASES, ENV_IGNORED, MOVED, read};
use super::resolved::Resolved;
use super::tree::{self, Entry, MAX_FILE, Mark, Node, Value};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// What a configuration is made from.
#[derive(Clone, Default)]
pub struct Sources {
    /// The file; defaults alone without.
    pub file: Option<PathBuf>,
    /// Environment variables, all of them: those that concern this program are picked.
    pub environment: Vec<(String, String)>,
    /// What the command line sets.
    pub flags: Vec<Flag>,
}

/// A configuration and what is to be said about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration; none where the report holds an error.
    pub resolved: Option<Resolved>,
    /// Errors, warnings, notes.
    pub report: Report,
}

/// The variables of this process. One that is not Unicode is taken with replacement characters, so that it is reported
/// where it matters instead of ending the program.
pub fn environment() -> Vec<(String, String)> {
    let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

/// Reads and checks everything; never stops at the first mistake.
pub fn load(sources: &Sources) -> Loaded {
    let mut report = Report::default();
    if let Some(path) = &sources.file {
        report.file = Some(path.display().to_string());
        match text_of(path) {
            Ok(text) => report.source = text,
            Err(message) => {
                report.diagnostics.push(whole(message, Mark::default()));
                return Loaded { resolved: None, report };
            }
        }
    }
    resolve(report, &sources.environment, &sources.flags)
}

/// Like [`load`] for text that is at hand already; `name` is what messages call it.
pub fn load_text(name: &str, text: String, environment: &[(String, String)], flags: &[Flag]) -> Loaded {
    resolve(Report { file: Some(name.to_owned()), source: text, ..Report::default() }, environment, flags)
}

fn resolve(mut report: Report, environment: &[(String, String)], flags: &[Flag]) -> Loaded {
    let mut root = match tree::parse(&report.source) {
        Ok(root) => root,
        Err(error) => {
            report.diagnostics.push(whole(error.message, error.mark));
            return Loaded { resolved: None, report };
        }
    };
    relocate(&mut root);
    let mut reader = Reader::new(environment, flags, ENV_ALIASES);
    for &(name, reason) in ENV_IGNORED {
        if environment.iter().any(|(given, text)| given == name && !text.is_empty()) {
            reader.say(Diagnostic {
                severity: Severity::Warning,
                message: format!("{name} is ignored: {reason}"),
                key: String::new(),
                origin: Origin::Environment(name.to_owned()),
                help: None,
                secret: true,
            });
        }
    }
    let mut section = Section::root(&mut reader, root);
    let resolved = read(&mut section);
    section.finish();
    (report.diagnostics, report.places) = reader.into_problems();
    report.settle();
    let resolved = (!report.failed()).then_some(resolved);
    Loaded { resolved, report }
}

fn whole(message: String, mark: Mark) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        message,
        key: String::new(),
        origin: Origin::File(mark),
        help: None,
        // A line that does not parse may be that of a key.
        secret: false,
    }
}

fn text_of(path: &Path) -> Result<String, String> {
    let fail = |error: std::io::Error| format!("the file cannot be read: {error}");
    let file = File::open(path).map_err(fail)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes).map_err(fail)?;
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|&&b| b == b'\n').count() + 1;
        format!("the file is not UTF-8, line {line}")
    })
}

/// Moves keys that stand where older files have them to where they belong.
fn relocate(root: &mut Node) {
    for (from, to) in MOVED {
        if let Some(entry) = cut(root, from) {
            paste(root, to, entry);
        }
    }
}

/// Takes the entry at a dotted path out of the tree.
fn cut(node: &mut Node, path: &str) -> Option<Entry> {
    let Value::Map(entries) = &mut node.value else { return None };
    match path.split_once('.') {
        None => entries.iter().position(|entry| entry.key == path).map(|at| entries.remove(at)),
        Some((first, rest)) => {
            entries.iter_mut().filter(|entry| entry.key == first).find_map(|entry| cut(&mut entry.node, rest))
        }
    }
}

/// Puts an entry at a dotted path; a map that is there already takes in the members, so that doubles are seen.
fn paste(node: &mut Node, path: &str, mut entry: Entry) {
    if node.value == Value::Null {
        node.value = Value::Map(Vec::new());
    }
    let Value::Map(entries) = &mut node.value else { return };
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let there = entries.iter_mut().find(|known| known.key == first);
    if !rest.is_empty() {
        if let Some(known) = there {
            return paste(&mut known.node, rest, entry);
        }
        let mut section = Node { mark: entry.node.mark, value: Value::Map(Vec::new()) };
        let mark = entry.mark;
        paste(&mut section, rest, entry);
        entries.push(Entry { key: first.to_owned(), mark, node: section });
        return;
    }
    if let Some(Entry { node: Node { value: Value::Map(inner), .. }, .. }) = there
        && let Value::Map(more) = &mut entry.node.value
    {
        inner.append(more);
        return;
    }
    entry.key = first.to_owned();
    entries.push(entry);
}
