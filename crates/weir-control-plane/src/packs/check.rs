//! Whether a pack or a database can be used, by the code that nodes use.

use super::{DATABASES, Kind, MAX_NOTE};
use crate::error::{Error, Mistake, Result};
use maxminddb::Reader;
use weir_core::ruleset::{RuleError, compile};

/// Mistakes told at once.
const MAX_MISTAKES: usize = 200;
/// Longest text that a database says of itself, in characters.
const MAX_ABOUT: usize = 200;

/// What a check found: how many items there are, and what the file says of itself.
pub struct Checked {
    pub items: u64,
    pub about: String,
}

/// Whether a file may be called `name`, with `note`.
pub fn named(kind: Kind, name: &str, note: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    // `.` and `..` are no file names, and `-x` is an option to many a program.
    let begins = |name: &str| name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let mut wrong = Vec::new();
    match kind {
        Kind::RulePack if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) || !begins(name) => {
            wrong.push(Mistake::new("name", "expected 1 to 64 of a-z, 0-9 and `._-`, the first a letter or a digit"));
        }
        Kind::Database if !DATABASES.contains(&name) => {
            wrong.push(Mistake::new("name", format!("expected one of {}", DATABASES.join(", "))));
        }
        _ => {}
    }
    if note.chars().count() > MAX_NOTE || note.chars().any(char::is_control) {
        wrong.push(Mistake::new("note", format!("at most {MAX_NOTE} characters on one line are allowed")));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Error::Invalid(wrong)) }
}

/// Compiles `files`, of which the last is the pack in question, as a node does; answers how many signatures that one has.
/// Every mistake is reported with file, line and column.
pub fn pack(files: &[(String, String)]) -> Result<u64> {
    compile::compile(files).map_err(|errors| Error::Invalid(as_mistakes(&errors)))?;
    let own = files.last().map(std::slice::from_ref).unwrap_or_default();
    let own = compile::compile(own).map_err(|errors| Error::Invalid(as_mistakes(&errors)))?;
    if own.signatures.is_empty() {
        return Err(Error::invalid("", "there is no signature in it"));
    }
    Ok(own.signatures.len() as u64)
}

fn as_mistakes(errors: &[RuleError]) -> Vec<Mistake> {
    let one = |e: &RuleError| Mistake::new(format!("{}:{}:{}", e.file, e.line, e.column), &e.message);
    let mut all: Vec<Mistake> = errors.iter().take(MAX_MISTAKES).map(one).collect();
    if errors.len() > MAX_MISTAKES {
        all.push(Mistake::new("", format!("and {} further mistakes", errors.len() - MAX_MISTAKES)));
    }
    all
}

/// Opens a database as nodes do.
pub fn database(content: &[u8]) -> Result<Checked> {
    let wrong = |error: maxminddb::MaxMindDbError| Error::invalid("", format!("no MMDB file: {error}"));
    let reader = Reader::from_source(content).map_err(wrong)?;
    let meta = reader.metadata();
    if meta.node_count == 0 {
        return Err(Error::invalid("", "there is no network in it"));
    }
    // The beginning and the end of the tree can be walked: a file cut in the middle fails here, not on a node.
    for address in [std::net::IpAddr::from([1, 1, 1, 1]), std::net::IpAddr::from([223, 255, 255, 1])] {
        let found = reader.lookup(address).map_err(wrong)?;
        found.decode::<serde::de::IgnoredAny>().map_err(wrong)?;
    }
    let about = weir_core::model::bytes::printable(meta.database_type.as_bytes(), MAX_ABOUT);
    let built = i64::try_from(meta.build_epoch).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
    let built = built.map(|at| format!(", built {at}")).unwrap_or_default();
    Ok(Checked { items: u64::from(meta.node_count), about: format!("{about}, IPv{}{built}", meta.ip_version) })
}
