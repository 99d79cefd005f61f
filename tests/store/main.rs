//! The store, every test on both engines: SQLite in a temporary directory, PostgreSQL as a child process.

#[macro_use]
mod engines; // databases for tests
mod backups; // copies, dumps, exports
mod clocks; // clocks that are wrong
mod faults; // restarts, damage
mod ingest; // exactly once, in any order
mod make; // hits and batches
mod queries; // lists, filters, counts
mod summaries; // hours added up to days
