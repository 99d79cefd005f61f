//! What can be delivered.

use crate::store::StoreError;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Records of a feed after some place, in order of arrival.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The records, each with a member `id`.
    pub records: Vec<serde_json::Value>,
    /// The place after the last one.
    pub next: String,
}

/// A future that a feed answers with.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A source of records in order of arrival. A record that was once passed never appears before a place again.
pub trait Feed: Send + Sync + 'static {
    /// At most `limit` records after `place`.
    fn after<'a>(&'a self, place: &'a str, limit: u32) -> Answer<'a, Batch>;
    /// The place after the newest record: where a new sink begins.
    fn end(&self) -> Answer<'_, String>;
}

/// Names of feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedName {
    /// Malicious requests.
    NewHits,
    /// What people and nodes did: the audit log.
    System,
}

impl FeedName {
    /// Every feed.
    pub const ALL: &'static [FeedName] = &[FeedName::NewHits, FeedName::System];

    /// Its name in deliveries and on the wire.
    pub const fn code(self) -> &'static str {
        match self {
            FeedName::NewHits => "new_hits",
            FeedName::System => "system",
        }
    }
}

/// The feeds there are.
#[derive(Clone)]
pub struct Feeds {
    /// Malicious requests.
    pub hits: Arc<dyn Feed>,
    /// System events.
    pub system: Arc<dyn Feed>,
}

impl Feeds {
    /// The feed called `name`.
    pub fn get(&self, name: FeedName) -> &dyn Feed {
        match name {
            FeedName::NewHits => &*self.hits,
            FeedName::System => &*self.system,
        }
    }
}
