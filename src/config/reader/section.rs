//! One map of the tree, read key by key.

use super::{KeyDoc, KeyKind, Reader, Unset, variable};
use crate::config::diagnostic::{Diagnostic, Origin, Severity};
use crate::config::tree::{Entry, Mark, Node};
use crate::config::types::Setting;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use weir_core::ruleset::similar_name;

/// A map of the tree. Each method consumes one key; what is left in the end is unknown.
pub struct Section<'r> {
    pub(super) reader: &'r mut Reader,
    pub(super) path: String,
    pub(super) mark: Mark,
    pub(super) entries: Vec<Entry>,
    pub(super) known: Vec<&'static str>,
    pub(super) origins: BTreeMap<&'static str, Origin>,
    /// Whether it may be set from the environment: members of lists may not.
    pub(super) overlaid: bool,
    pub(super) secret: bool,
}

impl<'r> Section<'r> {
    /// The whole tree.
    pub fn root(reader: &'r mut Reader, node: Node) -> Self {
        let mut root = Self {
            reader,
            path: String::new(),
            mark: node.mark,
            entries: Vec::new(),
            known: Vec::new(),
            origins: BTreeMap::new(),
            overlaid: true,
            secret: false,
        };
        root.entries = root.map_of(node, "");
        root
    }

    /// A value that has a default.
    pub fn get<T: Setting>(&mut self, name: &'static str, from: &'static str, default: T, meaning: &'static str) -> T {
        self.document(name, from, T::TYPE.to_owned(), Unset::Value(default.show()), meaning);
        self.scalar(name).unwrap_or(default)
    }

    /// A value that has a default and bounds.
    pub fn bounded<T: Setting + PartialOrd>(
        &mut self,
        name: &'static str,
        from: &'static str,
        default: T,
        bounds: RangeInclusive<T>,
        meaning: &'static str,
    ) -> T {
        let type_name = format!("{} from {} to {}", T::TYPE, bounds.start().show(), bounds.end().show());
        self.document(name, from, type_name, Unset::Value(default.show()), meaning);
        let Some(value) = self.scalar::<T>(name) else { return default };
        if bounds.contains(&value) {
            return value;
        }
        let message = format!("`{name}` is out of bounds");
        let help = format!("write a value from {} to {}", bounds.start().show(), bounds.end().show());
        self.error(name, message, help);
        default
    }

    /// A value that may be left out; `unset` tells what holds then.
    pub fn optional<T: Setting>(
        &mut self,
        name: &'static str,
        from: &'static str,
        unset: &str,
        meaning: &'static str,
    ) -> Option<T> {
        self.document(name, from, T::TYPE.to_owned(), Unset::Words(unset.to_owned()), meaning);
        self.scalar(name)
    }

    /// A list of values; none if it was left out. `unset` tells what holds then.
    pub fn list<T: Setting>(
        &mut self,
        name: &'static str,
        from: &'static str,
        unset: &str,
        meaning: &'static str,
    ) -> Option<Vec<T>> {
        self.document(name, from, format!("list: {}", T::TYPE), Unset::Words(unset.to_owned()), meaning);
        let path = self.child(name);
        let entry = self.take(name);
        let in_file = entry.and_then(|entry| self.items::<T>(name, entry.node));
        match self.overlay(&path) {
            None => in_file,
            Some((origin, text)) => {
                self.came_from(name, origin.clone());
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Some(parts.filter_map(|part| self.parse(&path, part, origin.clone())).collect())
            }
        }
    }

