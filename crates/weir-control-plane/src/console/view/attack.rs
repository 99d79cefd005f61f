//! One attack: what it is, who sends it, its hits.

use super::attacks::AttackRow;
use super::parts::{AttackKind, Mark, Pager};
use super::plot::stacked::Stacked;
use super::shell::Shell;
use super::text::Text;
use super::time::Moment;
use super::ui;
use askama::Template;

/// A hit in a list.
#[derive(Clone, Debug)]
pub struct HitLine {
    /// Id, checked to be one.
    pub id: String,
    /// When.
    pub time: Moment,
    /// Method.
    pub method: Text,
    /// Path.
    pub path: Text,
    /// Address.
    pub ip: Text,
    /// The page of the address; empty where it is unknown.
    pub source: String,
    /// Country.
    pub country: Text,
    /// Whether it was blocked.
    pub blocked: bool,
    /// Status code of the upstream; empty where not known.
    pub answer: String,
    /// Similar hits that were counted but not stored.
    pub folded: u64,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "attack.html")]
pub struct AttackPage {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// The attack.
    pub attack: AttackRow,
    /// CWE number; 0 for none.
    pub cwe: u32,
    /// OWASP category; empty for none.
    pub owasp: &'static str,
    /// Hits over time.
    pub plot: Stacked,
    /// Its hits.
    pub hits: Vec<HitLine>,
    /// Links to other pages of hits.
    pub pager: Pager,
    /// Search for attacks of this type on this host.
    pub similar: String,
    /// Where the source of the last hit is put on a list; none where it is unknown.
    pub deny: Option<String>,
    /// Whether a list blocked it: then there is an entry to change, and nothing that a rule could be about.
    pub of_denylist: bool,
}

/// What kinds of pages call an attack of this kind.
pub fn title(kind: AttackKind, host: &str) -> String {
    if host.is_empty() { kind.name.to_owned() } else { format!("{} on {host}", kind.name) }
}
