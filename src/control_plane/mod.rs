//! The control plane: store, API and Console in one process, on SQLite or PostgreSQL.

pub mod store;
