//! Finds the actions that match a request without trying each.
//!
//! An action is indexed by the hash of all its equality conditions on the host, the application, the first three path
//! segments and the action name (tuple space search). Actions that fix the same of these six parts share a table, so a
//! request takes one lookup per combination in use, however many rules there are. All conditions of a candidate are then
//! checked, so that a collision only costs time; a property test compares the result with that of trying each action.
//! Actions that fix none of the six (only regexes and `absent`) are tried on every request.

use super::condition::{Condition, Subject, Test};
use super::reading::Reading;
use super::verdict::Active;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

/// The parts of a request by which actions are indexed.
const PARTS: usize = 6;
/// Path segments among them.
const SEGMENTS: u32 = 3;

/// Actions indexed by the parts that they fix.
#[derive(Debug, Default)]
pub(super) struct Index {
    tables: Vec<Table>,
    always: Vec<u32>,
    hasher: RandomState,
    /// Parts that any table uses.
    used: u8,
    /// Longest value of each part in a rule: longer values of a request match none.
    longest: [usize; PARTS],
}

/// Actions that fix the same parts.
#[derive(Debug)]
struct Table {
    parts: u8,
    actions: HashMap<u64, Vec<u32>>,
}

/// The part that a condition fixes and its value in lower case.
fn fixed(condition: &Condition) -> Option<(usize, Vec<u8>)> {
    let (Test::Equal(value) | Test::Iequal(value)) = &condition.test else { return None };
    let part = match &condition.subject {
        Subject::Header(name) if name == "HOST" => 0,
        Subject::Instance => 1,
        Subject::ActionName => 2,
        Subject::Path(at) if *at < SEGMENTS => 3 + *at as usize,
        _ => return None,
    };
    let value = if part >= 2 { without_parameters(value) } else { value };
    Some((part, value.to_ascii_lowercase()))
}

/// A part of a path up to its parameters, so that readings with and without them share a table.
fn without_parameters(value: &[u8]) -> &[u8] {
    &value[..memchr::memchr(b';', value).unwrap_or(value.len())]
}

impl Index {
    /// Indexes actions by number.
    pub fn new<'c>(actions: impl Iterator<Item = (u32, &'c [Condition])>) -> Self {
        let mut index = Self::default();
        for (number, conditions) in actions {
            let mut values: [Option<Vec<u8>>; PARTS] = Default::default();
            conditions.iter().filter_map(fixed).for_each(|(part, value)| values[part] = Some(value));
            let parts = values.iter().enumerate().fold(0, |all, (n, v)| all | u8::from(v.is_some()) << n);
            if parts == 0 {
                index.always.push(number);
                continue;
            }
            index.used |= parts;
            let mut hashes = [None; PARTS];
            for (part, value) in values.iter().enumerate().filter_map(|(part, v)| Some((part, v.as_ref()?))) {
                index.longest[part] = index.longest[part].max(value.len());
                hashes[part] = Some(index.hash(value));
            }
            let key = combine(&hashes, parts).expect("every part of the table has a value");
            let at = index.tables.iter().position(|table| table.parts == parts).unwrap_or_else(|| {
                index.tables.push(Table { parts, actions: HashMap::new() });
                index.tables.len() - 1
            });
            index.tables[at].actions.entry(key).or_default().push(number);
        }
        index
    }

    /// Numbers of the actions whose conditions hold, ascending. `holds` checks all conditions of one.
    pub fn find(&self, reading: &Reading<'_, '_, '_>, holds: impl Fn(u32) -> bool) -> Active {
        let mut found = Active::new();
        if !self.tables.is_empty() {
            let hashes = self.hashes(reading);
            for table in &self.tables {
                let actions = combine(&hashes, table.parts).and_then(|key| table.actions.get(&key));
                found.extend(actions.into_iter().flatten().copied().filter(|&action| holds(action)));
            }
        }
        found.extend(self.always.iter().copied().filter(|&action| holds(action)));
        found.sort_unstable();
        found
    }

    /// Hashes of the parts in use. Parameters of path segments (`;v=1`) are left out, as [`fixed`] does.
    fn hashes(&self, reading: &Reading<'_, '_, '_>) -> [Option<u64>; PARTS] {
        let path = reading.path;
        let mut hashes = [None; PARTS];
        for (part, hash) in hashes.iter_mut().enumerate().filter(|(part, _)| self.used & (1 << part) != 0) {
            let text;
            let value: &[u8] = match part {
                0 => reading.host,
                1 => {
                    text = reading.application.to_string();
                    text.as_bytes()
                }
                2 => without_parameters(&path.action_name),
                segment => match path.segments.get(segment - 3) {
                    Some(value) => without_parameters(value),
                    None => continue,
                },
            };
            if value.len() <= self.longest[part] {
                let mut folded: SmallVec<[u8; 64]> = SmallVec::from_slice(value);
                folded.make_ascii_lowercase();
                *hash = Some(self.hash(&folded));
            }
        }
        hashes
    }

    fn hash(&self, value: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(value);
        hasher.finish()
    }
}

/// Combines the hashes of `parts`; `None` if one is missing.
fn combine(hashes: &[Option<u64>; PARTS], parts: u8) -> Option<u64> {
    let mut all = u64::from(parts);
    for (part, hash) in hashes.iter().enumerate().filter(|(part, _)| parts & (1 << part) != 0) {
        all = (all ^ (*hash)?.wrapping_add(part as u64)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    Some(all)
}
