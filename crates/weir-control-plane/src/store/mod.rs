//! The store: one schema on SQLite and PostgreSQL, chosen by a URL.
//!
//! [`Database::control`] holds everything but hits: users, sessions, tokens, nodes, rules and more. The module that owns a
//! table there keeps its migration in `migrations/` and its own queries. Hits live in [`partition`]s: on SQLite a file a month, on PostgreSQL tables
//! partitioned by day. Their key is the UUIDv7 that was minted when the hit was spooled, so its time, its partition and
//! whether it is there already all follow from it.
//!
//! SQL is the common subset of both: `$1` placeholders, BIGINT, TEXT, DOUBLE PRECISION, no NULL where a default says as
//! much, `CAST(SUM(x) AS BIGINT)`, upserts, RETURNING. Text from outside reaches SQL as bind parameters alone.

mod attack_series;
mod attack_session;
mod attacks;
mod backup;
mod clause;
mod clock_skew;
mod counts;
mod daily_partitions;
mod database;
mod day_summaries;
mod error;
mod facets;
mod filter;
mod free_text;
mod group_hours;
mod grouping;
mod health;
mod hits;
mod hour_summaries;
mod ids;
mod incoming;
mod ingest;
mod migrate;
mod newest_counts;
mod page;
mod partition;
mod passed_groups;
mod pools;
mod reachability;
mod retention;
mod retry_dedup;
mod rows;
mod rule_histograms;
pub mod search;
mod searched;
mod session_requests;
mod sketch;
mod source_index;
mod sql;
mod summarize_days;
mod summarize_hours;
mod summary_tables;
mod traffic;
mod updates;
mod url;
mod value_sums;

pub use backup::Dumped;
pub use clock_skew::Redated;
pub use counts::{MAX_SLOTS, MAX_TOP, SHORTEST_STEP};
pub use database::Database;
pub use error::StoreError;
pub use filter::{AttackStatus, Filter, Mark, Span, Terms};
pub use health::StoreFault;
pub use hits::{MAX_REPLAY, Replay};
pub use ids::{DAY, HOUR};
pub use newest_counts::NewestCounts;
pub use page::{Cursor, Listing, MAX_PAGE, Page};
pub use passed_groups::{PassedGroup, PassedHits};
pub use pools::Pools;
pub use reachability::Unreachable;
pub use retention::Retained;
pub use rows::{Attack, Count, Dimension, Excerpt, HitRow, Marked, RuleCount, Series, Slot, StoredHit};
pub use rule_histograms::RuleHistory;
pub use session_requests::{SessionStep, SessionSummary};
pub use traffic::{TrafficBy, TrafficFilter, TrafficSlot, TrafficTotal};
pub use url::DatabaseUrl;
