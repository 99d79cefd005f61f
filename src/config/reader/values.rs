//! Takes values out of the tree: environment and flags override the file, and what does not parse is reported.

use super::section::Section;
use crate::config::diagnostic::{Origin, Severity};
use crate::config::tree::{Entry, Node, Value};
use crate::config::types::{Bad, Setting};

impl Section<'_> {
    /// Takes the first entry called `name` out and reports further ones.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Entry> {
        self.known.push(name);
        let at = self.entries.iter().position(|entry| entry.key == name)?;
        let first = self.entries.remove(at);
        let (again, rest) = std::mem::take(&mut self.entries).into_iter().partition(|entry| entry.key == name);
        self.entries = rest;
        let again: Vec<Entry> = again;
        for entry in again {
            let message = format!("`{name}` is given twice");
            let help = format!("the other one is in line {}, column {}", first.mark.line, first.mark.column);
            self.complain(Severity::Error, self.child(name), Origin::File(entry.mark), message, Some(help));
        }
        if first.node.value != Value::Null {
            let mark = if first.node.mark.line > 0 { first.node.mark } else { first.mark };
            self.came_from(name, Origin::File(mark));
        }
        Some(first)
    }

    /// Notes where the value of `name` came from.
    pub(super) fn came_from(&mut self, name: &'static str, origin: Origin) {
        let path = self.child(name);
        self.reader.places.insert(path, origin.clone());
        self.origins.insert(name, origin);
    }

    pub(super) fn scalar<T: Setting>(&mut self, name: &'static str) -> Option<T> {
        let path = self.child(name);
        // The file's value is judged even where something above it counts.
        let entry = self.take(name);
        let in_file = entry.and_then(|entry| self.scalar_of(&path, entry.node));
        match self.overlay(&path) {
            None => in_file,
            Some((origin, text)) => {
                self.came_from(name, origin.clone());
                self.parse(&path, &text, origin)
            }
        }
    }

    pub(super) fn overlay(&mut self, path: &str) -> Option<(Origin, String)> {
        if self.overlaid { self.reader.overlay(path) } else { None }
    }

    pub(super) fn scalar_of<T: Setting>(&mut self, path: &str, node: Node) -> Option<T> {
        match node.value {
            Value::Null => None,
            Value::Scalar(text) => {
                let origin = Origin::File(node.mark);
                self.parse(path, &text, origin)
            }
            other => {
                let message = format!("`{path}`: expected {1}, got {0}", other.kind(), T::TYPE);
                self.complain(Severity::Error, path.to_owned(), Origin::File(node.mark), message, None);
                None
            }
        }
    }

    pub(super) fn parse<T: Setting>(&mut self, path: &str, text: &str, origin: Origin) -> Option<T> {
        match T::parse(text) {
            Ok(value) => Some(value),
            Err(Bad { message, help }) => {
                let message = format!("`{path}`: {message}");
                let hidden = self.secret;
                self.secret |= T::SECRET;
                self.complain(Severity::Error, path.to_owned(), origin, message, help);
                self.secret = hidden;
                None
            }
        }
    }

    pub(super) fn items<T: Setting>(&mut self, name: &'static str, node: Node) -> Option<Vec<T>> {
        let path = self.child(name);
        let items = self.list_of(name, node)?;
        Some(items.into_iter().filter_map(|item| self.scalar_of(&path, item)).collect())
    }

    pub(super) fn list_of(&mut self, name: &str, node: Node) -> Option<Vec<Node>> {
        match node.value {
            Value::Null => None,
            Value::List(items) => Some(items),
            other => {
                let path = self.child(name);
                let message = format!("`{path}` holds {}, not a list", other.kind());
                let help = "write each member on a line of its own, after `- `".to_owned();
                self.complain(Severity::Error, path, Origin::File(node.mark), message, Some(help));
                None
            }
        }
    }

    pub(super) fn map_of(&mut self, node: Node, path: &str) -> Vec<Entry> {
        match node.value {
            Value::Null => Vec::new(),
            Value::Map(entries) => entries,
            other => {
                let what = if path.is_empty() { "the file".to_owned() } else { format!("`{path}`") };
                let message = format!("{what} holds {}, not keys with values", other.kind());
                self.complain(Severity::Error, path.to_owned(), Origin::File(node.mark), message, None);
                Vec::new()
            }
        }
    }
}
