//! The API for connectors, normally on port 5000. `docs/openapi.yaml` is its description.
//!
//! The life of a call: [`server`] accepts its connection, [`Service::answer`] finds its path, [`access`] says whether
//! the caller may, [`admission`] whether there is room, [`call`] reads its headers, [`judge`] makes the verdict, on the
//! runtime's worker or for large messages in a [`pool`], and [`answer`] or [`refusal`] put it on the wire.

pub mod access;
pub mod admission;
pub mod answer;
pub mod batch;
pub mod call;
pub mod config;
pub mod connection;
pub mod context;
pub mod coverage;
pub mod envelope;
pub mod judge;
pub mod pool;
pub mod receive;
pub mod refusal;
pub mod repeats;
pub mod server;
pub mod service;

pub use access::Access;
pub use config::Config;
pub use server::Server;
pub use service::{Parts, Service};
