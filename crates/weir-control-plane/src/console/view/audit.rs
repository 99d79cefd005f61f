//! The audit log.

use super::parts::Pager;
use super::shell::Shell;
use super::text::Text;
use super::time::Moment;
use super::ui;
use askama::Template;

/// A line of the log.
#[derive(Clone, Debug)]
pub struct AuditRow {
    /// When.
    pub at: Moment,
    /// Who.
    pub who: Text,
    /// What.
    pub action: Text,
    /// Of what.
    pub object: Text,
    /// Details.
    pub detail: Text,
    /// From where.
    pub from: Text,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "audit.html")]
pub struct Audit {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// Whose changes alone are shown.
    pub who: String,
    /// How the actions shown begin.
    pub what: String,
    /// Lines, newest first.
    pub rows: Vec<AuditRow>,
    /// Links to other pages.
    pub pager: Pager,
}
