//! Detection engine of weir: finds attacks in HTTP requests and responses.
//!
//! [`inspect`] parses a message into values, each at a point such as `[post][json_doc][hash,'user']`. It decodes nested
//! encodings (percent-encoding, JSON, base64, gzip...) as further steps of the point, and runs signatures and detectors
//! on every value. The result lists [findings](Finding), [anomalies](Anomaly), and what was not inspected and why. It
//! knows no blocking mode and takes no decision: that is the caller's part.
//!
//! The crate does no I/O, logs nothing and reads no clock. Work and memory are bounded by [`Limits`] for any input.
//!
//! ```
//! use weir_core::{InspectionOptions, Scratch, builtin, compile, inspect, parse_request};
//!
//! let ruleset = compile(&builtin::files()).expect("the built-in rules are valid");
//! // One per thread, reused: it holds the memory and the cache of benign values.
//! let mut scratch = Scratch::default();
//!
//! let message = parse_request(b"GET /files?name=../../etc/passwd HTTP/1.1\r\nHost: example.com\r\n\r\n");
//! let result = inspect(&message, &ruleset, &InspectionOptions::default(), &mut scratch, &|| false);
//! for finding in &result.findings {
//!     println!("{} by {} at {}: {}", finding.attack, finding.rule, finding.point, finding.matched);
//! }
//! assert!(result.findings.iter().any(|f| f.decisive && f.point.to_string() == "[get,'name']"));
//! ```
//!
//! The last argument of [`inspect`] is a stop signal. To limit the time of an inspection, pass a closure that returns
//! `true` once the time is over; the result then lists the rest as [not inspected](SkipReason::TimeLimit).
//!
//! # Modules
//!
//! - [`model`]: the types, from [`Message`] to [`Inspection`];
//! - [`parse`]: parses a message into values at points, with the decodings of [`normalize`];
//! - [`ruleset`]: compiles rule files into a [`Ruleset`];
//! - [`detect`]: runs the signatures, and the detectors that are code, on one value;
//! - [`engine`]: [`inspect`], which combines them. Read it first.

pub mod detect;
pub mod engine;
pub mod model;
pub mod normalize;
pub mod parse;
pub mod ruleset;

pub use engine::{InspectionOptions, Scratch, inspect};
pub use model::{Anomaly, AttackType, Confidence, Finding, Header, Inspection, Limits, Message, PointPath, SkipReason};
pub use parse::message::{request as parse_request, response as parse_response};
pub use ruleset::compile::compile;
pub use ruleset::{RuleError, Ruleset, builtin};
