//! Rule packs and address databases: checked, kept in versions by the hash of their content, put in use by the policy,
//! which names them; nodes fetch the content by its hash and see for themselves that it is what was named.

mod check;
mod content;
mod diff;
mod fetch;
pub mod losses;
mod mirror;
mod repository;
mod rule_files;
mod service;
mod state;

pub use diff::{Changed, Differences};
pub use mirror::{Mirror, NewMirror};
pub use service::Stored;
pub use state::Packs;

use serde::Serialize;
use weir_core::ruleset::MAX_FILE;
use weir_protocol::node_api::Blob;

/// Largest rule pack, in bytes: what nodes read of one rule file.
pub const MAX_PACK: usize = MAX_FILE;
/// Largest database that is taken, in bytes: it is held in memory while it is checked. Country, AS and source type
/// databases are under 100 MiB.
pub const MAX_DATABASE: usize = 128 << 20;
/// Most rule packs.
pub const MAX_NAMES: usize = 32;
/// Longest note, in characters.
pub const MAX_NOTE: usize = 500;
/// What databases may be called.
pub const DATABASES: &[&str] = &["country", "asn", "source_type"];

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A rule file.
    RulePack,
    /// An MMDB file.
    Database,
}

impl Kind {
    /// As written in the database, and before the name in the audit log.
    pub const fn code(self) -> &'static str {
        match self {
            Kind::RulePack => "rule_pack",
            Kind::Database => "database",
        }
    }

    /// Largest content, in bytes.
    pub const fn most(self) -> usize {
        match self {
            Kind::RulePack => MAX_PACK,
            Kind::Database => MAX_DATABASE,
        }
    }

    /// Versions kept of one name, besides those that a kept version of the policy names.
    pub const fn kept(self) -> usize {
        match self {
            Kind::RulePack => 20,
            Kind::Database => 5,
        }
    }
}

/// A version of a pack or database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Version {
    /// Name.
    pub name: String,
    /// Number, from 1.
    pub version: u64,
    /// SHA-256 of the content, hex.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
    /// Signatures of a pack, nodes of a database's tree.
    pub items: u64,
    /// What a database says of itself; empty for a pack.
    pub about: String,
    /// Notes of who brought it.
    pub note: String,
    /// Who brought it.
    pub author: String,
    /// Milliseconds since 1970.
    pub created: i64,
}

impl Version {
    /// As the policy names it.
    pub fn blob(&self) -> Blob {
        let (name, version) = (self.name.clone(), self.version.to_string());
        Blob { name, version, sha256: self.sha256.clone(), bytes: self.bytes }
    }
}
