//! Edits a YAML text by lines, so that comments, order and quotes stay: takes keys out, and puts keys in.
//!
//! A key is taken out with the lines of its value, which reach to the next line that is not deeper. Keys inside `{}` on one
//! line cannot be taken out so; they are answered as left over.

use super::judge::{Finding, find};
use crate::config::tree::{Entry, Node, Value};
use std::collections::BTreeSet;

/// The text after the edits.
pub struct Edited {
    /// It.
    pub text: String,
    /// Keys that have to be edited by hand.
    pub by_hand: Vec<String>,
}

/// Applies what the findings ask for.
pub fn apply(source: &str, root: &Node, findings: &[Finding]) -> Edited {
    let lines: Vec<&str> = source.lines().collect();
    let gone: BTreeSet<&str> = findings.iter().filter(|f| f.left_out).map(|f| f.key.as_str()).collect();
    let mut edit = Edit { lines: &lines, gone: &gone, drop: BTreeSet::new(), by_hand: Vec::new() };
    edit.walk(root, "");
    let (drop, mut by_hand) = (edit.drop, edit.by_hand);
    let mut inserts: Vec<(usize, String)> = Vec::new();
    for finding in findings {
        let Some(value) = finding.insert else { continue };
        match place(&lines, root, &finding.key, value, &drop) {
            Some(insert) => inserts.push(insert),
            None => by_hand.push(finding.key.clone()),
        }
    }
    let mut text = String::with_capacity(source.len() + 256);
    for at in 0..=lines.len() {
        // A line whose `{}` or nothing is replaced by members keeps its key.
        let opened = inserts.iter().any(|(after, _)| *after == at && at > 0) && at > 0;
        if at > 0 && !drop.contains(&at) {
            let line = lines[at - 1];
            text.push_str(if opened { line.trim_end().trim_end_matches("{}").trim_end() } else { line });
            text.push('\n');
        }
        inserts.iter().filter(|(after, _)| *after == at).for_each(|(_, insert)| text.push_str(insert));
    }
    Edited { text, by_hand }
}

struct Edit<'e> {
    lines: &'e [&'e str],
    gone: &'e BTreeSet<&'e str>,
    drop: BTreeSet<usize>,
    by_hand: Vec<String>,
}

impl Edit<'_> {
    fn walk(&mut self, node: &Node, path: &str) {
        match &node.value {
            Value::Map(entries) => {
                for entry in entries {
                    let at = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
                    if self.goes(&entry.node, &at) {
                        self.take(entry, &at);
                    } else {
                        self.walk(&entry.node, &at);
                    }
                }
            }
            Value::List(items) => {
                items.iter().enumerate().for_each(|(nth, item)| self.walk(item, &format!("{path}[{nth}]")));
            }
            _ => {}
        }
    }

    /// Whether nothing of a value stays: an emptied map would be no map.
    fn goes(&self, node: &Node, path: &str) -> bool {
        self.gone.contains(path)
            || matches!(&node.value, Value::Map(entries) if !entries.is_empty()
                && entries.iter().all(|entry| self.goes(&entry.node, &format!("{path}.{}", entry.key))))
    }

    fn take(&mut self, entry: &Entry, path: &str) {
        let (line, column) = (entry.mark.line, entry.mark.column);
        let Some(first) = self.lines.get(line.wrapping_sub(1)) else { return self.by_hand.push(path.to_owned()) };
        if first.chars().take_while(|c| *c == ' ').count() + 1 != column {
            return self.by_hand.push(path.to_owned());
        }
        let mut last = line;
        for (at, text) in self.lines.iter().enumerate().skip(line) {
            let depth = text.chars().take_while(|c| *c == ' ').count() + 1;
            let dash = depth == column && text.trim_start().starts_with("- ");
            if text.trim().is_empty() || text.trim_start().starts_with('#') {
                continue;
            }
            if depth <= column && !dash {
                break;
            }
            last = at + 1;
        }
        self.drop.extend(line..=last);
    }
}

/// After which line a new key goes, and what: below the deepest map that is there already.
fn place(lines: &[&str], root: &Node, key: &str, value: &str, drop: &BTreeSet<usize>) -> Option<(usize, String)> {
    let parts: Vec<&str> = key.split('.').collect();
    let mut depth = parts.len() - 1;
    let parent = loop {
        if depth == 0 {
            break None;
        }
        let path = parts[..depth].join(".");
        match entry_of(root, &path) {
            Some(entry) if !drop.contains(&entry.mark.line) => break Some(entry),
            _ => depth -= 1,
        }
    };
    let (after, indent) = match parent {
        None => (0, 0),
        Some(entry) => {
            let line = lines.get(entry.mark.line.checked_sub(1)?)?;
            let own = line.chars().take_while(|c| *c == ' ').count();
            let rest = line.trim_end();
            let indent = match &entry.node.value {
                Value::Map(inner) if !inner.is_empty() => {
                    let first = &inner[0].mark;
                    (first.line > entry.mark.line).then(|| first.column - 1)?
                }
                Value::Map(_) if rest.ends_with("{}") => own + 2,
                Value::Null if rest.ends_with(':') => own + 2,
                _ => return None,
            };
            (entry.mark.line, indent)
        }
    };
    let mut text = String::new();
    for (nth, part) in parts[depth..].iter().enumerate() {
        let end = if nth + depth + 1 == parts.len() { format!(" {value}") } else { String::new() };
        text.push_str(&format!("{}{part}:{end}\n", " ".repeat(indent + 2 * nth)));
    }
    Some((after, text))
}

fn entry_of<'n>(root: &'n Node, path: &str) -> Option<&'n Entry> {
    let (parent, name) = path.rsplit_once('.').map_or((Some(root), path), |(parent, name)| (find(root, parent), name));
    let Value::Map(entries) = &parent?.value else { return None };
    entries.iter().find(|entry| entry.key == name)
}
