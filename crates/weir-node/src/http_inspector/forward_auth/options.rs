//! What an operator writes into the URL of the subrequest: context that the proxy does not send.

use crate::http_inspector::api_error::ApiError;
use axum::extract::Query;
use http::Uri;
use serde::Deserialize;
use std::time::{Duration, Instant};

/// Longest deadline, in milliseconds.
const MAX_DEADLINE: u64 = 60_000;

/// Whether the proxy is set up to send bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyForwarding {
    /// It sends none, or this is not known: an absent body counts as not inspected.
    #[default]
    None,
    /// It sends every body in full, so that an absent body is an empty one.
    Full,
}

/// Query of the subrequest's URL.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Name of the service, for events and policy.
    pub service: Option<String>,
    /// Name of the route, for events, policy and coverage.
    pub route: Option<String>,
    /// Application.
    pub application: Option<i64>,
    /// Milliseconds until the proxy stops waiting.
    deadline_ms: Option<u64>,
    /// Whether bodies are sent.
    #[serde(default)]
    pub body: BodyForwarding,
}

impl Options {
    /// Those of `uri`.
    pub fn of(uri: &Uri) -> Result<Options, ApiError> {
        Query::try_from_uri(uri).map(|Query(options)| options).map_err(|error| ApiError::BadQuery(error.body_text()))
    }

    /// When to answer.
    pub fn answer_by(&self) -> Result<Option<Instant>, ApiError> {
        match self.deadline_ms {
            None => Ok(None),
            Some(ms @ 1..=MAX_DEADLINE) => {
                Ok(Some(Instant::now() + crate::http_inspector::call::time_to_answer(Duration::from_millis(ms))))
            }
            Some(_) => Err(ApiError::BadQuery(format!("deadline_ms: milliseconds from 1 to {MAX_DEADLINE}"))),
        }
    }
}
