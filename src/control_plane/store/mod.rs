//! The store: one schema on SQLite and PostgreSQL, chosen by a URL.
