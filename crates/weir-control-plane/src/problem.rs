//! Errors as `application/problem+json` (RFC 9457). Nothing internal leaves the process: it goes to the log.

use super::error::Error;
use super::store::StoreError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;

/// What answers say while nothing can be stored.
pub const CANNOT_WRITE: &str = "the store cannot write: its disk is full, broken or read-only. Hits wait on the nodes; nothing can be changed until it can";

/// With an answer: nothing could be written.
#[derive(Clone, Copy, Debug)]
pub struct CannotWrite;

/// Code of the problem that the database server does not answer.
const UNAVAILABLE: &str = "unavailable";

/// Seconds after which to try again what the database server did not answer.
const RETRY_AFTER: u64 = 5;

/// With an answer: the database server may not answer.
#[derive(Clone, Copy, Debug)]
pub struct Doubtful;

/// Content type of a problem.
pub const PROBLEM: &str = "application/problem+json";

impl Error {
    /// Status and code of the problem.
    pub fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Error::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            Error::NotFound(_) => (StatusCode::NOT_FOUND, "not-found"),
            Error::Method => (StatusCode::METHOD_NOT_ALLOWED, "method"),
            Error::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Error::Unconfirmed(_) => (StatusCode::PRECONDITION_REQUIRED, "confirmation-required"),
            Error::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Error::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
            Error::WrongLogin => (StatusCode::UNAUTHORIZED, "wrong-login"),
            Error::CodeRequired(_) => (StatusCode::UNAUTHORIZED, "code-required"),
            Error::WrongCode => (StatusCode::UNAUTHORIZED, "wrong-code"),
            Error::Throttled(_) => (StatusCode::TOO_MANY_REQUESTS, "throttled"),
            Error::Unreachable => (StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE),
            Error::IdentityProvider(_) => (StatusCode::BAD_GATEWAY, "identity-provider"),
            Error::Timeout => (StatusCode::REQUEST_TIMEOUT, "timeout"),
            Error::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            error if error.is_transient() => (StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE),
            error if error.cannot_write() => (StatusCode::SERVICE_UNAVAILABLE, "store-cannot-write"),
            Error::Store(StoreError::Damaged(..)) => (StatusCode::SERVICE_UNAVAILABLE, "store-damaged"),
            Error::Database(_) | Error::Store(_) | Error::Internal(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal")
            }
        }
    }

    fn detail(&self) -> String {
        match self {
            error if error.is_transient() => Error::Unreachable.to_string(),
            error if error.cannot_write() => CANNOT_WRITE.into(),
            // Its file, without the directory: whoever reads this cannot see the log.
            Error::Store(StoreError::Damaged(name, _)) => {
                let file = name.rsplit('/').next().unwrap_or_default();
                format!("{file} of the store is damaged: restore it from a backup, or move it away to go on without it")
            }
            Error::Database(_) | Error::Store(_) | Error::Internal(_) => {
                "something went wrong here; the log tells what".into()
            }
            Error::IdentityProvider(_) => {
                "the identity provider is not available or its answer is invalid; try again in a moment, or log in as a user of this Console. The reason is in the log".into()
            }
            error => error.to_string(),
        }
    }

    /// Whether a repetition may well succeed.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Database(error) => {
                matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_))
            }
            Error::Store(error) => error.is_transient(),
            _ => false,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, code) = self.status();
        if matches!(self, Error::Database(_) | Error::Store(_) | Error::Internal(_) | Error::IdentityProvider(_)) {
            tracing::error!(error = %self, "a call failed");
        }
        let mut body = json!({
            "type": format!("urn:weir:problem:{code}"),
            "title": code.replace('-', " "),
            "status": status.as_u16(),
            "detail": self.detail(),
        });
        if let Error::Invalid(mistakes) = &self {
            body["errors"] = json!(mistakes);
        }
        if let Error::Unconfirmed(why) = &self {
            body["confirmation"] = json!(why);
        }
        let mut response = (status, [(header::CONTENT_TYPE, PROBLEM)], body.to_string()).into_response();
        if self.cannot_write() {
            response.extensions_mut().insert(CannotWrite);
        }
        if code == UNAVAILABLE {
            response.extensions_mut().insert(Doubtful);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER));
        }
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Error::Throttled(seconds) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Error::Unconfirmed(why) => drop(response.extensions_mut().insert(Arc::new(*why))),
            Error::Unauthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_named_without_its_directory_and_its_contents() {
        let damaged = StoreError::Damaged("/srv/weir/hits-2026-11.db".into(), sqlx::Error::Protocol("secret".into()));
        let error = Error::Store(damaged);
        assert_eq!(error.status(), (StatusCode::SERVICE_UNAVAILABLE, "store-damaged"));
        let detail = error.detail();
        assert!(detail.starts_with("hits-2026-11.db of the store is damaged: restore it"), "{detail}");
        assert!(!detail.contains("srv") && !detail.contains("secret"), "{detail}");
    }
}
