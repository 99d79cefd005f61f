//! The reference page, written by the same walk that reads a configuration.

use super::reader::{KeyDoc, KeyKind, Reader, Section, Unset};
use super::resolve::{ENV_ALIASES, ENV_IGNORED, MOVED, read};
use super::tree::{Mark, Node, Value};
use std::fmt::Write as _;
use weir_core::model::{AnomalyKind, ParserSet};

/// Every key in the order of the page.
pub fn keys() -> Vec<KeyDoc> {
    let mut reader = Reader::describing();
    let nothing = Node { mark: Mark::default(), value: Value::Null };
    read(&mut Section::root(&mut reader, nothing));
    reader.into_docs()
}

const HEAD: &str = include_str!("reference_head.md");

/// The page as Markdown.
pub fn markdown() -> String {
    let docs = keys();
    let mut out = HEAD.to_owned();
    out.push_str("\n## Top-level keys\n\n");
    table(&mut out, &docs, "");
    for section in docs.iter().filter(|doc| doc.kind == KeyKind::Section) {
        let list = section.type_name.starts_with("list");
        let prefix = if list { format!("{}[]", section.path) } else { section.path.clone() };
        let kind = if list { " (list)" } else { "" };
        writeln!(out, "\n## `{}`{kind}\n\n{} From: {}.\n", section.path, section.meaning, section.from)
            .expect("String");
        if list && !docs.iter().any(|doc| parent(&doc.path) == prefix) {
            out.push_str("Entries have the same keys as those of the enclosing list.\n");
        } else {
            table(&mut out, &docs, &prefix);
        }
    }
    names(&mut out, "Anomalies", AnomalyKind::ALL.iter().map(|kind| kind.code()));
    names(&mut out, "Parsers", ParserSet::NAMED.iter().map(|(name, _)| *name));
    places(&mut out);
    out
}

fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(parent, _)| parent)
}

fn table(out: &mut String, docs: &[KeyDoc], prefix: &str) {
    let rows: Vec<&KeyDoc> = docs.iter().filter(|d| parent(&d.path) == prefix && d.kind != KeyKind::Section).collect();
    if rows.is_empty() {
        out.push_str("See the sections below.\n");
        return;
    }
    out.push_str("| Key | Type | Default | Meaning | From |\n|---|---|---|---|---|\n");
    for doc in rows {
        let name = doc.path.rsplit('.').next().unwrap_or_default();
        let (kind, default, meaning) = match doc.kind {
            KeyKind::Ignored => ("ignored", String::new(), format!("Accepted and ignored: {}.", doc.meaning)),
            _ => (doc.type_name.as_str(), shown(&doc.default), doc.meaning.to_owned()),
        };
        writeln!(out, "| `{name}` | {kind} | {default} | {} | {} |", cell(&meaning), doc.from).expect("String");
    }
}

/// A default: code where it is a value, plain where it is an explanation.
fn shown(default: &Unset) -> String {
    match default {
        Unset::Words(words) => cell(words),
        Unset::Value(value) => format!("`{}`", cell(value)),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn names(out: &mut String, title: &str, names: impl Iterator<Item = &'static str>) {
    let list: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    writeln!(out, "\n## {title}\n\n{}", list.join(", ")).expect("String");
}

fn places(out: &mut String) {
    out.push_str(
        "\n## Other places\n\nOlder files have some keys in other places. They are read there too, but not in both places.\n\n",
    );
    out.push_str("| Older place | Place |\n|---|---|\n");
    for (from, to) in MOVED {
        writeln!(out, "| `{from}` | `{to}` |").expect("String");
    }
    out.push_str("\n## Other variables\n\n| Variable | Sets |\n|---|---|\n");
    for (name, key) in ENV_ALIASES {
        writeln!(out, "| `{name}` | `{key}` |").expect("String");
    }
    for (name, reason) in ENV_IGNORED {
        writeln!(out, "| `{name}` | nothing: {reason} |").expect("String");
    }
}
