//! Sessions of interest, and the requests of one.

use super::shell::Shell;
use super::text::Text;
use super::time::Moment;
use super::ui;
use askama::Template;

/// A session.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// Its page.
    pub href: String,
    /// The beginning of its name.
    pub name: Text,
    /// A client's address.
    pub client: Text,
    /// The page of that address; none for what is not one.
    pub source: Option<String>,
    /// Application; empty for none.
    pub application: Text,
    /// Requests kept, those with a hit, those blocked.
    pub counts: [u64; 3],
    /// When the last request came.
    pub last: Moment,
}

/// The list.
#[derive(Debug, Template)]
#[template(path = "sessions.html")]
pub struct Sessions {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// The address in the search field.
    pub client: Text,
    /// Days for which requests are kept.
    pub days: u32,
    /// Sessions, the latest first.
    pub rows: Vec<SessionRow>,
}

impl Sessions {
    /// The counts of a row with their labels.
    pub fn counts(&self, row: &SessionRow) -> [(&'static str, u64); 3] {
        let [requests, hits, blocked] = row.counts;
        [("Requests", requests), ("Hits", hits), ("Blocked", blocked)]
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct StepRow {
    /// When it was inspected.
    pub at: Moment,
    /// Method and path.
    pub method: Text,
    /// Path.
    pub path: Text,
    /// Status of the response; empty if it is not known.
    pub status: String,
    /// Whether it was blocked.
    pub blocked: bool,
    /// The page of its hit; empty for none.
    pub hit: String,
    /// Attacks found, and counters above their limit.
    pub note: Text,
    /// The client's address, if it is another than before.
    pub client: Option<Text>,
}

/// The page of a session.
#[derive(Debug, Template)]
#[template(path = "session.html")]
pub struct SessionPage {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// Its name.
    pub name: Text,
    /// Attacks of its last client.
    pub attacks: String,
    /// Requests, in the order in which they came.
    pub rows: Vec<StepRow>,
}
