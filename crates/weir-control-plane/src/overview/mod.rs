//! What is known of a source address, of a host and of an application over a period.

pub mod report;
pub mod source;
pub mod target;

use crate::error::{Error, Result};
use serde::Serialize;

/// Values of a ranking.
const RANKED: usize = 10;

/// A stretch of time and the slots in which it is counted, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Period {
    /// First millisecond since 1970.
    pub from: i64,
    /// First millisecond since 1970 that is too late.
    pub to: i64,
    /// Length of a slot.
    pub step: i64,
}

impl Period {
    /// The period `[from, to)` in slots of `step`. Fails where it is empty.
    pub fn new(from: i64, to: i64, step: i64) -> Result<Self> {
        if from < 0 || to <= from {
            return Err(Error::invalid("from", "the period is empty: `from` must lie before `to`"));
        }
        Ok(Self { from, to, step })
    }

    /// The period of the same length before this one; none before 1970.
    pub fn before(self) -> Option<Self> {
        let from = self.from - (self.to - self.from);
        (from >= 0).then_some(Self { from, to: self.from, ..self })
    }
}

/// A value and how many of the hits looked at have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sampled {
    /// The value.
    pub value: String,
    /// Hits.
    pub hits: u64,
}

/// The most frequent of `values`, most first.
fn ranked(values: impl Iterator<Item = String>) -> Vec<Sampled> {
    let mut counts = std::collections::HashMap::<String, u64>::new();
    values.for_each(|value| *counts.entry(value).or_default() += 1);
    let mut all: Vec<Sampled> = counts.into_iter().map(|(value, hits)| Sampled { value, hits }).collect();
    all.sort_by(|a, b| b.hits.cmp(&a.hits).then_with(|| a.value.cmp(&b.value)));
    all.truncate(RANKED);
    all
}
