//! [`DescribedRequest`]: a request that a proxy describes in a protocol of its own.

use super::api_error::ApiError;
use super::call::CallHeaders;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

/// A client request as a proxy described it.
#[derive(Debug)]
pub struct DescribedRequest {
    /// What a connector would have said about it.
    pub call: CallHeaders,
    /// Its bytes, rebuilt.
    pub message: Bytes,
    /// Bytes of its body that were sent.
    pub body_bytes: usize,
    /// The key that the proxy sent, where keys are configured.
    pub key: Option<Vec<u8>>,
    /// Name under which its coverage is counted where the call names no route.
    pub counted_as: &'static str,
}

/// Headers of a subrequest alone, and of no request that it describes.
const OF_SUBREQUEST: &[header::HeaderName] = &[
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Whether a header is about the connection of a subrequest, and not about the client's request.
pub fn is_of_subrequest(name: &header::HeaderName) -> bool {
    OF_SUBREQUEST.contains(name) || name == "keep-alive" || name == "proxy-connection"
}

/// The value of a header that must occur exactly once: a proxy replaces what the client sent under its name.
pub fn required<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<&'h HeaderValue, ApiError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => Err(ApiError::MissingHeader(name)),
        (Some(_), Some(_)) => Err(ApiError::BadHeader(name, "given more than once")),
    }
}
