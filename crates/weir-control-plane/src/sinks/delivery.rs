//! Why a delivery failed.

use crate::outgoing::OutgoingError;
use reqwest::StatusCode;
use std::time::Duration;

/// Why a receiver did not take a delivery. The text never holds the URL, which may contain a secret, nor anything of the
/// response's body.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The destination must not be contacted, or no client could be set up.
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
    /// The method of a webhook is not one.
    #[error("invalid HTTP method: {0}")]
    Method(#[from] http::method::InvalidMethod),
    /// The receiver was not reached, or the connection broke.
    #[error("the call failed")]
    Call(#[source] reqwest::Error),
    /// The receiver refused.
    #[error("answered {0}")]
    Status(StatusCode),
    /// The delivery took too long.
    #[error("took longer than {} s", .0.as_secs())]
    Timeout(Duration),
    /// The connection to a syslog receiver failed.
    #[error("the connection failed")]
    Io(#[from] std::io::Error),
}
