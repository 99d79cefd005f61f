//! weir: an API-security filtering node.
//!
//! The life of a request, module by module: [`model`] names things; [`parse`] opens a message into values at points,
//! with the decodings of [`normalize`]; [`ruleset`] compiles the signatures with which [`detect`] looks at them;
//! [`engine`] runs it all and knows no mode.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(feature = "node")]
pub mod aggregation;
#[cfg(feature = "node")]
pub mod app;
#[cfg(feature = "node")]
pub mod cli;
#[cfg(feature = "node")]
pub mod config;
#[cfg(feature = "node")]
pub mod control_plane;
pub mod detect;
pub mod engine;
#[cfg(feature = "node")]
pub mod events;
#[cfg(feature = "node")]
pub mod generation;
#[cfg(feature = "node")]
pub mod geo;
#[cfg(feature = "node")]
pub mod http_inspector;
pub mod model;
#[cfg(feature = "node")]
pub mod node_api;
pub mod normalize;
pub mod parse;
pub mod policy;
pub mod ruleset;
#[cfg(feature = "node")]
pub mod serve;
#[cfg(feature = "node")]
pub mod sync;
#[cfg(feature = "node")]
pub mod telemetry;
#[cfg(feature = "node")]
pub mod tls;
