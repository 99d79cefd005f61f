//! Signatures and detectors: what they look for, and why.

use super::parts::{AttackKind, Choice, HitCount};
use super::shell::Shell;
use super::text::Text;
use super::ui;
use askama::Template;

/// A line of the catalogue.
#[derive(Clone, Debug)]
pub struct CatalogueRow {
    /// Name.
    pub name: Text,
    /// Its page.
    pub href: String,
    /// Type.
    pub kind: AttackKind,
    /// First sentence of its meaning.
    pub about: Text,
    /// `high`, `medium`, `low`, or `code` for detectors.
    pub confidence: &'static str,
    /// Hits of the last 30 days.
    pub hits: HitCount,
    /// Whether only a rule pack has it.
    pub added: bool,
}

/// The catalogue.
#[derive(Debug, Template)]
#[template(path = "catalogue.html")]
pub struct Catalogue {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// What was searched for.
    pub query: String,
    /// Types, with their number of entries.
    pub kinds: Vec<(AttackKind, usize, Choice)>,
    /// Entries.
    pub entries: Vec<CatalogueRow>,
    /// All there are.
    pub total: usize,
}

/// The page of one signature or detector.
#[derive(Debug, Template)]
#[template(path = "signature.html")]
pub struct SignaturePage {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// Name.
    pub name: Text,
    /// Type.
    pub kind: AttackKind,
    /// What it means.
    pub about: Text,
    /// CWE number; 0 for none.
    pub cwe: u32,
    /// OWASP category; empty for none.
    pub owasp: Text,
    /// `high`, `medium`, `low`; empty for detectors.
    pub confidence: &'static str,
    /// What that means.
    pub weight: &'static str,
    /// Where it looks.
    pub zones: Text,
    /// Through which decodings.
    pub views: Text,
    /// Its pattern; empty for detectors.
    pub pattern: Text,
    /// Texts that it matches.
    pub positive: Vec<Text>,
    /// Texts that it does not.
    pub negative: Vec<Text>,
    /// Hits of the last 30 days.
    pub hits: HitCount,
    /// Whether only a rule pack has it.
    pub added: bool,
    /// Attacks that it took part in.
    pub attacks: String,
    /// Rules of the policy that name it: id and what they say.
    pub exceptions: Vec<(u64, Text)>,
}
