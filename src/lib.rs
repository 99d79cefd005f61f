//! weir: an API-security filtering node.
//!
//! This package composes the parts into one program; see the crates under `crates/` for what they do.

pub mod app;
pub mod cli;
pub mod config;
