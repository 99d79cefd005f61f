//! The API for connectors, normally on port 5000; described in `docs/openapi.yaml`.
//!
//! How a call is handled: [`server`] accepts the connection, [`Service::handle`] routes the call, [`access`] authenticates
//! the caller, [`admission`] sheds load, [`call`] validates the headers, [`inspection_job`] makes the verdict, on a worker
//! of the runtime or for large messages in a [`pool`], and [`verdict_response`] or [`api_error`] write the response.

pub mod access;
pub mod admission;
pub mod api_error;
pub mod backlog;
pub mod batch;
pub mod call;
pub mod config;
pub mod connection;
pub mod context;
pub mod coverage;
pub mod crowdsec;
pub mod described_request;
pub mod envelope;
pub mod envoy;
pub mod forward_auth;
pub mod gaps;
pub mod inspection_job;
pub mod pool;
pub mod receive;
pub mod repeats;
pub mod scheduling_delay;
pub mod server;
pub mod service;
pub mod verdict_response;

pub use access::AccessRules;
pub use config::Config;
pub use described_request::DescribedRequest;
pub use server::Server;
pub use service::{Service, ServiceParts};
