//! Errors of calls to a control plane or an aggregation, and whether to retry.

use std::time::Duration;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The server could not be reached, or the connection broke.
    #[error("not reached: {0}")]
    Unreachable(String),
    /// The server does not know the identity or the token.
    #[error("not known there: {0}")]
    Unknown(String),
    /// The server is busy, and when to retry if it said so.
    #[error("asked to come back later (status {0})")]
    Busy(u16, Option<Duration>),
    /// The server rejected the call; a retry will not succeed.
    #[error("refused with status {0}: {1}")]
    Refused(u16, String),
    /// The response does not conform to the protocol.
    #[error("unexpected response: {0}")]
    InvalidResponse(String),
    /// The node is not registered, and why.
    #[error("not registered: {0}")]
    Unregistered(String),
}

impl CallError {
    /// Whether a retry of the same call may succeed.
    pub fn is_retryable(&self) -> bool {
        !matches!(self, CallError::Refused(..))
    }

    /// Stable code, a metric label.
    pub fn code(&self) -> &'static str {
        match self {
            CallError::Unreachable(_) => "unreachable",
            CallError::Unknown(_) => "unknown",
            CallError::Busy(..) => "busy",
            CallError::Refused(..) => "refused",
            CallError::InvalidResponse(_) => "bad_answer",
            CallError::Unregistered(_) => "unregistered",
        }
    }
}

impl From<reqwest::Error> for CallError {
    fn from(error: reqwest::Error) -> Self {
        CallError::Unreachable(weir_runtime::error_chain::with_causes(&error.without_url()))
    }
}
