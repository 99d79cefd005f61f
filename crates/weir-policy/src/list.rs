//! Address lists: what they are called and what a hit on one says.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A list that a source can stand on. Consulted in this order; the first hit counts.
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

/// By what a source was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchedBy {
    /// Its address or network.
    Ip,
    /// Its country or region.
    Location,
    /// Its autonomous system.
    Asn,
    /// Its kind: a data centre, Tor, a VPN...
    SourceType,
}

impl MatchedBy {
    /// Stable code, e.g. `ip`.
    pub const fn code(self) -> &'static str {
        match self {
            MatchedBy::Ip => "ip",
            MatchedBy::Location => "location",
            MatchedBy::Asn => "asn",
            MatchedBy::SourceType => "source_type",
        }
    }
}

/// The source of a request stands on a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListHit {
    /// Which.
    pub list: List,
    /// By what.
    pub by: MatchedBy,
    /// The listed value, e.g. `203.0.113.0/24`, `DE`, `AS64500`, `tor`.
    pub value: Arc<str>,
    /// Why it was listed, as given by who listed it.
    pub reason: Option<Arc<str>>,
}
