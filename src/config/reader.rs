//! Reads a configuration tree key by key. One call names a key, its type, its default and its meaning, and yields the
//! value. The same calls, without a file, write the reference page, so the page cannot describe a key that is not read.

mod document;
mod section;
mod values;

pub use document::{KeyDoc, KeyKind, Unset};
pub use section::Section;

use super::diagnostic::{Diagnostic, Origin, Severity};
use std::collections::{BTreeMap, BTreeSet};
use weir_core::ruleset::similar_name;

/// Prefix of environment variables; levels are joined by two underscores: `WEIR_CONNECTOR__ADDRESS`.
pub const ENV_PREFIX: &str = "WEIR_";

/// A value from the command line.
#[derive(Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag as a person typed it, e.g. `--listen`.
    pub name: String,
    /// Dotted path of the key it sets, e.g. `connector.address`.
    pub key: String,
    /// Its value, parsed as it would be in a file; lists are separated by commas.
    pub value: String,
}

/// Without the value, which may be a key.
impl std::fmt::Debug for Flag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flag").field("name", &self.name).field("key", &self.key).finish_non_exhaustive()
    }
}

/// Values that override the file, and the diagnostics so far.
#[derive(Default)]
pub struct Reader {
    /// Path to the variable that sets it, and its text.
    environment: BTreeMap<String, (String, String)>,
    flags: BTreeMap<String, Flag>,
    used: BTreeSet<String>,
    known: BTreeSet<String>,
    problems: Vec<Diagnostic>,
    /// Where each value came from, by path.
    places: BTreeMap<String, Origin>,
    docs: Option<Vec<KeyDoc>>,
}

impl Reader {
    /// A reader over `environment` and `flags`. `aliases` name further variables: variable, then path of the key.
    pub fn new(environment: &[(String, String)], flags: &[Flag], aliases: &[(&str, &str)]) -> Self {
        let mut reader = Self::default();
        // Charts and compose files set variables to nothing where a value was left out.
        let environment: Vec<_> = environment.iter().filter(|(_, text)| !text.is_empty()).collect();
        for &(variable, path) in aliases {
            if let Some((name, text)) = environment.iter().find(|(name, _)| name == variable) {
                reader.environment.insert(path.to_owned(), (name.clone(), text.clone()));
            }
        }
        for (name, text) in environment {
            if let Some(path) = name.strip_prefix(ENV_PREFIX) {
                let path = path.to_ascii_lowercase().replace("__", ".");
                reader.environment.insert(path, (name.clone(), text.clone()));
            }
        }
        for flag in flags {
            reader.flags.insert(flag.key.clone(), flag.clone());
        }
        reader
    }

    /// A reader that writes down every key instead of reading any.
    pub fn describing() -> Self {
        Self { docs: Some(Vec::new()), ..Self::default() }
    }

    /// The keys in the order they were read.
    pub fn into_docs(self) -> Vec<KeyDoc> {
        self.docs.unwrap_or_default()
    }

    /// The diagnostics, among them variables and flags without a key, and where each value came from.
    pub fn into_problems(mut self) -> (Vec<Diagnostic>, BTreeMap<String, Origin>) {
        self.judge_leftovers();
        (self.problems, self.places)
    }

    /// Adds a diagnostic.
    pub fn say(&mut self, diagnostic: Diagnostic) {
        self.problems.push(diagnostic);
    }

    /// The value that overrides the file for `path`.
    fn overlay(&mut self, path: &str) -> Option<(Origin, String)> {
        self.known.insert(path.to_owned());
        let from_env = self.environment.get(path).map(|(name, text)| (Origin::Environment(name.clone()), text.clone()));
        let from_flag = self.flags.get(path).map(|flag| (Origin::Flag(flag.name.clone()), flag.value.clone()));
        if from_env.is_some() || from_flag.is_some() {
            self.used.insert(path.to_owned());
        }
        from_flag.or(from_env)
    }

    fn judge_leftovers(&mut self) {
        let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
        let mut said = Vec::new();
        let complain = |severity, key: &str, message: String, origin, help| Diagnostic {
            severity,
            message,
            key: key.to_owned(),
            origin,
            help,
            secret: false,
        };
        for (path, flag) in self.flags.iter().filter(|(path, _)| !self.used.contains(*path)) {
            let help = similar_name(path, known.iter().copied()).map(|key| format!("did you mean `{key}`?"));
            let help = help.or_else(|| keys_beside(path, &known));
            let message = format!("there is no key `{path}` that can be set this way");
            said.push(complain(Severity::Error, path, message, Origin::Flag(flag.name.clone()), help));
        }
        for (path, (name, _)) in self.environment.iter().filter(|(path, _)| !self.used.contains(*path)) {
            let near = similar_name(path, known.iter().copied());
            // Container platforms set variables such as WEIR_SERVICE_HOST of their own accord: only what holds the
            // separator, or resembles a key, was meant for this program.
            if near.is_none() && !path.contains('.') {
                continue;
            }
            let severity = if path.contains('.') { Severity::Error } else { Severity::Warning };
            let help = near.map(|key| format!("did you mean `{}`?", variable(key)));
            let help = help.or_else(|| keys_beside(path, &known));
            let message = format!("there is no key for the variable `{name}`");
            said.push(complain(severity, path, message, Origin::Environment(name.clone()), help));
        }
        self.problems.append(&mut said);
    }
}

/// The keys of the section in which `path` would be, if there is such a section.
fn keys_beside(path: &str, known: &[&str]) -> Option<String> {
    let (section, _) = path.rsplit_once('.')?;
    let beside =
        |key: &&str| key.strip_prefix(section).is_some_and(|rest| rest.starts_with('.') && !rest[1..].contains('.'));
    let keys: Vec<String> = known.iter().copied().filter(beside).map(|key| format!("`{key}`")).collect();
    (!keys.is_empty()).then(|| format!("keys of `{section}` are {}", keys.join(", ")))
}

/// The environment variable of a key.
pub fn variable(path: &str) -> String {
    format!("{ENV_PREFIX}{}", path.to_ascii_uppercase().replace('.', "__"))
}
