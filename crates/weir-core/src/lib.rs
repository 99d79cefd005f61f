//! Detection core of weir: opens an HTTP message into values at points and finds attacks in them.
//!
//! Module by module: [`model`] defines the types; [`parse`] opens a message into values at points,
//! with the decodings of [`normalize`]; [`ruleset`] compiles the signatures with which [`detect`] looks at them;
//! [`engine`] runs it all and knows no mode.

pub mod detect;
pub mod engine;
pub mod model;
pub mod normalize;
pub mod parse;
pub mod ruleset;
