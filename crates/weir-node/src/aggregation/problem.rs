//! Errors of the API as `application/problem+json` (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a call is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No valid identity or token.
    Unauthenticated,
    /// The call is not valid.
    Invalid(String),
    /// The body has more than this many bytes.
    TooLarge(usize),
    /// Temporarily not available: the reason, and after how many seconds to retry.
    Busy(&'static str, u16),
    /// Not found.
    NotFound,
}

impl Problem {
    /// Status and code.
    pub fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Problem::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
            Problem::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            Problem::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            Problem::Busy(..) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Problem::NotFound => (StatusCode::NOT_FOUND, "not-found"),
        }
    }

    fn detail(&self) -> String {
        match self {
            Problem::Unauthenticated => "expected a Node deployment token or the identity of a node".into(),
            Problem::Invalid(why) => why.clone(),
            Problem::TooLarge(most) => format!("more than {most} bytes"),
            Problem::Busy(why, _) => (*why).into(),
            Problem::NotFound => "not found".into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code) = self.status();
        let body = json!({
            "type": format!("urn:weir:problem:{code}"),
            "title": code.replace('-', " "),
            "status": status.as_u16(),
            "detail": self.detail(),
        });
        let kind = [(header::CONTENT_TYPE, "application/problem+json"), (header::CACHE_CONTROL, "no-store")];
        let mut response = (status, kind, body.to_string()).into_response();
        match self {
            Problem::Busy(_, seconds) => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Problem::Unauthenticated => {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}
