//! Entity declarations (XML 1.0 §4.2). They are never expanded; only the size of their expansion is computed.

use std::collections::HashMap;

/// Largest expansion of all references together, in bytes. A document that exceeds it is an entity bomb.
const MAX_EXPANSION: u64 = 1 << 20;
/// Rounds in which sizes are computed. Entities that refer to each other in a cycle grow in each round.
const MAX_ROUNDS: usize = 64;
/// Entities and references that sizes are computed for. A document with more counts as an entity bomb.
const MAX_ENTITIES: usize = 1_000;

/// The entity declarations in a document type, each as written.
pub(super) fn entities(doctype: &str) -> impl Iterator<Item = &str> {
    let bytes = doctype.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + memchr::memmem::find(bytes.get(at..)?, b"<!ENTITY")?;
        let mut quote = None;
        let mut end = start;
        for &byte in &bytes[start..] {
            end += 1;
            match (quote, byte) {
                (None, b'\'' | b'"') => quote = Some(byte),
                (Some(open), byte) if open == byte => quote = None,
                (None, b'>') => break,
                _ => {}
            }
        }
        at = end;
        Some(&doctype[start..end])
    })
}

/// Sizes of declared entities.
#[derive(Default)]
pub(super) struct Entities<'a> {
    /// Length of the literal text and names of the references in it.
    declared: HashMap<&'a str, (u64, Vec<&'a str>)>,
    /// How often the content refers to each.
    used: HashMap<String, u64>,
    references: usize,
    too_many: bool,
}

impl<'a> Entities<'a> {
    /// Adds a declaration as found by [`entities`].
    pub fn declare(&mut self, text: &'a str) {
        let rest = text.trim_start_matches("<!ENTITY").trim_start();
        let rest = rest.strip_prefix('%').map_or(rest, str::trim_start);
        let name_end = rest.find(|c: char| c.is_ascii_whitespace() || c == '"' || c == '\'').unwrap_or(rest.len());
        let (name, rest) = rest.split_at(name_end);
        let rest = rest.trim_start();
        let Some(quote @ ('"' | '\'')) = rest.chars().next() else { return };
        let literal = rest[1..].split(quote).next().unwrap_or_default();
        let references: Vec<&str> = references(literal).collect();
        self.references += references.len();
        if self.declared.len() >= MAX_ENTITIES || self.references > MAX_ENTITIES {
            self.too_many = true;
            return;
        }
        // The first declaration of a name is binding (XML 1.0 §4.2).
        self.declared.entry(name).or_insert((literal.len() as u64, references));
    }

    /// Counts a reference in the content of the document.
    pub fn used(&mut self, name: &str) {
        if self.declared.contains_key(name) {
            *self.used.entry(name.to_owned()).or_insert(0) += 1;
        }
    }

    /// Whether all references together, or a single entity, would expand past [`MAX_EXPANSION`].
    pub fn is_expansion_bomb(&self) -> bool {
        if self.too_many {
            return true;
        }
        let mut sizes: HashMap<&str, u64> = self.declared.iter().map(|(name, (len, _))| (*name, *len)).collect();
        for round in 0..MAX_ROUNDS {
            let mut changed = false;
            for (name, (len, references)) in &self.declared {
                let inner = references
                    .iter()
                    .filter_map(|name| sizes.get(name))
                    .fold(0u64, |sum, size| sum.saturating_add(*size));
                let size = len.saturating_add(inner).min(MAX_EXPANSION + 1);
                changed |= sizes.insert(name, size) != Some(size);
            }
            if !changed {
                break;
            }
            if round + 1 == MAX_ROUNDS {
                return true;
            }
        }
        let used = self.used.iter().map(|(name, times)| sizes.get(name.as_str()).unwrap_or(&0).saturating_mul(*times));
        let all = used.fold(0u64, u64::saturating_add);
        all > MAX_EXPANSION || sizes.values().any(|size| *size > MAX_EXPANSION)
    }
}

/// Names between `&` or `%` and `;`.
fn references(literal: &str) -> impl Iterator<Item = &str> {
    literal
        .split(['&', '%'])
        .skip(1)
        .filter_map(|piece| piece.split_once(';').map(|(name, _)| name))
        .filter(|name| !name.starts_with('#'))
}
