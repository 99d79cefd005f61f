//! Address lists and matches on them.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An address list. They are consulted in this order; the first match applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum List {
    /// Nothing is inspected or blocked.
    #[serde(alias = "white")]
    Allow,
    /// Everything is blocked, except in mode `off`.
    #[serde(alias = "black")]
    Deny,
    /// In mode `safe_blocking`, attacks are blocked. No meaning in other modes.
    #[serde(alias = "grey")]
    Gray,
}

impl List {
    /// Every list, in order of consultation.
    pub const ALL: &'static [List] = &[List::Allow, List::Deny, List::Gray];

    /// `allow`, `deny` or `gray`.
    pub const fn code(self) -> &'static str {
        match self {
            List::Allow => "allow",
            List::Deny => "deny",
            List::Gray => "gray",
        }
    }
}

/// Which property of a source matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchedBy {
    /// Its address or network.
    Ip,
    /// Its country or region.
    Location,
    /// Its autonomous system.
    Asn,
    /// Its type: a data centre, Tor, a VPN...
    SourceType,
    /// A rule on its behaviour over many requests put it there.
    Automatic,
}

impl MatchedBy {
    /// Stable code, e.g. `ip`.
    pub const fn code(self) -> &'static str {
        match self {
            MatchedBy::Ip => "ip",
            MatchedBy::Location => "location",
            MatchedBy::Asn => "asn",
            MatchedBy::SourceType => "source_type",
            MatchedBy::Automatic => "automatic",
        }
    }
}

/// The source of a request is on a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListHit {
    /// The list.
    pub list: List,
    /// The property that matched.
    pub by: MatchedBy,
    /// The listed value, e.g. `203.0.113.0/24`, `DE`, `AS64500`, `tor`.
    pub value: Arc<str>,
    /// Reason given for the entry.
    pub reason: Option<Arc<str>>,
}
