//! Hits added up by value, over parts of a period.

use super::Count;
use super::hour_summaries::Entry;
use std::collections::HashMap;

/// Values with their hits, and how many of these were blocked.
#[derive(Debug, Default)]
pub(super) struct ValueSums(HashMap<String, (u64, u64)>);

impl ValueSums {
    /// Adds hits of `value`.
    pub fn add(&mut self, value: String, hits: u64, blocked: u64) {
        let sum = self.0.entry(value).or_default();
        *sum = (sum.0 + hits, sum.1 + blocked);
    }

    /// All values, most hits first, then in the order of the values.
    pub fn ranked(self) -> Vec<Entry> {
        let mut out: Vec<Entry> = self.0.into_iter().map(|(value, (hits, blocked))| (value, hits, blocked)).collect();
        out.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        out
    }

    /// The `limit` values with most hits.
    pub fn top(self, limit: usize) -> Vec<Count> {
        let ranked = self.ranked().into_iter().take(limit);
        ranked.map(|(value, hits, blocked)| Count { value, hits, blocked }).collect()
    }
}
