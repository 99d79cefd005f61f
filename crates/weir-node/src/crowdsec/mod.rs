//! Decisions of a CrowdSec local API, read as address lists. Described in `docs/crowdsec.md`.
//!
//! [`decisions`] keeps what is decided, [`reader`] fetches it: all decisions at first and once an hour, in between what
//! changed. While the API is away, decisions stay until they expire.

mod decisions;
mod reader;

pub use reader::{Config, Reader, ReaderError, ReaderMetrics};

use arc_swap::ArcSwap;
use std::net::IpAddr;
use weir_policy::{IpIndex, List, ListHit, Source};

/// The decisions in force.
#[derive(Debug, Default)]
pub struct Decided(ArcSwap<IpIndex>);

impl Decided {
    /// What was decided about a source at `now`, in seconds since 1970.
    pub fn find(&self, client: IpAddr, source: &Source, now: u64) -> Option<ListHit> {
        let index = self.0.load();
        // Decisions are not about applications.
        if index.is_empty() { None } else { index.find(Some(client), source, 0, now, List::Gray) }
    }

    fn replace(&self, index: IpIndex) {
        self.0.store(index.into());
    }
}
