//! [`DescribedRequest`]: a request that a proxy describes in a protocol of its own.

use super::call::CallHeaders;
use bytes::Bytes;

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
