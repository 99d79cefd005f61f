//! Sinks: webhooks and syslog receivers to which hits and system events are delivered.
//!
//! A sink keeps a cursor for each feed that it wants. A worker takes what came after the cursor, delivers it as one
//! batch, and moves the cursor: nothing is queued, so a receiver that was away for a day gets the day's events from the
//! store, each at least once, in order of arrival. Every record has an `id` by which a receiver leaves out the second
//! of two. Of several replicas one delivers, by a lease.

mod arrivals;
mod delivery;
mod feed;
mod metrics;
mod repository;
mod service;
mod sink;
mod syslog;
mod system_feed;
#[cfg(test)]
mod tests;
mod webhook;
mod worker;

pub use feed::{Batch, Feed, FeedName, Feeds};
pub use metrics::Metrics;
pub use repository::Repository;
pub use service::{Sinks, TestError};
pub use sink::{Facility, Format, NewSink, Sink, SinkError, Target, Transport};
pub use webhook::{SIGNATURE_HEADER, sign};
pub use worker::Worker;
