//! The store: one schema on SQLite and PostgreSQL, chosen by a URL.
//!
//! [`Database::control`] holds everything but hits; whoever owns a table there keeps its migration in `migrations/` and
//! its queries in a module of `meta`. Hits live in [`partition`]s: on SQLite a file a month, on PostgreSQL tables
//! partitioned by day. Their key is the UUIDv7 that was minted when the hit was spooled, so its time, its partition and
//! whether it is there already all follow from it.
//!
//! SQL is the common subset of both: `$1` placeholders, BIGINT, TEXT, DOUBLE PRECISION, no NULL where a default says as
//! much, `CAST(SUM(x) AS BIGINT)`, upserts, RETURNING. Text from outside reaches SQL as bind parameters alone.

mod attacks;
mod backup;
mod clause;
mod counts;
mod database;
mod days;
mod error;
mod export;
mod facets;
mod filter;
mod grouping;
mod health;
mod hits;
mod ids;
mod incoming;
mod ingest;
pub mod meta;
mod migrate;
mod misdated;
mod page;
mod partition;
mod pools;
mod repeated;
mod retention;
mod rows;
mod runs;
pub mod search;
mod sketch;
mod sql;
mod traffic;
mod updates;
mod url;

pub use backup::Dumped;
pub use counts::{MAX_SLOTS, MAX_TOP};
pub use database::Database;
pub use error::StoreError;
pub use export::{Export, ExportFormat, ExportKind, MAX_EXPORT};
pub use filter::{AttackStatus, Filter, Mark, Span, Terms};
pub use health::StoreFault;
pub use hits::{MAX_REPLAY, Replay};
pub use misdated::Redated;
pub use page::{Cursor, Listing, MAX_PAGE, Page};
pub use pools::Pools;
pub use retention::Retained;
pub use rows::{Attack, Count, Dimension, HitRow, Marked, Series, Slot, StoredHit};
pub use traffic::{TrafficBy, TrafficFilter, TrafficSlot, TrafficTotal};
pub use url::DatabaseUrl;
