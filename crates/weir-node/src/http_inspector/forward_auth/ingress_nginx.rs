//! Subrequests of the Kubernetes controller ingress-nginx (annotation `auth-url`). It replaces these headers of the
//! client with its own, and names scheme and host of the client's request only within a URL.

use super::Family;
use crate::http_inspector::api_error::ApiError;
use crate::http_inspector::described_request::required;
use http::{HeaderMap, HeaderName, HeaderValue};
use weir_core::model::Scheme;

/// Scheme, host and target of the client's request: `https://shop.example/a?b=c`.
const URL: &str = "x-original-url";
/// The target alone. A host may contain `?`, so the URL does not tell where its target begins.
const TARGET: &str = "x-auth-request-redirect";
/// The address of the client.
const CLIENT: &str = "x-real-ip";
/// The target once more, if the annotation `auth-method` is set.
const METHOD_TARGET: &str = "x-original-uri";

/// Names of the headers that describe the client's request.
pub const FAMILY: Family = Family { method: "x-original-method", uri: TARGET, host: URL, scheme: URL, client: CLIENT };

/// Scheme and host of the client's request: what precedes the target in the URL.
pub fn origin(headers: &HeaderMap) -> Result<(Scheme, &[u8]), ApiError> {
    let (url, target) = (required(headers, URL)?.as_bytes(), required(headers, TARGET)?.as_bytes());
    let Some(origin) = url.strip_suffix(target) else {
        return Err(ApiError::BadHeader(
            TARGET,
            "the end of X-Original-URL: the annotation auth-request-redirect is not supported",
        ));
    };
    if let Some(host) = origin.strip_prefix(b"https://") {
        Ok((Scheme::Https, host))
    } else if let Some(host) = origin.strip_prefix(b"http://") {
        Ok((Scheme::Http, host))
    } else {
        Err(ApiError::BadHeader(URL, "an http or https URL"))
    }
}

/// Whether a header is the controller's, although it is not one of [`FAMILY`].
pub fn is_own(name: &HeaderName, value: &HeaderValue, headers: &HeaderMap) -> bool {
    match name.as_str() {
        "x-sent-from" => true,
        // The client alone, unless the controller is set up to keep the addresses before it.
        "x-forwarded-for" => headers.get(CLIENT) == Some(value),
        METHOD_TARGET => headers.get(TARGET) == Some(value),
        _ => false,
    }
}

/// Whether the client claims another target in the header that the controller sets only with `auth-method`.
pub fn has_foreign_uri(headers: &HeaderMap) -> bool {
    headers.get_all(METHOD_TARGET).iter().any(|value| headers.get(TARGET) != Some(value))
}
