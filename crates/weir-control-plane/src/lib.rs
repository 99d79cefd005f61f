//! The control plane: store, API and Console in one process, on SQLite or PostgreSQL.
//!
//! [`App`] holds the services and knows no HTTP; [`server`] puts routers on top: [`node_api_routes`] for nodes,
//! [`api`] for programs, the Console for people. Every route that answers people or programs is listed in a [`routes::Routes`] table
//! with the permission that it asks for, so that none is open by omission.

pub mod abuse;
pub mod admin;
pub mod alarms;
pub mod alerts;
pub mod api;
pub mod app;
pub mod audit;
pub mod auth;
mod body;
mod confirm;
pub mod console;
pub mod data_key;
mod download;
pub mod error;
mod listing;
mod manage;
pub mod meta;
pub mod metrics;
pub mod node_api_routes;
pub mod nodes;
pub mod outgoing;
pub mod overview;
pub mod packs;
pub mod policy;
pub mod problem;
pub mod routes;
pub mod searches;
pub mod server;
pub mod sinks;
pub mod store;
pub mod thresholds;

pub use app::{App, Config};
pub use error::{Error, Mistake};

#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
