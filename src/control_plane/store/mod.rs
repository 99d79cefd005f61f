//! The store: one schema on SQLite and PostgreSQL, chosen by a URL.
//!
//! [`Database::control`] holds everything but hits; whoever owns a table there keeps its migration in `migrations/` and
//! its queries in a module of `meta`. Hits live in [`partition`]s: on SQLite a file a month, on PostgreSQL tables
//! partitioned by day. Their key is the UUIDv7 that was minted when the hit was spooled, so its time, its partition and
//! whether it is there already all follow from it.
//!
//! SQL is the common subset of both: `$1` placeholders, BIGINT, TEXT, DOUBLE PRECISION, no NULL where a default says as
//! much, `CAST(SUM(x) AS BIGINT)`, upserts, RETURNING. Text from outside reaches SQL as bind parameters alone.

mod database;
mod error;
mod filter;
pub mod meta;
mod migrate;
mod page;
mod pools;
mod rows;
mod url;

pub use database::Database;
pub use error::StoreError;
pub use filter::{AttackStatus, Filter, Mark, Span, Terms};
pub use page::{Cursor, Listing, MAX_PAGE, Page};
pub use pools::Pools;
pub use rows::{Attack, Count, Dimension, HitRow, Marked, Series, Slot, StoredHit};
pub use url::DatabaseUrl;