    /// A list of maps, each read by `read`; none if it was left out.
    pub fn records<T>(
        &mut self,
        name: &'static str,
        from: &'static str,
        unset: &str,
        meaning: &'static str,
        mut read: impl FnMut(&mut Section<'_>) -> T,
    ) -> Option<Vec<T>> {
        let path = self.child(name);
        self.document_section(name, KeyKind::Section, "list of maps", unset, from, meaning);
        if self.reader.docs.is_some() {
            let inner = format!("{path}[]");
            // A list of its own kind within itself is described once.
            if !self.path.contains(&format!("{name}[]")) {
                read(&mut self.enter(inner, self.mark, Vec::new(), false));
            }
            return None;
        }
        let node = self.take(name)?.node;
        let items = self.list_of(name, node)?;
        let mut out = Vec::with_capacity(items.len());
        for (number, item) in items.into_iter().enumerate() {
            let (mark, inner) = (item.mark, format!("{path}[{number}]"));
            self.reader.places.insert(inner.clone(), Origin::File(mark));
            let entries = self.map_of(item, &inner);
            let mut section = self.enter(inner, mark, entries, false);
            out.push(read(&mut section));
            section.finish();
        }
        Some(out)
    }

    /// A map of keys, read by `read`; an empty one if it was left out.
    pub fn section<T>(
        &mut self,
        name: &'static str,
        from: &'static str,
        meaning: &'static str,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let path = self.child(name);
        self.document_section(name, KeyKind::Section, "map", "", from, meaning);
        let node = self.take(name).map(|entry| entry.node);
        let mark = node.as_ref().map_or(self.mark, |node| node.mark);
        let entries = node.map(|node| self.map_of(node, &path)).unwrap_or_default();
        let overlaid = self.overlaid;
        let mut section = self.enter(path, mark, entries, overlaid);
        let value = read(&mut section);
        section.finish();
        value
    }

    /// Like [`Section::section`] for maps whose values no message may show.
    pub fn secret_section<T>(
        &mut self,
        name: &'static str,
        from: &'static str,
        meaning: &'static str,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        self.section(name, from, meaning, |section| {
            section.secret = true;
            read(section)
        })
    }

    /// A map with names of the user's choice, each name and value parsed; duplicates are reported.
    pub fn named<K: Setting + PartialEq, T: Setting>(
        &mut self,
        name: &'static str,
        from: &'static str,
        unset: &str,
        meaning: &'static str,
    ) -> Vec<(K, T)> {
        let path = self.child(name);
        let type_name = format!("map: {} to {}", K::TYPE, T::TYPE);
        self.document_section(name, KeyKind::Value, &type_name, unset, from, meaning);
        let Some(entry) = self.take(name) else { return Vec::new() };
        let mut out: Vec<(K, T)> = Vec::new();
        for entry in self.map_of(entry.node, &path) {
            let inner = format!("{path}.{}", entry.key);
            let key = self.parse::<K>(&inner, &entry.key, Origin::File(entry.mark));
            let value = self.scalar_of::<T>(&inner, entry.node);
            let Some(key) = key else { continue };
            if out.iter().any(|(known, _)| *known == key) {
                self.complain(Severity::Error, inner, Origin::File(entry.mark), "this name is given twice", None);
            } else if let Some(value) = value {
                out.push((key, value));
            }
        }
        out
    }

    /// A key that other nodes know and that means nothing here.
    pub fn ignored(&mut self, name: &'static str, from: &'static str, reason: &'static str) {
        self.document_section(name, KeyKind::Ignored, "", "", from, reason);
        let path = self.child(name);
        if let Some(entry) = self.take(name) {
            let message = format!("`{path}` is ignored: {reason}");
            self.complain(Severity::Warning, path, Origin::File(entry.mark), message, None);
        }
    }

    /// Whether `name`, read before, was given by file, environment or flag.
    pub fn given(&self, name: &str) -> bool {
        self.origins.contains_key(name)
    }

    /// Reports an error about `name`, which was read before.
    pub fn error(&mut self, name: &'static str, message: impl Into<String>, help: impl Into<String>) {
        self.remark(Severity::Error, name, message, help);
    }

    /// Reports something about `name`, which was read before.
    pub fn remark(
        &mut self,
        severity: Severity,
        name: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let fallback = if self.mark.line > 0 { Origin::File(self.mark) } else { Origin::Default };
        let origin = self.origins.get(name).cloned().unwrap_or(fallback);
        self.complain(severity, self.child(name), origin, message, Some(help.into()));
    }

    /// Reports every key that was not read.
    pub fn finish(&mut self) {
        for entry in std::mem::take(&mut self.entries) {
            let near = similar_name(&entry.key, self.known.iter().copied());
            let help = near
                .map(|key| format!("did you mean `{key}`?"))
                .or_else(|| self.helm_values(&entry.key))
                .or_else(|| self.known_keys());
            let message = format!("unknown key `{}`", entry.key);
            self.complain(Severity::Error, self.child(&entry.key), Origin::File(entry.mark), message, help);
        }
    }

    /// Advice if the file is the values of a Helm chart instead of the file that it renders.
    fn helm_values(&self, key: &str) -> Option<String> {
        let helm = self.path.is_empty() && ["config", "processing", "aggregation", "image"].contains(&key);
        helm.then(|| {
            "this looks like values of a Helm chart; check the file that the chart renders from them".to_owned()
        })
    }

    fn known_keys(&self) -> Option<String> {
        let list: Vec<String> = self.known.iter().map(|key| format!("`{key}`")).collect();
        (!list.is_empty()).then(|| format!("known here: {}", list.join(", ")))
    }

    fn enter(&mut self, path: String, mark: Mark, entries: Vec<Entry>, overlaid: bool) -> Section<'_> {
        Section {
            secret: self.secret,
            reader: self.reader,
            path,
            mark,
            entries,
            known: Vec::new(),
            origins: BTreeMap::new(),
            overlaid,
        }
    }

    pub(super) fn child(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(super) fn complain(
        &mut self,
        severity: Severity,
        key: String,
        origin: Origin,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let secret = self.secret;
        self.reader.say(Diagnostic { severity, message: message.into(), key, origin, help, secret });
    }

    fn document(
        &mut self,
        name: &'static str,
        from: &'static str,
        type_name: String,
        default: Unset,
        meaning: &'static str,
    ) {
        let variable = self.overlaid.then(|| variable(&self.child(name)));
        self.add_doc(KeyDoc {
            path: self.child(name),
            kind: KeyKind::Value,
            type_name,
            default,
            variable,
            from,
            meaning,
        });
    }

    fn document_section(
        &mut self,
        name: &str,
        kind: KeyKind,
        type_name: &str,
        unset: &str,
        from: &'static str,
        meaning: &'static str,
    ) {
        let (type_name, default) = (type_name.to_owned(), Unset::Words(unset.to_owned()));
        self.add_doc(KeyDoc { path: self.child(name), kind, type_name, default, variable: None, from, meaning });
    }

    fn add_doc(&mut self, doc: KeyDoc) {
        if let Some(docs) = &mut self.reader.docs {
            docs.push(doc);
        }
    }
}
