//! Why a call came to nothing, and whether to try again.

use std::fmt;
use std::time::Duration;

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// It was not reached, or the connection broke.
    Unreachable(String),
    /// It does not know the identity, or the token.
    Unknown(String),
    /// It asks to come back, perhaps not before a time.
    Busy(u16, Option<Duration>),
    /// It will never take this.
    Refused(u16, String),
    /// What it answered is nothing of this protocol.
    InvalidResponse(String),
    /// The node is not registered, and why.
    Unregistered(String),
}

impl CallError {
    /// Whether the same call may go well later.
    pub fn is_retryable(&self) -> bool {
        !matches!(self, CallError::Refused(..))
    }

    /// A word for metrics.
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

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Unreachable(why) => write!(f, "not reached: {why}"),
            CallError::Unknown(why) => write!(f, "not known there: {why}"),
            CallError::Busy(status, _) => write!(f, "asked to come back later (status {status})"),
            CallError::Refused(status, why) => write!(f, "refused with status {status}: {why}"),
            CallError::InvalidResponse(why) => write!(f, "unexpected answer: {why}"),
            CallError::Unregistered(why) => write!(f, "not registered: {why}"),
        }
    }
}

impl std::error::Error for CallError {}

impl From<reqwest::Error> for CallError {
    fn from(error: reqwest::Error) -> Self {
        use std::error::Error as _;
        let error = error.without_url();
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        CallError::Unreachable(text)
    }
}
